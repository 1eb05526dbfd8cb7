package wsroute_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

const canary = "canary-7a41"

// leaky is a program that does everything with a connection that could print its
// token: gin's own logger and recovery, a log of every level, and failures.
type leaky struct {
	out safeBuffer
	ws  *wsroute.Router
	srv *wstest.Server
}

func newLeaky(t *testing.T, scheme func(*depends.Graph)) *leaky {
	l := &leaky{}
	defer func(mode string, out io.Writer) {
		t.Cleanup(func() {
			gin.SetMode(mode)
			gin.DefaultWriter = out
		})
	}(gin.Mode(), gin.DefaultWriter)
	gin.SetMode(gin.DebugMode) // in which gin.Recovery prints requests
	gin.DefaultWriter = &l.out
	deps := depends.New()
	scheme(deps)
	depends.Provide(deps, func(ctx context.Context, in struct {
		Mode    string `query:"mode"`
		Who     who
		Request *http.Request
	},
	) (gate, error) {
		if seen := fmt.Sprint(in.Request.URL, in.Request.RequestURI, in.Request.Header, in.Request.Context()); leaks(seen) {
			t.Errorf("a provider sees the token: %s", seen)
		}
		switch in.Mode {
		case "error":
			return gate{}, fmt.Errorf("failed for %v", in.Request.Header)
		case "panic":
			panic(in.Request)
		case "epipe":
			panic(&net.OpError{Op: "write", Err: syscall.EPIPE})
		case "bad":
			return gate{}, leakyError{in.Request}
		case "expire":
			depends.ValidUntil(ctx, time.Now().Add(10*time.Millisecond))
		}
		return gate{}, nil
	})
	l.ws = wsroute.New(deps, &wsroute.Config{
		Logger: slog.New(slog.NewJSONHandler(&l.out, &slog.HandlerOptions{Level: slog.LevelDebug})), Origins: []string{pageOrigin},
	})
	handler := func(ctx context.Context, conn *wsroute.Conn[string, string], in leakyInput) error {
		m, err := conn.Receive(ctx)
		if m == "panic" {
			panic(in.Request)
		}
		return errors.Join(err, fmt.Errorf("for %v", in.Request))
	}
	l.serve(t, handler)
	return l
}

// leakyError cannot say what it is, and tries to print the request instead.
type leakyError struct{ r *http.Request }

func (e leakyError) Error() string { panic(e.r) }

type leakyInput struct {
	_       gate
	N       int `query:"n" default:"0"`
	Request *http.Request
}

// serve mounts the routes beside a plain one, and prints what Explain says.
func (l *leaky) serve(t *testing.T, handler func(context.Context, *wsroute.Conn[string, string], leakyInput) error) {
	wsroute.Handle(l.ws, "/ws/:room", handler, wsroute.Diagnose, wsroute.Subprotocols("v1"))
	wsroute.Handle(l.ws, "/told/:room", handler, wsroute.AcceptThenClose, wsroute.Subprotocols("v1"))
	engine := gin.New()
	engine.Use(gin.LoggerWithWriter(&l.out), gin.RecoveryWithWriter(&l.out))
	engine.Use(func(c *gin.Context) {
		if seen := fmt.Sprint(c.Request.URL, c.Request.RequestURI, c.Request.Header["Sec-Websocket-Protocol"]); leaks(seen) {
			t.Errorf("middleware sees the token: %s", seen)
		}
	})
	engine.GET("/plain", func(c *gin.Context) { c.String(http.StatusOK, c.Query("token")) })
	if err := l.ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	if err := l.ws.Explain(&l.out); err != nil {
		t.Fatal(err)
	}
	l.srv = wstest.StartHandler(t, l.ws, engine)
}

