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
	if router == nil {
		misuse("Mount on a nil router")
	}
	prefix := ""
	if g, ok := router.(interface{ BasePath() string }); ok {
		prefix = strings.TrimSuffix(g.BasePath(), "/")
	}
	_, err := r.mount(prefix, router)
	return err
}

// addAll adds routes to gin, and returns the conflicts with what that has already.
func addAll(router gin.IRouter, endpoints []*endpoint) (bad faults) {
	for _, e := range endpoints {
		if v := e.addTo(router, e.route.Method); v != nil {
			bad.add(e.target, "conflict", fmt.Sprint(v), "the router has a route of that path already; "+
				"a GET of HandleHTTP may share a WebSocket's path")
		}
	}
	for _, e := range endpoints {
		if e.route.Diagnose { // for preflights, unless the program answers them
			_ = e.addTo(router, http.MethodOptions)
		}
	}
	return bad
}

// addTo adds a route to gin, and returns its panic about one that it has already. The path is
// read as without gin, which lets a parameter be empty or have a slash.
func (e *endpoint) addTo(router gin.IRouter, method string) (conflict any) {
	defer func() { conflict = recover() }()
	if e.sharesPath {
		return nil
	}
	router.Handle(method, e.route.Path, func(c *gin.Context) {
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
	endpoints, err := r.mount("", nil)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(endpoints, func(a, b *endpoint) int {
		return prefer(a.segments, b.segments)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if e := find(endpoints, req); e != nil {
			e.serve(w, req, nil)
		} else {
			r.shared.notFound(w, req)
		}
	}), nil
}

// find returns the first route of a request's path and method, or else the first WebSocket
// of the path, which refuses the method.
func find(endpoints []*endpoint, req *http.Request) (found *endpoint) {
	parts := routeParts(req.URL)
	for _, e := range endpoints {
		if e.sharesPath || !matches(e.segments, parts) {
			continue
		}
		switch {
		case req.Method == e.route.Method, req.Method == http.MethodHead &&
			e.route.Method == http.MethodGet && e.route.answer != nil:
			return e
		case e.route.answer == nil && found == nil:
			found = e
		}
	}
	return found
}

// routeParts returns the parts of a path, or nil for one that has no route: one with empty or
// dotted segments, or with an escaped slash.
func routeParts(u *url.URL) []string {
	clean := strings.TrimSuffix(u.Path, "/") == strings.TrimSuffix(path.Clean(u.Path), "/")
	if !clean || strings.Count(u.Path, "/") != strings.Count(u.EscapedPath(), "/") {
		return nil
	}
	return strings.Split(u.Path, "/")
}

func (s *shared) notFound(w http.ResponseWriter, req *http.Request) {
	settings := (&route{}).settings(&s.config)
	nowhere := &endpoint{shared: s, plan: &bind.Plan{}, settings: settings}
	nowhere.writeRejection(w, req, depends.NotFound("not_found", nil))
}

// mount checks all routes below a prefix, adds them to gin unless router is nil, and makes them
// known to Serve.
func (r *Router) mount(prefix string, router gin.IRouter) (endpoints []*endpoint, err error) {
	s := r.shared
	defer s.wiring.Store(&err)
	endpoints, targets, bad := r.check(prefix, router != nil)
	if len(bad) == 0 {
		s.plan(endpoints)
	}
	if len(bad) == 0 && router != nil {
		bad = addAll(router, endpoints)
	}
	if err := graph.Report(targets, bad); err != nil {
		return nil, err
	}
	before := s.mounted.Load()
	if !before.begun {
		if err := s.join(); err != nil {
			return nil, err
		}
	}
	s.mounted.Store(newMounted(slices.Concat(before.endpoints, endpoints)))
	return endpoints, nil
}

// check returns the routes below a prefix, and all that is wrong with them. It makes the App
// values if nothing is. onGin says that there is a gin context to read from.
func (r *Router) check(
	prefix string, onGin bool,
) (endpoints []*endpoint, targets []*graph.Target, bad faults) {
	s := r.shared
	for _, text := range s.bad {
		bad = append(bad, &graph.Fault{Kind: "bad config", Fact: text})
	}
	for _, rt := range s.routes {
		t := new(rt.target)
		t.Label, t.Renewable, t.Foreign = rt.Method+" "+prefix+rt.Path, rt.Renewable, onGin
		targets = append(targets, t)
		rt.check(t, &bad, &s.config)
		segments, fault := parsePattern(prefix + rt.Path)
		if fault != "" {
			bad.add(t, "bad route", fault, "write it as gin does: /rooms/:room or /files/*rest; "+
				"in a group, an empty one is its own path")
			continue
		}
		t.PathNames = paramNames(segments)
		t.Messages = rt.messageTargets(t, &bad)
		e := &endpoint{
			shared: s, route: rt, target: t, segments: segments, settings: rt.settings(&s.config),
		}
		bad.conflicts(endpoints, e)
		endpoints = append(endpoints, e)
	}
	bad = graph.Check(r.graph, targets, bad)
	for i, t := range targets {
		bad.renewal(t)
		if !t.Plain && !s.routes[i].Public && !t.Authenticates() {
			bad.add(t, "unsafe", t.Label+" authenticates nobody: no scheme, no value of FromGin and "+
				"no guard that reads the request is needed to connect",
				"guard the route or its group, as by wsroute.Require[Claims](), the type of a scheme; "+
					"or add wsroute.Public, if everybody may connect")
		}
	}
	if len(bad) == 0 {
		if f := r.graph.MakeApp(s.config.CleanupTimeout); f != nil {
			bad = append(bad, f)
		}
	}
	return endpoints, targets, bad
}

// plan compiles the plans of routes, and warns of guards that ask a peer nothing.
func (s *shared) plan(endpoints []*endpoint) {
	warned := map[*graph.Provider]bool{}
	for _, e := range endpoints {
		e.plan, e.open = bind.NewPlan(graph.Build(e.target)), !e.target.Authenticates()
		e.plan.Speaks = e.route.Subprotocols
		if s.config.Trace != nil {
			e.traces = e.provider
		}
		blind := e.target.Blind
		for _, m := range e.target.Messages {
			blind = append(blind, m.Blind...)
		}
		for _, p := range blind {
			if !warned[p] && !slices.Contains(e.target.Taken, p) {
				warned[p] = true
				s.config.Logger.Warn("a guard asks a peer nothing: it refuses all of them or none",
					"guard", graph.TypeName(p.Out), "provider", p.String(), "route", e.target.Label)
			}
		}
	}
}

// faults are what is wrong with routes.
type faults []*graph.Fault

func (f *faults) add(t *graph.Target, kind, fact, hint string, sites ...graph.Site) {
	fault := &graph.Fault{Kind: kind, Fact: fact, Hint: hint, Target: t}
	for _, site := range append(sites, t.Site) {
		fault.Path = append(fault.Path, "registered "+site.String())
	}
	*f = append(*f, fault)
}

// renewal refuses a Renewable route without one scheme whose credential fits into a message.
func (f *faults) renewal(t *graph.Target) {
	if !t.Renewable {
		return
	}
	schemes := t.Schemes()
	if len(schemes) == 0 && t.Overridden() { // a test needs no credential
		return
	}
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
		why, hint := clash(other.segments, e.segments), ""
		if why == "" || other.route.Method != e.route.Method {
			continue
		}
		socket, page := other, e
		if page.route.answer == nil {
			socket, page = e, other
		}
		if why == samePath && socket.route.answer == nil && page.route.answer != nil {
			if !socket.route.Diagnose {
				socket.page, page.sharesPath = page, true
				continue
			}
			hint = "drop Diagnose, which answers a plain GET of the path itself"
		}
		fact := other.target.Label + " and " + e.target.Label + " cannot both be routes: " + why
		f.add(e.target, "conflict", fact, hint, other.route.target.Site)
	}
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
