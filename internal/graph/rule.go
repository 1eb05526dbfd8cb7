package graph

import (
	"fmt"
	"reflect"
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

// comparing are the rules that may fail or hold for each sample, and be right all the same.
var comparing = []string{
	"len", "min", "max", "eq", "ne", "gt", "gte", "lt", "lte", "oneof", "oneofci", "noneof", "noneofci",
	"eq_ignore_case", "ne_ignore_case", "unique", "required", "isdefault",
}

// typedRule is a rule and the type of the parameter that it is about.
type typedRule struct {
	typ  reflect.Type
	rule string
}

// judgeRule says what is wrong with the rule of a parameter. Routes have many in common.
func (g *Graph) judgeRule(p *param) problem {
	key := typedRule{p.typ, p.rule}
	bad, known := g.shared.rules[key]
	if !known {
		if bad.fact, bad.hint = judgeRule(g.validate, p); bad.fact == "" {
			bad.fact = p.tryRule(g.validate)
			bad.hint = "see the rules of go-playground/validator, and that the rule fits " + TypeName(p.typ)
		}
		g.shared.rules[key] = bad
	}
	return bad
}

// tryRule runs the rule on the zero value and on others that parse, so that what the
// validator panics about is found when the program starts.
func (p *param) tryRule(v *validator.Validate) (fault string) {
	if p.rule == "" {
		return ""
	}
	defer func() {
		if r := recover(); r != nil {
			fault = fmt.Sprintf("the validator does not take the rule: %v", r)
		}
	}()
	for _, part := range partsOf(p.rule) {
		tried := *p
		tried.rule = part
		tried.check(v, reflect.New(p.typ).Elem())
		for _, text := range samples {
			tried.set(v, reflect.New(p.typ).Elem(), []string{text})
		}
	}
	return ""
}

// partsOf returns a rule, and each part of it: behind another that no sample keeps, a part
// would not be tried.
func partsOf(rule string) []string {
	parts, dive := []string{rule}, ""
	for item := range strings.SplitSeq(rule, ",") {
		if item == "dive" {
			dive += "dive,"
			continue
		}
		for alternative := range strings.SplitSeq(item, "|") {
			parts = append(parts, dive+alternative)
		}
	}
	return parts
}

// judgeRule says whether a rule is about something else, would never be run, or fails whatever
// comes.
func judgeRule(v *validator.Validate, p *param) (fact, hint string) {
	t := p.value
	if p.slice {
		t = p.typ
	}
	for item := range strings.SplitSeq(p.rule, ",") {
		if item == "dive" && p.slice {
			t = p.value
			continue
		}
		for alternative := range strings.SplitSeq(item, "|") {
			name, _, _ := strings.Cut(alternative, "=")
			if p.pointer && name == "required" { // it asks whether there is one
				continue
			}
			if fact, hint = judgeName(name, t); fact != "" {
				return fact, hint
			}
		}
		if t.Kind() != reflect.String && neverHolds(v, item, t) {
			hint = "take a string, or a rule of its values"
			if t == p.typ && p.slice {
				hint = "put dive before it, for a rule of each value"
			}
			return "the rule " + item + " never holds for " + TypeName(t), hint
		}
	}
	return "", ""
}

func judgeName(name string, t reflect.Type) (fact, hint string) {
	switch {
	case aboutSiblings(name):
		return "the rule " + name + " is about another field, and a parameter is checked by itself",
			"compare the two in a provider that takes both"
	case name == "required" && (t.Kind() == reflect.Bool || isNumber(t.Kind())):
		return "the rule required refuses " + TypeName(t) + "'s zero, which may well be sent",
			"drop it: a parameter without a default is required; a number that may not be 0 has ne=0"
	case t.Kind() == reflect.Struct && t != timeType && !slices.Contains(ofAny, name):
		return "the rule " + name + " is not run on a struct such as " + TypeName(t),
			"check it in UnmarshalText or in a provider, or take a string"
	}
	return "", ""
}

// ofAny are the rules that the validator runs on structs.
var ofAny = []string{"", "required", "omitempty", "omitnil", "omitzero"}

// aboutSiblings says whether a rule is about other fields of a struct.
func aboutSiblings(name string) bool {
	for _, prefix := range []string{"required_", "excluded_", "skip_unless"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return strings.HasSuffix(name, "field") || name == "fieldcontains" || name == "fieldexcludes"
}

func isNumber(k reflect.Kind) bool {
	return reflect.Int <= k && k <= reflect.Float64 && k != reflect.Uintptr
}

// neverHolds says whether one of the validator's own rules fails for every sample of a type
// that is no string: those of texts do. Rules of the program are its own business.
func neverHolds(v *validator.Validate, item string, t reflect.Type) bool {
	for alternative := range strings.SplitSeq(item, "|") {
		name, _, _ := strings.Cut(alternative, "=")
		if slices.Contains(ofAny, name) || slices.Contains(comparing, name) || !isBakedIn(alternative) {
			return false
		}
	}
	tried := false
	for _, value := range samplesOf(t) {
		holds, panicked := holds(v, item, value)
		if holds || panicked { // what panics is told as such
			return false
		}
		tried = true
	}
	return tried
}

// holds runs one rule.
func holds(v *validator.Validate, rule string, value reflect.Value) (ok, panicked bool) {
	panicked = true
	defer func() { _ = recover() }()
	ok = v.Var(value.Interface(), rule) == nil
	return ok, false
}

// isBakedIn says whether a rule is the validator's own.
func isBakedIn(rule string) bool {
	name, _, _ := strings.Cut(rule, "=")
	_, panicked := holds(bare(), name+"=1", reflect.ValueOf("1"))
	return !panicked
}

// bare is a validator without rules of the program.
var bare = sync.OnceValue(func() *validator.Validate { return validator.New() })

// samplesOf returns values of a type of parameter, or of a slice of one.
func samplesOf(t reflect.Type) (list []reflect.Value) {
	elem := t
	if t.Kind() == reflect.Slice && !reflect.PointerTo(t).Implements(textType) {
		elem = t.Elem()
		list = append(list, reflect.MakeSlice(t, 0, 0))
	}
	parse, _ := parserFor(elem)
	for _, text := range samples {
		value, parsed := reflect.New(elem).Elem(), false
		_ = Protect("", func() error {
			parsed = parse(value, text)
			return nil
		})
		if !parsed {
			continue
		}
		if elem != t {
			value = reflect.Append(reflect.MakeSlice(t, 0, 1), value)
		}
		list = append(list, value)
	}
	return list
}
