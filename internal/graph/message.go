package graph

import (
	"fmt"
	"reflect"
	"slices"
)

// gives returns what routes give their handlers and providers by themselves: messages, what
// these embed, and what stands in Target.Given.
func gives(targets []*Target) map[reflect.Type]bool {
	all := map[reflect.Type]bool{}
	for _, t := range targets {
		for given := range t.Given {
			all[given] = true
		}
		for _, m := range t.Messages {
			for t := range parts(m.Message) {
				all[t] = true
			}
		}
	}
	return all
}

// parts returns the type of a message and those of the structs that it embeds, each with its
// place.
func parts(message reflect.Type) map[reflect.Type][]int {
	all := map[reflect.Type][]int{}
	var add func(t reflect.Type, index []int)
	add = func(t reflect.Type, index []int) {
		if _, twice := all[t]; twice || t == nil || t.Kind() != reflect.Struct {
			return
		}
		all[t] = index
		for f := range t.Fields() {
			if f.Anonymous && f.IsExported() && f.Tag.Get("json") != "-" {
				add(f.Type, append(slices.Clip(index), f.Index...))
			}
		}
	}
	add(message, []int{})
	return all
}

// lifetime is that of what a provider makes, or of what a handler has if it is nil.
func (c *checker) lifetime(by *Provider) Lifetime {
	switch {
	case by != nil:
		return by.Lifetime
	case c.target.Route != nil:
		return Message
	}
	return Connection
}

// given says whether a type without a provider is there all the same: a route gives it.
func (c *checker) given(t reflect.Type, by Lifetime) bool {
	if c.target == nil {
		return c.gives[t] && by == Message
	}
	handler := c.stack[len(c.stack)-1].p == nil
	if _, ok := c.target.Given[t]; ok && (handler || by == Message) {
		return true
	}
	_, ok := parts(c.target.Message)[t]
	return ok && by == Message
}

// fromRoute says whether a message takes the value that its route has, and refuses a
// Connection value that the route may lack: a connection is open without it.
func (c *checker) fromRoute(p *Provider, f *field, by Lifetime) bool {
	route := c.target.Route
	if p.Lifetime != Connection || f.fresh && !p.fixed() || by == Message && p.runsFor(f) {
		return false
	}
	optional := route.reached[p]
	guarded := slices.ContainsFunc(c.target.Guards, func(g Guard) bool { return g.Type == p.Out })
	switch {
	case route.required[p], optional && (f.optional || f.guard || guarded && p.fixed()):
		route.Taken = append(route.Taken, p)
		return true
	case by != Message && !p.fixed() && !optional, by == Message && guarded && !p.fixed():
		return false // it runs for the message, too
	}
	name := TypeName(p.Out)
	fact := fmt.Sprintf("%s needs %s, and %s connects without it", c.target.Label, name, route.Label)
	hint := fmt.Sprintf("for one on each connection, add wsroute.Require[%s]() to the route", name)
	if optional {
		hint += "; for those alone who have it, as guests who sign in later, add it to the message"
	}
	if !p.fixed() {
		hint += fmt.Sprintf("; for one of each message, make %s depends.Message; "+
			"to make it anew for this field, tag it `depends:\"fresh\"`", p.Func.Name)
	}
	c.add("missing", p.Out, fact, hint, c.path(p)...)
	return true
}

// runsFor says whether a guard of a message makes its provider run for each.
func (p *Provider) runsFor(f *field) bool {
	return f.guard && p.Lifetime == Connection && !p.fixed()
}

// fixed says whether a provider runs in a handshake alone: it reads the request.
func (p *Provider) fixed() bool { return p.real.Scheme != nil || p.Foreign }

// message checks the type of a message.
func (c *checker) message(t *Target) {
	for part := range parts(t.Message) {
		if found := t.Graph.lookup(part); len(found) > 0 {
			c.add("bad message", part, TypeName(part)+" is a message or embedded in one, and has a provider",
				"give one of them a type of its own", "provided by "+found[0].String())
		}
	}
}
