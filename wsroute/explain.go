package wsroute

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"example.com/usher/internal/graph"
)

// Explain prints, for each of [Router.Routes], what guards it and what happens before
// its handler runs, in that order: the origins that may connect, parameters,
// schemes with the places of their credentials, providers, the handler, its
// messages, options and limits that are not the defaults. It is what a reviewer reads to know
// that no route is open by mistake. It returns the first error of w.
func (r *Router) Explain(w io.Writer) error {
	for i, route := range r.Routes() {
		e := r.shared.mounted.Load().endpoints[i]
		text := e.target.Label + " (" + route.Site + ")\n"
		line := func(word, says string) {
			if says != "" {
				text += fmt.Sprintf("  %-12s%s\n", word, says)
			}
		}
		line("guarded by", route.guardedBy())
		if e.route.answer == nil {
			line("origin", r.shared.origins.explain(e.open))
		}
		for _, p := range route.Params {
			line("parameter", p.explain())
		}
		for _, c := range route.Credentials {
			line("scheme", c.explain())
		}
		for _, call := range e.plan.Calls() {
			line("provider", call)
		}
		line("handler", e.target.Func.String()+" takes "+graph.TypeName(e.target.In))
		if e.route.answer == nil {
			handled := route.Receives
			if e.route.channel == nil {
				line("messages", "receives "+graph.TypeName(e.route.receives)+
					", sends "+graph.TypeName(e.route.sends))
				for _, m := range route.Receives {
					line("message", m.explain())
				}
				handled = route.Calls
			}
			for i, m := range handled {
				line("message", m.explain())
				for _, call := range e.plan.Messages[i].Calls() {
					line("  provider", call)
				}
			}
			for _, m := range route.Sends {
				line("sends", m.explain())
			}
			line("limits", route.Limits.unlike(defaultLimits))
		}
		line("options", strings.Join(route.Options, ", "))
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return nil
}

// guardedBy names what can refuse the connection: schemes that are not optional, and guards.
func (r *Route) guardedBy() string {
	var names []string
	for _, c := range r.Credentials {
		if !c.Optional {
			names = append(names, c.Scheme)
		}
	}
	for _, g := range r.Guards {
		name := graph.TypeName(g.Type)
		switch {
		case !g.MayRefuse:
			name += " (overridden)"
		case !g.Asks:
			name += " (which asks a peer nothing)"
		}
		names = append(names, name)
	}
	if names == nil {
		return "nothing: everybody who may connect at all is let in"
	}
	return strings.Join(names, ", then ")
}

// explain says what a message is and asks for; nothing of a route's only type.
func (m *MessageInfo) explain() string {
	if m.Name == "" && m.Handler == "" {
		return ""
	}
	text := cmp.Or(m.Name, m.Frame) + " " + graph.TypeName(m.Type)
	if m.Handler != "" {
		text += " to " + m.Handler
	}
	if m.Answer != "" {
		text += ", answered by " + m.Answer
	}
	if m.Scopes != nil {
		text += ", with the scopes " + strings.Join(m.Scopes, " ")
	}
	for _, g := range m.Guards {
		text += ", guarded by " + graph.TypeName(g.Type)
	}
	if m.Concurrent > 0 {
		text += fmt.Sprintf(", %d at once", m.Concurrent)
	}
	if m.Within > 0 {
		text += fmt.Sprintf(", within %v", m.Within)
	}
	return text
}

func (p *Param) explain() string {
	text := fmt.Sprintf("%s %s %s", p.In, p.Name, graph.TypeName(p.Type))
	if p.Rules != "" {
		text += ", " + p.Rules
	}
	switch {
	case p.Default != nil:
		text += ", default " + *p.Default
	case !p.Required:
		text += ", optional"
	}
	return text
}

func (c *CredentialInfo) explain() string {
	wires := each(c.Sources, func(s CredentialSource) string { return s.Wire })
	text := graph.TypeName(c.Type) + " by " + c.Scheme + ", from " + strings.Join(wires, " or ")
	if c.Optional {
		text += ", optional"
	}
	if c.Scopes != nil {
		text += ", with the scopes " + strings.Join(c.Scopes, " ")
	}
	return text
}
