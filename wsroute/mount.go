package wsroute

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
	"example.com/usher/internal/graph"
)

// Mount checks every route and every dependency, makes the App values, and adds
// the routes to a gin engine or group, whose middleware runs before them as
// before any route. A WebSocket is a GET.
//
// The error holds everything that is wrong, as joined [*depends.WiringError]
// values; its text is a report to read in a terminal. With an error nothing may
// be served.
func (r *Router) Mount(router gin.IRouter) error {
	prefix := ""
	if g, ok := router.(interface{ BasePath() string }); ok {
		prefix = strings.TrimSuffix(g.BasePath(), "/")
	}
	endpoints, err := r.compile(prefix, true)
	if err != nil {
		return err
	}
	var all faults
	for _, e := range endpoints {
		if v := e.addTo(router, e.route.verb()); v != nil {
			all.add(e.target, "conflict", fmt.Sprint(v), "the router has a route of that path already; "+
				"a GET of HandleHTTP may share a WebSocket's path")
		}
	}
	for _, e := range endpoints {
		if e.route.diagnose { // for preflights, unless the program answers them
			_ = e.addTo(router, http.MethodOptions)
		}
	}
	return r.register(endpoints, all)
}

// addTo adds a route to gin, and returns its panic about one that it has already. The path is
// read as without gin, which lets a parameter be empty or have a slash.
func (e *endpoint) addTo(router gin.IRouter, method string) (conflict any) {
	defer func() { conflict = recover() }()
	if e.sharesPath {
		return nil
	}
	router.Handle(method, e.route.path, func(c *gin.Context) {
		if matches(e.segments, routeParts(c.Request.URL)) {
			e.serve(c.Writer, c.Request, c)
		} else {
			e.shared.notFound(c.Writer, c.Request)
		}
	})
	return nil
}

// Handler checks what Mount checks, and returns the routes as a plain
// http.Handler, for a program without gin. Paths that are no route are 404, and
// none is redirected: no WebSocket client follows.
func (r *Router) Handler() (http.Handler, error) {
	endpoints, err := r.compile("", false)
	if err != nil {
		return nil, err
	}
	ordered := slices.SortedStableFunc(slices.Values(endpoints), func(a, b *endpoint) int {
		return prefer(a.segments, b.segments)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if e := find(ordered, req); e != nil {
			e.serve(w, req, nil)
		} else {
			r.shared.notFound(w, req)
		}
	}), r.register(endpoints, nil)
}

// find returns the first route of a request's path and method, or else the first WebSocket
// of the path, which refuses the method.
func find(endpoints []*endpoint, req *http.Request) (found *endpoint) {
	parts := routeParts(req.URL)
	for _, e := range endpoints {
		if e.sharesPath || !matches(e.segments, parts) {
			continue
		}
		switch verb := e.route.verb(); {
		case req.Method == verb:
			return e
		case e.route.method == http.MethodGet && req.Method == http.MethodHead:
			return e
		case e.route.method == "" && found == nil:
			found = e
		}
	}
	return found
}

// routeParts returns the parts of a path, or nil for one that has no route: one that is not
// clean, or has an escaped slash.
func routeParts(u *url.URL) []string {
	if !isClean(u.Path) || strings.Count(u.Path, "/") != strings.Count(u.EscapedPath(), "/") {
		return nil
	}
	return splitPath(u.Path)
}

// isClean says that a path begins with a slash, and has no empty or dotted segments.
func isClean(p string) bool {
	clean := path.Clean(p)
	return strings.HasPrefix(p, "/") && (clean == p || clean != "/" && clean+"/" == p)
}

func (s *shared) notFound(w http.ResponseWriter, req *http.Request) {
	settings := (&route{}).settings(&s.config)
	nowhere := &endpoint{shared: s, plan: &bind.Plan{}, settings: settings}
	nowhere.writeRejection(w, req, noRoute)
}

var noRoute = depends.NotFound("not_found", nil)

// compile checks all routes below a prefix and compiles their plans; onGin says
// that there is a gin context to read from.
func (r *Router) compile(prefix string, onGin bool) (endpoints []*endpoint, err error) {
	s := r.shared
	defer s.wiring.Store(&err)
	var bad faults
	for _, text := range s.bad {
		bad = append(bad, &graph.Fault{Kind: "bad config", Fact: text})
	}
	targets := make([]*graph.Target, 0, len(s.routes))
	for _, rt := range s.routes {
		t := rt.target(prefix, onGin)
		targets = append(targets, t)
		rt.check(t, &bad, &s.config)
		segments, fault := parsePattern(prefix + rt.path)
		if fault == "" {
			t.PathNames = paramNames(segments)
			e := &endpoint{
				shared: s, route: rt, target: t, segments: segments,
				settings: rt.settings(&s.config),
			}
			bad.conflicts(endpoints, e)
			endpoints = append(endpoints, e)
		} else {
			bad.add(t, "bad route", fault, "write it as gin does: /rooms/:room or /files/*rest")
		}
	}
	bad = graph.Check(r.graph, targets, bad)
	for i, t := range targets {
		bad.renewal(t)
		if !t.Plain && !s.routes[i].public && !t.Authenticates() {
			bad.unguarded(t)
		}
	}
	if len(bad) == 0 {
		if f := r.graph.MakeApp(s.config.CleanupTimeout); f != nil {
			bad = append(bad, f)
		}
	}
	if err := graph.Report(targets, bad); err != nil {
		return nil, err
	}
	warned := map[*graph.Provider]bool{}
	for _, e := range endpoints {
		e.plan, e.open = bind.NewPlan(graph.Build(e.target)), !e.target.Authenticates()
		e.plan.Speaks = e.route.subprotocols
		for _, p := range e.target.Blind {
			if !warned[p] {
				warned[p] = true
				s.config.Logger.Warn("wsroute: a guard asks a peer nothing: it refuses all of them or none",
					"guard", graph.TypeName(p.Out), "provider", p.String(), "route", e.target.Label)
			}
		}
	}
	return endpoints, nil
}

