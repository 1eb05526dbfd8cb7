package security

import (
	"encoding"
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
)

// place is a type where it stands. What is in a map has no address, so that JSON does not
// call the methods of its pointer to encode it.
type place struct {
	reflect.Type
	addressable bool
}

// unkept says what of a type JSON leaves out unasked, or does not read back. A ticket
// would let its holder in without it.
func unkept(at place, seen map[place]bool) string {
	if seen[at] {
		return ""
	}
	seen[at] = true
	if fact, itself := unkeptMethods(at, seen); fact != "" || itself {
		return fact
	}
	switch at.Kind() {
	case reflect.Pointer, reflect.Slice:
		return unkept(place{at.Elem(), true}, seen)
	case reflect.Array:
		return unkept(place{at.Elem(), at.addressable}, seen)
	case reflect.Map:
		if fact := unkeptKey(at.Key()); fact != "" {
			return fact
		}
		return unkept(place{at.Elem(), false}, seen)
	case reflect.Struct:
		return unkeptFields(at, seen)
	case reflect.Interface:
		if at.NumMethod() > 0 {
			return at.String() + " says not what to decode"
		}
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return "JSON has nothing for " + at.String()
	}
	return ""
}

// unkeptMethods is about a type that encodes or decodes itself; itself is true if nothing
// else has to be looked at. What its own methods write and read is the program's business:
// one that only decodes itself may accept more than JSON writes for it.
func unkeptMethods(at place, seen map[place]bool) (fact string, itself bool) {
	encode, decode := encoder(at.Type), decoder(at.Type)
	if fact := hiddenFields(at.Type, encode, decode); fact != "" {
		return fact, true
	}
	switch by, borrowed := promoter(at.Type, decode); {
	case encode != "" && (decode == "" || at.Name() == ""): // JSON does not ask an unnamed type to decode
		return halfway(at.Type), true
	case encode != "" && !at.addressable && !has(at.Type, encode):
		return at.String() + " has its " + encode + " by pointer, which JSON does not call in a map", true
	case encode == "" && decode == "UnmarshalText" && at.Kind() != reflect.String: // JSON writes no text for it
		return halfway(at.Type), true
	case encode == "" && borrowed:
		inner, ok := inlined(by)
		if !ok {
			return halfway(at.Type), true
		}
		return unkept(place{inner, at.addressable}, seen), true
	}
	return "", encode != ""
}

// unkeptKey is about a key of a map, which JSON encodes as text and never asks if it is a string.
func unkeptKey(t reflect.Type) string {
	encodes, decodes := has(t, "MarshalText"), has(reflect.PointerTo(t), "UnmarshalText")
	switch {
	case t.Kind() == reflect.String:
		return ""
	case encodes != decodes:
		return halfway(t)
	case !encodes && (t.Kind() < reflect.Int || t.Kind() > reflect.Uintptr):
		return "JSON has no key for " + t.String()
	}
	return hiddenFields(t, "MarshalText", "UnmarshalText")
}

func halfway(t reflect.Type) string {
	return t.String() + " either encodes or decodes itself, and should do both"
}

// hiddenFields is about a struct that has methods of an embedded field, which know nothing
// of the others.
func hiddenFields(t reflect.Type, methods ...string) string {
	for _, method := range methods {
		by, ok := promoter(t, method)
		if !ok {
			continue
		}
		for i := range t.NumField() {
			if f := t.Field(i); f.Name != by.Name && f.Name != "_" && f.Tag.Get("json") != "-" {
				return "the field " + f.Name + " of " + t.String() + " has no place in the encoding of its embedded " + by.Name
			}
		}
		if k := by.Type.Kind(); (k == reflect.Pointer || k == reflect.Interface) && strings.HasPrefix(method, "Unmarshal") {
			return t.String() + " decodes itself as its embedded " + by.Name + ", which is nil by then"
		}
		if fact := hiddenFields(pointee(by.Type), method); fact != "" {
			return fact
		}
	}
	return ""
}

