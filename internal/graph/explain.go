package graph

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// Explain prints what guards the route and in which order things happen, between
// the lines that the caller knows: each is a word and what it says.
func (p *Plan) Explain(w io.Writer, before, after [][2]string) error {
	t := p.Target
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s%s\n", what, fmt.Sprintf(format, args...))
	}
	b.WriteString(t.Label + where(t.Site, Site{}) + "\n")
	line("guarded by", "%s", p.guards())
	for _, l := range before {
		line(l[0], "%s", l[1])
	}
	for _, ps := range p.params {
		line("parameter", "%s", ps.param.explain())
	}
	for i := range p.steps {
		s := &p.steps[i]
		if s.provider.Scheme != nil {
			line("scheme", "%s", s.explainScheme())
			continue
		}
		line("provider", "%s by %s%s", TypeName(s.provider.Out), s.provider, s.explainLife())
	}
	line("handler", "%s%s takes %s", t.Func.Name, where(t.Func.Site, Site{}), TypeName(t.In))
	for _, l := range after {
		line(l[0], "%s", l[1])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// guards names what must succeed and is there to refuse: schemes that are not
// optional, and guards, those of providers among them.
func (p *Plan) guards() string {
	var names []string
	for i := range p.steps {
		if s := &p.steps[i]; s.provider.Scheme != nil && !s.soft {
			names = append(names, s.provider.Func.Name)
		}
	}
	guard := func(g *Graph, t reflect.Type) {
		name := TypeName(t)
		if found := g.lookup(t); len(found) > 0 && found[0].Override {
			name += " (overridden)"
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	within := func(g *Graph, in *input) {
		for i := range in.fields {
			if f := &in.fields[i]; f.guard {
				guard(g, f.typ)
			}
		}
	}
	for _, g := range p.Target.Guards {
		guard(p.Target.Graph, g.Type)
	}
	within(p.Target.Graph, p.Target.input)
	for i := range p.steps {
		if s := &p.steps[i]; s.provider.input != nil && !s.soft {
			within(s.provider.graph, s.provider.input)
		}
	}
	if names == nil {
		return "nothing: everybody who may connect at all is let in"
	}
	return strings.Join(names, ", then ")
}

// explainLife says how long a value lives, if it is not the usual.
func (s *step) explainLife() string {
	text := ""
	if s.provider.Lifetime != Connection {
		text += ", " + s.provider.Lifetime.String()
	}
	if s.soft {
		text += ", optional"
	}
	if s.provider.Override {
		text += ", overridden"
	}
	return text
}

func (s *step) explainScheme() string {
	p := s.provider
	return fmt.Sprintf("%s by %s, from %s%s%s", TypeName(p.Out), p.Func.Name, strings.Join(p.Places, " or "),
		s.explainLife(), s.explainScopes())
}

func (s *step) explainScopes() string {
	if s.scopes == nil {
		return ""
	}
	return ", with the scopes " + strings.Join(s.scopes, " ")
}

func (p *param) explain() string {
	text := fmt.Sprintf("%s %s %s", p.in, p.name, TypeName(p.typ))
	if p.rule != "" {
		text += ", " + p.rule
	}
	if p.def.IsValid() {
		text += fmt.Sprintf(", default %v", p.def.Interface())
	} else if p.optional {
		text += ", optional"
	}
	return text
}
