package schema

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// jsonField is a field of a struct as encoding/json sees it.
type jsonField struct {
	reflect.StructField
	name   string
	tagged bool
	index  []int
	empty  bool                  // omitempty
	zero   bool                  // omitzero
	quoted bool                  // a number, bool or string within a string: the option string
	path   []reflect.StructField // the embedded structs that it comes from
}

// behind says whether the field comes from an embedded pointer, and names the first of them.
func (f *jsonField) behind() string {
	for _, outer := range f.path {
		if outer.Type.Kind() == reflect.Pointer {
			return outer.Name
		}
	}
	return ""
}

// jsonFields returns the fields that encoding/json reads and writes, in its order, and the
// exported ones that it does not reach: hidden by others of their name, or named "-".
func jsonFields(t reflect.Type) (fields, hidden []jsonField) {
	type level struct {
		typ   reflect.Type
		index []int
		path  []reflect.StructField
	}
	var found []jsonField
	seen := map[reflect.Type]bool{}
	for next := []level{{typ: t}}; len(next) > 0; {
		current := next
		next = nil
		for _, l := range current {
			for i := range l.typ.NumField() {
				f := newJSONField(l.typ.Field(i))
				f.index, f.path = append(slices.Clone(l.index), i), l.path
				inner := deref(f.Type)
				switch {
				case f.Tag.Get("json") == "-":
					if f.IsExported() {
						hidden = append(hidden, f)
					}
				case f.Anonymous && inner.Kind() == reflect.Struct && !f.tagged:
					if !seen[inner] {
						next = append(next, level{inner, f.index, append(slices.Clone(l.path), f.StructField)})
					}
				case f.IsExported() || f.Anonymous && inner.Kind() == reflect.Struct:
					found = append(found, f)
				}
			}
		}
		for _, l := range current {
			seen[l.typ] = true
		}
	}
	for _, f := range found {
		if dominant(f, found) {
			fields = append(fields, f)
		} else {
			hidden = append(hidden, f)
		}
	}
	slices.SortFunc(fields, func(a, b jsonField) int { return slices.Compare(a.index, b.index) })
	return fields, hidden
}

func newJSONField(sf reflect.StructField) jsonField {
	name, options, _ := strings.Cut(sf.Tag.Get("json"), ",")
	f := jsonField{StructField: sf, name: sf.Name}
	if validName(name) {
		f.name, f.tagged = name, true
	}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "omitempty":
			f.empty = true
		case "omitzero":
			f.zero = true
		case "string":
			k := deref(sf.Type).Kind()
			f.quoted = k == reflect.String || reflect.Bool <= k && k <= reflect.Float64
		}
	}
	return f
}

// dominant says whether a field is the one of its name that encoding/json takes: the least
// deep, of these the one with a tag, and none if there are still several.
func dominant(f jsonField, all []jsonField) bool {
	for _, other := range all {
		if other.name != f.name || slices.Equal(other.index, f.index) {
			continue
		}
		deeper := cmp.Compare(len(other.index), len(f.index))
		if deeper < 0 || deeper == 0 && (other.tagged || !f.tagged) {
			return false
		}
	}
	return true
}

// validName says whether encoding/json takes a name of a tag.
func validName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		const others = "!#$%&()*+-./:;<=>?@[]^_{|}~ "
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(others, r)
	})
}

// deref returns what an unnamed pointer points to, as encoding/json does for a field.
func deref(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer && t.Name() == "" {
		return t.Elem()
	}
	return t
}
