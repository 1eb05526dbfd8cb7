package graph

import (
	"fmt"
	"maps"
	"strings"
)

// taken is a parameter and who takes it.
type taken struct {
	param *param
	by    string
}

// credentials refuses parameters that would read what a scheme of the route takes
// out of the request.
func (c *checker) credentials() {
	for _, p := range c.schemes {
		for _, hidden := range p.Hides {
			c.hidden(p, hidden[0], hidden[1])
		}
	}
}

// hidden refuses the parameters that would read what a scheme hides.
func (c *checker) hidden(p *Provider, in, name string) {
	for _, t := range c.params {
		if t.param.in == in && t.param.key == name {
			c.faults.add(c.t, &Fault{
				Kind: "bad tag", Fact: fmt.Sprintf("`%s:%q` would read the credential of %s", t.param.in, t.param.name, p.Func.Name),
				Path: []string{"declared by " + t.by}, Hint: "take the type that the scheme provides, " + TypeName(p.Out),
			})
		}
	}
}

// scopes refuses scopes that nothing on the route could grant.
func (c *checker) scopes(t *Target) {
	roots := make([]field, 0, len(t.Guards)+len(t.input.fields))
	for _, g := range t.Guards {
		roots = append(roots, field{name: TypeName(g.Type), typ: g.Type, guard: true})
	}
	roots = append(roots, t.input.fields...)
	sure := map[*Provider]bool{}
	c.sure(t.Graph, roots, sure)
	if t.Scopes != nil {
		c.scopeFault(fmt.Sprintf("Scopes(%s) of the route", strings.Join(t.Scopes, ", ")), t.Graph, roots, sure)
		if bad := badScopes(t.Scopes); bad != "" {
			c.faults.add(t, &Fault{Kind: "bad route", Fact: bad, Hint: "name each as its own argument"})
		}
	}
	c.scopesBelow(t.Graph, roots, "the handler", sure, map[*Provider]bool{})
}

func (c *checker) scopesBelow(g *Graph, fields []field, owner string, sure, seen map[*Provider]bool) {
	for i := range fields {
		f := &fields[i]
		if f.scopes != nil && c.behind(g, f) != nil {
			known := maps.Clone(sure)
			c.sure(g, fields[i:i+1], known)
			c.scopeFault(fmt.Sprintf("`scopes:%q` of field %s of %s", strings.Join(f.scopes, " "), f.name, owner), g, fields[i:i+1], known)
		}
		if p := c.behind(g, f); p != nil && p.input != nil && !seen[p] {
			seen[p] = true
			c.scopesBelow(p.graph, p.input.fields, p.Func.Name, sure, seen)
		}
	}
}

// sure adds the providers that fields cannot do without: no Optional is on the way.
func (c *checker) sure(g *Graph, fields []field, known map[*Provider]bool) {
	for i := range fields {
		p := c.behind(g, &fields[i])
		if p == nil || fields[i].optional || known[p] {
			continue
		}
		known[p] = true
		if p.input != nil {
			c.sure(p.graph, p.input.fields, known)
		}
	}
}

// scopeFault checks that who is let in by fields that demand scopes was granted them;
// sure are the providers that are not done without.
func (c *checker) scopeFault(what string, g *Graph, fields []field, sure map[*Provider]bool) {
	seen := map[*Provider]bool{}
	found, able := c.grants(g, fields, seen)
	switch {
	case !found:
		c.faults.add(c.t, &Fault{Kind: "bad tag", Fact: what + ": no scheme stands behind it", Hint: "put them where a scheme's type is needed"})
	case !able:
		c.faults.add(c.t, &Fault{
			Kind: "bad tag", Fact: what + ": the scheme behind it grants none",
			Hint: "give the type that the scheme provides a method Scopes() []string",
		})
	case !demanded(seen, sure):
		c.faults.add(c.t, &Fault{
			Kind: "bad tag", Fact: what + ": the scheme behind it is optional, and lets in who has no credential",
			Hint: "take its type without depends.Optional",
		})
	}
}

// demanded says whether a scheme that was seen, or what stands in for it, is sure.
func demanded(seen, sure map[*Provider]bool) bool {
	for p := range seen {
		if sure[p] && (p.Scheme != nil || p.Override) {
			return true
		}
	}
	return false
}

// grants says whether schemes stand behind fields, and whether all of them can
// say what they grant.
func (c *checker) grants(g *Graph, fields []field, seen map[*Provider]bool) (found, able bool) {
	able = true
	for i := range fields {
		p := c.behind(g, &fields[i])
		if p == nil || seen[p] {
			continue
		}
		seen[p] = true
		if p.Override {
			found = true // it stands in for whatever would have been behind it
		} else if p.Scheme != nil {
			found, able = true, able && p.Granted != nil
		} else if p.input != nil {
			below, can := c.grants(p.graph, p.input.fields, seen)
			found, able = found || below, able && can
		}
	}
	return found, able
}

// behind returns the provider of a field, or nil.
func (c *checker) behind(g *Graph, f *field) *Provider {
	if f.param != nil || f.own != nil || f.index == nil && !f.guard {
		return nil
	}
	if found := g.lookup(f.typ); len(found) > 0 {
		return found[0]
	}
	return nil
}

// again checks what a provider says of running again.
func (c *checker) again(p *Provider, add func(kind, fact, hint string)) {
	switch {
	case p.Revalidate == 0:
	case p.Revalidate < 0:
		add("bad provider", fmt.Sprintf("%s is to be revalidated every %v", p.Func.Name, p.Revalidate), "give a time above zero")
	case p.Lifetime != Connection:
		add("bad provider", fmt.Sprintf("%s (%s) is to be revalidated, and has no value while a connection is open", p.Func.Name, p.Lifetime), "make it depends.Connection")
	}
}
