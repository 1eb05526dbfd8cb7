package graph

import (
	"reflect"
	"slices"
	"strings"
)

// Params returns the parameters in the order in which they are read.
func (p *Plan) Params() (list []ParamInfo) {
	for _, ps := range p.params {
		list = append(list, ps.param.ParamInfo)
	}
	return list
}

// SchemeInfo is a scheme of a route.
type SchemeInfo struct {
	Provider *Provider
	Optional bool     // a request may come without its credential
	Scopes   []string // that it must grant
}

// Schemes returns the providers that authenticate, in the order of their steps.
func (p *Plan) Schemes() (list []SchemeInfo) {
	for _, s := range p.steps {
		if s.provider.Scheme != nil {
			list = append(list, SchemeInfo{s.provider, s.optional, s.scopes})
		}
	}
	return list
}

// GuardInfo is a guard of a route.
type GuardInfo struct {
	Type      reflect.Type
	Asks      bool // something of the request
	MayRefuse bool // no value of a test stands in its place
}

// Guards returns the guards of the route and of its providers.
func (p *Plan) Guards() (list []GuardInfo) {
	add := func(g *Graph, fields []field) {
		for i := range fields {
			if f := &fields[i]; f.guard {
				q := behind(g, f)
				info := GuardInfo{f.typ, !slices.Contains(p.Target.Blind, q), !q.Override || q.In != nil}
				if !slices.Contains(list, info) {
					list = append(list, info)
				}
			}
		}
	}
	add(p.Target.Graph, p.Target.fields())
	for _, s := range p.steps {
		if s.provider.input != nil && !s.optional {
			add(s.provider.graph, s.provider.input.fields)
		}
	}
	return list
}

// Refusals returns what the providers of the plan have declared, those that a test has replaced
// too, each with the provider.
func (p *Plan) Refusals(each func(by *Provider, r Refusal)) {
	for _, s := range p.steps {
		for _, r := range s.provider.real.Refuses {
			each(s.provider.real, r)
		}
	}
}

// Calls says which provider is called for each value but those of schemes, in order, and what
// about it is not as usual.
func (p *Plan) Calls() (list []string) {
	for _, s := range p.steps {
		q := s.provider
		if q.Scheme != nil {
			continue
		}
		text := TypeName(q.Out) + " by " + q.String()
		if q.Lifetime != Connection {
			text += ", " + q.Lifetime.String()
		}
		if s.optional {
			text += ", optional"
		}
		if q.Override {
			text += ", overridden"
		}
		if s.scopes != nil {
			text += ", with the scopes " + strings.Join(s.scopes, " ")
		}
		list = append(list, text)
	}
	return list
}
