package wsroute_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"

	"example.com/usher/depends"
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

func newLeaky(t *testing.T) *leaky {
	l := &leaky{}
	deps := depends.New()
	depends.ProvideScheme(deps, depends.Scheme{Name: "test", Challenge: "Bearer", Sources: []depends.Source{
		{In: "header", Name: "Authorization", Prefix: "Bearer"}, {In: "query", Name: "token"}, {In: "cookie", Name: "token"}, {In: "subprotocol", Name: "chat"},
	}}, func(_ context.Context, c depends.Credential) (who, error) {
		if c.Request().URL.Query().Get("mode") == "refused" {
			return who{}, depends.Unauthorized("Bearer", fmt.Errorf("no good: %v", c))
		}
		return who{"alice"}, nil
	})
	depends.Provide(deps, func(_ context.Context, in struct {
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
	return strings.Contains(text, canary) || strings.Contains(text, strings.TrimPrefix(kubernetes(canary), "base64url.bearer.authorization.chat."))
}

// visit connects and says what the peer is told: the head of the answer, its
// body, the close frame.
func (l *leaky) visit(t *testing.T, target string, headers http.Header, say string) string {
	dialer := websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.srv.Connect(ctx) }}
	conn, response, err := dialer.Dial("ws://"+l.srv.Host+target, headers)
	if response == nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	told := fmt.Sprint(response.Status, response.Header)
	if err != nil {
		return told + string(wstest.Get(t, l.srv, target).Body)
	}
	defer conn.Close()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(say)); err != nil {
		return told + err.Error()
	}
	_, data, err := conn.ReadMessage()
	return told + string(data) + fmt.Sprint(err)
}

// TestNoSecretAnywhere: a canary in each source, with each outcome, is printed by
// nobody and told to nobody.
func TestNoSecretAnywhere(t *testing.T) {
	l := newLeaky(t)
	places := map[string]func(http.Header) (query string){
		"header":     func(h http.Header) string { h.Set("Authorization", "Bearer "+canary); return "" },
		"query":      func(http.Header) string { return "&token=" + canary },
		"semicolon":  func(http.Header) string { return ";token=" + canary },
		"HTML":       func(http.Header) string { return "&amp;token=" + canary },
		"cookie":     func(h http.Header) string { h.Set("Cookie", "token="+canary+"; other=1"); return "" },
		"pair":       func(h http.Header) string { h.Set("Sec-WebSocket-Protocol", "bearer, "+canary+", v1"); return "" },
		"kubernetes": func(h http.Header) string { h.Set("Sec-WebSocket-Protocol", "v1, "+kubernetes(canary)); return "" },
		"two": func(h http.Header) string {
			h.Set("Authorization", "Bearer "+canary)
			h.Set("Cookie", "token="+canary)
			return "&token=" + canary
		},
	}
	for place, put := range places {
		for _, path := range []string{"/ws/a", "/told/a", "/ws/a/", "/none/a"} {
			for _, mode := range []string{"ok", "refused", "error", "panic", "epipe", "ok&n=x", "ok&%zz"} {
				for _, say := range []string{"hello", "panic"} {
					headers := http.Header{"Origin": {pageOrigin}}
					query := put(headers)
					if told := l.visit(t, path+"?mode="+mode+query, headers, say); leaks(told) {
						t.Errorf("%s, %s, %s: told %s", place, path, mode, told)
					}
				}
			}
		}
	}
	headers := http.Header{"Origin": {"https://evil.example"}}
	if told := l.visit(t, "/ws/a?mode=ok"+places["query"](headers), headers, ""); leaks(told) {
		t.Errorf("a foreign origin is told %s", told)
	}
	if r := wstest.Get(t, l.srv, "/plain?token=mine"); string(r.Body) != "mine" {
		t.Errorf("a route of the program's own lost its query: %s", r.Body)
	}
	open := wstest.Dial[string, string](t, l.srv, "/ws/a?mode=ok&token="+canary, wstest.Header("Origin", pageOrigin))
	go l.srv.Stop() // a drain
	if got := open.Closed(); got.Code != 1012 || leaks(got.Reason) {
		t.Errorf("drained with %v", got)
	}
	l.srv.Stop()
	for line := range strings.Lines(l.out.String()) {
		if leaks(line) {
			t.Errorf("printed: %s", line)
		}
	}
}
