package graph

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Target is a route that a plan is compiled for.
type Target struct {
	Label     string // "GET /rooms/:room"
	Func      Func   // the handler
	Site      Site   // where the route was registered
	In        reflect.Type
	Guards    []Guard // outermost first
	PathNames []string
	Graph     *Graph
	Scopes    []string // that every scheme of the route must grant
	Renewable bool     // a peer may renew its credential
	Foreign   bool     // a foreign router's context is there to hand values over
	Plain     bool     // a plain request: Handshake values live as long as the handler

	input   *input
	met     []*Fault
	schemes []*Provider
}

// Schemes returns the providers of the route that authenticate, once Check has gone through it.
func (t *Target) Schemes() []*Provider { return t.schemes }

// Guard is a dependency that a route demands without taking its value.
type Guard struct {
	Type reflect.Type
	Site Site
}

// String names the route, its handler and where both stand.
func (t *Target) String() string {
	return t.Label + where(t.Site, Site{}) + " " + t.Func.Name + where(t.Func.Site, Site{})
}

// Check returns everything that is wrong with a tree of graphs and the routes
// that stand on it; extra holds what its caller found by itself.
func Check(g *Graph, targets []*Target, extra []*Fault) []*Fault {
	c := &checker{root: g.root()}
	for _, f := range extra {
		c.faults.add(f.Target, f)
	}
	for _, t := range targets {
		t.input = analyse(t.Graph, t.In)
		c.target(t)
	}
	c.t = nil
	for _, p := range c.root.all() {
		c.visited, c.stack = map[*Provider]bool{}, nil
		if !c.reached(p) {
			c.provider(p)
		}
	}
	c.ambiguous()
	for _, o := range c.root.unused {
		f := &Fault{Kind: "unused override", Type: o.Out, Fact: "no provider of " + TypeName(o.Out) + " to stand in for", Path: []string{"overridden by " + o.String()}}
		if len(c.root.lookup(o.Out)) > 0 || c.providedAnywhere(o.Out) != nil {
			f.Fact = TypeName(o.Out) + " is overridden twice"
		} else {
			f.Hint = c.similar(o.Out)
		}
		c.faults.add(nil, f)
	}
	return c.faults.list
}

type checker struct {
	root    *Graph
	schemes []*Provider // met on this route
	params  []taken     // met on this route
	t       *Target
	faults  faults
	visited map[*Provider]bool // on this route
	ever    map[*Provider]bool
	stack   []need
}

// need is a step of the way from a route down to a dependency.
type need struct {
	p     *Provider // nil for the handler
	field string    // of p's or the handler's input; "" for a guard of the route
	guard *Guard
}

func (c *checker) reached(p *Provider) bool { return c.ever[p] }

func (c *checker) target(t *Target) {
	c.t, c.visited, c.stack, c.schemes, c.params = t, map[*Provider]bool{}, nil, nil, nil
	for i := range t.Guards {
		c.stack = []need{{guard: &t.Guards[i]}}
		c.dependency(t.Graph, &field{typ: t.Guards[i].Type, guard: true}, Connection)
	}
	c.stack = nil
	for _, f := range t.input.faults {
		twin := *f
		twin.Path = []string{"declared by " + t.Func.Name + where(t.Func.Site, Site{})}
		c.faults.add(t, &twin)
	}
	for i := range t.input.fields {
		c.stack = []need{{field: t.input.fields[i].name}}
		c.field(t.Graph, &t.input.fields[i], nil)
	}
	c.credentials()
	c.scopes(t)
	t.schemes = c.schemes
}

// provider checks p itself and all that it needs.
func (c *checker) provider(p *Provider) {
	if c.visited[p] {
		return
	}
	c.visited[p] = true
	if c.ever == nil {
		c.ever = map[*Provider]bool{}
	}
	c.ever[p] = true
	c.itself(p)
	if p.input == nil {
		return
	}
	for _, f := range p.input.faults {
		twin := *f
		twin.Path = []string{"declared by " + p.String()}
		c.faults.add(c.t, &twin)
	}
	for i := range p.input.fields {
		c.stack = append(c.stack, need{p: p, field: p.input.fields[i].name})
		c.field(p.graph, &p.input.fields[i], p)
		c.stack = c.stack[:len(c.stack)-1]
	}
}

