package graph

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
)

// Plan is what a route does before its upgrade, laid out once: a record type
// whose fields are the values and the inputs of this route, and the steps that
// fill it. It is immutable, and safe for any number of resolutions at once.
type Plan struct {
	Target *Target
	// Handshake says that the plan has values of the Handshake lifetime.
	Handshake bool

	graph  *Graph
	record reflect.Type
	params []paramStep
	steps  []step
	input  int // the record's field for the handler's input
	fills  []fill
	absent int // the record's field that marks absent steps; -1 if none can be
	// Keeps says that connections keep their values, as Live fields, renewal and
	// providers that run again need them.
	Keeps bool
}

// paramStep reads one parameter into a field of an input.
type paramStep struct {
	param *param
	input int // the record's field
	index []int
	owner int // the step that needs it; len(steps) for the handler
}

// step calls one provider.
type step struct {
	provider *Provider
	uses     []int // the steps behind its input's fields
	input    int   // the record's field for the provider's input; -1 for none
	output   int
	fills    []fill
	needs    []int    // steps that may be absent, and without which this one is too
	soft     bool     // nothing but Optional fields need it
	scopes   []string // of a scheme: what it must grant on this route
	nilable  bool     // its value may be nil, which is a fault
}

// fill sets one field of an input before its function is called.
type fill struct {
	index    []int
	from     int                   // the record's field; -1 for an App value or what the request says
	own      func(request any) any // what the request says
	app      *Provider             // whose value it is
	optional bool
	live     bool
	soft     int // for an optional field: the step that may be absent; -1 if it cannot
}

type builder struct {
	plan  *Plan
	types []reflect.StructField
	made  map[*Provider]*made
	hard  map[*Provider]bool     // needed by more than Optional fields
	paths map[*Provider][]string // the scopes on the ways to a provider, united
}

// made is a provider's place in the plan.
type made struct{ step, output int }

// Build compiles a target of a graph that Check found no fault in.
func Build(t *Target) *Plan {
	b := &builder{
		plan: &Plan{Target: t, graph: t.Graph, absent: -1, Keeps: t.Renewable},
		made: map[*Provider]*made{},
		hard: map[*Provider]bool{}, paths: map[*Provider][]string{},
	}
	roots := make([]field, 0, len(t.Guards)+len(t.input.fields))
	for _, g := range t.Guards {
		roots = append(roots, field{typ: g.Type, guard: true})
	}
	roots = append(roots, t.input.fields...)
	b.needHard(t.Graph, roots)
	b.require(t.Graph, roots, t.Scopes)
	b.schemes(t.Graph, roots, map[*Provider]bool{})
	for _, f := range roots[:len(t.Guards)] {
		b.dependency(t.Graph, &f)
	}
	var params []paramStep
	b.plan.input, params, b.plan.fills, _, _ = b.inputOf(t.Graph, t.input)
	b.own(params)
	b.finish()
	return b.plan
}

// needHard marks all providers that a way without an Optional leads to.
func (b *builder) needHard(g *Graph, fields []field) {
	for i := range fields {
		if p := b.provider(g, &fields[i]); p != nil && !fields[i].optional && !b.hard[p] {
			b.hard[p] = true
			if p.input != nil {
				b.needHard(p.graph, p.input.fields)
			}
		}
	}
}

// schemes lays the steps of all schemes down first: 401 comes before anything else.
func (b *builder) schemes(g *Graph, fields []field, seen map[*Provider]bool) {
	for i := range fields {
		p := b.provider(g, &fields[i])
		if p == nil || seen[p] {
			continue
		}
		seen[p] = true
		if p.Scheme != nil {
			b.plan.steps[b.instance(p).step].scopes = b.paths[p]
		} else if p.input != nil {
			b.schemes(p.graph, p.input.fields, seen)
		}
	}
}

// require unites the scopes along every way that leads to a scheme.
func (b *builder) require(g *Graph, fields []field, above []string) {
	for i := range fields {
		p := b.provider(g, &fields[i])
		if p == nil {
			continue
		}
		all := unite(above, fields[i].scopes)
		before, seen := b.paths[p]
		b.paths[p] = unite(before, all)
		if p.input != nil && (!seen || len(b.paths[p]) > len(before)) {
			b.require(p.graph, p.input.fields, b.paths[p])
		}
	}
}

