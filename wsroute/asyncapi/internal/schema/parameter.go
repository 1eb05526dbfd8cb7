package schema

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// durationPattern matches what time.ParseDuration reads.
const durationPattern = `^[-+]?(?:0|(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)$`

// Parameter returns the schema of a request's parameter: what its text stands for, such as an
// integer for "7". A list has a text for each item. def is the text that stands in for one
// that is absent, nil for none.
//
// A time.Duration and a type with UnmarshalText are texts; a bool is any of the words that
// usher takes for true and false.
func (s *Schemas) Parameter(t reflect.Type, rules string, def *string) (*Object, error) {
	p := place{typ: t, dir: Received, param: true, rules: splitRules(rules)}
	made, err := s.shape(p)
	if err != nil {
		return nil, err
	}
	if def == nil {
		return made.schema, nil
	}
	value, err := paramValue(t, *def)
	if err != nil {
		return nil, err
	}
	if bad := s.Fits(made.schema, value); bad != nil {
		return nil, fmt.Errorf("the default %q: %w", *def, bad)
	}
	return with(made.schema, "default", json.RawMessage(value)), nil
}

// paramForm is the form of a parameter that is a text, whatever its kind.
func paramForm(t reflect.Type) (*Object, bool) {
	form := keyword("type", "string")
	switch {
	case t == timeType:
		return form.Set("format", "date-time"), true
	case t == durationType:
		return form.Set("pattern", durationPattern).Set("x-go-type", typeName(t)), true
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return form.Set("x-go-type", typeName(t)), true
	}
	return nil, false
}

// paramValue returns the JSON for the text of a parameter.
func paramValue(t reflect.Type, text string) ([]byte, error) {
	_, isText := paramForm(t)
	k := t.Kind()
	switch {
	case isText || k == reflect.String:
		return encode(text)
	case k == reflect.Pointer:
		return paramValue(t.Elem(), text)
	case k == reflect.Slice:
		item, err := paramValue(t.Elem(), text)
		return slices.Concat([]byte("["), item, []byte("]")), err
	case k == reflect.Bool:
		yes := []string{"1", "true", "t", "yes", "y", "on"}
		return encode(slices.Contains(yes, strings.ToLower(text)))
	}
	value, ok := constant(t, decimal(text))
	if !ok {
		return nil, fmt.Errorf("the default %q is no %s", text, typeName(t))
	}
	return []byte(value), nil
}

// decimal drops the zeros before a number, which a parameter may have.
func decimal(text string) string {
	sign := text[:len(text)-len(strings.TrimLeft(text, "+-"))]
	digits := strings.TrimLeft(text[len(sign):], "0")
	if digits == "" || digits[0] < '0' || '9' < digits[0] {
		digits = "0" + digits
	}
	return sign + digits
}
