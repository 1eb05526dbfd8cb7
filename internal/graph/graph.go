// Package graph compiles dependency graphs and runs them:
//
//	Provider -- Register --> Graph --+
//	                                 +-- Check --> no Fault -- Build --> Plan
//	a route ---------------> Target -+
//
//	Plan, Request, two contexts --> Run -- Resolve --> the input of the handler
//	                                 +---- Cleanup --> a Scope for each lifetime
//
// A plan is a list of steps, one for each call of a provider, and a record: a struct type
// with a field for each value and each input. A run makes one record, reads all parameters
// into it, and then calls the providers in order. MakeApp makes the values of the App
// lifetime before; Values keeps a record whose steps run again while a connection is open.
//
// The package knows no HTTP and refuses nobody: it asks a [Request], which package bind
// implements. Users meet it through the packages depends and wsroute.
package graph

import (
	"context"
	"reflect"
	"time"

	"github.com/go-playground/validator/v10"
)

// Lifetime says how long a value lives. The zero value is Connection.
type Lifetime uint8

// The lifetimes.
const (
	Connection Lifetime = iota
	Handshake
	App
	Message
)

// String returns the name that users write, without its package.
func (l Lifetime) String() string {
	return [...]string{"Connection", "Handshake", "App", "Message"}[l]
}

// mayTake says whether a value may depend on one of another lifetime: one that lives as long,
// or longer.
func (l Lifetime) mayTake(of Lifetime) bool {
	return of == App || of == l || of == Connection && l != App
}

// Hooks are what only package depends can do: it imports this one.
type Hooks struct {
	// Optional returns the T of an Optional[T], or nil.
	Optional func(reflect.Type) reflect.Type
	// Live returns the T of a Live[T], or nil. Bind makes one read the current value
	// through get, which returns a *T.
	Live func(reflect.Type) reflect.Type
	Bind func(live any, get func() any)
	// Absent is the error of a dependency that is not there.
	Absent error
	// Own has the types of fields that the request itself fills.
	Own map[reflect.Type]func(request any) any

	// The others convert types of depends, whose internals must not be exported: a
	// *Graph, a Replacement, a *Source with its value, and a fault as *WiringError.
	Graph       func(deps any) *Graph
	Replacement func(replacement any) *Provider
	Credential  func(source any, value string, request any) any
	Fault       func(*Fault) error
}

// hooks are set before anything of a program runs, and never changed.
var hooks Hooks

// SetHooks is called by package depends, in the declaration of a variable.
func SetHooks(h Hooks) Hooks {
	hooks = h
	return h
}

// Of returns the inner side of a *depends.Graph.
func Of(deps any) *Graph { return hooks.Graph(deps) }

// NewCredential returns a *depends.Credential with what a *depends.Source held.
func NewCredential(source any, value string, request any) any {
	return hooks.Credential(source, value, request)
}

// ReplacementOf returns the inner side of a depends.Replacement.
func ReplacementOf(replacement any) *Provider { return hooks.Replacement(replacement) }

// Invoke calls a provider with pointers into the record: in is a *In, out a *Out. A
// provider without an In gets what it asks: the request or, if it has a Scheme, a credential.
type Invoke func(ctx context.Context, in, out any) error

// Call adapts a typed provider to Invoke.
func Call[In, Out any](fn func(context.Context, In) (Out, error)) Invoke {
	return func(ctx context.Context, in, out any) error {
		value, err := fn(ctx, *in.(*In))
		if err == nil {
			*out.(*Out) = value
		}
		return err
	}
}

