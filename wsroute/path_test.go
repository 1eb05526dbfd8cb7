package wsroute_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// everyRouter mounts the same routes on gin, on gin as it may be set, and without it.
func everyRouter(t *testing.T, newRouter func() *wsroute.Router) map[string]*wstest.Server {
	servers := map[string]*wstest.Server{}
	for name, set := range map[string]func(*gin.Engine){
		"gin":            func(*gin.Engine) {},
		"gin's raw path": func(e *gin.Engine) { e.UseRawPath = true },
		"gin's slashes":  func(e *gin.Engine) { e.RemoveExtraSlash = true },
	} {
		ws, engine := newRouter(), gin.New()
		set(engine)
		if err := ws.Mount(engine); err != nil {
			t.Fatal(err)
		}
		servers[name] = wstest.StartHandler(t, ws, engine)
	}
	servers["net/http"] = wstest.Start(t, newRouter())
	return servers
}

// TestPathsAreTheSameOnGin: a parameter of a path has the same value, or the path is 404, on
// gin and without it.
func TestPathsAreTheSameOnGin(t *testing.T) {
	for name, srv := range everyRouter(t, func() *wsroute.Router {
		ws := wsroute.New(depends.New(), quiet())
		wsroute.HandleHTTP(ws, http.MethodGet, "/rooms/:room", func(w http.ResponseWriter, _ *http.Request, in struct {
			Room string `path:"room"`
		},
		) error {
			_, err := fmt.Fprint(w, "room ", in.Room)
			return err
		})
		wsroute.HandleHTTP(ws, http.MethodGet, "/files/*rest", func(w http.ResponseWriter, _ *http.Request, in struct {
			Rest string `path:"rest"`
		},
		) error {
			_, err := fmt.Fprint(w, "file ", in.Rest)
			return err
		})
		return ws
	}) {
		for path, want := range map[string]string{
			"/rooms/a": "room a", "/rooms/a%20b": "room a b", "/rooms/a+b": "room a+b", "/rooms/%61": "room a", "/rooms/caf%C3%A9": "room café",
			"/rooms/a%2Bb": "room a+b", "/rooms/a%252Fb": "room a%2Fb", "/rooms/...": "room ...", "/rooms/a%5Cb": `room a\b`,
			"/rooms/..": "404", "/rooms/%2e%2e": "404", "/rooms/.": "404", "/rooms/%2E": "404", "/rooms/a%2Fb": "404", "/rooms/%2F": "404",
			"/rooms/": "404", "/rooms//a": "404", "//rooms/a": "404", "/rooms/a/": "404", "/x/../rooms/a": "404", "/./rooms/a": "404",
			"/files/": "file ", "/files/a/b": "file a/b", "/files/a/": "file a/", "/files/a+b/c%20d": "file a+b/c d",
			"/files/a//b": "404", "/files//a": "404", "/files/a/../b": "404", "/files/..": "404", "/files/%2e%2e/b": "404", "/files/a%2Fb": "404",
			"/files/a/%2e": "404",
		} {
			status, _, got := exchange(t, srv, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			if status != http.StatusOK {
				got = fmt.Sprint(status)
			}
			if got = strings.TrimSpace(got); got != strings.TrimSpace(want) {
				t.Errorf("%s: %s: %q, want %q", name, path, got, want)
			}
		}
	}
}

// TestRequestURIKeepsAPrefix: what the peer asked for, without the credential, although a
// mux has taken a prefix from the URL.
func TestRequestURIKeepsAPrefix(t *testing.T) {
	deps := depends.New()
	bearer(deps)
	ws := wsroute.New(deps, quiet())
	wsroute.HandleHTTP(ws, http.MethodGet, "/page/:id", func(w http.ResponseWriter, r *http.Request, in struct{ R *http.Request }) error {
		_, err := fmt.Fprint(w, r.RequestURI, " ", in.R.RequestURI, " ", r.URL)
		return err
	}, wsroute.Require[who]())
	routes, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", http.StripPrefix("/api", routes))
	mux.Handle("/", routes)
	srv := wstest.StartHandler(t, ws, mux)
	for target, want := range map[string]string{
		"/api/page/1?token=x":           "/api/page/1 /api/page/1 /page/1",
		"/api/page/1?a=1&token=x&b":     "/api/page/1?a=1&b /api/page/1?a=1&b /page/1?a=1&b",
		"/page/%31?token=x&a=%20":       "/page/%31?a=%20 /page/%31?a=%20 /page/%31?a=%20",
		"http://x/api/page/1?token=x":   "http://x/api/page/1 http://x/api/page/1 http://x/page/1",
		"/api/page/1??token=x&token=x?": "/api/page/1 /api/page/1 /page/1",
	} {
		if status, _, got := exchange(t, srv, "GET "+target+" HTTP/1.1\r\nHost: x\r\n\r\n"); got != want {
			t.Errorf("%s: %d %q, want %q", target, status, got, want)
		}
	}
}

// TestAPageAndASocketShareAPath: a plain GET of HandleHTTP stands in place of the 426; what is
// meant as a handshake, and other methods, are the WebSocket's.
func TestAPageAndASocketShareAPath(t *testing.T) {
	for _, pageFirst := range []bool{true, false} {
		for name, srv := range everyRouter(t, func() *wsroute.Router {
			deps := depends.New()
			bearer(deps)
			ws := wsroute.New(deps, quiet())
			page := func() {
				wsroute.HandleHTTP(ws, http.MethodGet, "/rooms/:room", func(w http.ResponseWriter, _ *http.Request, in struct {
					Room string `path:"room"`
				},
				) error {
					_, err := io.WriteString(w, "page "+in.Room)
					return err
				})
			}
			if pageFirst {
				page()
			}
			wsroute.Handle(ws, "/rooms/:room", func(ctx context.Context, c *wsroute.Conn[string, string], in struct {
				Room string `path:"room"`
				_    who
			},
			) error {
				return c.Send(ctx, in.Room)
			})
			if !pageFirst {
				page()
			}
			wsroute.HandleHTTP(ws, http.MethodPut, "/rooms/:room", says("put"))
			return ws
		}) {
			if got := wstest.Dial[string, string](t, srv, "/rooms/a?token=x").Receive(); got != "a" {
				t.Errorf("%s: the socket says %q", name, got)
			}
			const head = "%s /rooms/a HTTP/1.1\r\nHost: x\r\n%s\r\n"
			const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
			for request, want := range map[string]string{
				fmt.Sprintf(head, "GET", ""):                           "200 page a",
				fmt.Sprintf(head, "GET", "Upgrade: h2c\r\n"):           "200 page a",
				fmt.Sprintf(head, "GET", "Connection: Upgrade\r\n"):    "200 page a",
				fmt.Sprintf(head, "GET", "Upgrade: websocket\r\n"):     "400",
				fmt.Sprintf(head, "GET", key):                          "426", // its Upgrade was dropped on the way
				fmt.Sprintf(handshake, "/rooms/a"):                     "401",
				fmt.Sprintf(head, "PUT", "Content-Length: 0\r\n"):      "200 put",
				"GET /rooms/a HTTP/1.0\r\nHost: x\r\n\r\n":             "200 page a",
				"GET /rooms/a?token=x HTTP/1.1\r\nHost: x\r\n\r\n":     "200 page a",
				"GET /rooms/a/b?token=x HTTP/1.1\r\nHost: x\r\n\r\n":   "404",
				"GET /rooms/?token=x HTTP/1.1\r\nHost: x\r\n\r\n":      "404",
				"GET /rooms/a%2Fb?token=x HTTP/1.1\r\nHost: x\r\n\r\n": "404",
			} {
				status, _, got := exchange(t, srv, request)
				if got = fmt.Sprint(status, " ", got); got != want && !strings.HasPrefix(want, fmt.Sprint(status)) || status == 200 && got != want {
					t.Errorf("%s: %q is answered %q, want %q", name, request, got, want)
				}
			}
			want := http.StatusOK
			if strings.HasPrefix(name, "gin") {
				want = http.StatusMethodNotAllowed // gin routes HEAD by itself
			}
			if r, _ := plainAsk(t, srv, "HEAD", "/rooms/a", ""); r.StatusCode != want { //nolint:bodyclose // it has closed it
				t.Errorf("%s: HEAD is answered %d", name, r.StatusCode)
			}
			if status, _, _ := exchange(t, srv, fmt.Sprintf(head, "DELETE", "")); status != http.StatusMethodNotAllowed {
				t.Errorf("%s: DELETE is answered %d", name, status)
			}
		}
	}
}

// TestAPageThatCannotShareAPath: two answers to one plain GET are a wiring fault.
func TestAPageThatCannotShareAPath(t *testing.T) {
	for name, test := range map[string]struct {
		add  func(*wsroute.Router)
		want string
	}{
		"Diagnose": {func(ws *wsroute.Router) {
			wsroute.Handle(ws, "/x", echo[string], wsroute.Diagnose, wsroute.Public)
			wsroute.HandleHTTP(ws, http.MethodGet, "/x", says("x"))
		}, "drop Diagnose"},
		"Diagnose of a group, page first": {func(ws *wsroute.Router) {
			wsroute.HandleHTTP(ws, http.MethodGet, "/x", says("x"))
			wsroute.Handle(ws.Group("", wsroute.Diagnose), "/x", echo[string], wsroute.Public)
		}, "drop Diagnose"},
		"two pages": {func(ws *wsroute.Router) {
			wsroute.HandleHTTP(ws, http.MethodGet, "/x", says("x"))
			wsroute.Handle(ws, "/x", echo[string], wsroute.Public)
			wsroute.HandleHTTP(ws, http.MethodGet, "/x", says("x"))
		}, "they are the same"},
		"two sockets": {func(ws *wsroute.Router) {
			wsroute.Handle(ws, "/x", echo[string], wsroute.Public)
			wsroute.HandleHTTP(ws, http.MethodGet, "/x", says("x"))
			wsroute.Handle(ws, "/x", echo[string], wsroute.Public)
		}, "they are the same"},
		"two names": {func(ws *wsroute.Router) {
			wsroute.Handle(ws, "/:a", echo[string], wsroute.Public)
			wsroute.HandleHTTP(ws, http.MethodGet, "/:b", says("x"))
		}, `one calls the parameter "a" where the other calls it "b"`},
	} {
		ws := wsroute.New(depends.New(), quiet())
		test.add(ws)
		if _, err := ws.Handler(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	engine := gin.New()
	engine.GET("/x", func(*gin.Context) {})
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/x", echo[string], wsroute.Public)
	if err := ws.Mount(engine); err == nil || !strings.Contains(err.Error(), "a GET of HandleHTTP may share") {
		t.Errorf("beside a GET of gin's: %v", err)
	}
}
