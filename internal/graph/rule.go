package graph

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/go-playground/validator/v10"
)

// samples are texts of which each type of parameter takes several.
var samples = []string{
	"0", "1", "-1", "2", "7", "100", "1e9", "true", "false", "1s", "-1h", "a", "A1", "é",
	"2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "::1", "192.0.2.1", "a@example.com",
}

// diveFirst is the hint for a rule of values that stands for their list.
const diveFirst = "put dive before it, for a rule of each value"

// comparing are the rules that may fail or hold for each sample, and be right all the same.
var comparing = []string{
	"len", "min", "max", "eq", "ne", "gt", "gte", "lt", "lte",
	"oneof", "oneofci", "noneof", "noneofci",
	"eq_ignore_case", "ne_ignore_case", "unique", "required", "isdefault",
}

// typedRule is a rule and the type of the parameter that it is about.
type typedRule struct {
	typ  reflect.Type
	rule string
}

// judgeRule says what is wrong with the rule of a parameter. Routes have many in common.
func (g *Graph) judgeRule(p *param) problem {
	if p.Rules == "" {
		return problem{}
	}
	key := typedRule{p.Type, p.Rules}
	bad, known := g.shared.rules[key]
	if !known {
		bad = p.judgeRule()
		g.shared.rules[key] = bad
	}
	return bad
}

// judgeRule says whether a rule is about something else, would never be run, makes the validator
// panic, or fails whatever comes. Behind a part that no sample keeps, another would not be tried.
func (p *param) judgeRule() problem {
	t, dive, values := p.value, "", p.samples()
	if p.List {
		t = p.Type
	}
	for item := range strings.SplitSeq(p.Rules, ",") {
		if item == "dive" && t.Kind() == reflect.Slice {
			t, dive = p.value, dive+"dive,"
			continue
		}
		never := t.Kind() != reflect.String // the validator's own rules of texts hold for some
		for alternative := range strings.SplitSeq(item, "|") {
			name, _, _ := strings.Cut(alternative, "=")
			if bad := p.judgeName(name, t); bad.fact != "" {
				return bad
			}
			held, bad := p.try(dive+alternative, values)
			if bad.fact != "" {
				_, ofEach := p.try("dive,"+alternative, values)
				if p.List && dive == "" && ofEach.fact == "" {
					bad.hint = diveFirst
				}
				return bad
			}
			never = never && !held && mustHold(name)
		}
		if never {
			hint := "take a string, or a rule of its values"
			if t == p.Type && p.List {
				hint = diveFirst
			}
			return problem{"the rule " + item + " never holds for " + TypeName(t), hint}
		}
	}
	_, bad := p.try(p.Rules, values)
	return bad
}

func (p *param) judgeName(name string, t reflect.Type) (bad problem) {
	switch {
	case aboutSiblings.MatchString(name):
		bad.fact = "the rule " + name + " is about another field, and a parameter is checked by itself"
		bad.hint = "compare the two in a provider that takes both"
	case name == "required" && !p.pointer && reflect.Bool <= t.Kind() && t.Kind() <= reflect.Float64:
		bad.fact = "the rule required refuses " + TypeName(t) + "'s zero, which may well be sent"
		bad.hint = "drop it: a parameter without a default is required; " +
			"a number that may not be 0 has ne=0"
	case t.Kind() == reflect.Struct && t != timeType && !slices.Contains(ofAny, name):
		bad.fact = "the rule " + name + " is not run on a struct such as " + TypeName(t)
		bad.hint = "check it in UnmarshalText or in a provider, or take a string"
	}
	return bad
}

// ofAny are the rules that the validator runs on structs.
var ofAny = []string{"", "required", "omitempty", "omitnil", "omitzero"}

// aboutSiblings matches the rules about other fields of a struct.
var aboutSiblings = regexp.MustCompile(
	`^(required_|excluded_|skip_unless)|field$|^field(contains|excludes)$`)

// mustHold says whether a rule that fails for every sample of a type fails for all its values:
// a rule of the validator's own does. Rules of the program are its own business.
func mustHold(name string) bool {
	if slices.Contains(ofAny, name) || slices.Contains(comparing, name) {
		return false
	}
	err := Protect("", func() error { return bare().Var("1", name+"=1") })
	_, unknown := errors.AsType[*Panic](err)
	return !unknown
}

// bare is a validator without rules of the program.
var bare = sync.OnceValue(func() *validator.Validate { return validator.New() })

// try runs a rule on the zero value and on samples, and says whether it held for one of these,
// if there are any. What the validator panics about is so found when the program starts.
func (p *param) try(rule string, values []reflect.Value) (held bool, bad problem) {
	defer func() {
		if r := recover(); r != nil {
			bad.fact = fmt.Sprintf("the validator does not take the rule: %v", r)
			bad.hint = "see the rules of go-playground/validator, and that the rule fits " + TypeName(p.Type)
		}
	}()
	_ = p.validate.Var(reflect.Zero(p.Type).Interface(), rule)
	held = len(values) == 0
	for _, value := range values {
		held = p.validate.Var(value.Interface(), rule) == nil || held
	}
	return held, bad
}

// samples returns values of the parameter that parse.
func (p *param) samples() (list []reflect.Value) {
	anything := *p
	anything.Rules = ""
	for _, text := range samples {
		value := reflect.New(p.Type).Elem()
		if bad, err := anything.read(value, []string{text}); bad.code == "" && err == nil {
			list = append(list, value)
		}
	}
	return list
}
