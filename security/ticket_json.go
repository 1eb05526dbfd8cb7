package security

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// encodeTicket returns the JSON of a ticket. It fails for a value whose JSON cannot be decoded,
// or differs after that.
func encodeTicket[T any](issued ticket[T]) ([]byte, error) {
	var read ticket[T]
	raw, err := json.Marshal(&issued) // by pointer: T may encode itself by a method of its pointer
	if err == nil {
		err = json.Unmarshal(raw, &read)
	}
	if err == nil {
		issued.For = read.For
		if again, _ := json.Marshal(&issued); string(again) != string(raw) {
			err = errors.New("a value differs after it was encoded and decoded")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("security: %v does not survive JSON, which the Store of Tickets needs: %w",
			reflect.TypeFor[T](), err)
	}
	return raw, nil
}

// lostField returns the name of a field within a type that JSON would leave out: one that is not
// exported, or one beside an embedded field whose methods may encode the whole struct.
func lostField(t reflect.Type, seen map[reflect.Type]bool) string {
	if seen[t] { // a recursive type
		return ""
	}
	seen[t] = true
	coded := codesItself(t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		if !coded {
			return lostField(t.Elem(), seen)
		}
	case reflect.Struct:
		// A struct's methods may be those of an embedded field; reflect does not show whether.
		embedded := func(f reflect.StructField) bool { return f.Anonymous && codesItself(f.Type) }
		fields := slices.Collect(t.Fields())
		if coded && !slices.ContainsFunc(fields, embedded) {
			return ""
		}
		for _, f := range fields {
			inlined := f.Anonymous && f.Type.Kind() == reflect.Struct // JSON has its exported fields
			switch {
			case f.Name == "_" || f.Tag.Get("json") == "-" || coded && embedded(f):
			case coded || !f.IsExported() && !inlined:
				return f.Name + " of " + t.String()
			default:
				if name := lostField(f.Type, seen); name != "" {
					return name
				}
			}
		}
	}
	return ""
}

// codesItself reports whether a type has methods that encode and decode it.
func codesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	encodes := p.Implements(reflect.TypeFor[json.Marshaler]()) ||
		p.Implements(reflect.TypeFor[encoding.TextMarshaler]())
	decodes := p.Implements(reflect.TypeFor[json.Unmarshaler]()) ||
		p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	return encodes && decodes
}
