package wsroute

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"example.com/usher/internal/graph"
)

// Channel is a route whose connections exchange messages of several types, each with
// dependencies, guards and scopes of its own: see [HandleMessages].
type Channel[Event any] struct {
	router *Router
	route  *route
}

// channel is what a route has of it.
type channel struct {
	byName map[string]*call
	binary *call // nil for none
	opens  bool  // OnOpen was called
}

// MessageOption modifies a type of messages of a [Channel], or a [Call].
type MessageOption interface{ applyMessage(*call) }

// Option modifies a route, a group, or a type of messages.
type Option interface {
	RouteOption
	MessageOption
}

// TypeMember names the member of a message that holds its type, for a [HandleMessages] route,
// and for the unions of [Receives] and [Sends]. By default, it is "type".
func TypeMember(name string) RouteOption {
	return option{"TypeMember(" + name + ")", func(rt *route) { rt.codec.member = name }}
}

// HandleMessages registers a route whose connections exchange JSON messages of several types.
// events are those that it may send. [On], [Answer] and [OnOpen] add the handlers: each
// message has dependencies of its own, of the [depends.Message] lifetime and longer, and
// guards and scopes.
//
// A message is one JSON object in a text message. Its member "type" says what it is, and its
// member "ref", an integer or a text of at most 64 bytes without escapes, is repeated in the
// answer:
//
//	{"type":"say","ref":7,"text":"hi"}
//	{"type":"said","ref":7,"from":"alice","text":"hi"}
//
// What cannot be answered is an error, and the connection lives on:
//
//	{"type":"error","ref":7,"reason":"invalid_message","errors":[{"loc":["text"],"code":"max","param":"500"}]}
//
// reason is that of a [depends.Rejection] (or its status in words, as "not_found"), or
// "invalid_json", "invalid_message", "unknown_type", "binary_not_accepted", "unauthorized" for
// a credential that is not there, "timeout" (see [Within]), "cancelled" (see [Reply]), or
// "internal" for any other error, which is logged. A Rejection with a CloseCode closes the connection instead. More than
// Config.MessageErrors messages that could not be read close it with 1008
// "too_many_bad_messages".
//
// Messages are handled one after the other, in the order in which they came, but for
// [Concurrent] ones. Between a message and its answer, in this order: the connection is
// neither expired nor revoked, scopes, providers and guards, the handler, the answer is
// encoded, the cleanups of what was made for the message, and the answer is sent. A cleanup's
// cause is the error of the handler, or why the answer could not be encoded, or why the
// message's context has ended, or nil; an error of it makes the answer "internal". What
// the handler has sent meanwhile by a [Sender] or a [Room], with its context, goes out just
// before the answer if the message has cleanups: nobody hears of what was not committed.
//
// A message {"type":"ping"} is answered {"type":"pong"} at once. On a [Renewable] route,
// {"type":"renew","token":"…"} renews the credential, and {"type":"cancel","ref":7} ends what is
// handled: see [Reply]. The names error, renew, renewed, cancel, ping and pong are usher's own.
//
// A connection without a message for a second has one goroutine.
func HandleMessages[Event any](
	r *Router, path string, events Union[Event], options ...RouteOption,
) *Channel[Event] {
	u, bad := newUnion(events, r.graph.Validate(), false)
	rt := &route{
		Route: Route{Method: http.MethodGet},
		target: graph.Target{
			In:    reflect.TypeFor[struct{}](),
			Func:  graph.Func{Name: "HandleMessages[" + graph.TypeName(u.of) + "]"},
			Given: givenSender[Event](),
		},
		messages: bad,
		sends:    u.of,
		codec:    codec{out: u},
		given:    givenSender[Event](),
		channel:  &channel{byName: map[string]*call{}},
		serve:    func(context.Context, *peer, any) error { return nil },
	}
	r.add(path, options, rt)
	return &Channel[Event]{r, rt}
}

