package schema

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Direction says which way the values of a schema go.
type Direction string

// The directions of a schema.
const (
	Received Direction = "received"
	Sent     Direction = "sent"

	// unchecked is received within a field whose rules the validator does not run.
	unchecked Direction = "unchecked"
)

// Schemas makes the schemas of types and collects those that have a name: structs, and lists
// and maps of themselves. Make one with [New]. It is not safe for concurrent use.
type Schemas struct {
	// Validate checks examples of what is received, beside their schemas. It gets a pointer.
	// By default, nothing does.
	Validate func(any) error

	list []*component // in the order in which they were met
}

// component is a schema with a name.
type component struct {
	typ    reflect.Type
	dir    Direction
	names  []string // that it may have, the shortest first
	name   string
	schema *Object   // nil while it is made
	refs   []*Object // that name it
}

// New returns an empty collection.
func New() *Schemas { return &Schemas{} }

// Of returns the schema of a type: a reference to a component, or the schema itself if the type
// has no name of its own.
func (s *Schemas) Of(t reflect.Type, d Direction) (*Object, error) {
	p := place{typ: t, dir: d}
	if d == Received {
		p.rules = outerRules(t)
	}
	made, err := s.shape(p)
	if err != nil {
		return nil, err
	}
	return s.seal(made), nil
}

// outerRules are those by which usher has the validator reach a struct within lists and maps:
// "dive" for each, and "required" for a pointer within. A pointer to a struct may not be null.
func outerRules(t reflect.Type) (rules []string) {
	outer := t
	for range 8 { // a type may be a list of itself
		switch t.Kind() {
		case reflect.Slice, reflect.Array, reflect.Map:
			rules = append(rules, "dive")
		case reflect.Pointer:
			if rules != nil {
				rules = append(rules, "required")
			}
		case reflect.Struct:
			if rules == nil && outer.Kind() == reflect.Pointer && t != timeType {
				return []string{"required"}
			}
			if ruled(t, map[reflect.Type]bool{}) {
				return rules
			}
			return nil
		default:
			return nil
		}
		t = t.Elem()
	}
	return nil
}

// Components returns the schemas that have names, by their names. References that were returned
// before have the same names from then on; a later call of Of may change both.
func (s *Schemas) Components() *Object {
	sorted := slices.SortedFunc(slices.Values(s.list), func(a, b *component) int {
		return strings.Compare(a.name, b.name)
	})
	all := &Object{}
	for _, c := range sorted {
		all.Set(c.name, c.schema)
	}
	return all
}

func (c *component) ref() string { return "#/components/schemas/" + c.name }

// refer returns a reference to the component of a type, which it makes if there is none yet.
func (s *Schemas) refer(p place, build func(place) (*Object, error)) (*Object, error) {
	at := slices.IndexFunc(s.list, func(c *component) bool { return c.typ == p.typ && c.dir == p.dir })
	if at < 0 {
		c := &component{typ: p.typ, dir: p.dir, names: namesOf(p.typ)}
		c.name = c.names[0] + "." + string(c.dir)
		at, s.list = len(s.list), append(s.list, c)
		if slices.ContainsFunc(s.list, c.rivals) {
			s.rename()
		}
		made, err := build(place{typ: p.typ, dir: p.dir})
		if err != nil {
			return nil, err
		}
		c.schema = made
	}
	c := s.list[at]
	ref := (&Object{}).Set("$ref", c.ref())
	c.refs = append(c.refs, ref)
	return ref, nil
}

// rivals says whether another type may have one of the component's names.
func (c *component) rivals(other *component) bool {
	return c.typ != other.typ && slices.ContainsFunc(c.names, func(name string) bool {
		return slices.Contains(other.names, name)
	})
}

// rename gives each component the shortest name that no other type has: Say, chat.Say, or
// with the whole import path. Types that one function or another declares are numbered.
func (s *Schemas) rename() {
	taken := map[string]map[reflect.Type]bool{}
	for _, c := range s.list {
		for _, name := range c.names {
			if taken[name] == nil {
				taken[name] = map[reflect.Type]bool{}
			}
			taken[name][c.typ] = true
		}
	}
	for _, c := range s.list {
		names := c.names
		free := slices.IndexFunc(names, func(name string) bool { return len(taken[name]) == 1 })
		name := names[max(free, 0)]
		if free < 0 {
			name = names[len(names)-1] + "_" + strconv.Itoa(s.number(c.typ, names[len(names)-1]))
		}
		c.name = name + "." + string(c.dir)
		for _, ref := range c.refs {
			ref.Set("$ref", c.ref())
		}
	}
}

// number counts the types that have the same whole name, up to one of them.
func (s *Schemas) number(t reflect.Type, name string) (n int) {
	seen := map[reflect.Type]bool{}
	for _, c := range s.list {
		if !seen[c.typ] && c.names[len(c.names)-1] == name {
			seen[c.typ] = true
			n++
		}
		if c.typ == t {
			break
		}
	}
	return n
}

var (
	importPath = regexp.MustCompile(`[^\[\], *{}();]*/`)
	qualifier  = regexp.MustCompile(`[\w-]+\.`)
	illegal    = regexp.MustCompile(`[^a-zA-Z0-9.-]+`)
)

// namesOf returns the names that the component of a type may have, the shortest first.
func namesOf(t reflect.Type) []string {
	whole := t.PkgPath() + "." + t.Name()
	packaged := importPath.ReplaceAllString(whole, "")
	short := qualifier.ReplaceAllString(packaged, "")
	var names []string
	for _, name := range []string{short, packaged, whole} {
		name = strings.Trim(illegal.ReplaceAllString(name, "_"), "_")
		names = append(names, cmp.Or(name, "_"))
	}
	return names
}

// typeName is how messages name a type.
func typeName(t reflect.Type) string { return importPath.ReplaceAllString(t.String(), "") }

// inField adds a field to what is wrong with its type.
func inField(name string, t reflect.Type, err error) error {
	return fmt.Errorf("field %s of %s: %w", name, typeName(t), err)
}
