package graph

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// field is one field of an input struct, embedded structs laid flat.
type field struct {
	name  string
	index []int
	typ   reflect.Type // of the dependency; the T of an Optional[T]
	edge

	param    *param                // not nil for a request parameter
	own      func(request any) any // not nil for one of usher's own types
	embedded bool                  // nothing is set: its fields follow
	guard    bool                  // nothing is set: only success counts
	optional bool
	live     reflect.Type // of a Live field: what is within it, T or Optional[T]; else nil
}

// input is an input struct, analysed once.
type input struct {
	typ    reflect.Type
	fields []field
	faults []Fault // without their paths
}

// analyse reads the declaration that an input struct is.
func analyse(g *Graph, t reflect.Type) *input {
	in := &input{typ: t}
	if t.Kind() == reflect.Struct {
		in.addFields(g, t, nil)
		return in
	}
	f := Fault{Kind: "bad input", Type: t, Fact: TypeName(t) + " is no struct, so it declares nothing"}
	f.Hint = "take a struct whose fields name what is needed; struct{} for nothing"
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		f.Hint = fmt.Sprintf("take %s, not a pointer to it", TypeName(t.Elem()))
	}
	in.faults = []Fault{f}
	return in
}

func (in *input) addFields(g *Graph, t reflect.Type, prefix []int) {
	for i := range t.NumField() {
		sf := t.Field(i)
		read, bad := parseTag(sf.Tag)
		f := field{name: sf.Name, index: append(slices.Clip(prefix), i), typ: sf.Type, edge: read.edge}
		f.embedded = sf.Anonymous && read.in == ""
		f.guard = sf.Name == "_"
		if !f.embedded && !f.guard && !sf.IsExported() {
			bad.note("it is not exported, so it cannot be filled",
				"export it, or name it _ if only its check is wanted")
		}
		switch {
		case f.embedded:
			bad.addEmbedded(sf.Type, read)
		case read.in != "":
			f.makeParam(g, read, &bad)
		default:
			f.makeDependency(read, &bad)
		}
		in.addFaults(t, sf, bad)
		if len(bad) == 0 {
			in.fields = append(in.fields, f)
		}
		if f.embedded && sf.Type.Kind() == reflect.Struct {
			in.addFields(g, sf.Type, f.index)
		}
	}
}

// addFaults adds what is wrong with a field of t.
func (in *input) addFaults(t reflect.Type, sf reflect.StructField, bad problems) {
	kind, fact := "bad field", fmt.Sprintf("field %s of %s", sf.Name, TypeName(t))
	if sf.Name == "_" {
		fact = fmt.Sprintf("blank field %s of %s", TypeName(sf.Type), TypeName(t))
	}
	if sf.Tag != "" {
		kind, fact = "bad tag", fmt.Sprintf("%s: `%s`", fact, sf.Tag)
	}
	for _, p := range bad {
		f := Fault{Kind: kind, Type: sf.Type, Fact: fact + ": " + p.fact, Hint: p.hint}
		in.faults = append(in.faults, f)
	}
}

// addEmbedded checks an embedded field. The checker sees later whether its type has a
// provider: only then are all registered.
func (bad *problems) addEmbedded(t reflect.Type, read tag) {
	if read.validate != "" || read.def != nil ||
		read.fresh || read.handshakeOnly || read.scopes != nil {
		bad.note("the fields of an embedded struct stand here as their own, "+
			"and its tag would say nothing", "tag the fields within it, or give the field a name")
	}
	switch t.Kind() {
	case reflect.Struct:
	case reflect.Pointer:
		bad.note("an embedded pointer cannot be filled", "embed the struct itself")
	default:
		bad.note("only structs can be embedded", "give the field a name")
	}
}

func (f *field) makeDependency(read tag, bad *problems) {
	if read.validate != "" || read.def != nil {
		bad.note("validate and default belong to parameters, and this is a dependency",
			`add a source such as query:"`+snake(f.name)+`", or validate in the provider`)
	}
	name := TypeName(f.typ)
	if elem := hooks.Live(f.typ); elem != nil {
		f.live, f.typ = elem, elem
		if f.guard || f.fresh {
			bad.note("a Live value is read, and made once", "give the field a name, and drop the tag")
		}
	}
	if elem := hooks.Optional(f.typ); elem != nil {
		f.optional, f.typ = true, elem
		if f.guard {
			bad.note("an optional guard guards nothing", "name the type itself, or drop the field")
		}
		if inner := hooks.Live(elem); inner != nil {
			bad.note("a Live value is always there",
				"write depends.Live[depends.Optional["+TypeName(inner)+"]]")
		}
	}
	if f.own = hooks.Own[f.typ]; f.own == nil {
		return
	}
	if f.guard {
		bad.note(name+" is always there, and guards nothing", "give the field a name, or drop it")
	}
	if f.scopes != nil {
		bad.note(name+" has no scheme that could grant scopes", "drop the tag")
	}
	if f.fresh || f.handshakeOnly {
		bad.note(name+" takes no \"depends\" option", "drop the tag")
	}
}

func (f *field) makeParam(g *Graph, read tag, bad *problems) {
	if f.guard {
		bad.note("a blank field holds no parameter", "give it a name")
	}
	if f.fresh || f.handshakeOnly {
		bad.note("tag \"depends\" belongs to dependencies, and this is a parameter", "drop the tag")
	}
	if f.scopes != nil {
		bad.note("tag \"scopes\" belongs to dependencies, and this is a parameter", "drop the tag")
	}
	var fact, hint string
	if f.param, fact, hint = newParam(g, f.typ, read); fact != "" {
		bad.note(fact, hint)
	}
}

// behind returns the provider of a field, or nil.
func behind(g *Graph, f *field) *Provider {
	if f.param == nil && f.own == nil && !f.embedded {
		if found := g.lookup(f.typ); len(found) > 0 {
			return found[0]
		}
	}
	return nil
}

// each calls visit for the fields that have a provider p, and once for the fields of p if it
// returned true. by is the provider that takes them; nil for the given ones.
func each(g *Graph, fields []field, visit func(f *field, p, by *Provider) bool) {
	seen := map[*Provider]bool{}
	var walk func(g *Graph, fields []field, by *Provider)
	walk = func(g *Graph, fields []field, by *Provider) {
		for i := range fields {
			p := behind(g, &fields[i])
			if p != nil && visit(&fields[i], p, by) && p.input != nil && !seen[p] {
				seen[p] = true
				walk(p.graph, p.input.fields, p)
			}
		}
	}
	walk(g, fields, nil)
}

// wordStart is where another word begins in a Go name.
var wordStart = regexp.MustCompile(`([^A-Z])([A-Z])`)

// snake turns a Go field name into the usual spelling of a parameter.
func snake(name string) string {
	return strings.ToLower(wordStart.ReplaceAllString(name, "${1}_${2}"))
}
