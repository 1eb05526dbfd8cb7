package wsroute

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/graph"
)

// call is what handles messages of a type.
type call struct {
	name       string
	target     graph.Target // of which Mount fills in the rest
	answer     reflect.Type // nil for none
	delta      reflect.Type // of a Reply; nil for none
	concurrent int          // how many are handled at once; 0 is one after the other
	within     time.Duration
	alone      bool  // it is a Call, which routes have a copy of
	of         *call // that copy's
	bad        []string
	doc        string
	reasons    []Reason // that Fails has declared

	check func(reflect.Value) error // runs the validate tags; nil if there are none
	index int                       // among the route's, and of its plan among the endpoint's
	serve func(ctx context.Context, message, in any) (answer any, err error)
}

func answered[M, In, Out any](
	name string, handler func(context.Context, M, In) (Out, error),
) *call {
	return &call{
		name: name, target: messageTarget[M, In](graph.DescribeFunc(handler)),
		answer: reflect.TypeFor[Out](),
		serve: func(ctx context.Context, message, in any) (any, error) {
			out, err := handler(ctx, *message.(*M), *in.(*In))
			return &out, err
		},
	}
}

// Call is the handler of a type of messages of a protocol of the program's own: it has the
// dependencies, guards and scopes that [Answer]'s has, and a loop calls it by [Call.Do]. It
// serves the routes that name it by [Calls], and is checked with each of them by Mount.
type Call[M, In, Out any] struct{ call *call }

// NewCall returns a call of a handler: see [Answer] for M and In. M may be any type, and what
// is returned is the loop's to encode.
func NewCall[M, In, Out any](
	handler func(context.Context, M, In) (Out, error), options ...MessageOption,
) *Call[M, In, Out] {
	if handler == nil {
		misuse("NewCall of a nil handler")
	}
	c := answered(graph.DescribeFunc(handler).Name, handler)
	c.alone, c.target.Site = true, graph.Caller()
	for _, o := range options {
		o.applyMessage(c)
	}
	c.bad = append(c.bad, c.swapped()...)
	return &Call[M, In, Out]{c}
}

// handles is a *Call.
type handles interface{ handles() *call }

func (c *Call[M, In, Out]) handles() *call {
	if c == nil || c.call == nil {
		misuse("Calls with a nil Call")
	}
	return c.call
}

// Calls names the calls that the loop of a route may make.
func Calls(calls ...handles) RouteOption {
	if slices.Contains(calls, nil) {
		misuse("Calls with a nil Call")
	}
	return option{"", func(rt *route) {
		for _, c := range calls {
			mine := *c.handles()
			mine.of, mine.target.Graph, mine.index = c.handles(), rt.target.Graph, len(rt.calls)
			rt.calls = append(rt.calls, &mine)
		}
	}}
}

// connection is a *Conn or a Sender.
type connection interface{ ofPeer() *peer }

// Do handles one message on a connection, in the order that [HandleMessages] says: scopes,
// providers and guards, the handler, and the cleanups of what was made for the message, which
// have run when Do returns. ctx is the handler's, or derived from it, as by a time limit. An
// answer that cannot be encoded is found after the cleanups: encode it in the handler where
// that matters. Do may be called by several goroutines at once; the connection's cleanups wait
// for its return.
//
// An error is the handler's or a provider's, or the [depends.Rejection] that Config.MapError
// makes of it; a Rejection "unauthorized" for a credential that is not there, or "timeout" after
// [Within]; a panic, which is logged; the cause of the connection's end; or that the route does
// not name the call. The connection goes on: the loop says what becomes of it.
func (c *Call[M, In, Out]) Do(
	ctx context.Context, conn connection, message M,
) (out Out, err error) {
	p := conn.ofPeer()
	rt := p.endpoint.route
	i := slices.IndexFunc(rt.calls, func(mine *call) bool { return mine.of == c.call })
	switch {
	case i < 0:
		return out, fmt.Errorf("wsroute: Do: %s does not name %s in its Calls",
			p.endpoint.target.Label, c.call.name)
	case !p.conn.Owns(ctx):
		return out, errors.New("wsroute: Do: the context is not derived from the connection's")
	case ctx.Err() != nil:
		return out, context.Cause(ctx)
	case !p.going.enter(): // in a cleanup, say
		return out, p.conn.Outcome().Cause
	}
	defer p.going.running.Done()
	h := newHandling(ctx, p, rt.calls[i], nil)
	defer h.end()
	var answer any
	err = h.do(func(into any) error {
		*into.(*M) = message //nolint:forcetypeassert // the plan's own type
		return nil
	}, func(made any) error {
		answer = made
		return nil
	})
	if err == nil {
		return *answer.(*Out), nil //nolint:forcetypeassert // the handler's own type
	}
	declared, _ := p.endpoint.declared(err)
	switch reason := h.reason(err); {
	case isPanic(err):
		h.logFailed(err)
	case reason == "": // the connection has ended
	case declared != nil:
		err = p.endpoint.mapped(err)
	case reason == reasonUnauthorized:
		err = &depends.Rejection{Status: http.StatusUnauthorized, Reason: reason, Err: err}
	case reason == reasonTimeout:
		err = &depends.Rejection{Status: http.StatusServiceUnavailable, Reason: reason, Err: err}
	}
	return out, err
}

// demand is an [Option].
type demand struct {
	name string // in Router.Explain; a guard has none
	set  func(*graph.Target)
}

func (d demand) apply(rt *route) {
	option{d.name, func(rt *route) { d.set(&rt.target) }}.apply(rt)
}

func (d demand) applyMessage(c *call) { d.set(&c.target) }

// messageOption is a MessageOption.
type messageOption func(*call)

func (o messageOption) applyMessage(c *call) { o(c) }

// Concurrent lets up to n messages of a type be handled at once, and beside those of other
// types: their answers come in any order. The next of them waits, and all behind it. By
// default, the messages of a connection are handled one after the other.
func Concurrent(n int) MessageOption {
	return messageOption(func(c *call) {
		switch c.concurrent = n; {
		case n < 1:
			c.bad = append(c.bad, fmt.Sprintf("Concurrent(%d) would handle none", n))
		case c.alone:
			c.bad = append(c.bad, "Concurrent is for HandleMessages: a loop calls Do when it likes")
		}
	})
}

// Within bounds how long a message may take, from its first provider to the return of its
// handler: then its context ends. The answer is the error "timeout" if the handler returns an
// error then, or if there are cleanups, which get that as their cause. By default, a message may
// take as long as its connection lives.
func Within(limit time.Duration) MessageOption {
	return messageOption(func(c *call) {
		if c.within = limit; limit <= 0 {
			c.bad = append(c.bad, fmt.Sprintf("Within(%v) leaves no time", limit))
		}
	})
}
