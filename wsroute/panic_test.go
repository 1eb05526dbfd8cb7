package wsroute_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// isPanics and asPanics are errors that cannot be asked what they are.
type (
	isPanics     struct{}
	asPanics     struct{}
	unwrapPanics struct{}
)

func (isPanics) Error() string       { return "is" }
func (isPanics) Is(error) bool       { panic("no") }
func (asPanics) Error() string       { return "as" }
func (asPanics) As(any) bool         { panic("no") }
func (unwrapPanics) Error() string   { return "unwrap" }
func (unwrapPanics) Unwrap() []error { panic("no") }

// badErrors are errors that a program returns, or panics with, by mistake.
func badErrors() map[string]error {
	var rejection *depends.Rejection
	var message *wsroute.MessageError
	return map[string]error{
		"nil *Rejection":       rejection,
		"nil *MessageError":    message,
		"Is panics":            isPanics{},
		"As panics":            asPanics{},
		"Unwrap panics":        unwrapPanics{},
		"in a Rejection":       &depends.Rejection{Status: 403, Err: rejection},
		"in a joined error":    errors.Join(errors.New("a"), isPanics{}),
		"in an http.Handler's": &depends.Rejection{Status: 403, Err: asPanics{}},
	}
}

// TestAnErrorThatPanicsIsAPanic: whoever returns it is answered with a bare 500 or 1011, and its
// place is given back.
func TestAnErrorThatPanicsIsAPanic(t *testing.T) {
	for name, bad := range badErrors() {
		for _, where := range []string{"provider", "panic", "cleanup", "handler", "told", "http"} {
			t.Run(name+"/"+where, func(t *testing.T) { failWith(t, where, bad) })
		}
	}
}

// failing returns a router with room for one connection, in which bad is returned or thrown at
// one place while armed is set.
func failing(out io.Writer, where string, bad error, armed *atomic.Bool) *wsroute.Router {
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, _ none) (gate, error) {
		switch {
		case !armed.Load():
		case where == "panic":
			panic(bad)
		case where == "provider", where == "told":
			return gate{}, bad
		case where == "cleanup":
			depends.Cleanup(ctx, func(context.Context, error) error { return bad })
		}
		return gate{}, nil
	})
	ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.NewTextHandler(out, nil)), MaxConnections: 1, MaxHandshakes: 1})
	options := []wsroute.RouteOption{wsroute.Public}
	if where == "told" {
		options = append(options, wsroute.AcceptThenClose)
	}
	type in struct{ _ gate }
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], in) error {
		if armed.Load() && where == "handler" {
			return bad
		}
		return nil
	}, options...)
	wsroute.HandleHTTP(ws, http.MethodGet, "/http", func(http.ResponseWriter, *http.Request, none) error { return bad })
	return ws
}

func failWith(t *testing.T, where string, bad error) {
	var out safeBuffer
	var armed atomic.Bool
	armed.Store(true)
	ws := failing(&out, where, bad, &armed)
	srv := wstest.Start(t, ws)
	switch where {
	case "provider", "panic":
		if r := wstest.Refused(t, srv, "/ws"); r.Status != 500 {
			t.Errorf("refused with %d", r.Status)
		}
	case "http":
		answer, err := srv.Client().Get("http://" + srv.Host + "/http")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != 500 || !strings.Contains(string(body), "internal_error") {
			t.Errorf("answered with %d %s", answer.StatusCode, body)
		}
	default:
		want := 1011
		if where == "cleanup" {
			want = 1000
		}
		if end := wstest.Dial[string, string](t, srv, "/ws").Closed(); end.Code != want {
			t.Errorf("closed with %d", end.Code)
		}
	}
	armed.Store(false)
	eventually(t, func() bool { return strings.Contains(out.String(), "level=ERROR") })
	if !strings.Contains(out.String(), "panic in ") {
		t.Errorf("no panic in the log: %s", out.String())
	}
	connectsAgain(t, srv)
}

// connectsAgain waits until the one place is free.
func connectsAgain(t *testing.T, srv *wstest.Server) {
	t.Helper()
	eventually(t, func() bool {
		status, _, _ := exchange(t, srv, fmt.Sprintf(handshake, "/ws"))
		return status == http.StatusSwitchingProtocols
	})
}

// textual is an error that compares texts, as those of some libraries do.
type textual string

func (e textual) Error() string        { return string(e) }
func (e textual) Is(target error) bool { return string(e) == target.Error() }

// TestAnErrorWithItsOwnIs: an Is method that compares texts does not panic.
func TestAnErrorWithItsOwnIs(t *testing.T) {
	deps := depends.New()
	depends.Provide(deps, func(context.Context, none) (gate, error) {
		return gate{}, depends.Forbidden("not_yet", textual("soon"))
	})
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ gate }) error { return nil }, wsroute.Public)
	if r := wstest.Refused(t, wstest.Start(t, ws), "/ws"); r.Status != 403 || r.Problem.Reason != "not_yet" {
		t.Errorf("refused with %d %s", r.Status, r.Body)
	}
}

// TestNoPanicReachesRecovery: an error that panics never comes to gin.Recovery, which prints the
// headers of the request.
func TestNoPanicReachesRecovery(t *testing.T) {
	defer func(mode string, out io.Writer) {
		gin.SetMode(mode)
		gin.DefaultWriter = out
	}(gin.Mode(), gin.DefaultWriter)
	gin.SetMode(gin.DebugMode)
	gin.DefaultWriter = io.Discard
	for name, bad := range badErrors() {
		var out safeBuffer
		deps := depends.New()
		depends.Provide(deps, func(context.Context, none) (gate, error) { return gate{}, bad })
		ws := wsroute.New(deps, quiet())
		wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ gate }) error { return nil }, wsroute.Public)
		engine := gin.New()
		engine.Use(gin.RecoveryWithWriter(&out))
		if err := ws.Mount(engine); err != nil {
			t.Fatal(err)
		}
		connect := inMemory(t, &http.Server{Handler: engine})
		conn := connect()
		_, _ = io.WriteString(conn, ask("X-Api-Key: canary\r\nConnection: close\r\n"))
		if got, _ := io.ReadAll(conn); !strings.Contains(string(got), " 500 ") || !strings.Contains(string(got), "internal_error") {
			t.Errorf("%s: answered with %q", name, got)
		}
		if out.String() != "" {
			t.Errorf("%s: %s", name, out.String())
		}
	}
}

// panicky is a log in which no line about a connection can be written.
type panicky struct{}

func (panicky) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(`msg="connection `)) {
		panic("disk full")
	}
	return len(line), nil
}

func TestALoggerThatPanicsEndsNoConnection(t *testing.T) {
	ws := wsroute.New(depends.New(), &wsroute.Config{Logger: slog.New(slog.NewTextHandler(panicky{}, nil)), MaxConnections: 1})
	wsroute.Handle(ws, "/ws", echo[string], wsroute.Public)
	srv := wstest.Start(t, ws)
	if r := wstest.Refused(t, srv, "/ws", wstest.Header("Origin", "https://elsewhere.example")); r.Status != 403 {
		t.Errorf("refused with %d", r.Status)
	}
	c := wstest.Dial[string, string](t, srv, "/ws")
	c.Send("a")
	if got := c.Receive(); got != "a" {
		t.Errorf("got %q", got)
	}
	c.Close(1000, "")
	connectsAgain(t, srv)
}