func leaks(text string) bool {
	for _, form := range []string{canary, strings.TrimPrefix(kubernetes(canary), "base64url.bearer.authorization.chat."), basicCanary[:len(basicCanary)-4]} {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

// dial connects, and says what the peer is told by the answer.
func (l *leaky) dial(t *testing.T, target string, headers http.Header) (*websocket.Conn, string) {
	dialer := websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.srv.Connect(ctx) }}
	conn, response, err := dialer.Dial("ws://"+l.srv.Host+target, headers)
	if response == nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	told := fmt.Sprint(response.Status, response.Header, string(body))
	if err != nil {
		path, _, _ := strings.Cut(target, "?")
		if path == "/ws/a" || path == "/told/a" { // a plain GET of another page keeps its query
			told += string(wstest.Get(t, l.srv, target).Body)
		}
		return nil, told
	}
	return conn, told
}

// visit connects and says what the peer is told: the head of the answer, its
// body, what is answered to what it says, the close frame.
func (l *leaky) visit(t *testing.T, target string, headers http.Header, say string) string {
	conn, told := l.dial(t, target, headers)
	if conn == nil {
		return told
	}
	defer conn.Close()
	if say != "" {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(say)); err != nil {
			return told + err.Error()
		}
	}
	_, data, err := conn.ReadMessage()
	return told + string(data) + fmt.Sprint(err)
}

// leakyScheme is a scheme, and the places in which it takes the canary.
type leakyScheme struct {
	use    func(*depends.Graph)
	places map[string]func(http.Header) (query string)
}

// inHeader puts a value into a header.
func inHeader(name, value string) func(http.Header) string {
	return func(h http.Header) string {
		h.Set(name, value)
		return ""
	}
}

func inQuery(pair string) func(http.Header) string {
	return func(http.Header) string { return "&" + pair }
}

// spentTicket is the store of a ticket that everybody has.
type spentTicket struct{}

func (spentTicket) Put(context.Context, string, []byte, time.Time) error { return nil }
func (spentTicket) Take(context.Context, string, bool) ([]byte, error) {
	return fmt.Appendf(nil, `{"for":{"Name":"x"},"path":"/ws/a","origin":%q,"expires":"2999-01-01T00:00:00Z"}`, pageOrigin), nil
}

func leakyBearer() leakyScheme {
	return leakyScheme{func(deps *depends.Graph) {
		provideScheme(deps, depends.Scheme{Name: "test", Challenge: "Bearer", Sources: []depends.Source{
			{In: "header", Name: "Authorization", Prefix: "Bearer"}, {In: "query", Name: "token"}, {In: "cookie", Name: "token"}, {In: "subprotocol", Name: "chat"},
		}}, func(_ context.Context, c depends.Credential) (who, error) {
			if c.Request().URL.Query().Get("mode") == "refused" {
				return who{}, depends.Unauthorized("Bearer", fmt.Errorf("no good: %v", c))
			}
			return who{"alice"}, nil
		})
	}, map[string]func(http.Header) string{
		"header":     inHeader("Authorization", "Bearer "+canary),
		"query":      inQuery("token=" + canary),
		"semicolon":  func(http.Header) string { return ";token=" + canary },
		"HTML":       func(http.Header) string { return "&amp;token=" + canary },
		"cookie":     inHeader("Cookie", "token="+canary+"; other=1"),
		"pair":       inHeader("Sec-WebSocket-Protocol", "bearer, "+canary+", v1"),
		"kubernetes": inHeader("Sec-WebSocket-Protocol", "v1, "+kubernetes(canary)),
		"two": func(h http.Header) string {
			h.Set("Authorization", "Bearer "+canary)
			h.Set("Cookie", "token="+canary)
			return "&token=" + canary
		},
	}}
}

