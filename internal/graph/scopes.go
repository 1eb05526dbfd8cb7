package graph

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// credentials refuses parameters that would read what a scheme of the route takes
// out of the request.
func (c *checker) credentials() {
	for _, p := range c.schemes {
		for _, hidden := range p.Hides {
			for _, b := range c.params {
				if hidden == [2]string{b.In, b.key} {
					c.add("bad tag", nil,
						fmt.Sprintf("`%s:%q` would read the credential of %s", b.In, b.Name, p.Func.Name),
						"take the type that the scheme provides, "+TypeName(p.Out),
						"declared by "+b.by.String())
				}
			}
		}
	}
}

// scopes refuses scopes that nothing on the route could grant.
func (c *checker) scopes(t *Target) {
	fields := t.fields()
	t.required = map[*Provider]bool{}
	addRequired(t.Graph, fields, t.required)
	if !t.Scoped {
		return
	}
	all := fields
	if t.Route != nil { // the schemes of a message are those of its route
		all = slices.Concat(t.Route.fields(), fields)
	}
	if t.Scopes != nil {
		of := "route"
		if t.Route != nil {
			of = "message"
		}
		what := fmt.Sprintf("Scopes(%s) of the %s", strings.Join(t.Scopes, ", "), of)
		c.grants(what, t.Graph, all, t.required)
		if bad := badScopes(t.Scopes); bad != "" {
			c.add("bad route", nil, bad, "name each as its own argument")
		}
	}
	each(t.Graph, fields, func(f *field, _, by *Provider) bool {
		if f.scopes != nil {
			g, owner := t.Graph, "the handler"
			if by != nil {
				g, owner = by.graph, by.Func.Name
			}
			what := fmt.Sprintf("`scopes:%q` of field %s of %s", strings.Join(f.scopes, " "), f.name, owner)
			c.grants(what, g, []field{*f}, t.required)
		}
		return true
	})
}

// addRequired adds the providers without which the fields cannot be had: no Optional is on
// the way to them.
func addRequired(g *Graph, fields []field, required map[*Provider]bool) {
	each(g, fields, func(f *field, p, _ *Provider) bool {
		required[p] = required[p] || !f.optional
		return !f.optional
	})
}

// grants says whether scopes are asked of a provider's value: a scheme's, and one of the foreign
// router's that has any.
func (p *Provider) grants() bool { return p.Scheme != nil || p.Granted != nil }

// grants checks that a peer whom the fields let in has been granted their scopes. required
// are the providers that the route needs in any case.
func (c *checker) grants(what string, g *Graph, fields []field, required map[*Provider]bool) {
	required = maps.Clone(required)
	addRequired(g, fields, required)
	found, able, sure := false, true, false
	each(g, fields, func(_ *field, p, _ *Provider) bool {
		if !p.grants() && !p.Override { // an override stands in for whatever was behind it
			return true
		}
		found, sure = true, sure || required[p]
		able = able && (p.real.Scheme == nil || p.real.Granted != nil)
		return false
	})
	switch {
	case !found:
		c.add("bad tag", nil, what+": no scheme stands behind it",
			"put them where a scheme's type is needed")
	case !able:
		c.add("bad tag", nil, what+": the scheme behind it grants none",
			"give the type that the scheme provides a method Scopes() []string")
	case !sure && c.target.Route == nil: // a message is answered that it is not there
		c.add("bad tag", nil,
			what+": the scheme behind it is optional, and lets in peers without a credential",
			"take its type without depends.Optional")
	}
}
