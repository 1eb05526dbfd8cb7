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
	Foreign   bool     // the foreign router's context can be read
	Plain     bool     // a plain request: its values live as long as the handler
	// Given are what the route gives its handlers by itself, once the connection is open: what
	// makes each, of [Run].Conn.
	Given map[reflect.Type]func(conn any) any
	// Messages are the types of messages of an open connection, each a target of its own
	// whose Route this one is, and whose Message the type.
	Messages []*Target
	Route    *Target
	Message  reflect.Type

	Blind []*Provider // the guards that ask a peer nothing, once Check has seen the route
	Taken []*Provider // whose values the messages of the route take

	input         *input
	schemes       []*Provider
	required      map[*Provider]bool // without which the handler cannot be called
	reached       map[*Provider]bool // what is called at all
	Scoped        bool               // scopes are demanded
	authenticates bool
}

// RouteLabel returns the label of the route, also of a message's.
func (t *Target) RouteLabel() string {
	if t.Route != nil {
		return t.Route.Label
	}
	return t.Label
}

// Guard is a dependency that a route demands without taking its value.
type Guard struct {
	Type reflect.Type
	Site Site
}

// Overridden says whether a test has replaced a provider of the route.
func (t *Target) Overridden() bool {
	for p := range t.reached {
		if p.Override {
			return true
		}
	}
	return false
}

// Schemes returns the providers of the route that authenticate, once Check has seen it.
func (t *Target) Schemes() []*Provider { return t.schemes }

// String names the route, its handler and where both stand.
func (t *Target) String() string { return t.Label + where(t.Site, Site{}) + " " + t.Func.String() }

// fields returns the guards of the route and the fields of its handler, in order.
func (t *Target) fields() []field {
	fields := make([]field, 0, len(t.Guards)+len(t.input.fields))
	for _, g := range t.Guards {
		fields = append(fields, field{name: TypeName(g.Type), typ: g.Type, guard: true})
	}
	return append(fields, t.input.fields...)
}

// checker looks for faults, first on each route and then on what no route needs.
type checker struct {
	graph  *Graph
	faults []*Fault
	seen   map[string]*Fault

	target  *Target            // the route; nil outside of any
	visited map[*Provider]bool // on this route
	ever    map[*Provider]bool // on any
	schemes []*Provider        // of this route
	params  []boundParam       // of this route
	stack   []need             // from the route down to the field that is checked
	unseen  bool               // a fault of this route hides what stands behind a field

	gives map[reflect.Type]bool // what routes give, and their messages
	asked map[asking]bool       // what is known
}

// need is a step of the way from a route down to a dependency.
type need struct {
	p     *Provider // nil for the handler and for a guard
	name  string
	place fmt.Stringer // the name, and where it stands
	field string       // "" for a guard of the route
}

// boundParam is a parameter and the function that takes it.
type boundParam struct {
	*param
	by fmt.Stringer
}

// Check returns everything that is wrong with a tree of graphs and the routes
// that stand on it; extra holds what its caller found by itself.
func Check(g *Graph, targets []*Target, extra []*Fault) []*Fault {
	c := &checker{
		graph: g, seen: map[string]*Fault{}, ever: map[*Provider]bool{}, asked: map[asking]bool{},
		gives: gives(targets),
	}
	for _, f := range extra {
		c.note(f)
	}
	for _, t := range targets {
		c.checkTarget(t)
		for _, m := range t.Messages {
			c.checkTarget(m)
		}
	}
	c.target, c.visited, c.stack = nil, c.ever, nil
	for _, p := range g.shared.providers {
		c.provider(p)
	}
	c.ambiguous()
	for _, o := range g.shared.unused {
		fact, hint := "no provider of "+TypeName(o.Out)+" to stand in for", c.similar(o.Out)
		if c.providerOf(o.Out) != nil {
			fact, hint = TypeName(o.Out)+" is overridden twice", ""
		}
		c.add("unused override", o.Out, fact, hint, "overridden by "+o.String())
	}
	return c.faults
}

func (c *checker) checkTarget(t *Target) {
	t.input = analyse(t.Graph, t.In)
	c.target, c.visited, c.schemes, c.params = t, map[*Provider]bool{}, nil, nil
	c.unseen = false
	if t.Route != nil {
		c.schemes = slices.Clone(t.Route.schemes)
		c.message(t)
	}
	t.Scoped = t.Scopes != nil
	c.declared(t.input, t.Func)
	for i, f := range t.fields() {
		by := need{name: t.Func.Name, place: t.Func, field: f.name}
		if i < len(t.Guards) {
			by = need{name: "Require", place: Func{"Require[" + f.name + "]", t.Guards[i].Site}}
		}
		c.stack = []need{by}
		c.field(t.Graph, &f, nil)
	}
	c.credentials()
	c.scopes(t)
	t.schemes, t.reached = c.schemes, c.visited
	t.authenticates = c.unseen || c.ask(t.Graph, t.fields(), true)
}