// itself checks what can be said of a provider without its needs.
func (c *checker) itself(p *Provider) {
	add := func(kind, fact, hint string) {
		c.faults.add(c.t, &Fault{Kind: kind, Type: p.Out, Fact: fact, Hint: hint, Path: []string{"provided by " + p.String()}})
	}
	_, optional := hooks.Optional(p.Out)
	_, live := hooks.Live(p.Out)
	c.again(p, add)
	switch {
	case hooks.Own[p.Out] != nil || p.Out == contextType || p.Out == errorType || optional || live:
		add("bad provider", TypeName(p.Out)+" is usher's own to fill", "provide a type of the program")
	case p.Out.Name() != "" && p.Out.PkgPath() == "":
		add("bad provider", TypeName(p.Out)+" says nothing about what it is", fmt.Sprintf("name it: type Token %s", p.Out))
	case p.Value.IsValid() && isNil(p.Value) && p.In == nil:
		add("bad provider", "the supplied "+TypeName(p.Out)+" is nil", "supply it after it was made")
	}
	if p.Scheme == nil {
		return
	}
	c.schemes = append(c.schemes, p)
	for _, fault := range p.Faults {
		fault.Kind, fault.Type, fault.Path = "unsafe", p.Out, []string{"used" + where(p.Site, Site{})}
		c.faults.add(c.t, &fault)
	}
}

func isNil(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice, reflect.Func, reflect.Chan:
		return v.IsNil()
	}
	return false
}

// field checks one field of an input; by is the provider that takes it, nil for
// the handler.
func (c *checker) field(g *Graph, f *field, by *Provider) {
	if by != nil && by.Lifetime == App && (f.param != nil || f.own != nil) {
		what := "the request"
		if f.param != nil {
			what = fmt.Sprintf("the %s parameter %q", f.param.in, f.param.name)
		}
		c.faults.add(c.t, &Fault{
			Kind: "captive", Fact: fmt.Sprintf("%s (App) takes %s, and is made before any request", by.Func.Name, what),
			Path: []string{"provided by " + by.String()}, Hint: "make it depends.Connection, or take it where it is needed",
		})
		return
	}
	if f.live && by != nil {
		c.faults.add(c.t, &Fault{
			Kind: "bad field", Type: f.typ, Fact: fmt.Sprintf("field %s of %s: a provider is run again when what it needs has changed", f.name, by.Func.Name),
			Path: []string{"provided by " + by.String()}, Hint: "take " + TypeName(f.typ) + " itself; Live is for handlers",
		})
		return
	}
	switch {
	case f.own != nil:
	case f.param != nil:
		c.param(f.param, by)
	case f.index == nil: // an embedded struct, whose fields follow
		if found := g.lookup(f.typ); len(found) > 0 {
			c.faults.add(c.t, &Fault{
				Kind: "bad field", Type: f.typ, Fact: fmt.Sprintf("%s is embedded, and has a provider", TypeName(f.typ)),
				Path: append([]string{"provided by " + found[0].String()}, c.needed()...), Hint: "give the field a name",
			})
		}
	default:
		lifetime := Connection
		if by != nil {
			lifetime = by.Lifetime
		}
		c.dependency(g, f, lifetime)
	}
}

// param checks a parameter against the route: its path must have it, and no
// scheme may take it away.
func (c *checker) param(p *param, by *Provider) {
	if c.t == nil {
		return
	}
	taker, at := c.t.Func.Name, where(c.t.Func.Site, Site{})
	if by != nil {
		taker, at = by.Func.Name, where(by.Func.Site, by.Site)
	}
	c.params = append(c.params, taken{p, taker + at})
	if p.in == "path" && !slices.Contains(c.t.PathNames, p.name) {
		f := &Fault{
			Kind: "bad tag", Fact: fmt.Sprintf("`path:%q`: %s has no parameter of that name", p.name, c.t.Label),
			Path: []string{"declared by " + taker + at},
		}
		switch near := closest(p.name, c.t.PathNames); {
		case near != "":
			f.Hint = fmt.Sprintf("did you mean %q?", near)
		case len(c.t.PathNames) > 0:
			f.Hint = "the path has " + strings.Join(c.t.PathNames, ", ")
		default:
			f.Hint = fmt.Sprintf("add /:%s to the path, or take it from the query", p.name)
		}
		c.faults.add(c.t, f)
	}
}

