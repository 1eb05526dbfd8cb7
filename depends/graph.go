package depends

import (
	"cmp"
	"context"
	"fmt"
	"reflect"

	"github.com/go-playground/validator/v10"

	"example.com/usher/internal/graph"
)

// Graph holds the providers of a program. It is filled while the program starts,
// by one goroutine; from the first Mount on it must not be added to, and
// resolving from it is then safe for any number of connections at once.
//
// Make one with [New]; the zero value is not usable.
type Graph struct{ graph *graph.Graph }

// GraphOption modifies a new [Graph]. The zero value changes nothing.
type GraphOption struct{ validate *validator.Validate }

// Validator checks parameters and messages with v, so that rules which the
// program registered on it work in validate tags. By default, a validator with
// the rules of go-playground/validator alone, and required on structs enabled.
func Validator(v *validator.Validate) GraphOption { return GraphOption{v} }

// New returns an empty graph.
func New(options ...GraphOption) *Graph {
	validate := validator.New(validator.WithRequiredStructEnabled())
	for _, o := range options {
		validate = cmp.Or(o.validate, validate)
	}
	return &Graph{graph.New(validate)}
}

// Child returns a graph that sees g's providers and adds its own, which g does
// not see. It never replaces one: two providers in sight for one type are a
// wiring fault. wsroute gives each route group a child.
func (g *Graph) Child() *Graph { return &Graph{g.graph.Child()} }

// Close ends the App lifetime: the contexts of App providers end, then their cleanups
// run, the last made first. It returns their errors, joined, or ctx's if that ends before they do.
// wsroute.Serve calls it after the last connection is gone. Closing again, or a
// graph that was never mounted, does nothing.
func (g *Graph) Close(ctx context.Context) error { return g.graph.CloseApp(ctx) }

// Lifetime is an option of [Provide]: how long a value lives, and so when its
// cleanups run.
type Lifetime uint8

// The lifetimes. A value may depend on values that live as long or longer; the
// other way round is a wiring fault ("captive").
const (
	// Connection values are made during the handshake, once a connection, and
	// released when the connection ends. The default.
	Connection Lifetime = iota
	// Handshake values are made during the handshake and released as soon as
	// its answer, the 101 or a refusal, is written: a pooled database
	// connection that only authenticates is not held while the socket lives.
	Handshake
	// App values are made once, in Mount, and released by [Graph.Close]. They
	// may depend on App values only: there is no request to read from.
	App
	// Message values are made for one message of wsroute.HandleMessages and released
	// before its answer is sent, or for one request of wsroute.HandleHTTP and released
	// when its handler has returned: a transaction. They may depend on App, Connection
	// and other Message values, and on the message itself: a field of its type, or of
	// that of a struct that it embeds.
	Message
)

// The constants have the order of internal/graph, whose name must not show beside them.
var _ = [1]int{}[Message-Lifetime(graph.Message)]

// String returns the lifetime's name.
func (l Lifetime) String() string { return graph.Lifetime(l).String() }

func (l Lifetime) provide(p *graph.Provider) { p.Lifetime = graph.Lifetime(l) }

// ProvideOption modifies one provider: a [Lifetime], [Revalidate] or [Refuses].
type ProvideOption interface{ provide(*graph.Provider) }

// Refusal is a refusal that a provider or a [Scheme] declares, for documents and clients.
type Refusal struct {
	Status int    // from 400 to 599
	Reason string // as [Rejection] has it
	Doc    string // what it means, for whoever writes a client; may be empty
}

func (r Refusal) provide(p *graph.Provider) {
	p.Refuses = append(p.Refuses, graph.Refusal(r))
	if r.Status < 400 || r.Status > 599 || r.Reason == "" {
		p.Faults = append(p.Faults, graph.Fault{
			Fact: fmt.Sprintf("%s declares the status %d and the reason %q",
				p.Func.Name, r.Status, r.Reason),
			Hint: "a declared refusal has a status from 400 to 599 and a reason",
		})
	}
}

// Refuses declares that a provider may refuse with a [Rejection] of this status and reason.
// wsroute's Routes lists it, and so do the documents and clients that are made of that. Under
// wstest, a route of which anything is declared may refuse with nothing else. It changes nothing
// of what the provider does.
func Refuses(status int, reason, doc string) ProvideOption { return Refusal{status, reason, doc} }

// Provide registers fn as the way to get an Out. Its input In is a struct whose
// fields say what fn needs; see the package's documentation for what they can
// be. Out is the key: one type, one provider.
//
// fn runs during the handshake (or in Mount for [App]), at most once per
// lifetime however many ask for its value. Its context lives as long as the
// value. An error refuses the connection: a [Rejection] as it says, any other
// as a 500. It may be called for several connections at once.
//
// Everything that is wrong with a registration is reported by Mount, but for a nil
// fn and a registration after Mount, which panic.
func Provide[In, Out any](
	g *Graph, fn func(context.Context, In) (Out, error), options ...ProvideOption,
) {
	if fn == nil {
		graph.Misuse("depends: Provide of a nil function at %s", graph.Caller())
	}
	p := provider(fn)
	for _, o := range options {
		o.provide(p)
	}
	g.graph.Register(p)
}

func provider[In, Out any](fn func(context.Context, In) (Out, error)) *graph.Provider {
	return &graph.Provider{
		Out:    reflect.TypeFor[Out](),
		In:     reflect.TypeFor[In](),
		Invoke: graph.Call(fn),
		Func:   graph.DescribeFunc(fn),
		Site:   graph.Caller(),
	}
}

// Supply registers a ready value of the App lifetime: a store, a configuration.
// For an interface, name it: depends.Supply[Users](deps, store). The graph does
// not close it. nil is a wiring fault.
func Supply[T any](g *Graph, value T) { g.graph.Register(supplied(value)) }

func supplied[T any](value T) *graph.Provider {
	return &graph.Provider{
		Out:      reflect.TypeFor[T](),
		Lifetime: graph.App,
		Func:     graph.Func{Name: "Supply[" + graph.TypeName(reflect.TypeFor[T]()) + "]"},
		Site:     graph.Caller(),
		Value:    reflect.ValueOf(&value).Elem(),
	}
}

// Replacement stands in for a provider, in a test: see wstest.
type Replacement struct{ provider *graph.Provider }

// Override replaces the provider of Out by fn, with fn's own needs in place of
// the original's. The original's lifetime stays. Where it replaces a scheme, the route's scopes
// are demanded of its value too.
func Override[In, Out any](fn func(context.Context, In) (Out, error)) Replacement {
	return Replacement{provider(fn)}
}

// OverrideValue replaces the provider of T by a value; nothing that the original
// needs is resolved. Where it replaces a scheme, the route's scopes are demanded of it too. T must
// be named if it is an interface.
func OverrideValue[T any](value T) Replacement { return Replacement{supplied(value)} }
