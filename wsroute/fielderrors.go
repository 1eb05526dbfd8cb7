package wsroute

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/go-playground/validator/v10"

	"example.com/usher/depends"
	"example.com/usher/internal/graph"
)

// fieldErrors says which members of a message of a type an error is about, by their names in
// JSON. Of a validator's errors, it names maxErrors.
func fieldErrors(t reflect.Type, err error) (list []depends.ParamError) {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return []depends.ParamError{{Loc: location(t, wrong.Field), Code: graph.CodeOf(wrong.Type)}}
	}
	t = pointed(t) // the validator names the struct
	failed, _ := errors.AsType[validator.ValidationErrors](err)
	for _, f := range failed[:min(len(failed), maxErrors)] {
		at := strings.TrimPrefix(f.StructNamespace(), t.Name()+".")
		e := depends.ParamError{Loc: location(t, at), Code: f.Tag()}
		if slices.Contains(graph.Bounding, e.Code) {
			e.Param = f.Param()
		}
		list = append(list, e)
	}
	return list
}

// location turns a path of fields, such as "Items[2].Name", into the names that they have in
// JSON. It ends where a map begins, whose keys are the peer's own.
func location(t reflect.Type, path string) []string {
	loc := []string{}
	for path != "" {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		var name string
		switch t.Kind() {
		case reflect.Slice, reflect.Array:
			t = t.Elem()
			if index, ok := strings.CutPrefix(path, "["); ok { // encoding/json has none
				name, path, _ = strings.Cut(index, "]")
				loc, path = append(loc, name), strings.TrimPrefix(path, ".")
			}
		case reflect.Struct:
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			name, path = path[:end], strings.TrimPrefix(path[end:], ".")
			f, embedded, ok := fieldOf(t, name)
			if !ok {
				return loc
			}
			if t = f.Type; !embedded {
				loc = append(loc, jsonName(f))
			}
		default:
			return loc
		}
	}
	return loc
}

// fieldOf finds a field of a struct by its name in Go or in JSON, and says whether the members
// of it are the struct's own.
func fieldOf(t reflect.Type, name string) (f reflect.StructField, embedded, ok bool) {
	for f = range t.Fields() {
		tagged, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Name == name || tagged == name {
			return f, f.Anonymous && tagged == "", true
		}
	}
	for f = range t.Fields() { // encoding/json leaves embedded structs out of its path
		if inner := f.Type; f.Anonymous && inner.Kind() == reflect.Struct {
			if found, embedded, ok := fieldOf(inner, name); ok {
				return found, embedded, true
			}
		}
	}
	return f, false, false
}

func jsonName(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
		return name
	}
	return f.Name
}
