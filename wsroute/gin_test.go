package wsroute_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

type (
	requestID string
	account   struct{ Name string }
)

// program is a gin program with middleware of its own, as people have them: a
// session, a request id, a logger, a recovery and CORS.
func program(log *safeBuffer) *gin.Engine {
	engine := gin.New()
	engine.Use(
		gin.LoggerWithConfig(gin.LoggerConfig{Output: log}),
		gin.RecoveryWithWriter(log),
		func(c *gin.Context) {
			c.Set("request-id", "r-"+c.GetHeader("X-Trace"))
			c.Header("X-Request-Id", "r-"+c.GetHeader("X-Trace"))
		},
		func(c *gin.Context) {
			if origin := c.GetHeader("Origin"); origin != "" {
				c.Header("Access-Control-Allow-Origin", origin)
			}
			if c.Request.Method == http.MethodOptions {
				c.AbortWithStatus(http.StatusNoContent)
			}
		},
		func(c *gin.Context) {
			if name, err := c.Cookie("session"); err == nil {
				c.Set("account", account{name})
				c.SetCookie("session", name, 60, "/", "", true, true)
			}
		},
	)
	return engine
}

// ofProgram is a router whose route takes what the program's middleware knows.
func ofProgram(log *safeBuffer) *wsroute.Router {
	deps := depends.New()
	wsroute.FromGin(deps, func(c *gin.Context) (requestID, error) { return requestID(c.GetString("request-id")), nil })
	wsroute.FromGin(deps, func(c *gin.Context) (account, error) {
		a, ok := c.Get("account")
		if !ok {
			return account{}, depends.Unauthorized("Session", depends.ErrAbsent)
		}
		return a.(account), nil
	})
	ws := wsroute.New(deps, &wsroute.Config{Logger: textLogger(log)})
	wsroute.Handle(ws, "/rooms/:room", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct {
		Account account
		ID      requestID
		Org     string `path:"org"`
		Room    string `path:"room"`
	},
	) error {
		if in.Room == "panic" {
			panic("in the handler")
		}
		return conn.Send(ctx, fmt.Sprintf("%s %s %s/%s", in.Account.Name, in.ID, in.Org, in.Room))
	})
	return ws
}

// TestAGinProgramMountsUsherUnchanged shows what middleware sees of a connection,
// and what a connection has of its middleware.
func TestAGinProgramMountsUsherUnchanged(t *testing.T) {
	var access, logged safeBuffer
	ws := ofProgram(&logged)
	engine := program(&access)
	group := engine.Group("/orgs/:org")
	group.POST("/rooms/:room", func(c *gin.Context) { c.String(http.StatusCreated, "made") })
	group.GET("/rooms", func(c *gin.Context) { c.String(http.StatusOK, "list") })
	if err := ws.Mount(group); err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, engine)
	trace, cookie := wstest.Header("X-Trace", "7"), wstest.Cookie("session", "alice")

	peer := wstest.Dial[string, string](t, srv, "/orgs/acme/rooms/lobby", trace, cookie, wstest.Header("Origin", "http://"+srv.Host))
	if got := peer.Receive(); got != "alice r-7 acme/lobby" {
		t.Errorf("got %q", got)
	}
	h := peer.Response.Header
	if h.Get("X-Request-Id") != "r-7" || h.Get("Access-Control-Allow-Origin") == "" || !strings.HasPrefix(h.Get("Set-Cookie"), "session=alice") {
		t.Errorf("the 101 has %v", h)
	}
	peer.Closed()
	if got := wstest.Dial[string, string](t, srv, "/orgs/acme/rooms/panic", trace, cookie).Closed(); got.Code != 1011 {
		t.Errorf("a panic behind the upgrade: %v", got)
	}
	r := wstest.Refused(t, srv, "/orgs/acme/rooms/lobby", trace)
	if r.Status != 401 || r.Header.Get("Www-Authenticate") != "Session" || r.Header.Get("X-Request-Id") != "r-7" {
		t.Errorf("got %+v", r)
	}
	for _, plain := range []struct {
		method, path string
		status       int
	}{{"POST", "/orgs/acme/rooms/lobby", 201}, {"GET", "/orgs/acme/rooms", 200}, {"OPTIONS", "/orgs/acme/rooms/x", 204}} {
		request := strings.Replace(fmt.Sprintf(handshake, plain.path), "GET", plain.method, 1)
		if status, _, body := exchange(t, srv, strings.Replace(request, "keep-alive, Upgrade", "close", 1)); status != plain.status {
			t.Errorf("%s %s: %d %s", plain.method, plain.path, status, body)
		}
	}
	srv.Stop()
	for deadline := time.Now().Add(10 * time.Second); strings.Count(access.String(), "\n") < 6 && time.Now().Before(deadline); {
		runtime.Gosched() // gin writes the 101's line after the connection has left it
	}
	if got := access.String(); strings.Count(got, "| 101 |") != 2 || strings.Count(got, "| 401 |") != 1 || strings.Contains(got, "panic recovered") {
		t.Errorf("the access log:\n%s", got)
	}
	if got := logged.String(); strings.Count(got, "connection ended") != 2 || !strings.Contains(got, "in the handler") {
		t.Errorf("usher's log:\n%s", got)
	}
}

