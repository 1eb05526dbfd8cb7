package wsroute

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"example.com/usher/depends"
	"example.com/usher/internal/graph"
)

// Router holds WebSocket routes and, once they are mounted, their connections.
// It is filled while the program starts, by one goroutine; Drain and mounted
// routes are safe for concurrent use.
type Router struct {
	deps    *depends.Graph
	graph   *graph.Graph
	prefix  string
	options []RouteOption
	shared  *shared
}

// shared is what a router and its groups have in common.
type shared struct {
	config  Config
	bad     []string // of the configuration
	origins originPolicy
	proxies proxies
	client  func(*http.Request) netip.Addr // of proxies
	routes  []*route
	hub     hub
	mounted atomic.Pointer[mounted] // empty before Mount
	wiring  atomic.Pointer[error]   // what Mount returned last; nil before it

	cluster atomic.Pointer[cluster] // of Config.Broker; nil without one

	rooms     []func() *topic // how each of NewRooms joins the broker
	roomNames map[string]bool

	rules   sync.Map  // those of the types of Decode
	unknown sync.Once // a peer whose address nobody knows
	once    sync.Once // of checkServed
}

// New returns a router whose routes resolve from deps. A nil config means
// defaults.
func New(deps *depends.Graph, config *Config) *Router {
	settings, bad := config.withDefaults()
	settings.Logger = slog.New(&boundedHandler{Handler: settings.Logger.Handler()})
	origins, badOrigins := newOriginPolicy(settings.Origins)
	proxies, badProxies := newProxies(settings.TrustedProxies)
	s := &shared{
		config: settings, bad: slices.Concat(bad, badOrigins, badProxies),
		origins: origins, proxies: proxies, client: proxies.client, roomNames: map[string]bool{},
		hub: hub{
			peers:     map[*peer]struct{}{},
			byAddress: counter[netip.Addr]{}, byPrincipal: counter[principal]{},
		},
	}
	s.hub.config = &s.config
	s.mounted.Store(&mounted{})
	return &Router{deps: deps, graph: graph.Of(deps), shared: s}
}

// Group returns a router for the routes below prefix. Its options come before
// those of its routes, so its guards run first; providers added to its [Router.Deps]
// are seen by its routes alone.
func (r *Router) Group(prefix string, options ...RouteOption) *Router {
	deps := r.deps.Child()
	return &Router{
		deps:    deps,
		graph:   graph.Of(deps),
		prefix:  r.prefix + prefix,
		options: slices.Concat(r.options, options),
		shared:  r.shared,
	}
}

// Deps returns the graph that the router's routes resolve from: for a group, the
// child that is its own.
func (r *Router) Deps() *depends.Graph { return r.deps }

// Handle registers a handler for GET requests of path that upgrade. The path is
// as gin writes it: /rooms/:room, /files/*rest; in a group, an empty one is the group's own.
//
// In is a struct that declares what the handler needs; see package depends. It
// is filled before the upgrade, and whatever cannot be had refuses the
// connection. The handler runs on a goroutine of its own; ctx ends when the connection
// does, and context.Cause says why. It ends at once when the peer is lost and at an end of
// ours. When the peer has closed, it ends at the handler's next Receive that has no
// message to return, and at the latest Limits.CloseGrace after the handler was handed its
// message. It has the values of the request's context. When the handler returns nil, the
// connection closes with 1000; a [*MessageError] or a [*depends.Rejection]
// closes with its code, another error or a panic with 1011. Returning the error
// of Receive or Send after the peer has gone is a normal end.
//
// Faults of a route are told by Mount. A nil handler panics, and so does a route
// that comes after Mount.
func Handle[Recv, Send, In any](
	r *Router, path string, handler func(context.Context, *Conn[Recv, Send], In) error,
	options ...RouteOption,
) {
	if handler == nil {
		misuse("Handle %s with a nil handler", path)
	}
	receives, sends := reflect.TypeFor[Recv](), reflect.TypeFor[Send]()
	check, bad := messageRules(r.graph.Validate(), receives, sends)
	r.add(path, options, &route{
		Route:    Route{Method: http.MethodGet},
		target:   graph.Target{In: reflect.TypeFor[In](), Func: graph.DescribeFunc(handler)},
		receives: receives,
		sends:    sends,
		messages: bad,
		codec:    codec{check: check},
		given:    givenSender[Send](),
		serve: func(ctx context.Context, p *peer, in any) error {
			return handler(ctx, &Conn[Recv, Send]{p}, *in.(*In))
		},
	})
}

// misuse panics about a mistake in the program, with its place.
func misuse(format string, args ...any) {
	text := "wsroute: " + fmt.Sprintf(format, args...) + ", at " + graph.Caller().String()
	panic(text) //nolint:forbidigo // a mistake in the program, with its place
}

func (r *Router) add(path string, options []RouteOption, rt *route) {
	rt.Path, rt.Group = r.prefix+path, r.prefix
	rt.target.Site, rt.target.Graph = graph.Caller(), r.graph
	if r.shared.mounted.Load().begun {
		misuse("Handle %s after Mount", rt.Path)
	}
	for _, o := range slices.Concat(r.options, options) {
		o.apply(rt)
	}
	if rt.answer != nil { // options of groups for WebSockets
		rt.Route = Route{
			Method: rt.Method, Path: rt.Path, Group: rt.Group, Options: rt.Options, Doc: rt.Doc,
		}
	}
	r.shared.routes = append(r.shared.routes, rt)
}

// Override replaces the providers of the replacements' types, in a test. The lifetime
// of what is replaced stays, and a replacement that matches no provider is a wiring
// fault. wsroute/wstest's Start calls it; a test that mounts the router itself calls it
// before Mount. After Mount it panics: a router is built for one test.
func (r *Router) Override(replacements ...depends.Replacement) {
	if r.shared.mounted.Load().begun || len(replacements) > 0 && r.graph.Sealed() {
		misuse("Override after Mount")
	}
	for _, o := range replacements {
		r.graph.Override(graph.ReplacementOf(o))
	}
}

// Watch adds a Trace to those of [Config], before the first request, or before Mount if it is to
// hear of the broker. wsroute/wstest calls it, to see whether a route does what it has not declared.
func (r *Router) Watch(t *Trace) {
	r.shared.config.Trace = append(r.shared.config.Trace, new(filled(*t, noTrace)))
}
