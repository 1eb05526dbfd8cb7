package graph

// Authenticates says whether a route asks its peers who they are, once Check has seen it. It
// is true of a route with a fault that hides what stands behind a field.
func (t *Target) Authenticates() bool { return t.authenticates }

// authenticates says whether one of the fields has a scheme or a value of the foreign router
// behind it, or is a guard that reads the request. An Optional field lets everybody pass.
func (c *checker) authenticates(g *Graph, fields []field) bool {
	for i := range fields {
		f := &fields[i]
		p := behind(g, f)
		if p == nil || f.optional {
			continue
		}
		if p = p.real(); f.guard && c.asks(p) || judged(c.proving, p, func() bool {
			return p.Scheme != nil || p.Foreign || p.input != nil && c.authenticates(p.graph, p.input.fields)
		}) {
			return true
		}
	}
	return false
}

// asks says whether a provider reads the request, by itself or through what it cannot do
// without.
func (c *checker) asks(p *Provider) bool {
	return judged(c.asking, p, func() bool {
		if p.input == nil {
			return p.Scheme != nil || p.Foreign
		}
		for i := range p.input.fields {
			f := &p.input.fields[i]
			need := behind(p.graph, f)
			if f.param != nil || f.own != nil || need != nil && !f.optional && c.asks(need.real()) {
				return true
			}
		}
		return false
	})
}

// judged returns what judge says of a provider, and calls it once for each.
func judged(known map[*Provider]bool, p *Provider, judge func() bool) bool {
	if _, ok := known[p]; !ok {
		known[p] = false // where p needs itself
		known[p] = judge()
	}
	return known[p]
}

// real returns the program's own provider where a test overrides it.
func (p *Provider) real() *Provider {
	if p.replaces != nil {
		return p.replaces
	}
	return p
}