// declared adds the faults of an input struct itself.
func (c *checker) declared(in *input, by fmt.Stringer) {
	for _, f := range in.faults {
		c.unseen = true
		c.add(f.Kind, f.Type, f.Fact, f.Hint, "declared by "+by.String())
	}
}

// provider checks p itself and all that it needs.
func (c *checker) provider(p *Provider) {
	if c.visited[p] {
		return
	}
	c.visited[p], c.ever[p] = true, true
	c.itself(p)
	if p.input == nil {
		return
	}
	c.declared(p.input, p)
	for i := range p.input.fields {
		f := &p.input.fields[i]
		c.stack = append(c.stack, need{p, p.Func.Name, p, f.name})
		c.field(p.graph, f, p)
		c.stack = c.stack[:len(c.stack)-1]
	}
}

// itself checks what can be said of a provider without its needs.
func (c *checker) itself(p *Provider) {
	wrong := func(fact, hint string) {
		c.add("bad provider", p.Out, fact, hint, "provided by "+p.String())
	}
	switch {
	case p.Revalidate < 0:
		wrong(fmt.Sprintf("%s is to be revalidated every %v", p.Func.Name, p.Revalidate),
			"give a time above zero")
	case p.Revalidate > 0 && p.Lifetime != Connection:
		wrong(fmt.Sprintf("%s (%s) is to be revalidated, and has no value while a connection is open",
			p.Func.Name, p.Lifetime), "make it depends.Connection")
	}
	switch {
	case hooks.Own[p.Out] != nil, p.Out == contextType, p.Out == errorType,
		hooks.Optional(p.Out) != nil, hooks.Live(p.Out) != nil:
		wrong(TypeName(p.Out)+" is usher's own to fill", "provide a type of the program")
	case p.Out.Name() != "" && p.Out.PkgPath() == "":
		wrong(TypeName(p.Out)+" says nothing about what it is",
			fmt.Sprintf("name it: type Token %s", p.Out))
	case p.Value.IsValid() && isNil(p.Value) && p.In == nil:
		wrong("the supplied "+TypeName(p.Out)+" is nil", "supply it after it was made")
	}
	if p.real.Scheme == nil {
		for _, f := range p.Faults {
			wrong(f.Fact, f.Hint)
		}
		return
	}
	c.schemes = append(c.schemes, p.real)
	for _, f := range p.Faults {
		c.add("unsafe", p.Out, f.Fact, f.Hint, "used"+where(p.Site, Site{}))
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
	lifetime := c.lifetime(by)
	switch {
	case lifetime == App && f.param != nil:
		c.early(by, fmt.Sprintf("the %s parameter %q", f.param.In, f.param.Name))
	case lifetime == App && f.own != nil:
		c.early(by, "the request")
	case f.live != nil && lifetime == Message:
		c.add("bad field", f.typ, fmt.Sprintf("field %s: a message gets the values of its moment", f.name),
			"take "+TypeName(f.live)+" itself", c.path(nil)...)
	case f.live != nil && by != nil:
		fact := fmt.Sprintf("field %s of %s: a provider is run again when what it needs has changed",
			f.name, by.Func.Name)
		c.add("bad field", f.typ, fact, "take "+TypeName(f.typ)+" itself; Live is for handlers",
			"provided by "+by.String())
	case f.own != nil:
	case f.param != nil:
		c.param(f.param)
		t := f.param.value // also of a pointer or a slice
		if found := g.lookup(t); len(found) > 0 && t.PkgPath() != "" {
			c.add("bad tag", t, fmt.Sprintf(
				"`%s:%q`: %s has a provider, and would be read from the request",
				f.param.In, f.param.Name, TypeName(t)),
				"drop the tag, or read the parameter into another type", c.path(found[0])...)
		}
	case !f.embedded:
		if c.target != nil && f.scopes != nil {
			c.target.Scoped = true
		}
		c.dependency(g, f, lifetime)
	default: // its fields follow
		if found := g.lookup(f.typ); len(found) > 0 {
			c.add("bad field", f.typ, TypeName(f.typ)+" is embedded, and has a provider",
				"give the field a name", c.path(found[0])...)
		}
	}
}

// early refuses an App provider that would read a request.
func (c *checker) early(by *Provider, what string) {
	c.add("captive", nil,
		fmt.Sprintf("%s (App) takes %s, and is made before any request", by.Func.Name, what),
		"make it depends.Connection, or take it where it is needed", "provided by "+by.String())
}

// param checks that the route's path has a path parameter.
func (c *checker) param(p *param) {
	t := c.target
	if t == nil {
		return
	}
	by := c.stack[len(c.stack)-1].place
	c.params = append(c.params, boundParam{p, by})
	if p.In != "path" || slices.Contains(t.PathNames, p.Name) {
		return
	}
	hint := fmt.Sprintf("add /:%s to the path, or take it from the query", p.Name)
	if len(t.PathNames) > 0 {
		hint = didYouMean(p.Name, t.PathNames, "the path has "+strings.Join(t.PathNames, ", "))
	}
	c.add("bad tag", nil, fmt.Sprintf("`path:%q`: %s has no parameter of that name", p.Name, t.Label),
		hint, "declared by "+by.String())
}

// dependency checks one edge and the provider behind it.
func (c *checker) dependency(g *Graph, f *field, by Lifetime) {
	found := g.lookup(f.typ)
	if len(found) == 0 {
		if c.given(f.typ, by) {
			if f.guard || f.fresh || f.handshakeOnly || f.scopes != nil || f.live != nil {
				c.add("bad field", f.typ, TypeName(f.typ)+" is always there, and no provider makes it",
					"take it as a plain field", c.path(nil)...)
			}
			return
		}
		c.unseen = true
		c.add("missing", f.typ, "no provider for "+TypeName(f.typ), c.hint(f), c.path(nil)...)
		return
	}
	p := found[0]
	if i := slices.IndexFunc(c.stack, func(n need) bool { return n.p == p }); i >= 0 {
		c.unseen = true
		c.cycle(c.stack[i:])
		return
	}
	if f.fresh && (p.Lifetime == App || p.real.Scheme != nil) {
		c.add("bad tag", f.typ,
			fmt.Sprintf("`depends:\"fresh\"` on %s, which %s makes once", TypeName(f.typ), p.Func.Name),
			"drop the tag", c.path(nil)...)
	}
	if p.Foreign && c.target != nil && !c.target.Foreign {
		c.add("missing", f.typ, TypeName(f.typ)+" comes from the gin context, and there is none",
			"mount on gin, or override it in a test", c.path(p)...)
	}
	if f.guard {
		c.guard(p, f, by)
	}
	c.captive(p, f, by)
	if t := c.target; t == nil || t.Route == nil || !c.fromRoute(p, f, by) {
		c.provider(p)
	}
}

// captive refuses a value that would outlive what it was made from.
func (c *checker) captive(p *Provider, f *field, by Lifetime) {
	taker := c.stack[len(c.stack)-1]
	handler := taker.p == nil
	switch {
	case by.mayTake(p.Lifetime),
		f.guard && p.Lifetime == Handshake && (by == Connection || by == Handshake),
		f.handshakeOnly && p.Lifetime == Handshake && by == Connection && !handler,
		handler && c.target.Plain:
		return
	}
	out := TypeName(p.Out)
	hint := "tag the field `depends:\"handshake-only\"` if the value is used only while resolving"
	switch {
	case p.Lifetime == Message:
		hint = "a Message value lives for one message: take it in a message's handler, " +
			"or in a provider that is depends.Message"
	case by == Message:
		hint = fmt.Sprintf("a message comes when Handshake values are gone: "+
			"make %s depends.Connection", p.Func.Name)
	case by == App:
		hint = fmt.Sprintf("make %s App too, or %s shorter-lived", p.Func.Name, taker.name)
	case handler:
		hint = fmt.Sprintf("a handler runs when Handshake values are gone: "+
			"make %s depends.Connection, or guard with _ %s", p.Func.Name, out)
	}
	fact := fmt.Sprintf("%s (%s) would keep %s (%s)", taker.name, by, out, p.Lifetime)
	c.add("captive", p.Out, fact, hint, c.path(p)...)
}

// path leads from a provider, if there is one, to the route.
func (c *checker) path(p *Provider) []string {
	var lines []string
	if p != nil {
		lines = append(lines, "provided by "+p.String())
	}
	for _, n := range slices.Backward(c.stack) {
		what := "needed by "
		if n.field != "" {
			what += "field " + n.field + " of "
		}
		lines = append(lines, what+n.place.String())
	}
	return lines
}

// cycle reports a ring of providers. It begins with the one that was registered first, so
// that every way into the ring reports the same.
func (c *checker) cycle(ring []need) {
	first := slices.MinFunc(ring, func(a, b need) int { return a.p.order - b.p.order })
	for ring = slices.Clone(ring); ring[0] != first; {
		ring = append(ring[1:], ring[0])
	}
	fact := ""
	lines := make([]string, 0, len(ring))
	for i, n := range ring {
		next := TypeName(ring[(i+1)%len(ring)].p.Out)
		fact += n.name + " -> "
		lines = append(lines, fmt.Sprintf("%s needs %s in field %s", n.place, next, n.field))
	}
	c.add("cycle", first.p.Out, fact+first.name,
		"let one of them take what both need from a third provider", lines...)
}

// ambiguous reports each type that has more than one provider in sight.
func (c *checker) ambiguous() {
	for _, p := range c.graph.shared.providers {
		found := p.graph.lookup(p.Out)
		if len(found) < 2 {
			continue
		}
		slices.SortFunc(found, func(a, b *Provider) int { return a.order - b.order })
		var lines []string
		for _, other := range found {
			lines = append(lines, other.String())
		}
		c.add("ambiguous", p.Out, fmt.Sprintf("%d providers for %s", len(found), TypeName(p.Out)),
			"keep one, or give one of them a type of its own", lines...)
	}
}
