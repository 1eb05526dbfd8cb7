package wsroute

import (
	"io"
	"strings"
)

// Explain prints, for each mounted route, what guards it and what happens before
// its handler runs, in that order: the origins that may connect, parameters,
// schemes with the places of their credentials, providers, the handler, its
// messages and options. It is what a reviewer reads to know that no route is open
// by mistake. It returns the first error of w.
func (r *Router) Explain(w io.Writer) error {
	for _, e := range r.shared.mounted.Load().endpoints {
		before := [][2]string{{"origin", r.shared.origins.explain(e.open)}}
		after := [][2]string{{"messages", "receives " + e.route.receives + ", sends " + e.route.sends}}
		if e.route.answer != nil {
			before, after = nil, nil
		}
		if e.route.named != nil {
			after = append(after, [2]string{"options", strings.Join(e.route.named, ", ")})
		}
		if err := e.plan.Explain(w, before, after); err != nil {
			return err
		}
	}
	return nil
}
