package wsroute_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// scopedMember is what middleware of gin knows of a peer.
type (
	scopedMember struct{ scopes []string }
	badge        struct{ scopedMember }
	ginMark      string
)

func (m scopedMember) Scopes() []string { return m.scopes }

// mountedOn mounts a router on gin behind middleware that knows the peer by a header.
func mountedOn(t *testing.T, ws *wsroute.Router, overrides ...depends.Replacement) *wstest.Server {
	t.Helper()
	engine := gin.New()
	engine.Use(func(c *gin.Context) { c.Set("scopes", strings.Fields(c.GetHeader("X-Scopes"))) })
	ws.Override(overrides...)
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	return wstest.StartHandler(t, ws, engine)
}

func members(t *testing.T, add func(ws *wsroute.Router)) *wsroute.Router {
	t.Helper()
	deps := depends.New()
	wsroute.FromGin(deps, func(c *gin.Context) (scopedMember, error) { return scopedMember{c.GetStringSlice("scopes")}, nil })
	wsroute.FromGin(deps, func(*gin.Context) (ginMark, error) { return "mark", nil })
	depends.Provide(deps, func(_ context.Context, in struct{ Member scopedMember }) (badge, error) { return badge{in.Member}, nil })
	ws := wsroute.New(deps, quiet())
	add(ws)
	return ws
}

// TestScopesOfAGinValue are demanded as those of a scheme's value, wherever they are written.
func TestScopesOfAGinValue(t *testing.T) {
	type conn = wsroute.Conn[string, string]
	nothing := func(context.Context, *conn, struct {
		Member scopedMember
		Mark   ginMark
	},
	) error {
		return nil
	}
	for name, test := range map[string]struct {
		add      func(ws *wsroute.Router)
		override []depends.Replacement
	}{
		"of the route": {func(ws *wsroute.Router) {
			wsroute.Handle(ws, "/", nothing, wsroute.Scopes("rooms:read", "rooms:write"))
		}, nil},
		"of a field": {func(ws *wsroute.Router) {
			wsroute.Handle(ws, "/", func(context.Context, *conn, struct {
				_ scopedMember `scopes:"rooms:read rooms:write"`
			},
			) error {
				return nil
			})
		}, nil},
		"behind a provider": {func(ws *wsroute.Router) {
			wsroute.Handle(ws, "/", func(context.Context, *conn, struct {
				Badge badge `scopes:"rooms:write rooms:read"`
			},
			) error {
				return nil
			})
		}, nil},
		"of a group": {func(ws *wsroute.Router) {
			wsroute.Handle(ws.Group("", wsroute.Scopes("rooms:read", "rooms:write")), "/", nothing)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			srv := mountedOn(t, members(t, test.add))
			for scopes, status := range map[string]int{"": 403, "rooms:read": 403, "rooms:read rooms:write": 101, "x rooms:write y rooms:read": 101} {
				if status == 101 {
					wstest.Dial[string, string](t, srv, "/", wstest.Header("X-Scopes", scopes))
					continue
				}
				r := wstest.Refused(t, srv, "/", wstest.Header("X-Scopes", scopes))
				if r.Status != status || r.Problem.Reason != "insufficient_scope" || r.Header.Get("WWW-Authenticate") != "" {
					t.Errorf("%q: %d %s %v", scopes, r.Status, r.Problem.Reason, r.Header)
				}
			}
			few := mountedOn(t, members(t, test.add), depends.OverrideValue(scopedMember{[]string{"rooms:read"}}))
			if r := wstest.Refused(t, few, "/"); r.Problem.Reason != "insufficient_scope" {
				t.Errorf("overridden with few: %d %s", r.Status, r.Problem.Reason)
			}
			all := mountedOn(t, members(t, test.add), depends.OverrideValue(scopedMember{[]string{"rooms:read", "rooms:write"}}))
			wstest.Dial[string, string](t, all, "/")
		})
	}
}

// TestScopesOfAGinValueWithoutAny do not start: nothing could grant them.
func TestScopesOfAGinValueWithoutAny(t *testing.T) {
	ws := members(t, func(ws *wsroute.Router) {
		wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], struct{ Mark ginMark }) error { return nil },
			wsroute.Scopes("rooms:read"))
	})
	if err := ws.Mount(gin.New()); err == nil || !strings.Contains(err.Error(), "no scheme stands behind it") {
		t.Errorf("got %v", err)
	}
}

// TestProvidersSeeTheRoute as the pattern of their request, on gin and on net/http, and so does
// the handler of a plain request.
func TestProvidersSeeTheRoute(t *testing.T) {
	type route string
	build := func() *wsroute.Router {
		deps := depends.New()
		depends.Provide(deps, func(_ context.Context, in struct{ Request *http.Request }) (route, error) {
			return route(in.Request.Pattern + " " + in.Request.PathValue("room")), nil
		})
		ws := wsroute.New(deps, quiet())
		wsroute.Handle(ws.Group("/rooms"), "/:room", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Route route }) error {
			return conn.Send(ctx, string(in.Route))
		}, wsroute.Public)
		wsroute.HandleHTTP(ws, http.MethodGet, "/pages/:room", func(w http.ResponseWriter, r *http.Request, in struct{ Route route }) error {
			_, err := w.Write([]byte(string(in.Route) + " " + r.Pattern))
			return err
		})
		return ws
	}
	onMux := func(t *testing.T, ws *wsroute.Router) *wstest.Server {
		t.Helper()
		handler, err := ws.Handler()
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		mux.Handle("/", handler)
		return wstest.StartHandler(t, ws, mux)
	}
	for name, start := range map[string]func(*testing.T, *wsroute.Router) *wstest.Server{
		"gin": func(t *testing.T, ws *wsroute.Router) *wstest.Server { t.Helper(); return mountedOn(t, ws) },
		"mux": onMux,
	} {
		srv := start(t, build())
		if got := wstest.Dial[string, string](t, srv, "/rooms/7").Receive(); got != "GET /rooms/:room 7" {
			t.Errorf("%s: a provider sees %q", name, got)
		}
		if got := string(wstest.Get(t, srv, "/pages/7").Body); got != "GET /pages/:room 7 GET /pages/:room" {
			t.Errorf("%s: a handler sees %q", name, got)
		}
	}
}

// TestAnEmptyPath is that of its group, and of no other router.
func TestAnEmptyPath(t *testing.T) {
	say := func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
		return conn.Send(ctx, "here")
	}
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws.Group("/rooms"), "", say, wsroute.Public)
	srv := mountedOn(t, ws)
	if got := wstest.Dial[string, string](t, srv, "/rooms").Receive(); got != "here" {
		t.Errorf("got %q", got)
	}
	ws = wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "", say, wsroute.Public)
	engine := gin.New()
	if err := ws.Mount(engine.Group("/rooms")); err != nil {
		t.Error(err)
	} else if got := wstest.Dial[string, string](t, wstest.StartHandler(t, ws, engine), "/rooms").Receive(); got != "here" {
		t.Errorf("on a group of gin: got %q", got)
	}
	for name, mount := range map[string]func(ws *wsroute.Router) error{
		"gin":      func(ws *wsroute.Router) error { return ws.Mount(gin.New()) },
		"net/http": func(ws *wsroute.Router) error { _, err := ws.Handler(); return err },
	} {
		ws := wsroute.New(depends.New(), quiet())
		wsroute.Handle(ws, "", say, wsroute.Public)
		if err := mount(ws); err == nil || !strings.Contains(err.Error(), "in a group, an empty one is its own path") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
