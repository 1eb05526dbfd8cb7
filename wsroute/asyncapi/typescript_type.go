package asyncapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"example.com/usher/wsroute/asyncapi/internal/schema"
)

// componentPath is how references to components begin.
const componentPath = "#/components/schemas/"

func (t *typeScript) components() *schema.Object {
	return member(member(t.doc.root, "components"), "schemas")
}

// member returns an object in an object, which is empty if there is none.
func member(o *schema.Object, path ...string) *schema.Object {
	for _, name := range path {
		inner, _ := o.Get(name).(*schema.Object)
		o = cmp.Or(inner, &schema.Object{})
	}
	return o
}

// as reads a value of a schema, whose Go type may be any with the same JSON.
func as[T any](value any) (out T) {
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		//nolint:forbidigo // a bug of ours: Describe has written the same value as JSON
		panic(fmt.Sprintf("asyncapi: a bug in usher: a schema has %v: %v", value, err))
	}
	return out
}

// literal writes a value as JavaScript, which JSON is.
func literal(value any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		panic(fmt.Sprintf("asyncapi: a bug in usher: %v", err)) //nolint:forbidigo // see as
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// schemas writes the types of the components.
func (t *typeScript) schemas() {
	all := t.components()
	for _, key := range all.Names() {
		s, name := member(all, key), t.types[componentPath+key]
		t.comment("", textOf(s, "description"))
		switch {
		case isPlainObject(s):
			t.linef("export interface %s %s\n", name, t.members(s, ""))
		case s.Get("additionalProperties") != nil: // a Record of itself is none of TypeScript's
			values := t.typ(member(s, "additionalProperties"))
			t.linef("export type %s = { [key: string]: %s };\n", name, values)
		default:
			t.linef("export type %s = %s;\n", name, t.typ(s))
		}
	}
}

// isPlainObject says whether a schema is no more than its members.
func isPlainObject(s *schema.Object) bool {
	return s.Get("type") == any("object") && len(member(s, "properties").Names()) > 0 &&
		s.Get("anyOf") == nil && s.Get("allOf") == nil && s.Get("additionalProperties") == nil
}

// members is an object type over several lines.
func (t *typeScript) members(s *schema.Object, indent string) string {
	inner := &typeScript{doc: t.doc, types: t.types}
	inner.linef("{")
	required, properties := as[[]string](s.Get("required")), member(s, "properties")
	for _, name := range properties.Names() {
		property := member(properties, name)
		inner.comment(indent+"  ", textOf(property, "description"))
		inner.linef("%s  %s: %s;", indent, key(name, slices.Contains(required, name)),
			inner.indented(property, indent+"  "))
	}
	inner.text.WriteString(indent + "}")
	return inner.text.String()
}

var identifier = regexp.MustCompile(`^[A-Za-z_$][\w$]*$`)

// key is the name of a member.
func key(name string, required bool) string {
	if !identifier.MatchString(name) {
		name = literal(name)
	}
	if required {
		return name
	}
	return name + "?"
}

func (t *typeScript) typ(s *schema.Object) string { return t.indented(s, "") }

const unknown = "unknown"

// indented is the type of a schema's values. Rules that no type can say are left to the server.
func (t *typeScript) indented(s *schema.Object, indent string) string {
	if ref, ok := s.Get("$ref").(string); ok {
		return cmp.Or(t.types[ref], unknown)
	}
	if value := s.Get("const"); value != nil {
		return literal(value)
	}
	if list := s.Get("enum"); list != nil {
		var values []string
		for _, value := range as[[]json.RawMessage](list) {
			values = append(values, string(value))
		}
		return union(values)
	}
	base := t.base(s, indent)
	if parts := schemaList(s.Get("anyOf")); parts != nil {
		var types []string
		for _, part := range parts {
			if one := t.indented(part, indent); one != unknown {
				types = append(types, one)
			} else {
				types = append(types, base)
			}
		}
		base = union(types)
	}
	for _, part := range schemaList(s.Get("allOf")) {
		switch one := t.indented(part, indent); {
		case one == unknown:
		case base == unknown:
			base = one
		default:
			base = "(" + base + ") & (" + one + ")"
		}
	}
	return base
}

// base is what the keyword type says.
func (t *typeScript) base(s *schema.Object, indent string) string {
	var names []string
	switch value := s.Get("type").(type) {
	case nil:
		return unknown
	case string:
		names = []string{value}
	default:
		names = as[[]string](value)
	}
	var types []string
	for _, name := range names {
		types = append(types, t.basic(name, s, indent))
	}
	return union(types)
}

func (t *typeScript) basic(name string, s *schema.Object, indent string) string {
	switch name {
	case "integer", "number":
		return "number"
	case "array":
		item := t.indented(member(s, "items"), indent)
		if strings.ContainsAny(item, "|&") {
			item = "(" + item + ")"
		}
		return item + "[]"
	case "object":
		values, isSchema := s.Get("additionalProperties").(*schema.Object)
		switch {
		case isSchema:
			return "Record<string, " + t.indented(values, indent) + ">"
		case len(member(s, "properties").Names()) > 0:
			return t.members(s, indent)
		case s.Get("properties") != nil:
			return "Record<string, never>"
		}
		return "Record<string, unknown>"
	}
	return name // string, boolean, null
}

// union is the type of what fits one of several.
func union(types []string) string {
	var list []string
	for _, one := range types {
		if one == unknown {
			return unknown
		}
		if !slices.Contains(list, one) {
			list = append(list, one)
		}
	}
	return strings.Join(list, " | ")
}

func schemaList(value any) (list []*schema.Object) {
	switch value := value.(type) {
	case []*schema.Object:
		return value
	case []any:
		for _, one := range value {
			if s, ok := one.(*schema.Object); ok {
				list = append(list, s)
			}
		}
	}
	return list
}

// isEmpty says whether a schema is that of a struct without members.
func (t *typeScript) isEmpty(s *schema.Object) bool {
	if ref, ok := s.Get("$ref").(string); ok {
		s = member(t.components(), strings.TrimPrefix(ref, componentPath))
	}
	return s.Get("properties") != nil && len(member(s, "properties").Names()) == 0
}