// faults are what is wrong with routes.
type faults []*graph.Fault

func (f *faults) add(t *graph.Target, kind, fact, hint string) {
	*f = append(*f, &graph.Fault{
		Kind: kind, Fact: fact, Hint: hint, Target: t,
		Path: []string{"registered " + t.Site.String()},
	})
}

// target is what package graph has to know of a route.
func (rt *route) target(prefix string, onGin bool) *graph.Target {
	return &graph.Target{
		Label: rt.verb() + " " + prefix + rt.path, Func: rt.fn, Site: rt.site, In: rt.in,
		Guards: rt.guards, Graph: rt.graph, Scopes: rt.scopes, Renewable: rt.renewable,
		Foreign: onGin, Plain: rt.answer != nil,
	}
}

// unguarded refuses a route that everybody may open.
func (f *faults) unguarded(t *graph.Target) {
	f.add(t, "unsafe", t.Label+" authenticates nobody: no scheme, no value of FromGin and "+
		"no guard that reads the request is needed to connect",
		"guard the route or its group, as by wsroute.Require[Claims](), the type of a scheme; "+
			"or add wsroute.Public, if everybody may connect")
}

// renewal refuses a Renewable route without one scheme whose credential fits into a message.
func (f *faults) renewal(t *graph.Target) {
	if !t.Renewable {
		return
	}
	schemes := t.Schemes()
	if len(schemes) != 1 {
		hint := "let one scheme stand behind them; security.OneOf unites several"
		if len(schemes) == 0 {
			hint = "drop the option, or guard the route"
		}
		f.add(t, "bad route", fmt.Sprintf(
			"%s is Renewable, and its dependencies have %d schemes", t.Label, len(schemes)), hint)
		return
	}
	s := bind.SchemeOf(schemes[0])
	if s.Params != nil && len(s.Alternatives) <= 1 {
		f.add(t, "bad route", fmt.Sprintf(
			"%s is Renewable, and %s reads %s beside its credential, which no renewal has",
			t.Label, s.Name, strings.Join(s.Params, ", ")),
			"drop the option; depends.Revalidate asks again while a connection is open")
	}
}

// conflicts adds the routes that cannot stand beside a new one.
func (f *faults) conflicts(before []*endpoint, e *endpoint) {
	for _, other := range before {
		if other.route.verb() != e.route.verb() {
			continue
		}
		why, hint := clash(other.segments, e.segments), ""
		socket, page := other, e
		if page.route.answer == nil {
			socket, page = e, other
		}
		if why == samePath && socket.route.answer == nil && page.route.answer != nil {
			if !socket.route.diagnose {
				socket.page, page.sharesPath = page, true
				continue
			}
			hint = "drop Diagnose, which answers a plain GET of the path itself"
		}
		if why != "" {
			f.add(e.target, "conflict", fmt.Sprintf("%s and %s cannot both be routes: %s",
				other.target.Label, e.target.Label, why), hint)
			added := (*f)[len(*f)-1]
			added.Path = slices.Insert(added.Path, 0, "registered "+other.route.site.String())
		}
	}
}

// register makes routes known to Serve, unless the router around them would not have them.
func (r *Router) register(endpoints []*endpoint, faults []*graph.Fault) (err error) {
	defer r.shared.wiring.Store(&err)
	targets := make([]*graph.Target, 0, len(endpoints))
	for _, e := range endpoints {
		targets = append(targets, e.target)
	}
	if err := graph.Report(targets, faults); err != nil {
		return err
	}
	if b := r.shared.config.Broadcast; b != nil && !r.shared.mounted.Load().begun {
		err := b.Subscribe(func(revocation Revocation) {
			if revocation != (Revocation{}) {
				r.shared.revoke(revocation)
			}
		})
		if err != nil {
			return fmt.Errorf("wsroute: Config.Broadcast: %w", err)
		}
	}
	r.shared.mounted.Store(newMounted(slices.Concat(r.shared.mounted.Load().endpoints, endpoints)))
	return nil
}

// mounted is every route that was mounted, on whatever router. A program may mount once
// more while it serves.
type mounted struct {
	begun     bool // Mount has succeeded
	endpoints []*endpoint
	secrets   bind.Names // query parameters that hold credentials
	offers    []string   // how subprotocols begin that carry tokens, each once
	movable   bool       // a plain handler has routes, which may stand below some other path
}

func newMounted(endpoints []*endpoint) *mounted {
	m := &mounted{begun: true, endpoints: endpoints, secrets: bind.Names{}}
	for _, e := range endpoints {
		m.movable = m.movable || !e.target.Foreign
		maps.Copy(m.secrets, e.plan.Secrets)
		for _, source := range e.plan.Sources {
			if source.In == "subprotocol" {
				m.offers = append(m.offers, bind.OfferPrefix(&source))
			}
		}
	}
	slices.Sort(m.offers)
	m.offers = slices.Compact(m.offers)
	return m
}