func leakySchemes() map[string]leakyScheme {
	return map[string]leakyScheme{
		"bearer": leakyBearer(),
		"key": {func(deps *depends.Graph) {
			security.Use(deps, security.APIKey[who]{
				Sources: []depends.Source{security.Header("X-Api-Key"), security.QueryToken("key")}, InsecureQuery: true,
				Find: func(context.Context, [32]byte) (who, error) { return who{"alice"}, nil },
			})
		}, map[string]func(http.Header) string{"header": inHeader("X-Api-Key", canary), "query": inQuery("key=" + canary)}},
		"basic": {func(deps *depends.Graph) {
			security.Use(deps, security.Basic[who]{Realm: "r", Verify: func(_ context.Context, name, password string) (who, error) {
				if password != canary {
					return who{}, fmt.Errorf("%s has another password: %w", name, depends.ErrAbsent)
				}
				return who{name}, nil
			}})
		}, map[string]func(http.Header) string{
			"good": inHeader("Authorization", "Basic "+basicCanary), "bad": inHeader("Authorization", "Basic "+basicCanary[:len(basicCanary)-4]),
		}},
		"session": {func(deps *depends.Graph) {
			security.Use(deps, security.Session[who]{
				Cookie: "sid", Find: func(context.Context, string) (who, error) { return who{"alice"}, nil },
				CSRF: func(who) string { return canary + "-csrf" },
			})
		}, map[string]func(http.Header) string{
			"good": func(h http.Header) string {
				h.Set("Cookie", "sid="+canary)
				return "&csrf_token=" + canary + "-csrf"
			},
			"bad csrf": func(h http.Header) string {
				h.Set("Cookie", "sid="+canary)
				return "&csrf_token=" + canary
			},
		}},
		"ticket": {func(deps *depends.Graph) {
			security.Use(deps, &security.Tickets[who]{Store: spentTicket{}})
		}, map[string]func(http.Header) string{"query": inQuery("ticket=" + canary)}},
	}
}

var basicCanary = base64.StdEncoding.EncodeToString([]byte("alice:" + canary))

// TestNoSecretAnywhere: a canary in each source, with each outcome, is printed by
// nobody and told to nobody.
func TestNoSecretAnywhere(t *testing.T) {
	for name, scheme := range leakySchemes() {
		t.Run(name, func(t *testing.T) {
			l := newLeaky(t, scheme.use)
			for place, put := range scheme.places {
				l.visitAll(t, place, put)
			}
			l.drain(t, scheme.places)
			for line := range strings.Lines(l.out.String()) {
				if leaks(line) {
					t.Errorf("printed: %s", line)
				}
			}
		})
	}
}

// visitAll has every outcome of a handshake, and of a connection but its drain.
func (l *leaky) visitAll(t *testing.T, place string, put func(http.Header) string) {
	for _, path := range []string{"/ws/a", "/told/a", "/ws/a/", "/none/a"} {
		for _, mode := range []string{"ok", "refused", "error", "panic", "epipe", "bad", "expire", "ok&n=x", "ok&%zz"} {
			for _, say := range []string{"hello", "panic"} {
				if mode == "expire" {
					say = "" // it waits until then
				}
				headers := http.Header{"Origin": {pageOrigin}}
				query := put(headers)
				if told := l.visit(t, path+"?mode="+mode+query, headers, say); leaks(told) {
					t.Errorf("%s, %s, %s: told %s", place, path, mode, told)
				}
			}
		}
	}
	headers := http.Header{}
	query := put(headers)
	headers.Set("Origin", "https://evil.example")
	if told := l.visit(t, "/ws/a?mode=ok"+query, headers, ""); leaks(told) {
		t.Errorf("%s: a foreign origin is told %s", place, told)
	}
	if r := wstest.Get(t, l.srv, "/plain?token=mine"); string(r.Body) != "mine" {
		t.Errorf("a route of the program's own lost its query: %s", r.Body)
	}
}

// drain stops the server while a connection of each place is open.
func (l *leaky) drain(t *testing.T, places map[string]func(http.Header) string) {
	var open []*websocket.Conn
	for _, put := range places {
		headers := http.Header{"Origin": {pageOrigin}}
		query := put(headers)
		if conn, _ := l.dial(t, "/ws/a?mode=ok"+query, headers); conn != nil {
			defer conn.Close()
			open = append(open, conn)
		}
	}
	if len(open) == 0 {
		t.Error("no connection is open")
	}
	go l.srv.Stop()
	for _, conn := range open {
		if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseServiceRestart) || leaks(err.Error()) {
			t.Errorf("drained with %v", err)
		}
	}
	l.srv.Stop()
}
