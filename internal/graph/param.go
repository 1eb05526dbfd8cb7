package graph

import (
	"cmp"
	"encoding"
	"fmt"
	"net/textproto"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"
)

// verdict is what is wrong with a parameter; nothing, if it has no code.
type verdict struct {
	code  string // such as "missing"; that of a rule is the rule's name
	bound string // of the rule that failed, as its tag has it
	index int    // of the value at fault, counted from 1; 0 for the parameter itself
}

// ParamInfo is the declaration of a request parameter.
type ParamInfo struct {
	In, Name string
	Type     reflect.Type // of the field
	Rules    string
	Default  *string
	Required bool // otherwise an absent one leaves the zero value
	List     bool // takes every value

	Doc, Example string // of the tags doc and example
}

// param is a request parameter: how to read it, parse it and check it.
type param struct {
	ParamInfo
	validate *validator.Validate
	key      string       // the name as the request holds it
	place    string       // of a panic
	value    reflect.Type // of one value: the element of a slice or a pointer
	parse    parser
	code     string // of a value that does not parse
	byValue  bool   // the rule must see the value, not a pointer to it
	pointer  bool   // nil if absent
}

// parser sets dst from text, and says whether it could.
type parser func(dst reflect.Value, text string) bool

var (
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
)

// newParam compiles a parameter, or says what is wrong with its declaration.
func newParam(g *Graph, t reflect.Type, read tag) (p *param, fact, hint string) {
	p = &param{validate: g.validate, key: read.name, value: t}
	p.place = "the " + read.in + " parameter " + read.name
	p.ParamInfo = ParamInfo{
		In: read.in, Name: read.name, Type: t, Rules: read.validate, Default: read.def,
		Required: read.def == nil, Doc: read.doc, Example: read.example,
	}
	if p.In == "header" {
		p.key = textproto.CanonicalMIMEHeaderKey(p.Name)
	}
	if !reflect.PointerTo(t).Implements(textType) { // net.IP is a []byte, and one text
		p.List, p.pointer = t.Kind() == reflect.Slice, t.Kind() == reflect.Pointer
		if p.List || p.pointer {
			p.value, p.Required = t.Elem(), false
		}
	}
	p.parse, p.code = parserFor(p.value)
	switch {
	case p.parse == nil:
		return nil, TypeName(t) + " cannot be a parameter",
			"use a string, a bool, a number, time.Time, time.Duration, " +
				"an encoding.TextUnmarshaler, or a pointer to or slice of one"
	case p.In == "path" && !p.Required:
		return nil, "a path parameter is always there", "take the plain type without a default"
	case p.pointer && read.def != nil:
		return nil, "a pointer with a default is never nil", "take the plain type, or drop the default"
	}
	// The validator reads a pointer to the value without an allocation, but a
	// rule about presence then looks at the pointer.
	p.byValue = p.pointer || slices.ContainsFunc([]string{"required", "omit", "excluded", "isdefault"},
		func(word string) bool { return strings.Contains(p.Rules, word) })
	if bad := g.judgeRule(p); bad.fact != "" {
		return nil, bad.fact, bad.hint
	}
	if read.def != nil {
		bad, panicked := p.read(reflect.New(t).Elem(), nil)
		if bad.code != "" || panicked != nil {
			why := cmp.Or(bad.code, fmt.Sprint(panicked))
			return nil, fmt.Sprintf("the default %q is refused: %s", *read.def, why),
				"give a default that the parameter itself would accept"
		}
	}
	return p, "", ""
}

// read fills dst from the request's values, of which there may be none. An error is a panic.
func (p *param) read(dst reflect.Value, values []string) (bad verdict, err error) {
	defer Recover(p.place, &err)
	switch {
	case len(values) > 0:
		bad = p.set(dst, values)
	case p.Required:
		bad.code = "missing"
	case p.Default != nil: // each connection has its own
		bad = p.set(dst, []string{*p.Default})
	default:
		bad = p.check(dst)
	}
	return bad, nil
}

