package graph

import "reflect"

// Authenticates says whether a route asks its peers who they are, once Check has seen it. It
// is true of a route with a fault that hides what stands behind a field.
func (t *Target) Authenticates() bool { return t.authenticates }

// asking is a question about a provider: whether it asks for a proof, or for anything at all.
type asking struct {
	p     *Provider
	proof bool
}

// ask says whether one of the fields, or what they cannot do without, reads the request. A
// proof is a scheme, a value of the foreign router, or a guard that reads the request.
func (c *checker) ask(g *Graph, fields []field, proof bool) bool {
	for i := range fields {
		f := &fields[i]
		if !proof && (f.param != nil || f.own != nil) {
			return true
		}
		p := behind(g, f)
		if p != nil && !f.optional && c.asks(p, proof && !f.guard) {
			return true
		}
	}
	return false
}

// asks is ask for a provider, where a test overrides it for the program's own.
func (c *checker) asks(p *Provider, proof bool) bool {
	p = p.real
	key := asking{p, proof}
	if _, known := c.asked[key]; !known {
		c.asked[key] = false // where p needs itself
		c.asked[key] = p.Scheme != nil || p.Foreign ||
			p.input != nil && c.ask(p.graph, p.input.fields, proof)
	}
	return c.asked[key]
}

// guard refuses a guard that lets everybody pass, and notes one that asks a peer nothing.
func (c *checker) guard(p *Provider, f *field, by Lifetime) {
	switch name := TypeName(f.typ); {
	case isVerdict(f.typ):
		c.add("unsafe", f.typ, name+" is a guard, and a guard's value is not taken: "+
			"whatever it is, the peer passes", "return depends.Forbidden from "+p.real.Func.Name+
			" to say no, and a struct to say yes", c.path(p)...)
	case p.real.Lifetime == App && by != App:
		c.add("unsafe", f.typ, name+" (App) is a guard, and is made before any request: "+
			"it refuses nobody", "let its provider read the request, or drop the guard", c.path(p)...)
	case c.target != nil && by != App && !c.asks(p, false):
		c.target.Blind = append(c.target.Blind, p)
	}
}

// isVerdict says whether a type has values that say no: a bool or an error.
func isVerdict(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer && !t.Implements(errorType) {
		t = t.Elem()
	}
	return t.Kind() == reflect.Bool || t.Implements(errorType) ||
		reflect.PointerTo(t).Implements(errorType)
}
