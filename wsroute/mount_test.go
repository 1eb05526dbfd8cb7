package wsroute_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// plainHandler is a handler of routes without gin: of sockets, and with a method of plain
// requests.
func plainHandler(t *testing.T, routes ...string) http.Handler {
	t.Helper()
	ws := wsroute.New(depends.New(), quiet())
	for _, route := range routes {
		if method, path, plain := strings.Cut(route, " "); plain {
			wsroute.HandleHTTP(ws, method, path, says(route))
		} else {
			wsroute.Handle(ws, route, echo[string], wsroute.Public)
		}
	}
	handler, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// TestAPlainHandlerRedirectsNobody: a redirect would repeat the credential of the query.
func TestAPlainHandlerRedirectsNobody(t *testing.T) {
	const notFound, socket, plain = http.StatusNotFound, http.StatusUpgradeRequired, http.StatusOK
	below := http.NewServeMux()
	below.Handle("/app/", http.StripPrefix("/app/", plainHandler(t, "/rooms/:room"))) // a slash too many
	below.Handle("/api/", http.StripPrefix("/api", plainHandler(t, "/rooms/:room")))
	for _, c := range []struct {
		handler http.Handler
		want    map[string]int
	}{
		{plainHandler(t, "/", "/ws/", "/files/*rest", "GET /plain/", "GET /both", "/both/"), map[string]int{
			"GET /": socket, "GET /ws/": socket, "GET /ws": notFound, "POST /ws": notFound, "GET //ws/": notFound, "GET /x/../ws/": notFound,
			"GET /plain/": plain, "HEAD /plain/": plain, "POST /plain/": notFound, "GET /plain": notFound, "POST /plain": notFound,
			"GET /both": plain, "POST /both": notFound, "GET /both/": socket,
			"GET /files": notFound, "POST /files": notFound, "GET /files/": socket, "GET /files/a/b": socket,
			"GET /files/%2e%2e/x": notFound, "GET /files//x": notFound, "GET /files/a%2F%2Fb": notFound, "GET /%2Fws/": notFound,
		}},
		{plainHandler(t, "GET /:room", "/:room/lobby", "/ws/", "/ws/:room/"), map[string]int{ // some have no slash less
			"GET /ws": plain, "GET /ws/": socket, "GET /ws/lobby": socket, "GET /ws/a": notFound, "GET /ws/a/": socket, "GET /a%2Flobby": notFound,
		}},
		{plainHandler(t, "GET /:room", "/files/*rest"), map[string]int{"GET /files": plain, "GET /files/": socket}},
		{plainHandler(t, "/:a/", "/a/:b"), map[string]int{"GET /a": notFound, "GET /a%2Fb": notFound, "GET /a/b": socket}},
		{plainHandler(t, "/*rest"), map[string]int{"GET /": socket, "GET /a/b": socket, "GET //a": notFound}},
		{below, map[string]int{"GET /app/rooms/x": notFound, "GET /api/rooms/x": socket}},
	} {
		server := httptest.NewServer(c.handler)
		for request, want := range c.want {
			method, path, _ := strings.Cut(request, " ")
			r, err := http.NewRequest(method, server.URL+path+"?token="+canary, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("%s: %d, want %d; Location %q", request, response.StatusCode, want, response.Header.Get("Location"))
			}
		}
		server.Close()
	}
}

// TestARouterMountedTwice: one router mounted below two groups, with their
// parameters in its paths.
func TestARouterMountedTwice(t *testing.T) {
	made := 0
	deps := depends.New()
	depends.Provide(deps, func(context.Context, none) (gate, error) { made++; return gate{}, nil }, depends.App)
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws.Group("/:org"), "/ws", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct {
		Gate    gate
		Version string `path:"version"`
		Org     string `path:"org"`
	},
	) error {
		return conn.Send(ctx, in.Version+" "+in.Org)
	}, wsroute.Public)
	engine := gin.New()
	for _, group := range []string{"/a/:version", "/b/:version/"} {
		if err := ws.Mount(engine.Group(group)); err != nil {
			t.Fatal(err)
		}
	}
	srv := wstest.StartHandler(t, ws, engine)
	for _, path := range []string{"/a/v1/acme/ws", "/b/v1/acme/ws"} {
		if got := wstest.Dial[string, string](t, srv, path).Receive(); got != "v1 acme" {
			t.Errorf("%s: got %q", path, got)
		}
	}
	if made != 1 {
		t.Errorf("the App value was made %d times", made)
	}
}

// TestARouterInAServeMux: the plain handler below a path of a ServeMux.
func TestARouterInAServeMux(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/ws/:room", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct {
		Room string `path:"room"`
	},
	) error {
		return conn.Send(ctx, in.Room)
	}, wsroute.Public)
	handler, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ws/", handler)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("page")) })
	mux.HandleFunc("POST /ws/{room}", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.PathValue("room"))) })
	srv := wstest.StartHandler(t, ws, mux)
	if got := wstest.Dial[string, string](t, srv, "/ws/lobby").Receive(); got != "lobby" {
		t.Errorf("got %q", got)
	}
	if r := wstest.Get(t, srv, "/"); string(r.Body) != "page" {
		t.Errorf("got %s", r.Body)
	}
	if r, err := srv.Client().Post("http://"+srv.Host+"/ws/a", "", nil); err != nil || r.StatusCode != 200 {
		t.Errorf("got %v %v", r, err)
	} else {
		_ = r.Body.Close()
	}
}
