package plan

import (
	"fmt"
	"io"
	"strings"
)

// Explain prints what guards the route, in the order in which it happens.
func (p *Plan) Explain(w io.Writer) error {
	t := p.Target
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s"+format+"\n", append([]any{what}, args...)...)
	}
	b.WriteString(t.String() + "\n")
	for _, ps := range p.params {
		line("parameter", "%s", ps.param.explain())
	}
	for i := range p.steps {
		s := &p.steps[i]
		if s.provider.Scheme != nil {
			line("scheme", "%s", s.explainScheme())
			continue
		}
		optional := ""
		if s.soft {
			optional = ", optional"
		}
		line("provider", "%s from %s (%s%s)", TypeName(s.provider.Out), s.provider, s.provider.Lifetime, optional)
	}
	for _, g := range t.Guards {
		line("requires", "%s%s", TypeName(g.Type), where(g.Site, Site{}))
	}
	line("handler", "%s takes %s", t.Func.Name, TypeName(t.In))
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *step) explainScheme() string {
	places := make([]string, len(s.provider.Scheme.Sources))
	for i, source := range s.provider.Scheme.Sources {
		places[i] = strings.TrimSpace(source.In + " " + source.Name + " " + source.Prefix)
	}
	text := fmt.Sprintf("%s provides %s, from %s", s.provider.Scheme.Name, TypeName(s.provider.Out), strings.Join(places, " or "))
	if s.soft {
		text += ", optional"
	}
	return text
}

func (p *param) explain() string {
	text := fmt.Sprintf("%s %s %s", p.in, p.name, TypeName(p.typ))
	if p.rule != "" {
		text += " validate " + p.rule
	}
	if p.def.IsValid() {
		text += fmt.Sprintf(" default %v", p.def.Interface())
	} else if p.optional {
		text += " optional"
	}
	return text
}
