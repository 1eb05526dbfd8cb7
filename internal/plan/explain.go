package plan

import (
	"fmt"
	"io"
	"strings"
)

// Explain prints what guards the route, in the order in which it happens.
func (p *Plan) Explain(w io.Writer) {
	t := p.Target
	fmt.Fprintln(w, t)
	for _, ps := range p.params {
		fmt.Fprintf(w, "  parameter   %s\n", ps.param.explain())
	}
	for i := range p.steps {
		s := &p.steps[i]
		if s.provider.Scheme != nil {
			fmt.Fprintf(w, "  scheme      %s\n", s.explainScheme())
			continue
		}
		optional := ""
		if s.soft {
			optional = ", optional"
		}
		fmt.Fprintf(w, "  provider    %s from %s (%s%s)\n", TypeName(s.provider.Out), s.provider, s.provider.Lifetime, optional)
	}
	for _, g := range t.Guards {
		fmt.Fprintf(w, "  requires    %s%s\n", TypeName(g.Type), where(g.Site, Site{}))
	}
	fmt.Fprintf(w, "  handler     %s takes %s\n", t.Func.Name, TypeName(t.In))
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
