// Package wstest tests WebSocket routes as the wire sees them: over real
// handshakes and frames, in memory or on loopback, with dependencies overridden
// where a test wants it.
//
//	srv := wstest.Start(t, ws, depends.OverrideValue(User{ID: "1", Name: "alice"}))
//	peer := wstest.Dial[Say, Said](t, srv, "/rooms/lobby")
//	peer.Send(Say{Text: "hi"})
//	got := peer.Receive()
//
// Of a route that declares how it refuses, closes and fails, what is not declared fails the test:
// see [wsroute.Closes].
//
// A refusal is asserted with [Refused]. Everything that waits has a deadline and
// fails the test when it passes. In memory, all of it works inside a
// testing/synctest bubble, where timers cost no time: make the server, and mint
// tokens, inside the bubble, whose clock begins in the year 2000.
//
// [Pipe] gives a connection to call a handler with, and [Context] a context for
// a provider's unit test.
package wstest

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/internal/graph"
	"example.com/usher/internal/memconn"
	"example.com/usher/wsroute"
)

// Server serves a router for one test. It stops when the test ends: the router
// is drained, and its App values are released.
type Server struct {
	// Host is what a request's Host is, such as "127.0.0.1:10001".
	Host string

	dial dialer
	stop func()
}

// dialer connects to the server, whatever the address.
type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// Start puts the overrides in the place of r's providers of their types, mounts r and
// serves it in memory. A wiring fault fails the test with the report. A router is
// started once: make one for each test. r panics if it was mounted already.
func Start(t testing.TB, r *wsroute.Router, overrides ...depends.Replacement) *Server {
	t.Helper()
	return StartHandler(t, r, mount(t, r, overrides))
}

// StartLoopback is Start over TCP on 127.0.0.1, for what memory does not have:
// kernel buffers, resets. It does not work inside a synctest bubble.
func StartLoopback(t testing.TB, r *wsroute.Router, overrides ...depends.Replacement) *Server {
	t.Helper()
	handler := mount(t, r, overrides)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, "StartLoopback", err)
	var d net.Dialer
	return serve(t, r, handler, l, func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "tcp", l.Addr().String())
	})
}

// StartHandler serves in memory a handler in which r is mounted, such as a gin engine with
// middleware. If r is not mounted yet, handler must be such an engine: the overrides take their
// places, as in [Start], and r is mounted on it.
func StartHandler(
	t testing.TB, r *wsroute.Router, handler http.Handler, overrides ...depends.Replacement,
) *Server {
	t.Helper()
	if _, ok := handler.(gin.IRouter); ok && r.Routes() == nil || len(overrides) > 0 {
		r.Override(overrides...)
		must(t, "StartHandler", r.Mount(handler.(gin.IRouter)))
	}
	l := memconn.Listen()
	return serve(t, r, handler, l, func(ctx context.Context, _, _ string) (net.Conn, error) {
		return l.Dial(ctx)
	})
}

func mount(t testing.TB, r *wsroute.Router, overrides []depends.Replacement) http.Handler {
	t.Helper()
	r.Override(overrides...)
	handler, err := r.Handler()
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

func serve(
	t testing.TB, r *wsroute.Router, handler http.Handler, l net.Listener, dial dialer,
) *Server {
	t.Helper()
	hold(t, r)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- wsroute.ServeListener(ctx, l, r, handler) }()
	s := &Server{Host: l.Addr().String(), dial: dial}
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("wstest: the server did not stop well: %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// Stop ends the server as the end of Serve's context does, and returns when it
// has stopped. It is called by itself at the end of the test.
func (s *Server) Stop() { s.stop() }

// Connect opens a raw connection to the server, for tests of the protocol itself.
func (s *Server) Connect(ctx context.Context) (net.Conn, error) { return s.dial(ctx, "", "") }

// Client returns an HTTP client whose every request goes to the server, whatever
// its URL's host; it keeps no connection.
func (s *Server) Client() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DialContext: s.dial},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Context returns a context for the unit test of a provider: its cleanups run
// when the test ends, and an error of one fails it. depends.ResponseHeader has what the
// provider sets.
func Context(t testing.TB) context.Context {
	t.Helper()
	scope := &graph.Scope{
		Budget: timeout, Report: func(err error) { t.Errorf("wstest: %v", err) },
		Header: new(map[string][]string),
	}
	ctx := t.Context()
	t.Cleanup(func() { scope.End(ctx, nil) })
	return scope.Context(ctx)
}
