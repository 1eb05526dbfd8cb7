package graph

import (
	"reflect"
	"slices"
	"strconv"
)

// Plan is what a route does before its upgrade, laid out once: a record type
// whose fields are the values and the inputs of this route, and the steps that
// fill it. It is immutable, and safe for any number of resolutions at once.
type Plan struct {
	Target *Target
	// Handshake says that the plan has values of the Handshake lifetime.
	Handshake bool
	// Keeps says that connections keep their values, as Live fields, renewal and
	// providers that run again need them.
	Keeps bool

	// Messages are the plans of the route's messages.
	Messages []*Plan

	record reflect.Type
	params []paramStep
	owns   []ownStep
	steps  []step
	inputs     // of the handler
	absent int // the record's field that marks absent steps; -1 if none can be

	// Of a message's plan alone.
	route   *Plan
	message int        // the record's field
	scopes  []scopedBy // that values of the route must grant
}

// scopedBy is a step of the route, and the scopes that a message demands of its value.
type scopedBy struct {
	step   int
	scopes []string
}

// Resolves says whether anything is made for a message.
func (p *Plan) Resolves() bool { return len(p.steps) > 0 }

// paramStep reads one parameter into a field of an input.
type paramStep struct {
	param *param
	input int // the record's field
	index []int
	owner int // the step that needs it; len(steps) for the handler
}

// ownStep reads what a message's input takes of the request, when that is there.
type ownStep struct {
	input int // the record's field
	fill
}

// inputs say how an input struct is filled.
type inputs struct {
	input int // the record's field for it; -1 for none
	fills []fill
	uses  []int // the steps behind its fields
	needs []int // those among them without which there is no input, and that may be absent

	// Of a message's plan alone.
	template   int   // the field of the route's record that has its parameters; -1 for none
	routeNeeds []int // the steps of the route without which there is no input
}

// step calls one provider.
type step struct {
	provider *Provider
	inputs
	output   int      // the record's field
	optional bool     // nothing but Optional fields need it
	scopes   []string // of a scheme: what it must grant on this route
	nilable  bool     // its value may be nil, which is a fault
}

// fill sets one field of an input before its function is called.
type fill struct {
	index    []int
	from     int                   // the record's field; -1 for an App value or what the request says
	own      func(request any) any // what the request says
	given    func(conn any) any    // what the route gives
	part     []int                 // of the message; nil for none
	route    bool                  // from is a field of the route's record
	app      *Provider             // whose value it is
	optional bool
	live     reflect.Type // see field
	step     int          // for an optional field: the step that may be absent; -1 if it cannot
}

type builder struct {
	plan   *Plan
	route  *builder // of a message's plan
	record []reflect.StructField
	made   map[*Provider]int      // the first step of each provider
	scopes map[*Provider][]string // the scopes on the ways to a provider, united
}

// Build compiles a target of a graph that Check found no fault in.
func Build(t *Target) *Plan {
	p := &Plan{Target: t, absent: -1, Keeps: t.Renewable}
	b := &builder{plan: p, made: map[*Provider]int{}, scopes: map[*Provider][]string{}}
	fields := t.fields()
	if t.Scoped {
		b.require(t.Graph, fields, t.Scopes)
	}
	b.schemes(t.Graph, fields)
	for i := range t.Guards {
		b.dependency(t.Graph, &fields[i], Connection)
	}
	p.inputs = b.inputs(t.Graph, t.input, Connection)
	for _, m := range t.Messages {
		p.Messages = append(p.Messages, b.message(m))
	}
	b.finish()
	return p
}

// message compiles the plan of a message, whose parameters are read by the route's.
func (b *builder) message(t *Target) *Plan {
	p := &Plan{Target: t, absent: -1, route: b.plan}
	mb := &builder{plan: p, route: b, made: map[*Provider]int{}, scopes: map[*Provider][]string{}}
	p.message = mb.slot(t.Message)
	fields := t.fields()
	mb.require(t.Graph, fields, nil)
	for i, s := range b.plan.steps {
		if scopes := unite(t.Scopes, mb.scopes[s.provider]); len(scopes) > 0 && s.provider.real.grants() {
			p.scopes = append(p.scopes, scopedBy{i, scopes})
		}
	}
	var needs inputs
	for i := range t.Guards {
		mb.edge(t.Graph, &fields[i], Message, &needs, &fill{})
	}
	p.inputs = mb.inputs(t.Graph, t.input, Message)
	p.routeNeeds = append(p.routeNeeds, needs.routeNeeds...)
	mb.finish()
	return p
}

// finish makes the type of the record.
func (b *builder) finish() {
	p := b.plan
	if slices.ContainsFunc(p.steps, func(s step) bool { return s.optional }) {
		p.absent = b.slot(reflect.ArrayOf(len(p.steps), reflect.TypeFor[bool]()))
	}
	p.record = reflect.StructOf(b.record)
}

