package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Fits says what of a JSON value breaks a schema that the package made, or returns nil. It
// knows the keywords that the package writes, and leaves x-validate alone.
func (s *Schemas) Fits(schema *Object, value []byte) error {
	text, err := schema.MarshalJSON()
	if err != nil {
		return err
	}
	plain, err := decode(text)
	if err != nil {
		return err
	}
	v, err := decode(value)
	if err != nil {
		return err
	}
	return s.fits(plain, v)
}

// decode reads JSON, and leaves its numbers as they are written.
func decode(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

func (s *Schemas) fits(schema, v any) error {
	if schema == false {
		return fmt.Errorf("%s is not allowed", show(v))
	}
	rules, _ := schema.(map[string]any)
	if ref, ok := rules["$ref"].(string); ok {
		return s.fitsRef(ref, v)
	}
	if err := s.fitsAny(rules, v); err != nil {
		return err
	}
	switch v := v.(type) {
	case string:
		return fitsText(rules, v)
	case json.Number:
		return fitsNumber(rules, v)
	case []any:
		return s.fitsList(rules, v)
	case map[string]any:
		return s.fitsObject(rules, v)
	}
	return nil
}

func (s *Schemas) fitsRef(ref string, v any) error {
	for _, c := range s.list {
		if c.ref() == ref && c.schema != nil {
			return s.Fits(c.schema, mustEncode(v))
		}
	}
	return fmt.Errorf("%s is not described", ref)
}

// fitsAny checks the keywords that are about values of any type.
func (s *Schemas) fitsAny(rules map[string]any, v any) error {
	if t, ok := rules["type"]; ok && !hasType(t, v) {
		return fmt.Errorf("%s is no %s", show(v), strings.Trim(fmt.Sprint(t), "[]"))
	}
	if want, ok := rules["const"]; ok && !equal(want, v) {
		return fmt.Errorf("%s is not %s", show(v), show(want))
	}
	if list, ok := rules["enum"].([]any); ok {
		if !slices.ContainsFunc(list, func(want any) bool { return equal(want, v) }) {
			return fmt.Errorf("%s is not one of %s", show(v), show(list))
		}
	}
	if not, ok := rules["not"]; ok && s.fits(not, v) == nil {
		return fmt.Errorf("%s is not allowed", show(v))
	}
	for _, part := range listOf(rules["allOf"]) {
		if err := s.fits(part, v); err != nil {
			return err
		}
	}
	var last error
	for _, part := range listOf(rules["anyOf"]) {
		if last = s.fits(part, v); last == nil {
			break
		}
	}
	return last
}

func listOf(v any) []any {
	list, _ := v.([]any)
	return list
}

func hasType(t, v any) bool {
	if list, ok := t.([]any); ok {
		return slices.ContainsFunc(list, func(t any) bool { return hasType(t, v) })
	}
	switch v := v.(type) {
	case nil:
		return t == "null"
	case bool:
		return t == "boolean"
	case string:
		return t == "string"
	case []any:
		return t == "array"
	case map[string]any:
		return t == "object"
	case json.Number:
		return t == "number" || t == "integer" && number(v).IsInt()
	}
	return false
}

func number(v any) *big.Rat {
	r, ok := new(big.Rat).SetString(fmt.Sprint(v))
	if !ok {
		return new(big.Rat)
	}
	return r
}

// equal compares JSON values; numbers by what they are, not how they are written.
func equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && number(a).Cmp(number(b)) == 0
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for name, v := range a {
			if other, ok := b[name]; !ok || !equal(v, other) {
				return false
			}
		}
		return true
	}
	return a == b
}

// layouts are those of the formats that the package writes.
var layouts = map[any]string{"date": time.DateOnly, "date-time": time.RFC3339}

func fitsText(rules map[string]any, v string) error {
	n := utf8.RuneCountInString(v)
	if err := within(rules, n, "minLength", "maxLength", "characters"); err != nil {
		return err
	}
	if layout := layouts[rules["format"]]; layout != "" {
		if _, err := time.Parse(layout, v); err != nil {
			return fmt.Errorf("%s is no %s", show(v), rules["format"])
		}
	}
	pattern, ok := rules["pattern"].(string)
	if !ok {
		return nil
	}
	if re, err := regexp.Compile(pattern); err != nil || re.MatchString(v) {
		return err
	}
	return fmt.Errorf("%s does not match %s", show(v), pattern)
}

func fitsNumber(rules map[string]any, v json.Number) error {
	for _, bound := range []struct {
		word  string
		wrong func(int) bool
	}{
		{"minimum", func(c int) bool { return c < 0 }},
		{"maximum", func(c int) bool { return c > 0 }},
		{"exclusiveMinimum", func(c int) bool { return c <= 0 }},
		{"exclusiveMaximum", func(c int) bool { return c >= 0 }},
	} {
		if b, ok := rules[bound.word]; ok && bound.wrong(number(v).Cmp(number(b))) {
			return fmt.Errorf("%s breaks %s %s", v, bound.word, b)
		}
	}
	return nil
}

// within checks a size against two bounds.
func within(rules map[string]any, n int, low, high, of string) error {
	if bound, ok := rules[low]; ok && number(n).Cmp(number(bound)) < 0 {
		return fmt.Errorf("%d %s are fewer than %s", n, of, bound)
	}
	if bound, ok := rules[high]; ok && number(n).Cmp(number(bound)) > 0 {
		return fmt.Errorf("%d %s are more than %s", n, of, bound)
	}
	return nil
}

func (s *Schemas) fitsList(rules map[string]any, v []any) error {
	if err := within(rules, len(v), "minItems", "maxItems", "items"); err != nil {
		return err
	}
	for i, item := range v {
		if rules["uniqueItems"] == true &&
			slices.ContainsFunc(v[:i], func(before any) bool { return equal(before, item) }) {
			return fmt.Errorf("%s is there twice", show(item))
		}
		if items, ok := rules["items"]; ok {
			if err := s.fits(items, item); err != nil {
				return fmt.Errorf("%d: %w", i, err)
			}
		}
	}
	return nil
}

func (s *Schemas) fitsObject(rules map[string]any, v map[string]any) error {
	if err := within(rules, len(v), "minProperties", "maxProperties", "members"); err != nil {
		return err
	}
	if err := hasMembers(rules["required"], v); err != nil {
		return err
	}
	known, _ := rules["properties"].(map[string]any)
	dependencies, _ := rules["dependencies"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(v)) {
		item := v[name]
		schema, ok := known[name]
		if !ok {
			schema = rules["additionalProperties"]
		}
		if keys, ok := rules["propertyNames"]; ok {
			if err := s.fits(keys, name); err != nil {
				return fmt.Errorf("key %q: %w", name, err)
			}
		}
		if err := s.fits(schema, item); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := hasMembers(dependencies[name], v); err != nil {
			return err
		}
	}
	return nil
}

func hasMembers(names any, v map[string]any) error {
	for _, name := range listOf(names) {
		if _, ok := v[fmt.Sprint(name)]; !ok {
			return fmt.Errorf("the member %q is missing", name)
		}
	}
	return nil
}

// show returns JSON for a message, shortened.
func show(v any) string {
	const most = 60
	text := []rune(string(mustEncode(v)))
	if len(text) > most {
		return string(text[:most]) + "..."
	}
	return string(text)
}

// mustEncode writes a value that was JSON.
func mustEncode(v any) []byte {
	text, _ := encode(v)
	return text
}