func (p *param) set(dst reflect.Value, values []string) verdict {
	if p.List {
		list := reflect.MakeSlice(p.Type, len(values), len(values))
		for i, text := range values {
			if code := p.one(list.Index(i), text); code != "" {
				return verdict{code: code, index: i + 1}
			}
		}
		dst.Set(list)
		return p.check(dst)
	}
	if len(values) > 1 && p.In != "header" { // two readers may take different ones
		return verdict{code: "repeated"}
	}
	text, target := values[0], dst
	if p.pointer {
		dst.Set(reflect.New(p.value))
		target = dst.Elem()
	}
	if code := p.one(target, text); code != "" {
		return verdict{code: code}
	}
	return p.check(dst)
}

func (p *param) one(dst reflect.Value, text string) string {
	if !utf8.ValidString(text) {
		return "utf8"
	}
	if !p.parse(dst, text) {
		return p.code
	}
	return ""
}

// Bounding are the rules whose parameter tells the client what would do.
var Bounding = []string{"len", "min", "max", "gt", "gte", "lt", "lte"}

// check runs the rule on a value that parsed.
func (p *param) check(dst reflect.Value) verdict {
	if p.Rules == "" {
		return verdict{}
	}
	subject := dst
	if !p.byValue {
		subject = dst.Addr()
	} else if p.pointer && dst.IsNil() && !strings.Contains(p.Rules, "required") {
		return verdict{} // absent, and nothing demands it
	}
	err := p.validate.Var(subject.Interface(), p.Rules)
	if err == nil {
		return verdict{}
	}
	failed := err.(validator.ValidationErrors)[0] //nolint:errorlint // Var returns nothing else
	bad := verdict{code: failed.Tag(), index: element(failed.Field())}
	if slices.Contains(Bounding, bad.code) {
		bad.bound = failed.Param()
	}
	return bad
}

// element is the index, counted from 1, in what the validator calls an element of a slice, as
// in "[2]", or 0.
func element(field string) int {
	n, err := strconv.Atoi(strings.Trim(field, "[]"))
	if err != nil {
		return 0
	}
	return n + 1
}

// parserFor returns how one value of type t is read, and the code of failing.
func parserFor(t reflect.Type) (parse parser, code string) {
	switch {
	case t == timeType:
		return parseText, "time"
	case t == durationType:
		return parseDuration, "duration"
	case reflect.PointerTo(t).Implements(textType):
		return parseText, "invalid"
	}
	switch t.Kind() {
	case reflect.String:
		return parseString, "string"
	case reflect.Bool:
		return parseBool, "bool"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return parseInt, "int"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return parseUint, "int"
	case reflect.Float32, reflect.Float64:
		return parseFloat, "float"
	}
	return nil, ""
}

func parseString(dst reflect.Value, text string) bool {
	dst.SetString(text)
	return true
}

func parseInt(dst reflect.Value, text string) bool {
	n, err := strconv.ParseInt(text, 10, dst.Type().Bits())
	dst.SetInt(n)
	return err == nil
}

func parseUint(dst reflect.Value, text string) bool {
	n, err := strconv.ParseUint(text, 10, dst.Type().Bits())
	dst.SetUint(n)
	return err == nil
}

// parseFloat takes finite numbers only: NaN would pass every comparison's
// negation, and no range rule holds for it.
func parseFloat(dst reflect.Value, text string) bool {
	n, err := strconv.ParseFloat(text, dst.Type().Bits())
	if err != nil || n != n || n-n != 0 {
		return false
	}
	dst.SetFloat(n)
	return true
}

// parseBool takes the words that FastAPI takes, in any case.
func parseBool(dst reflect.Value, text string) bool {
	text = strings.ToLower(text)
	yes := slices.Contains([]string{"1", "true", "t", "yes", "y", "on"}, text)
	dst.SetBool(yes)
	return yes || slices.Contains([]string{"0", "false", "f", "no", "n", "off"}, text)
}

func parseDuration(dst reflect.Value, text string) bool {
	d, err := time.ParseDuration(text)
	dst.SetInt(int64(d))
	return err == nil
}

func parseText(dst reflect.Value, text string) bool {
	return dst.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)) == nil
}

// CodeOf is the code of a value in JSON that is no t.
func CodeOf(t reflect.Type) string {
	switch _, code := parserFor(t); {
	case code != "":
		return code
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Array:
		return "array"
	}
	return "object"
}
