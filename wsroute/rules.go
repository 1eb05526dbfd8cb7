package wsroute

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/go-playground/validator/v10"

	"example.com/usher/internal/graph"
)

// newRules returns what checks the validate tags within a message type, nil if it has no struct,
// and what is wrong with them. It runs them once: what the validator panics about is found
// when the program starts.
func newRules(
	v *validator.Validate, t reflect.Type,
) (check func(reflect.Value) error, bad []string) {
	t, path := structIn(t)
	if t == nil {
		return nil, nil
	}
	rules, bad := unreached(t, map[reflect.Type]bool{})
	check = func(message reflect.Value) error { return v.Struct(message.Addr().Interface()) }
	switch {
	case path != "" && !rules:
		return nil, bad
	case path != "":
		check = func(message reflect.Value) error { return v.Var(message.Interface(), path) }
	}
	defer func() {
		if r := recover(); r != nil {
			bad = append(bad,
				fmt.Sprintf("%s: the validator does not take its rules: %v", graph.TypeName(t), r))
		}
	}()
	_ = v.Struct(reflect.New(t).Interface())
	return check, bad
}

// structIn returns the struct within pointers, lists and maps, or nil, and the rule by which the
// validator reaches it from the first list or map.
func structIn(t reflect.Type) (_ reflect.Type, path string) {
	for range 8 { // a type may be a list of itself
		switch t.Kind() {
		case reflect.Struct:
			if t.ConvertibleTo(reflect.TypeFor[time.Time]()) {
				return nil, ""
			}
			return t, strings.TrimPrefix(path, ",")
		case reflect.Slice, reflect.Array, reflect.Map:
			path += ",dive"
		case reflect.Pointer:
			if path != "" {
				path += ",required" // null has no rules to keep
			}
		default:
			return nil, ""
		}
		t = t.Elem()
	}
	return nil, ""
}

// unreached names the fields of a struct within which rules stand that the validator does not
// run: it enters a list or a map by dive alone. rules says that the struct has rules at all.
func unreached(t reflect.Type, seen map[reflect.Type]bool) (rules bool, bad []string) {
	if known, again := seen[t]; again {
		return known, nil
	}
	for f := range t.Fields() { // before others, which may have fields of this type
		rule := f.Tag.Get("validate")
		seen[t] = seen[t] || rule != "" && rule != "-"
	}
	for f := range t.Fields() {
		inner, path := structIn(f.Type)
		rule := f.Tag.Get("validate")
		unread := f.Tag.Get("json") == "-" && !encodesItself(t, ownEncoding)
		if inner == nil || unread || rule == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		ruled, more := unreached(inner, seen)
		seen[t], bad = seen[t] || ruled, append(bad, more...)
		if missing := strings.Count(path, "dive") - strings.Count(rule, "dive"); ruled && missing > 0 {
			bad = append(bad, fmt.Sprintf("field %s of %s: the rules of %s would not be run: add "+
				"`validate:%q`", f.Name, graph.TypeName(t), graph.TypeName(inner), "dive"))
		}
	}
	return seen[t], bad
}