// require unites the scopes along every way that leads to a scheme.
func (b *builder) require(g *Graph, fields []field, above []string) {
	for i := range fields {
		p := behind(g, &fields[i])
		if p == nil {
			continue
		}
		before, seen := b.scopes[p]
		b.scopes[p] = unite(before, unite(above, fields[i].scopes))
		if p.input != nil && (!seen || len(b.scopes[p]) > len(before)) {
			b.require(p.graph, p.input.fields, b.scopes[p])
		}
	}
}

// unite appends to a what it lacks of b.
func unite(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(slices.Clip(a), s)
		}
	}
	return a
}

// schemes lays the steps of all schemes down first: 401 comes before anything else.
func (b *builder) schemes(g *Graph, fields []field) {
	each(g, fields, func(_ *field, p, _ *Provider) bool {
		if _, made := b.made[p]; p.real.Scheme != nil && !made {
			b.add(p)
		}
		return true
	})
}

// dependency lays down what a field of an input of a lifetime needs and returns its step, which
// may be the route's; -1 for App values.
func (b *builder) dependency(g *Graph, f *field, by Lifetime) (step int, route bool) {
	p := behind(g, f)
	if p.Lifetime == App {
		return -1, false
	}
	if i, ok := b.made[p]; ok && !f.fresh {
		return i, false
	}
	if again := f.fresh || by == Message && p.runsFor(f); b.route != nil && !again && p.Lifetime != Handshake {
		if i, ok := b.route.made[p]; ok {
			return i, true
		}
	}
	return b.add(p), false
}

// add lays down one call of p, behind what it needs itself.
func (b *builder) add(p *Provider) int {
	s := step{provider: p, inputs: inputs{input: -1, template: -1}, optional: !b.plan.Target.required[p]}
	if p.input != nil {
		s.inputs = b.inputs(p.graph, p.input, p.Lifetime)
	}
	if p.real.grants() {
		s.scopes = b.scopes[p]
	}
	s.output = b.slot(p.Out)
	s.nilable = p.Out.Kind() == reflect.Pointer || p.Out.Kind() == reflect.Interface
	i := len(b.plan.steps)
	b.plan.steps = append(b.plan.steps, s)
	b.plan.Handshake = b.plan.Handshake || p.Lifetime == Handshake || p.Lifetime == Message
	b.plan.Keeps = b.plan.Keeps || p.Revalidate > 0
	if _, ok := b.made[p]; !ok { // a fresh call seeds the cache, and does not replace in it
		b.made[p] = i
	}
	return i
}

// inputs lays down all that an input struct needs, in the order of its fields. What needs it
// is the next step, or the handler.
func (b *builder) inputs(g *Graph, in *input, by Lifetime) inputs {
	to := inputs{input: b.slot(in.typ), template: -1}
	var params []paramStep
	var owns []fill
	for i := range in.fields {
		f := &in.fields[i]
		fl := fill{index: f.index, from: -1, own: f.own, optional: f.optional, live: f.live, step: -1}
		switch {
		case f.embedded:
			continue
		case f.param != nil:
			params = append(params, paramStep{param: f.param, input: to.input, index: f.index})
			continue
		case f.own != nil:
		case behind(g, f) != nil:
			b.edge(g, f, by, &to, &fl)
		default:
			fl.given = b.plan.Target.Given[f.typ]
			fl.part = parts(b.plan.Target.Message)[f.typ]
		}
		if value, overridden := g.shared.own[f.typ]; overridden {
			fl.own = func(any) any { return value.Interface() }
		}
		switch {
		case f.own != nil && b.route != nil:
			owns = append(owns, fl)
		case !f.guard:
			to.fills = append(to.fills, fl)
		}
	}
	reader := b
	if b.route != nil && len(params)+len(owns) > 0 {
		reader = b.route
		to.template = reader.slot(in.typ)
	}
	for _, fl := range owns {
		reader.plan.owns = append(reader.plan.owns, ownStep{to.template, fl})
	}
	for _, ps := range params {
		ps.owner = len(reader.plan.steps)
		if to.template >= 0 {
			ps.input = to.template
		}
		reader.plan.params = append(reader.plan.params, ps)
	}
	return to
}

// edge lays down the dependency of one field.
func (b *builder) edge(g *Graph, f *field, by Lifetime, to *inputs, fl *fill) {
	b.plan.Keeps = b.plan.Keeps || f.live != nil
	i, route := b.dependency(g, f, by)
	switch {
	case i < 0:
		fl.app = behind(g, f)
		return
	case route:
		s := &b.route.plan.steps[i]
		if fl.from, fl.route = s.output, true; s.optional && f.optional {
			fl.step = i
		} else if s.optional {
			to.routeNeeds = append(to.routeNeeds, i)
		}
		return
	}
	fl.from = b.plan.steps[i].output
	to.uses = append(to.uses, i)
	if b.plan.steps[i].optional && f.optional {
		fl.step = i
	} else if b.plan.steps[i].optional {
		to.needs = append(to.needs, i)
	}
}

func (b *builder) slot(t reflect.Type) int {
	b.record = append(b.record, reflect.StructField{Name: "F" + strconv.Itoa(len(b.record)), Type: t})
	return len(b.record) - 1
}
