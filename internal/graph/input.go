package graph

import (
	"fmt"
	"reflect"
)

// field is one field of an input struct, embedded structs laid flat.
type field struct {
	name  string
	index []int
	typ   reflect.Type // of the dependency; the T of an Optional[T]

	param         *param                // not nil for a request parameter
	own           func(request any) any // not nil for one of usher's own types
	guard         bool                  // blank: nothing is set
	optional      bool
	live          bool
	fresh         bool
	handshakeOnly bool
	scopes        []string // that a scheme behind it must grant
}

// input is an input struct, analysed once.
type input struct {
	typ    reflect.Type
	fields []field
	faults []*Fault
}

// analyse reads the declaration that an input struct is.
func analyse(g *Graph, t reflect.Type) *input {
	in := &input{typ: t}
	if t.Kind() != reflect.Struct {
		f := &Fault{Kind: "bad input", Type: t, Fact: fmt.Sprintf("%s is no struct, so it declares nothing", TypeName(t))}
		f.Hint = "take a struct whose fields name what is needed; struct{} for nothing"
		if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
			f.Hint = fmt.Sprintf("take %s, not a pointer to it", TypeName(t.Elem()))
		}
		in.faults = append(in.faults, f)
		return in
	}
	in.addFields(g, t, nil)
	return in
}

func (in *input) addFields(g *Graph, t reflect.Type, prefix []int) {
	for i := range t.NumField() {
		sf := t.Field(i)
		index := append(append([]int{}, prefix...), i)
		read, bad := parseTag(sf.Tag)
		if sf.Anonymous && read.in == "" {
			if read.says() {
				bad = append(bad, problem{"the fields of an embedded struct stand here as their own, and its tag would say nothing", "tag the fields within it, or give the field a name"})
			}
			for _, p := range bad {
				in.faults = append(in.faults, fieldFault(t, sf, p))
			}
			in.addEmbedded(g, t, sf, index)
			continue
		}
		if sf.PkgPath != "" && sf.Name != "_" {
			bad = append(bad, problem{"it is not exported, so it cannot be filled", "export it, or name it _ if only its check is wanted"})
		}
		f := field{name: sf.Name, index: index, typ: sf.Type, fresh: read.fresh, handshakeOnly: read.handshakeOnly, scopes: read.scopes}
		if read.in != "" {
			bad = append(bad, f.makeParam(g, sf, read)...)
		} else {
			bad = append(bad, f.makeDependency(g, sf, read)...)
		}
		for _, p := range bad {
			in.faults = append(in.faults, fieldFault(t, sf, p))
		}
		if len(bad) == 0 {
			in.fields = append(in.fields, f)
		}
	}
}

// addEmbedded lays an embedded struct flat. Whether the embedded type has a
// provider can only be told once all are registered; the compiler looks then.
func (in *input) addEmbedded(g *Graph, t reflect.Type, sf reflect.StructField, index []int) {
	switch {
	case sf.Type.Kind() == reflect.Pointer:
		in.faults = append(in.faults, fieldFault(t, sf, problem{"an embedded pointer cannot be filled", "embed the struct itself"}))
	case sf.Type.Kind() != reflect.Struct:
		in.faults = append(in.faults, fieldFault(t, sf, problem{"only structs can be embedded", "give the field a name"}))
	default:
		in.fields = append(in.fields, field{name: sf.Name, index: nil, typ: sf.Type})
		in.addFields(g, sf.Type, index)
	}
}

func (f *field) makeDependency(g *Graph, sf reflect.StructField, read tag) []problem {
	var bad []problem
	if read.validate != "" || read.hasDefault {
		bad = append(bad, problem{
			"validate and default belong to parameters, and this is a dependency",
			`add a source such as query:"` + snake(sf.Name) + `", or validate in the provider`,
		})
	}
	f.guard = sf.Name == "_"
	if elem, ok := hooks.Optional(sf.Type); ok {
		f.optional, f.typ = true, elem
		if f.guard {
			bad = append(bad, problem{"an optional guard guards nothing", "name the type itself, or drop the field"})
		}
	}
	if elem, ok := hooks.Live(sf.Type); ok {
		f.live, f.typ = true, elem
		if f.guard || f.fresh {
			bad = append(bad, problem{"a Live value is read, and made once", "give the field a name, and drop the tag"})
		}
	}
	if f.own = hooks.Own[sf.Type]; f.own != nil {
		if f.guard {
			bad = append(bad, problem{TypeName(sf.Type) + " is always there, and guards nothing", "give the field a name, or drop it"})
		}
		if read.scopes != nil {
			bad = append(bad, problem{TypeName(sf.Type) + " has no scheme that could grant scopes", "drop the tag"})
		}
		if f.fresh || f.handshakeOnly {
			bad = append(bad, problem{TypeName(sf.Type) + " takes no \"depends\" option", "drop the tag"})
		}
	}
	return bad
}

func (f *field) makeParam(g *Graph, sf reflect.StructField, read tag) []problem {
	var bad []problem
	if sf.Name == "_" {
		bad = append(bad, problem{"a blank field holds no parameter", "give it a name"})
	}
	if read.fresh || read.handshakeOnly {
		bad = append(bad, problem{"tag \"depends\" belongs to dependencies, and this is a parameter", "drop the tag"})
	}
	if read.scopes != nil {
		bad = append(bad, problem{"tag \"scopes\" belongs to dependencies, and this is a parameter", "drop the tag"})
	}
	p, more := newParam(g.validate, sf.Type, read)
	f.param = p
	return append(bad, more...)
}

func fieldFault(t reflect.Type, sf reflect.StructField, p problem) *Fault {
	kind, fact := "bad field", fmt.Sprintf("field %s of %s", sf.Name, TypeName(t))
	if sf.Name == "_" {
		fact = fmt.Sprintf("blank field %s of %s", TypeName(sf.Type), TypeName(t))
	}
	if sf.Tag != "" {
		kind = "bad tag"
		fact += fmt.Sprintf(": `%s`", sf.Tag)
	}
	return &Fault{Kind: kind, Type: sf.Type, Fact: fact + ": " + p.fact, Hint: p.hint}
}

// snake turns a Go field name into the usual spelling of a parameter.
func snake(name string) string {
	var out []byte
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			if i > 0 && (name[i-1] < 'A' || name[i-1] > 'Z') {
				out = append(out, '_')
			}
			c += 'a' - 'A'
		}
		out = append(out, c)
	}
	return string(out)
}