// accountFromGin returns a router that takes an account from gin, in ways that the query
// says, and counts how often it does.
func accountFromGin(reads *int) *wsroute.Router {
	type in struct {
		Account depends.Optional[account]
	}
	deps := depends.New()
	wsroute.FromGin(deps, func(c *gin.Context) (account, error) {
		*reads++
		switch mode := c.Query("mode"); mode {
		case "absent":
			return account{}, fmt.Errorf("no session: %w", depends.ErrAbsent)
		case "forbidden":
			return account{}, depends.Forbidden("banned", nil)
		case "error":
			return account{}, errors.New("secret")
		case "panic":
			panic("secret")
		default:
			return account{mode}, nil
		}
	})
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/ws", func(ctx context.Context, conn *wsroute.Conn[string, string], in in) error {
		return conn.Send(ctx, fmt.Sprintf("%v %s", in.Account.OK, in.Account.Value.Name))
	}, wsroute.Diagnose, wsroute.Public)
	wsroute.Handle(ws, "/other", echo[string], wsroute.Public)
	return ws
}

func TestWhatFromGinCanReturn(t *testing.T) {
	reads := 0
	newRouter := func() *wsroute.Router { return accountFromGin(&reads) }
	ws := newRouter()
	engine := gin.New()
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, engine)
	for mode, want := range map[string]string{"absent": "false ", "alice": "true alice"} {
		if got := wstest.Dial[string, string](t, srv, "/ws?mode="+mode).Receive(); got != want {
			t.Errorf("%s: got %q", mode, got)
		}
	}
	for mode, want := range map[string]int{"forbidden": 403, "error": 500, "panic": 500} {
		if r := wstest.Refused(t, srv, "/ws?mode="+mode); r.Status != want || strings.Contains(string(r.Body), "secret") {
			t.Errorf("%s: got %d %s", mode, r.Status, r.Body)
		}
	}
	before := reads
	wstest.Refused(t, srv, "/ws", wstest.Header("Origin", "https://evil.example"))
	wstest.Dial[string, string](t, srv, "/other").Close(1000, "")
	if reads != before {
		t.Error("it was read for a foreign origin, or for a route that does not need it")
	}

	overridden := wstest.Start(t, newRouter(), depends.OverrideValue(account{"test"}))
	if got := wstest.Dial[string, string](t, overridden, "/ws").Receive(); got != "true test" {
		t.Errorf("overridden: got %q", got)
	}
	if _, err := newRouter().Handler(); err == nil {
		t.Error("it mounts without gin")
	} else {
		golden(t, "testdata/from_gin.txt", position.ReplaceAllString(err.Error(), "$1:N"))
	}
}

// TestGinDefaultWithoutServe is what the documentation says of a program that
// keeps its own http.Server.
func TestGinDefaultWithoutServe(t *testing.T) {
	for _, quietened := range []bool{false, true} {
		var access safeBuffer
		deps := depends.New()
		bearer(deps)
		ws := wsroute.New(deps, quiet())
		wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ Who who }) error { return nil })
		engine := gin.New() // gin.Default, but for where it writes
		engine.Use(gin.LoggerWithConfig(gin.LoggerConfig{Output: &access, SkipQueryString: quietened}), gin.RecoveryWithWriter(&access))
		if err := ws.Mount(engine); err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(engine)
		conn, response, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/ws?token=alice", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, 1000) {
			t.Error(err)
		}
		_ = conn.Close()
		client := server.Client()
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for path, want := range map[string]int{"/ws": 426, "/ws/": 301} {
			r, err := client.Get(server.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = r.Body.Close()
			if r.StatusCode != want {
				t.Errorf("%s: got %d", path, r.StatusCode)
			}
		}
		if r, err := client.Post(server.URL+"/ws", "", nil); err != nil || r.StatusCode != 404 {
			t.Errorf("POST: %v %v", r, err)
		} else {
			_ = r.Body.Close()
		}
		server.Close()
		if _, err := ws.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		for deadline := time.Now().Add(10 * time.Second); strings.Count(access.String(), "\n") < 3 && time.Now().Before(deadline); {
			runtime.Gosched()
		}
		if got := strings.Contains(access.String(), "token=alice"); got == quietened {
			t.Errorf("SkipQueryString %v:\n%s", quietened, access.String())
		}
	}
}