// promoter is the embedded field whose method a struct has: of several, that one in which
// it stands the furthest out.
func promoter(t reflect.Type, method string) (by reflect.StructField, ok bool) {
	type embedded struct {
		reflect.Type
		by reflect.StructField
	}
	seen := map[reflect.Type]bool{t: true}
	for queue := []embedded{{Type: t}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if !promoted(at.Type, method) {
			return at.by, at.by.Name != ""
		}
		for i := range at.NumField() {
			f := at.Field(i)
			inner := pointee(f.Type)
			if !f.Anonymous || seen[inner] || !has(f.Type, method) && !has(reflect.PointerTo(f.Type), method) {
				continue
			}
			seen[inner] = true
			if at.Type != t {
				f = at.by
			}
			queue = append(queue, embedded{inner, f})
		}
	}
	return by, false
}

// promoted reports whether a struct's method is an embedded field's: the compiler has
// written it.
func promoted(t reflect.Type, method string) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	m, ok := t.MethodByName(method)
	if !ok {
		m, ok = reflect.PointerTo(t).MethodByName(method)
	}
	if !ok {
		return false
	}
	file, _ := runtime.FuncForPC(m.Func.Pointer()).FileLine(m.Func.Pointer())
	return file == "<autogenerated>"
}

// unkeptFields is about the fields that JSON has for a struct, with those of embedded ones,
// the further out the earlier. One that stands further in than another of its name is
// hidden in Go as in JSON: whoever reads v.Name gets the one that is kept. But two that are
// as far out are both lost, and one that has only its JSON name in common is lost unseen.
func unkeptFields(outer place, seen map[place]bool) string {
	type embedded struct {
		place
		depth int
	}
	type origin struct {
		field string
		depth int
	}
	names, depths := map[string]origin{}, map[reflect.Type]int{outer.Type: 0}
	for queue := []embedded{{outer, 0}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		for i := range at.NumField() {
			f := at.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Name == "_" || f.Tag.Get("json") == "-" {
				continue
			}
			if inner, ok := inlined(f); ok {
				depth, before := depths[inner]
				if !before || depth > at.depth { // a second at the same depth is none to leave out
					depths[inner] = at.depth + 1
					queue = append(queue, embedded{place{inner, at.addressable || f.Type != inner}, at.depth + 1})
				}
				continue
			}
			if !f.IsExported() && !reaches(f) {
				return "the field " + f.Name + " of " + at.String() + " is not exported"
			}
			if name == "" {
				name = f.Name
			}
			if other, twice := names[name]; twice {
				if other.depth == at.depth || other.field != f.Name {
					return "two fields are called " + name + " in its JSON"
				}
				continue
			}
			names[name] = origin{f.Name, at.depth}
			if fact := unkept(place{f.Type, at.addressable}, seen); fact != "" {
				return fact
			}
		}
	}
	return ""
}

// inlined is the embedded struct whose fields JSON has in the place of this one, whatever
// methods it has. It cannot make one for a pointer that is not exported.
func inlined(f reflect.StructField) (reflect.Type, bool) {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	inner := f.Type
	if f.IsExported() {
		inner = pointee(inner)
	}
	return inner, f.Anonymous && name == "" && inner.Kind() == reflect.Struct
}

// reaches reports whether JSON reaches what is in a field that is not exported: in an
// embedded struct with a name, unless it has methods, which may not be called.
func reaches(f reflect.StructField) bool {
	return f.Anonymous && f.Type.Kind() == reflect.Struct && encoder(f.Type) == "" && decoder(f.Type) == ""
}

func pointee(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// encoder is the method that JSON calls to encode what has an address.
func encoder(t reflect.Type) string {
	return first(t, "MarshalJSON", "MarshalText")
}

// decoder is the method that JSON calls to decode.
func decoder(t reflect.Type) string {
	return first(t, "UnmarshalJSON", "UnmarshalText")
}

func first(t reflect.Type, methods ...string) string {
	for _, method := range methods {
		if has(reflect.PointerTo(t), method) {
			return method
		}
	}
	return ""
}

// has reports whether a type has one of the methods that JSON calls.
func has(t reflect.Type, method string) bool {
	switch method {
	case "MarshalJSON":
		return t.Implements(reflect.TypeFor[json.Marshaler]())
	case "MarshalText":
		return t.Implements(reflect.TypeFor[encoding.TextMarshaler]())
	case "UnmarshalJSON":
		return t.Implements(reflect.TypeFor[json.Unmarshaler]())
	default:
		return t.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	}
}
