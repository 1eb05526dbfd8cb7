package graph

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Explain prints what guards the route and in which order things happen, between
// the lines that the caller knows: each is a word and what it says.
func (p *Plan) Explain(w io.Writer, before, after [][2]string) error {
	t := p.Target
	lines := append([][2]string{{"guarded by", p.guards()}}, before...)
	for _, ps := range p.params {
		lines = append(lines, [2]string{"parameter", ps.param.explain()})
	}
	for i := range p.steps {
		lines = append(lines, p.steps[i].explain())
	}
	lines = append(lines, [2]string{"handler", t.Func.String() + " takes " + TypeName(t.In)})
	text := t.Label + where(t.Site, Site{}) + "\n"
	for _, l := range append(lines, after...) {
		text += fmt.Sprintf("  %-12s%s\n", l[0], l[1])
	}
	_, err := io.WriteString(w, text)
	return err
}

// guards names what can refuse the connection: schemes that are not optional, and guards,
// those of providers among them.
func (p *Plan) guards() string {
	var names []string
	within := func(g *Graph, fields []field) {
		for i := range fields {
			f := &fields[i]
			if !f.guard {
				continue
			}
			name := TypeName(f.typ)
			if guard := behind(g, f); guard.Override {
				name += " (overridden)"
			} else if slices.Contains(p.Target.Blind, guard) {
				name += " (which asks a peer nothing)"
			}
			names = unite(names, []string{name})
		}
	}
	for i := range p.steps {
		if s := &p.steps[i]; s.provider.Scheme != nil && !s.optional {
			names = unite(names, []string{s.provider.Func.Name})
		}
	}
	within(p.Target.Graph, p.Target.fields())
	for i := range p.steps {
		if s := &p.steps[i]; s.provider.input != nil && !s.optional {
			within(s.provider.graph, s.provider.input.fields)
		}
	}
	if names == nil {
		return "nothing: everybody who may connect at all is let in"
	}
	return strings.Join(names, ", then ")
}

// explain says where a value comes from, and what about it is not as usual.
func (s *step) explain() [2]string {
	p, more := s.provider, ""
	if p.Lifetime != Connection {
		more += ", " + p.Lifetime.String()
	}
	if s.optional {
		more += ", optional"
	}
	if p.Override {
		more += ", overridden"
	}
	if s.scopes != nil {
		more += ", with the scopes " + strings.Join(s.scopes, " ")
	}
	if p.Scheme == nil {
		return [2]string{"provider", TypeName(p.Out) + " by " + p.String() + more}
	}
	from := strings.Join(p.Places, " or ")
	return [2]string{"scheme", TypeName(p.Out) + " by " + p.Func.Name + ", from " + from + more}
}

func (p *param) explain() string {
	text := fmt.Sprintf("%s %s %s", p.in, p.name, TypeName(p.typ))
	if p.rule != "" {
		text += ", " + p.rule
	}
	switch {
	case p.def != nil:
		text += ", default " + p.def[0]
	case p.optional:
		text += ", optional"
	}
	return text
}