// Provider is one registered way to get a value of type Out.
type Provider struct {
	Out      reflect.Type
	In       reflect.Type // nil for a supplied value, a scheme and a foreign value
	Lifetime Lifetime
	Invoke   Invoke
	Func     Func          // the function, or what stands for it
	Site     Site          // where it was registered
	Value    reflect.Value // of a supplied value; of an App provider once it is made
	Foreign  bool          // it reads the foreign router's context
	Override bool
	// Revalidate is how often the provider runs again while a connection is open;
	// zero is never.
	Revalidate time.Duration

	// Scheme describes a provider that authenticates, for package bind; nil for all others.
	Scheme  any
	Faults  []Fault                  // why it must not start: a fact and a hint each
	Refuses []Refusal                // what it has declared
	Hides   [][2]string              // the parameters that it keeps to itself: source and name
	Granted func(value any) []string // the scopes of a value, by a pointer; nil if its type has none

	graph *Graph
	input *input
	order int       // of registration, over the whole tree
	real  *Provider // the program's own, where a test overrides it
}

// Refusal is one that a provider has declared.
type Refusal struct {
	Status      int
	Reason, Doc string
}

// String names the provider and its places.
func (p *Provider) String() string { return p.Func.Name + where(p.Func.Site, p.Site) }

// Graph holds providers. A child sees its ancestors' providers beside its own.
type Graph struct {
	validate *validator.Validate
	parent   *Graph
	byType   map[reflect.Type][]*Provider
	shared   *shared
}

// shared is what the graphs of one tree have in common.
type shared struct {
	providers []*Provider // in the order of registration
	unused    []*Provider // overrides of no provider, or of one that is overridden already
	rules     map[typedRule]problem
	own       map[reflect.Type]reflect.Value // of usher's own types, in a test
	app       *Scope
	endApp    context.CancelFunc // ends the context of App providers
}

// New returns an empty graph.
func New(validate *validator.Validate) *Graph {
	s := &shared{rules: map[typedRule]problem{}, own: map[reflect.Type]reflect.Value{}}
	return &Graph{validate: validate, byType: map[reflect.Type][]*Provider{}, shared: s}
}

// Child returns a graph that sees what g sees, and may add to it.
func (g *Graph) Child() *Graph {
	child := New(g.validate)
	child.parent, child.shared = g, g.shared
	return child
}

// Validate returns the validator of the graph.
func (g *Graph) Validate() *validator.Validate { return g.validate }

// Sealed says whether the graph was mounted: a provider that is added now would
// never be seen.
func (g *Graph) Sealed() bool { return g.shared.app != nil }

// Register adds the provider of a program, which must come before Mount.
func (g *Graph) Register(p *Provider) {
	if g.Sealed() {
		Misuse("depends: %s is registered after Mount, at %s", p.Func.Name, p.Site)
	}
	p.graph, p.order, p.real = g, len(g.shared.providers), p
	g.shared.providers = append(g.shared.providers, p)
	g.byType[p.Out] = append(g.byType[p.Out], p)
	if p.In != nil {
		p.input = analyse(g, p.In)
	}
}

// lookup returns the providers of t that g sees, its own first. More than one is
// an ambiguity.
func (g *Graph) lookup(t reflect.Type) (found []*Provider) {
	for ; g != nil; g = g.parent {
		found = append(found, g.byType[t]...)
	}
	return found
}

// Override puts a replacement in the place of all providers of its type in g's tree.
func (g *Graph) Override(o *Provider) {
	_, used := hooks.Own[o.Out]
	if used = used && o.In == nil; used {
		g.shared.own[o.Out] = o.Value
	}
	for _, p := range g.shared.providers {
		if p.Out != o.Out || p.Override {
			continue
		}
		used = true
		was := *p
		*p = *o
		p.graph, p.order, p.Lifetime = was.graph, was.order, was.Lifetime
		p.Override, p.real = true, &was
		if p.In != nil {
			p.input = analyse(was.graph, p.In)
		} else if !was.grants() { // a value is there before every connection
			p.Lifetime = App
		} else { // its scopes are checked for each
			p.Invoke = func(_ context.Context, _, out any) error {
				reflect.ValueOf(out).Elem().Set(o.Value)
				return nil
			}
		}
	}
	if !used {
		g.shared.unused = append(g.shared.unused, o)
	}
}
