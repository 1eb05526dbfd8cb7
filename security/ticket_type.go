package security

import (
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
)

// losses looks for what of a type JSON leaves out unasked, or does not read back. A ticket
// would let its holder in without it.
type losses struct {
	seen map[place]bool
}

// place is a type where a value of it has an address, or none: json finds methods of the
// pointer only where there is one, and to decode what has no name, only behind a pointer.
type place struct {
	of                 reflect.Type
	addressed, pointed bool
}

// of says what is lost of a type, or "".
func (l losses) of(p place) string {
	t := p.of
	if t.Kind() == reflect.Pointer {
		return l.of(place{t.Elem(), true, true})
	}
	if l.seen[p] {
		return ""
	}
	l.seen[p] = true
	encoder := p.method("MarshalJSON", "MarshalText")
	switch {
	case encoder != "" && !p.decodes():
		return t.String() + " encodes itself, and does not decode"
	case encoder != "":
		return p.hidden(encoder)
	case p.decodes() && place{of: t, addressed: true}.method("MarshalJSON", "MarshalText") != "":
		return t.String() + " encodes itself by its pointer alone, which the element of a map has not"
	}
	switch t.Kind() {
	case reflect.Slice:
		return l.of(place{of: t.Elem(), addressed: true})
	case reflect.Array:
		return l.of(place{of: t.Elem(), addressed: p.addressed})
	case reflect.Map:
		if key := (place{of: t.Key()}); key.method("MarshalText") != "" && !key.decodes() {
			return key.of.String() + " encodes itself, and does not decode"
		}
		return l.of(place{of: t.Elem()})
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return t.String() + " says not what to decode"
		}
	case reflect.Struct:
		if fact := p.hidden(p.decoder()); fact != "" {
			return fact
		}
		return l.fields(p)
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return t.String() + " has no form in JSON"
	}
	return ""
}

// name is how deep the fields of one name stand that are furthest out, and how many.
type name struct{ depth, times int }

// fields is about a struct that json takes apart. Of two fields of one name the one further
// out is what Go and JSON mean; of two at one depth JSON has neither.
func (l losses) fields(p place) string {
	names := map[string]name{}
	if fact := l.collect(p, 0, map[reflect.Type]bool{}, names); fact != "" {
		return fact
	}
	for _, called := range slices.Sorted(maps.Keys(names)) {
		if names[called].times > 1 {
			return "two fields are called " + called + " in its JSON"
		}
	}
	return ""
}

// collect looks at the fields of a struct and of those that are embedded in it; within has
// the latter's types.
func (l losses) collect(p place, depth int, within map[reflect.Type]bool, names map[string]name) string {
	if within[p.of] {
		return p.of.String() + " is embedded in itself"
	}
	within[p.of] = true
	defer delete(within, p.of)
	for i := range p.of.NumField() {
		f := p.of.Field(i)
		if left(f) {
			continue
		}
		called, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := place{of: f.Type, addressed: p.addressed}
		if f.Type.Kind() == reflect.Pointer && f.IsExported() {
			inner = place{f.Type.Elem(), true, true}
		}
		if f.Anonymous && called == "" && inner.of.Kind() == reflect.Struct { // whatever its methods
			if fact := l.collect(inner, depth+1, within, names); fact != "" {
				return fact
			}
			continue
		}
		if !f.IsExported() && (!f.Anonymous || f.Type.Kind() != reflect.Struct) {
			return "the field " + f.Name + " of " + p.of.String() + " is not exported"
		}
		if called == "" {
			called = f.Name
		}
		if n, known := names[called]; !known || depth < n.depth {
			names[called] = name{depth, 1}
		} else if depth == n.depth {
			names[called] = name{depth, n.times + 1}
		}
		if fact := l.of(place{of: f.Type, addressed: p.addressed}); fact != "" {
			return fact
		}
	}
	return ""
}

// left reports whether a field is left out on purpose.
func left(f reflect.StructField) bool { return f.Name == "_" || f.Tag.Get("json") == "-" }

// hidden is about a struct that is encoded or decoded by a method of an embedded field,
// which knows nothing of the others.
func (p place) hidden(method string) string {
	if method == "" || p.of.Kind() != reflect.Struct || !promoted(p.of, method) {
		return ""
	}
	var by, other string
	for i := range p.of.NumField() {
		switch f := p.of.Field(i); {
		case left(f):
		case by == "" && f.Anonymous && (place{of: f.Type, addressed: true}).method(method) != "":
			by = f.Name
		default:
			other = f.Name
		}
	}
	if other == "" {
		return ""
	}
	return "the field " + other + " of " + p.of.String() + " has no place in the " + method + " of its embedded " + by
}

// promoted reports whether a method is an embedded field's: the compiler has written it.
func promoted(t reflect.Type, method string) bool {
	m, ok := t.MethodByName(method)
	if !ok {
		m, _ = reflect.PointerTo(t).MethodByName(method)
	}
	file, _ := runtime.FuncForPC(m.Func.Pointer()).FileLine(m.Func.Pointer())
	return file == "<autogenerated>"
}

// method returns the first of the methods that json finds, or "".
func (p place) method(names ...string) string {
	for _, name := range names {
		t := p.of
		if p.addressed && t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface {
			t = reflect.PointerTo(t)
		}
		if t.Implements(coders[name]) {
			return name
		}
	}
	return ""
}

// coders are the interfaces that json looks for.
var coders = map[string]reflect.Type{
	"MarshalJSON":   reflect.TypeFor[json.Marshaler](),
	"MarshalText":   reflect.TypeFor[encoding.TextMarshaler](),
	"UnmarshalJSON": reflect.TypeFor[json.Unmarshaler](),
	"UnmarshalText": reflect.TypeFor[encoding.TextUnmarshaler](),
}

// decoder returns the method that json decodes with, or "". What is decoded always has an
// address.
func (p place) decoder() string {
	if p.of.Name() == "" && !p.pointed {
		return ""
	}
	return place{of: p.of, addressed: true}.method("UnmarshalJSON", "UnmarshalText")
}

// decodes reports whether json finds a method to decode with.
func (p place) decodes() bool { return p.decoder() != "" }
