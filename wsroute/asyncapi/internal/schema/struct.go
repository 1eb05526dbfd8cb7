package schema

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// object returns the schema of a struct.
func (s *Schemas) object(p place) (*Object, error) {
	fields, hidden := jsonFields(p.typ)
	form, properties := keyword("type", "object"), &Object{}
	var required []string
	behind := map[string]*embedded{}
	for i := range fields {
		f := &fields[i]
		schema, needed, err := s.property(p, f)
		if err != nil {
			return nil, inField(f.Name, p.typ, err)
		}
		properties.Set(f.name, schema)
		if outer := f.behind(); outer == "" {
			if needed {
				required = append(required, f.name)
			}
		} else if p.dir == Received {
			if behind[outer] == nil {
				behind[outer] = &embedded{}
			}
			behind[outer].add(f.name, needed)
		}
	}
	if doc := docOf(p.typ); doc != "" {
		form.Set("description", doc)
	}
	form.Set("properties", properties)
	if required != nil {
		form.Set("required", required)
	}
	if needs := dependencies(fields, behind); len(needs.members) > 0 {
		form.Set("dependencies", needs)
	}
	if p.dir == Received {
		if rules := outerOf(p.typ); rules != "" {
			form.Set("x-validate", rules)
		}
		return form, s.judgeHidden(p, hidden)
	}
	return form, nil
}

// embedded are the members that an embedded pointer brings: if one of them comes, there is a
// struct, and those that it requires must come, too.
type embedded struct{ names, required []string }

func (e *embedded) add(name string, needed bool) {
	e.names = append(e.names, name)
	if needed {
		e.required = append(e.required, name)
	}
}

func dependencies(fields []jsonField, behind map[string]*embedded) *Object {
	needs := &Object{}
	for i := range fields {
		e := behind[fields[i].behind()]
		if e == nil {
			continue
		}
		others := slices.DeleteFunc(slices.Clone(e.required), func(name string) bool {
			return name == fields[i].name
		})
		if len(others) > 0 {
			needs.Set(fields[i].name, others)
		}
	}
	return needs
}

// docOf is what a struct says of itself: the doc tag of a field named _.
func docOf(t reflect.Type) string {
	for f := range t.Fields() {
		if f.Name == "_" {
			return f.Tag.Get("doc")
		}
	}
	return ""
}

// outerOf returns the rules of embedded structs that are about the struct as a whole.
func outerOf(t reflect.Type) string {
	var rules []string
	for f := range t.Fields() {
		rule := f.Tag.Get("validate")
		promoted := f.Anonymous && !newJSONField(f).tagged && deref(f.Type).Kind() == reflect.Struct
		if promoted && rule != "" && !unreached(splitRules(rule)) {
			rules = append(rules, rule)
		}
	}
	return strings.Join(rules, ",")
}

// property returns the schema of a member, and whether it must be there.
func (s *Schemas) property(p place, f *jsonField) (*Object, bool, error) {
	at := place{typ: f.Type, dir: p.dir, quoted: f.quoted}
	if p.dir == Received {
		at.rules = rulesOf(f.Tag)
		for _, outer := range f.path {
			if outer.Type.Kind() == reflect.Pointer && !outer.IsExported() {
				return nil, false, fmt.Errorf("encoding/json cannot set the embedded %s", typeName(outer.Type))
			}
			if rules := rulesOf(outer.Tag); rules != nil && (unreached(rules) || rules[0] != "required") {
				at.dir, at.rules = unchecked, nil
			}
		}
	}
	if unreached(at.rules) && at.rules[0] == "-" {
		at.dir, at.rules = unchecked, nil
	}
	omitted := f.empty || f.zero && !at.typ.Implements(reflect.TypeFor[interface{ IsZero() bool }]())
	if p.dir == Sent && omitted && at.typ.Kind() == reflect.Pointer {
		at.typ, at.pointer = at.typ.Elem(), true
		omitted = false // what it points to may be nil
	}
	made, err := s.shape(at)
	if err != nil {
		return nil, false, err
	}
	if p.dir == Sent && omitted && at.typ.Kind() != reflect.Interface {
		made.null = false
	}
	schema := s.seal(made)
	needed := !f.empty && !f.zero
	if p.dir != Sent {
		needed = s.refusesZero(at, schema)
	}
	schema, err = s.annotate(schema, f.StructField)
	return schema, needed, err
}

// rulesOf splits the rules of a field; nil for none.
func rulesOf(tag reflect.StructTag) []string {
	return splitRules(tag.Get("validate"))
}

func splitRules(rules string) []string {
	if rules == "" {
		return nil
	}
	return strings.Split(rules, ",")
}

// annotate adds a field's description and example.
func (s *Schemas) annotate(schema *Object, f reflect.StructField) (*Object, error) {
	if doc := f.Tag.Get("doc"); doc != "" {
		schema = with(schema, "description", doc)
	}
	text, ok := f.Tag.Lookup("example")
	if !ok {
		return schema, nil
	}
	example, err := s.tagged(schema, text)
	if err != nil {
		return nil, err
	}
	return with(schema, "examples", []any{example}), nil
}

// with adds a keyword to a schema; beside a reference, readers would not see it.
func with(schema *Object, name string, value any) *Object {
	return merge(schema, keyword(name, value))
}

// refusesZero says whether a member's rules refuse the value that it has when it is left out.
func (s *Schemas) refusesZero(p place, schema *Object) bool {
	if _, own := ownForm(p); own && p.typ != timeType && p.dir == Received {
		return len(p.rules) > 0 && p.rules[0] == "required" // its zero may be any JSON
	}
	if len(p.rules) == 0 && p.typ.Kind() != reflect.Struct && p.typ.Kind() != reflect.Array {
		return false
	}
	zero, ok := zeroOf(p)
	return ok && s.Fits(schema, zero) != nil
}

// zeroOf returns the JSON of a place's zero value, if it has one.
func zeroOf(p place) (zero []byte, ok bool) {
	defer func() { ok = recover() == nil && ok }()
	zero, err := encode(reflect.Zero(p.typ).Interface())
	if p.quoted && p.typ.Kind() != reflect.Pointer {
		zero = mustEncode(string(zero))
	}
	return zero, err == nil
}

// judgeHidden refuses rules that no message can keep: those of a field that no member sets.
func (s *Schemas) judgeHidden(p place, hidden []jsonField) error {
	for _, f := range hidden {
		rules := rulesOf(f.Tag)
		ruledOuter := slices.ContainsFunc(f.path, func(outer reflect.StructField) bool {
			return rulesOf(outer.Tag) != nil
		})
		if rules == nil || rules[0] == "-" || ruledOuter || f.behind() != "" {
			continue // the validator may not come to it
		}
		at := place{typ: f.Type, dir: Received, rules: rules}
		made, err := s.shape(at)
		if err == nil && s.refusesZero(at, s.seal(made)) {
			err := fmt.Errorf("no member sets it, and its rule %q refuses its zero value",
				strings.Join(rules, ","))
			return inField(f.Name, p.typ, err)
		}
	}
	return nil
}
