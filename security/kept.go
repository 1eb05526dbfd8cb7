package security

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// unkept says what of a type JSON leaves out unasked, or does not read back. A ticket
// would let its holder in without it.
func unkept(t reflect.Type, seen map[reflect.Type]bool) string {
	for !encodes(t) && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map) {
		t = t.Elem()
	}
	if seen[t] {
		return ""
	}
	seen[t] = true
	switch {
	case encodes(t) != decodes(t):
		return t.String() + " either encodes or decodes itself, and should do both"
	case t.Kind() != reflect.Struct:
		return ""
	case encodes(t):
		for i := range t.NumField() {
			if f := t.Field(i); f.Anonymous && encodes(f.Type) {
				return t.String() + " is encoded as its embedded " + f.Name
			}
		}
		return ""
	}
	return unkeptFields(t, seen, map[string]bool{})
}

// unkeptFields is about the fields of a struct; names are those which JSON has for it.
func unkeptFields(t reflect.Type, seen map[reflect.Type]bool, names map[string]bool) string {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		if f.Name == "_" || tag == "-" {
			continue
		}
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct && !encodes(f.Type) {
			if fact := unkeptFields(f.Type, seen, names); fact != "" {
				return fact
			}
			continue
		}
		if !f.IsExported() {
			return "the field " + f.Name + " of " + t.String() + " is not exported"
		}
		if name == "" {
			name = f.Name
		}
		if names[name] {
			return "two fields are called " + name + " in its JSON"
		}
		names[name] = true
		if fact := unkept(f.Type, seen); fact != "" {
			return fact
		}
	}
	return ""
}

// encodes reports whether a type says itself how it is encoded, wherever it stands.
func encodes(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

// decodes reports whether it says so of the way back.
func decodes(t reflect.Type) bool {
	if t.Kind() != reflect.Pointer {
		t = reflect.PointerTo(t)
	}
	return t.Implements(reflect.TypeFor[json.Unmarshaler]()) || t.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}
