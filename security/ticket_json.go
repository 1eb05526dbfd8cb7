package security

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
)

// encodeTicket returns the JSON of a ticket. It fails for a value that JSON does not bring back,
// as far as the value's JSON shows it.
func encodeTicket[T any](issued ticket[T]) ([]byte, error) {
	var read ticket[T]
	raw, err := json.Marshal(&issued) // by pointer: T may encode itself by a method of its pointer
	if err == nil {
		err = json.Unmarshal(raw, &read)
	}
	if err != nil {
		return nil, fmt.Errorf("security: %v does not survive JSON, which the Store of Tickets needs: %w",
			reflect.TypeFor[T](), err)
	}
	issued.For = read.For
	if again, err := json.Marshal(&issued); err != nil || string(again) != string(raw) {
		return nil, fmt.Errorf("security: %v does not survive JSON, which the Store of Tickets needs: "+
			"a value differs once it was encoded and decoded", reflect.TypeFor[T]())
	}
	return raw, nil
}

// lostField names a field within a type that JSON would leave out: one that is not exported, or
// one beside an embedded field whose methods encode the whole. A type that encodes and decodes
// itself is trusted. seen ends the walk of a recursive type.
func lostField(t reflect.Type, seen map[reflect.Type]bool) string {
	if seen[t] {
		return ""
	}
	if codesItself(t) {
		return besideCodec(t)
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return lostField(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Name == "_" || f.Tag.Get("json") == "-" {
				continue
			}
			inlined := f.Anonymous && f.Type.Kind() == reflect.Struct // JSON has its exported fields
			if !f.IsExported() && !inlined {
				return f.Name + " of " + t.String()
			}
			if name := lostField(f.Type, seen); name != "" {
				return name
			}
		}
	}
	return ""
}

// besideCodec names a field of a struct that stands beside an embedded field which encodes
// itself: the struct has the methods of that, unless it has its own, which nobody can see.
func besideCodec(t reflect.Type) string {
	if t.Kind() != reflect.Struct {
		return ""
	}
	embedded, other := false, ""
	for i := range t.NumField() {
		switch f := t.Field(i); {
		case f.Anonymous && codesItself(f.Type):
			embedded = true
		case f.Tag.Get("json") != "-":
			other = f.Name + " of " + t.String()
		}
	}
	if !embedded {
		return ""
	}
	return other
}

// codesItself reports whether a type has methods by which it is encoded and decoded.
func codesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	encodes := p.Implements(reflect.TypeFor[json.Marshaler]()) ||
		p.Implements(reflect.TypeFor[encoding.TextMarshaler]())
	decodes := p.Implements(reflect.TypeFor[json.Unmarshaler]()) ||
		p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	return encodes && decodes
}