// OnOpen sets what runs when a connection has opened, before its first message is handled. An
// error ends the connection, as that of [Handle]'s handler does. What in holds must be there
// for the connection to open. There is one OnOpen for a channel.
func OnOpen[In, Event any](c *Channel[Event], handler func(context.Context, In) error) {
	rt := c.route
	c.mustBeOpen("OnOpen", handler == nil)
	if rt.channel.opens {
		rt.messages = append(rt.messages, "OnOpen was called twice")
	}
	rt.channel.opens = true
	rt.target.In, rt.target.Func = reflect.TypeFor[In](), graph.DescribeFunc(handler)
	rt.serve = func(ctx context.Context, _ *peer, in any) error { return handler(ctx, *in.(*In)) }
}

// On sets the handler of a type of messages that have no answer. M is a struct: what the
// message holds beside its type and ref, checked by its validate tags. In declares what the
// handler needs; see package depends, and [HandleMessages] for errors. Parameters in it are
// read once, by the handshake, so that what they hold must not be changed. ctx ends with the
// connection, and after [Within].
func On[M, In, Event any](
	c *Channel[Event], name string, handler func(context.Context, M, In) error,
	options ...MessageOption,
) {
	c.mustBeOpen("On "+name, handler == nil)
	add(c, options, on(name, handler))
}

func on[M, In any](name string, handler func(context.Context, M, In) error) *call {
	return &call{
		name: name, target: messageTarget[M, In](graph.DescribeFunc(handler)),
		serve: func(ctx context.Context, message, in any) (any, error) {
			return nil, handler(ctx, *message.(*M), *in.(*In))
		},
	}
}

// OnBinary sets the handler of binary messages, which are data and have neither a type nor an
// answer; the handler owns the slice. Without it they are bad messages. See [On].
func OnBinary[In, Event any](
	c *Channel[Event], handler func(context.Context, []byte, In) error, options ...MessageOption,
) {
	c.mustBeOpen("OnBinary", handler == nil)
	binary := on(binaryName, handler)
	if before := c.route.channel.binary; before != nil {
		binary.bad = append(binary.bad,
			fmt.Sprintf("OnBinary was called at %s already", before.target.Site))
	}
	c.route.channel.binary = binary
	binary.register(c.router, c.route, options)
}

// binaryName stands for the type of a binary message.
const binaryName = "_binary"

func (c *call) isBinary() bool { return !c.alone && c.target.Message == reflect.TypeFor[[]byte]() }

// Answer sets the handler of a type of messages that are answered, by an Out of the channel's
// union or an error. See [On].
func Answer[M, In, Out, Event any](
	c *Channel[Event], name string, handler func(context.Context, M, In) (Out, error),
	options ...MessageOption,
) {
	c.mustBeOpen("Answer "+name, handler == nil)
	add(c, options, answered(name, handler))
}

func messageTarget[M, In any](handler graph.Func) graph.Target {
	return graph.Target{Message: reflect.TypeFor[M](), In: reflect.TypeFor[In](), Func: handler}
}

// mustBeOpen panics about a nil handler, and one that comes after Mount.
func (c *Channel[Event]) mustBeOpen(what string, isNil bool) {
	switch {
	case isNil:
		misuse("%s with a nil handler", what)
	case c.router.shared.mounted.Load().begun:
		misuse("%s after Mount", what)
	}
}

func add[Event any](c *Channel[Event], options []MessageOption, call *call) {
	ch := c.route.channel
	if before := ch.byName[call.name]; before != nil {
		call.bad = append(call.bad,
			fmt.Sprintf("%q has a handler already, at %s", call.name, before.target.Site))
	} else {
		ch.byName[call.name] = call
	}
	r, bad := messageType(call.name, call.target.Message, c.router.graph.Validate(), true)
	call.check, call.bad = r.check, append(call.bad, bad...)
	if call.answer != nil {
		if fault := c.route.codec.out.lacks("answer", call.answer); fault != "" {
			call.bad = append(call.bad, fault)
		}
	}
	call.register(c.router, c.route, options)
}

