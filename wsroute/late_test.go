package wsroute_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/memconn"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// guarded is a route whose scheme refuses every credential, after some time.
func guarded(t *testing.T, config *wsroute.Config, slow time.Duration, options ...wsroute.RouteOption) *wsroute.Router {
	t.Helper()
	deps := depends.New()
	provideScheme(deps, depends.Scheme{
		Name: "test", Challenge: "Bearer", Sources: []depends.Source{{In: "header", Name: "Authorization", Prefix: "Bearer"}},
	}, func(context.Context, depends.Credential) (who, error) {
		time.Sleep(slow)
		return who{}, depends.Unauthorized("Bearer", nil)
	})
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ who }) error { return nil }, options...)
	return ws
}

// ask is a handshake of that route.
func ask(header string) string {
	return strings.TrimSuffix(fmt.Sprintf(handshake, "/ws"), "\r\n") + header + "\r\n"
}

// inMemory runs a server of the program's own until the test ends.
func inMemory(t *testing.T, server *http.Server) (connect func() net.Conn) {
	t.Helper()
	listener := memconn.Listen()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return func() net.Conn {
		conn, err := listener.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
}

// TestARefusalIsToldLate: whatever took its time, middleware or a provider, and however
// short the server's own deadline, the client gets its answer.
func TestARefusalIsToldLate(t *testing.T) {
	const bad = "Authorization: Bearer bad\r\n"
	for name, test := range map[string]struct {
		header               string
		middleware, provider time.Duration
		status               int
	}{
		"no credential":             {"", 1200 * time.Millisecond, 0, 401},
		"foreign origin":            {"Origin: https://evil.example\r\n", 1200 * time.Millisecond, 0, 403},
		"bad credential":            {bad, 1200 * time.Millisecond, 0, 401},
		"slow provider":             {bad, 0, 1200 * time.Millisecond, 401},
		"both, neither late itself": {bad, 700 * time.Millisecond, 400 * time.Millisecond, 401},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				routes, err := guarded(t, quiet(), test.provider).Handler()
				if err != nil {
					t.Fatal(err)
				}
				connect := inMemory(t, &http.Server{WriteTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(test.middleware)
					routes.ServeHTTP(w, r)
				})})
				conn := connect()
				_, _ = io.WriteString(conn, ask(test.header))
				r, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatalf("no answer: %v", err)
				}
				defer func() { _ = r.Body.Close() }()
				if r.StatusCode != test.status {
					t.Errorf("got %d, want %d", r.StatusCode, test.status)
				}
			})
		})
	}
}

// TestRefusalsToWhoDoesNotRead are given up after Limits.WriteTimeout, also on a server
// that has no deadline of its own.
func TestRefusalsToWhoDoesNotRead(t *testing.T) {
	for name, request := range map[string]string{
		"not found":      fmt.Sprintf(handshake, "/none"),
		"bad query":      fmt.Sprintf(handshake, "/ws?x=%zz"),
		"foreign origin": ask("Origin: https://evil.example\r\n"),
		"no credential":  ask(""),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := quiet()
				config.Limits.WriteTimeout = time.Second
				routes, err := guarded(t, config, 0).Handler()
				if err != nil {
					t.Fatal(err)
				}
				conn := inMemory(t, &http.Server{Handler: routes})()
				begin := time.Now()
				for { // until the server has given up
					if _, err := io.WriteString(conn, request); err != nil {
						break
					}
				}
				if took := time.Since(begin); took > 2*time.Second {
					t.Errorf("given up after %v", took)
				}
			})
		})
	}
}

// TestStrangersWhoAreToldAreCounted: a limit by address holds for those who are accepted
// only to be told why they are not.
func TestStrangersWhoAreToldAreCounted(t *testing.T) {
	config := quiet()
	config.MaxPerAddress = 2
	srv := wstest.StartLoopback(t, guarded(t, config, 0, wsroute.AcceptThenClose))
	told := 0
	for range 6 {
		conn, err := srv.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, ask(""))
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode == http.StatusSwitchingProtocols {
			told++
		}
	}
	if told != config.MaxPerAddress {
		t.Errorf("%d of one address are open at once, want %d", told, config.MaxPerAddress)
	}
}

// TestTheClientLeavesUnnoticed by a provider that does not look at its context, or asks
// only for its error: it is the client's end all the same, and no fault of the program's.
func TestTheClientLeavesUnnoticed(t *testing.T) {
	for name, provider := range map[string]func(context.Context) error{
		"fails":          func(context.Context) error { time.Sleep(time.Second); return errors.New("SELECT failed") },
		"succeeds":       func(context.Context) error { time.Sleep(time.Second); return nil },
		"asks for Err":   func(ctx context.Context) error { time.Sleep(time.Second); return ctx.Err() },
		"asks for Cause": func(ctx context.Context) error { time.Sleep(time.Second); return context.Cause(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				j, mapped := &journal{}, false
				deps := depends.New()
				depends.Provide(deps, func(ctx context.Context, _ none) (gate, error) {
					depends.Cleanup(ctx, func(_ context.Context, why error) error { j.add("%v", why); return nil })
					return gate{}, provider(ctx)
				})
				ws := wsroute.New(deps, &wsroute.Config{Logger: textLogger(&log), MapError: func(error) *depends.Rejection { mapped = true; return nil }})
				wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ gate }) error { return nil })
				srv := wstest.Start(t, ws)
				conn, err := srv.Connect(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.WriteString(conn, ask(""))
				synctest.Wait()
				_ = conn.Close()
				time.Sleep(2 * time.Second)
				synctest.Wait()
				j.want(t, "wsroute: the client left during the handshake")
				if got := log.String(); mapped || strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=INFO") || !strings.Contains(got, "status=499") {
					t.Errorf("MapError was asked: %t; the log:\n%s", mapped, got)
				}
			})
		})
	}
}

// TestATimerThatNeverComes: a router whose handshakes have met another clock still has a
// budget.
func TestATimerThatNeverComes(t *testing.T) {
	hang := false
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, _ none) (gate, error) {
		if hang {
			<-ctx.Done()
			return gate{}, ctx.Err()
		}
		return gate{}, depends.Forbidden("no", nil)
	})
	config := quiet()
	config.ResolveTimeout = 50 * time.Millisecond
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ gate }) error { return nil })
	routes, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	get := func(t *testing.T) int {
		conn := inMemory(t, &http.Server{Handler: routes})()
		_, _ = io.WriteString(conn, ask(""))
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		return r.StatusCode
	}
	synctest.Test(t, func(t *testing.T) {
		if got := get(t); got != 403 {
			t.Errorf("in a bubble: %d", got)
		}
	})
	hang = true
	if got := get(t); got != 503 {
		t.Errorf("outside: %d", got)
	}
}