// dependency checks one edge and what stands behind it.
func (c *checker) dependency(g *Graph, f *field, by Lifetime) {
	found := g.lookup(f.typ)
	if len(found) == 0 {
		c.faults.add(c.t, &Fault{
			Kind: "missing", Type: f.typ, Fact: "no provider for " + TypeName(f.typ),
			Path: c.needed(), Hint: c.hint(f),
		})
		return
	}
	p := found[0]
	for i := range c.stack {
		if c.stack[i].p == p {
			c.cycle(c.stack[i:])
			return
		}
	}
	if f.fresh && (p.Lifetime == App || p.Scheme != nil) {
		c.faults.add(c.t, &Fault{
			Kind: "bad tag", Type: f.typ, Fact: fmt.Sprintf("`depends:\"fresh\"` on %s, which %s makes once", TypeName(f.typ), p.Func.Name),
			Path: c.needed(), Hint: "drop the tag",
		})
	}
	if p.Foreign && c.t != nil && !c.t.Foreign {
		c.faults.add(c.t, &Fault{
			Kind: "missing", Type: f.typ, Fact: fmt.Sprintf("%s comes from the gin context, and there is none", TypeName(f.typ)),
			Path: append([]string{"provided by " + p.String()}, c.needed()...), Hint: "mount on gin, or override it in a test",
		})
	}
	c.captive(p, f, by)
	c.provider(p)
}

// captive refuses a value that would outlive what it was made from.
func (c *checker) captive(p *Provider, f *field, by Lifetime) {
	handler := c.stack[len(c.stack)-1].p == nil
	if p.Lifetime.size() >= by.size() || f.guard && by != App || f.handshakeOnly && by == Connection && !handler ||
		handler && p.Lifetime == Handshake && c.t.Plain {
		return
	}
	taker := c.stack[len(c.stack)-1].name(c.t)
	fault := &Fault{
		Kind: "captive", Type: p.Out,
		Fact: fmt.Sprintf("%s (%s) would keep %s (%s)", taker, by, TypeName(p.Out), p.Lifetime),
		Path: append([]string{"provided by " + p.String()}, c.needed()...),
	}
	switch {
	case by == App:
		fault.Hint = fmt.Sprintf("make %s App too, or %s shorter-lived", p.Func.Name, taker)
	case handler:
		fault.Hint = fmt.Sprintf("a handler runs when Handshake values are gone: make %s depends.Connection, or guard with _ %s", p.Func.Name, TypeName(p.Out))
	default:
		fault.Hint = "tag the field `depends:\"handshake-only\"` if the value is used only while resolving"
	}
	c.faults.add(c.t, fault)
}

func (n need) name(t *Target) string {
	switch {
	case n.p != nil:
		return n.p.Func.Name
	case n.guard != nil:
		return "Require"
	case t != nil:
		return t.Func.Name
	}
	return "the handler"
}

// needed renders the stack, innermost first.
func (c *checker) needed() []string {
	var lines []string
	for i := len(c.stack) - 1; i >= 0; i-- {
		switch n := c.stack[i]; {
		case n.guard != nil:
			lines = append(lines, fmt.Sprintf("needed by Require[%s]%s", TypeName(n.guard.Type), where(n.guard.Site, Site{})))
		case n.p != nil:
			lines = append(lines, fmt.Sprintf("needed by field %s of %s", n.field, n.p))
		default:
			lines = append(lines, fmt.Sprintf("needed by field %s of %s%s", n.field, c.t.Func.Name, where(c.t.Func.Site, Site{})))
		}
	}
	return lines
}

// cycle reports the ring that a stack has closed, beginning with the provider
// that was registered first so that every way into the ring tells it alike.
func (c *checker) cycle(ring []need) {
	first := 0
	for i := range ring {
		if ring[i].p.order < ring[first].p.order {
			first = i
		}
	}
	ring = append(slices.Clone(ring[first:]), ring[:first]...)
	names := make([]string, 0, len(ring)+1)
	lines := make([]string, 0, len(ring))
	for i, n := range ring {
		next := ring[(i+1)%len(ring)].p
		names = append(names, n.p.Func.Name)
		lines = append(lines, fmt.Sprintf("%s needs %s in field %s", n.p, TypeName(next.Out), n.field))
	}
	names = append(names, names[0])
	c.faults.add(c.t, &Fault{
		Kind: "cycle", Type: ring[0].p.Out, Fact: strings.Join(names, " -> "), Path: lines,
		Hint: "let one of them take what both need from a third provider",
	})
}

// ambiguous reports each type that has more than one provider in sight.
func (c *checker) ambiguous() {
	c.root.walk(func(g *Graph) {
		for _, p := range g.providers {
			found := g.lookup(p.Out)
			if len(found) < 2 {
				continue
			}
			slices.SortFunc(found, func(a, b *Provider) int { return a.order - b.order })
			f := &Fault{
				Kind: "ambiguous", Type: p.Out, Fact: fmt.Sprintf("%d providers for %s", len(found), TypeName(p.Out)),
				Hint: "keep one, or give one of them a type of its own",
			}
			for _, other := range found {
				f.Path = append(f.Path, other.String())
			}
			f.key = f.Kind + strings.Join(f.Path, "\x00")
			c.faults.add(nil, f)
		}
	})
}