// register adds a type of messages to a route.
func (c *call) register(r *Router, rt *route, options []MessageOption) {
	c.target.Site, c.target.Graph, c.index = graph.Caller(), r.graph, len(rt.calls)
	for _, o := range options {
		o.applyMessage(c)
	}
	c.bad = append(c.bad, c.swapped()...)
	rt.calls = append(rt.calls, c)
}

// swapped says what stands in the place of the message or of the input, and does not belong there.
func (c *call) swapped() (bad []string) {
	if t := c.target.In; t.Implements(reflect.TypeFor[interface{ ofConn() }]()) {
		bad = append(bad, fmt.Sprintf("%s stands where the input does: a message's handler takes a "+
			"wsroute.Sender in its input, to send more than its answer", graph.TypeName(t)))
	}
	if c.target.Message.Kind() != reflect.Struct {
		return bad
	}
	for f := range c.target.Message.Fields() {
		if f.Tag.Get("default") != "" {
			bad = append(bad, fmt.Sprintf("field %s of the message %s has a default, which is for "+
				"parameters: an absent member is the zero value", f.Name, graph.TypeName(c.target.Message)))
		}
		for _, in := range []string{"path", "query", "header", "cookie", "depends", "scopes"} {
			if f.Tag.Get(in) != "" {
				bad = append(bad, fmt.Sprintf("field %s of the message %s has the tag %q, which belongs "+
					"into the input: are the two swapped?", f.Name, graph.TypeName(c.target.Message), in))
			}
		}
	}
	return bad
}

// lacks says why a type cannot be sent as part of a union, or nothing.
func (u *union) lacks(what string, t reflect.Type) string {
	t = pointed(t)
	switch _, named := u.names[t]; {
	case u.of.Kind() != reflect.Interface, t == u.of, named:
		return ""
	case !t.Implements(u.of):
		return fmt.Sprintf("the %s %s is no %s", what, graph.TypeName(t), graph.TypeName(u.of))
	}
	return fmt.Sprintf("the %s %s is not in the Union", what, graph.TypeName(t))
}

// messageTargets returns what the graph checks for each type of messages, and adds what is
// wrong with them.
func (rt *route) messageTargets(route *graph.Target, found *faults) (list []*graph.Target) {
	for _, c := range rt.calls {
		t := new(c.target)
		if t.Label = fmt.Sprintf("message %q of %s", c.name, route.Label); c.isBinary() {
			t.Label = "binary messages of " + route.Label
		}
		t.Route, t.PathNames = route, route.PathNames
		var bad []string
		t.Given, bad = c.given(rt)
		bad = append(bad, rt.reserves(c.name)...)
		if rt.codec.out != nil {
			bad = append(bad, taken(c.name, t.Message, rt.codec.out.member)...)
		}
		for _, text := range append(bad, c.bad...) {
			found.add(t, "bad message", text, "")
		}
		list = append(list, t)
	}
	return list
}

// typeOf returns what a Trace is told of a message that has come.
func (rt *route) typeOf(data []byte, binary bool) string {
	if rt.channel == nil {
		return ""
	}
	var e envelope
	switch c, _ := rt.find(data, binary, &e); {
	case c != nil:
		return c.name
	case string(e.kind) == "ping", string(e.kind) == "cancel", rt.Renewable && string(e.kind) == "renew":
		return string(e.kind)
	}
	return "_other"
}

// find returns the type of a message that has come, or why it has none.
func (rt *route) find(data []byte, binary bool, e *envelope) (c *call, reason string) {
	if binary {
		if c = rt.channel.binary; c == nil {
			reason = reasonBinary
		}
		return c, reason
	}
	if reason = e.open(data, rt.codec.out.member); reason != "" {
		return nil, reason
	}
	switch c = rt.channel.byName[string(e.kind)]; {
	case c != nil:
		return c, ""
	case !json.Valid(data):
		return nil, reasonNoJSON
	case string(e.kind) == "renew" && rt.Renewable, string(e.kind) == "cancel":
		return nil, reasonInvalid
	}
	return nil, reasonUnknown
}