// unite appends to a what it lacks of b.
func unite(a, b []string) []string {
	a = slices.Clip(a)
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// provider returns what a field is resolved from while connecting; nil for what
// is there before.
func (b *builder) provider(g *Graph, f *field) *Provider {
	if f.param != nil || f.own != nil || f.index == nil && !f.guard {
		return nil
	}
	p := g.lookup(f.typ)[0]
	if p.Lifetime == App {
		return nil
	}
	return p
}

// dependency lays down what a field needs and returns its place; nil for App values.
func (b *builder) dependency(g *Graph, f *field) *made {
	p := b.provider(g, f)
	if p == nil {
		return nil
	}
	if m := b.made[p]; m != nil && !f.fresh {
		return m
	}
	return b.instance(p)
}

// instance lays down one call of p, behind what it needs itself.
func (b *builder) instance(p *Provider) *made {
	s := step{provider: p, input: -1, soft: !b.hard[p]}
	var params []paramStep
	if p.input != nil {
		s.input, params, s.fills, s.needs, s.uses = b.inputOf(p.graph, p.input)
	}
	s.output = b.slot(p.Out)
	s.nilable = p.Out.Kind() == reflect.Pointer || p.Out.Kind() == reflect.Interface
	b.own(params)
	b.plan.Handshake = b.plan.Handshake || p.Lifetime == Handshake
	b.plan.Keeps = b.plan.Keeps || p.Revalidate > 0
	m := &made{step: len(b.plan.steps), output: s.output}
	b.plan.steps = append(b.plan.steps, s)
	if b.made[p] == nil { // a fresh call seeds the cache, and does not replace in it
		b.made[p] = m
	}
	return m
}

// inputOf lays down all that an input struct needs, in the order of its fields.
func (b *builder) inputOf(g *Graph, in *input) (slot int, params []paramStep, fills []fill, needs, uses []int) {
	slot = b.slot(in.typ)
	for i := range in.fields {
		f := &in.fields[i]
		switch {
		case f.param != nil:
			params = append(params, paramStep{param: f.param, input: slot, index: f.index})
			continue
		case f.own != nil:
			fills = append(fills, fill{index: f.index, from: -1, own: f.own})
			continue
		case f.index == nil:
			continue
		}
		m := b.dependency(g, f)
		fl := fill{index: f.index, from: -1, optional: f.optional, live: f.live, soft: -1}
		b.plan.Keeps = b.plan.Keeps || f.live
		if m == nil {
			fl.app = g.lookup(f.typ)[0]
		} else {
			fl.from = m.output
			uses = append(uses, m.step)
			if soft := b.plan.steps[m.step].soft; soft && f.optional {
				fl.soft = m.step
			} else if soft {
				needs = append(needs, m.step)
			}
		}
		if !f.guard {
			fills = append(fills, fl)
		}
	}
	return slot, params, fills, needs, uses
}

// own gives parameters to the step that is about to be laid down.
func (b *builder) own(params []paramStep) {
	for i := range params {
		params[i].owner = len(b.plan.steps)
	}
	b.plan.params = append(b.plan.params, params...)
}

func (b *builder) slot(t reflect.Type) int {
	b.types = append(b.types, reflect.StructField{Name: fmt.Sprintf("F%d", len(b.types)), Type: t})
	return len(b.types) - 1
}

func (b *builder) finish() {
	if slices.ContainsFunc(b.plan.steps, func(s step) bool { return s.soft }) {
		b.plan.absent = b.slot(reflect.ArrayOf(len(b.plan.steps), reflect.TypeFor[bool]()))
	}
	b.plan.record = reflect.StructOf(b.types)
}

// Schemes returns the providers that authenticate, in the order of their steps, which are the
// first, and whether a request may come without their credential.
func (p *Plan) Schemes() iter.Seq2[*Provider, bool] {
	return func(yield func(*Provider, bool) bool) {
		for i := range p.steps {
			if s := &p.steps[i]; s.provider.Scheme == nil || !yield(s.provider, s.soft) {
				return
			}
		}
	}
}
