package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
)

// Example returns the JSON of an example of a type, nil if it has none: what its method
// Example() T returns, or else what the example tags of its fields say. An example that its
// schema or Validate refuses is an error.
func (s *Schemas) Example(t reflect.Type, d Direction) (json.RawMessage, error) {
	example, err := s.example(t, d, nil)
	if example == nil || err != nil {
		return nil, err
	}
	schema, err := s.Of(t, d)
	if err != nil {
		return nil, err
	}
	err = s.Fits(schema, example)
	if err == nil && d == Received {
		err = s.judge(t, example)
	}
	if err != nil {
		return nil, fmt.Errorf("the example of %s: %w", typeName(t), err)
	}
	return example, nil
}

// judge has an example read and validated, as a message is.
func (s *Schemas) judge(t reflect.Type, example []byte) error {
	v := reflect.New(t)
	if err := json.Unmarshal(example, v.Interface()); err != nil {
		return err
	}
	if s.Validate == nil || t.Kind() != reflect.Struct {
		return nil
	}
	return s.Validate(v.Interface())
}

// example returns an example of a type within others, each of which is being made.
func (s *Schemas) example(t reflect.Type, d Direction, within []reflect.Type) ([]byte, error) {
	if v, ok, err := called(t); ok || err != nil {
		if err != nil {
			return nil, err
		}
		return encode(v)
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if !isStruct(place{typ: t, dir: d}) || slices.Contains(within, t) {
		return nil, nil
	}
	return s.assembled(t, d, append(within, t))
}

// called returns what the method Example of a type returns, if it has one.
func called(t reflect.Type) (v any, ok bool, err error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	method := reflect.New(t).MethodByName("Example")
	if t.Kind() == reflect.Interface || !method.IsValid() {
		return nil, false, nil
	}
	m := method.Type()
	if m.NumIn() != 0 || m.NumOut() != 1 || m.Out(0) != t && m.Out(0) != reflect.PointerTo(t) {
		return nil, false, nil
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the method Example of %s panicked: %v", typeName(t), r)
		}
	}()
	return method.Call(nil)[0].Interface(), true, nil
}

// assembled makes an example of those of a struct's fields. There is none unless one field has
// a tag, and each that must be there has an example.
func (s *Schemas) assembled(t reflect.Type, d Direction, within []reflect.Type) ([]byte, error) {
	example, tags := &Object{}, false
	fields, _ := jsonFields(t)
	for i := range fields {
		f := &fields[i]
		schema, needed, err := s.property(place{typ: t, dir: d}, f)
		if err != nil {
			return nil, inField(f.Name, t, err)
		}
		list, _ := schema.Get("examples").([]any)
		if list != nil {
			tags = true
			example.Set(f.name, list[0])
			continue
		}
		inner, err := s.example(f.Type, d, within)
		switch {
		case err != nil:
			return nil, inField(f.Name, t, err)
		case inner != nil:
			example.Set(f.name, json.RawMessage(inner))
		case needed && s.Fits(schema, []byte("null")) == nil:
			example.Set(f.name, nil)
		case needed:
			return nil, nil
		}
	}
	if !tags {
		return nil, nil
	}
	return example.MarshalJSON()
}

// tagged reads the example tag of a field: JSON, or else a text.
func (s *Schemas) tagged(schema *Object, tag string) (json.RawMessage, error) {
	v, bad := decode([]byte(tag))
	if _, isText := v.(string); bad == nil && v != nil && !isText && json.Valid([]byte(tag)) &&
		s.Fits(schema, []byte(tag)) == nil {
		return json.RawMessage(tag), nil
	}
	text := mustEncode(tag)
	if err := s.Fits(schema, text); err != nil {
		return nil, fmt.Errorf("example %q: %w", tag, err)
	}
	return text, nil
}
