package wsroute_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

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

// TestALateRefusalIsSent: however long middleware or a provider took, and however short the
// server's own deadline is, the client gets its answer.
func TestALateRefusalIsSent(t *testing.T) {
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

// TestARefusalToAClientThatDoesNotRead: it is given up after Limits.WriteTimeout, also on a
// server without a deadline of its own.
func TestARefusalToAClientThatDoesNotRead(t *testing.T) {
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

// TestAProviderThatIgnoresThatTheClientLeft: the client has ended the handshake, and the
// program has no fault.
func TestAProviderThatIgnoresThatTheClientLeft(t *testing.T) {
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
				wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ Gate gate }) error { return nil }, wsroute.Public)
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
				j.want(t, "wsroute: the client left before the answer")
				if got := log.String(); mapped || strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=INFO") || !strings.Contains(got, "status=499") {
					t.Errorf("MapError was asked: %t; the log:\n%s", mapped, got)
				}
			})
		})
	}
}

// TestTheBudgetAfterAnotherClock: a router whose first handshakes had a fake clock has a budget
// outside of it.
func TestTheBudgetAfterAnotherClock(t *testing.T) {
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
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ gate }) error { return nil }, wsroute.Public)
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

// TestADeadlineOfMiddleware: it is a 503, and not a client that has left.
func TestADeadlineOfMiddleware(t *testing.T) {
	for name, look := range map[string]func(context.Context) error{
		"who looks at it":        func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"who asks whether it is": func(ctx context.Context) error { time.Sleep(2 * time.Second); return ctx.Err() },
		"who does not":           func(context.Context) error { time.Sleep(2 * time.Second); return errBanned },
		"who lets in":            func(context.Context) error { time.Sleep(2 * time.Second); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				deps := depends.New()
				depends.Provide(deps, func(ctx context.Context, _ none) (looked, error) { return looked{}, look(ctx) })
				config := quiet()
				config.ResolveTimeout = time.Hour
				ws := wsroute.New(deps, config)
				wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ looked }) error { return nil }, wsroute.Public)
				wsroute.HandleHTTP(ws, http.MethodGet, "/http", func(http.ResponseWriter, *http.Request, struct{ _ looked }) error { return nil })
				engine := gin.New()
				engine.Use(func(c *gin.Context) {
					ctx, cancel := context.WithTimeout(c.Request.Context(), time.Second)
					defer cancel()
					c.Request = c.Request.WithContext(ctx)
					c.Next()
				})
				if err := ws.Mount(engine); err != nil {
					t.Fatal(err)
				}
				srv := wstest.StartHandler(t, ws, engine)
				if r := wstest.Refused(t, srv, "/ws"); r.Status != 503 || r.Problem.Reason != "timeout" {
					t.Errorf("the handshake: %d %s", r.Status, r.Body)
				}
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+srv.Host+"/http", nil)
				if err != nil {
					t.Fatal(err)
				}
				response, err := srv.Client().Do(request)
				if err != nil {
					t.Fatal(err)
				}
				_ = response.Body.Close()
				if response.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("HTTP: %d", response.StatusCode)
				}
			})
		})
	}
}

// TestAnErrorAfterADeadlineOfMiddleware: the error of a handler that is over its deadline is
// answered, and a panic is logged.
func TestAnErrorAfterADeadlineOfMiddleware(t *testing.T) {
	for name, test := range map[string]struct {
		end    func(context.Context) error
		status int
		log    string
	}{
		"a conflict":   {func(context.Context) error { return &depends.Rejection{Status: 409, Reason: "already_paid"} }, 409, "already_paid"},
		"a panic":      {func(context.Context) error { panic("the bug") }, 500, "the bug"},
		"the deadline": {context.Context.Err, 503, "timeout"},
		"its cause":    {context.Cause, 503, "timeout"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log safeBuffer
			ws := wsroute.New(depends.New(), &wsroute.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			wsroute.HandleHTTP(ws, http.MethodPost, "/", func(_ http.ResponseWriter, r *http.Request, _ none) error {
				time.Sleep(2 * time.Second)
				return test.end(r.Context())
			})
			routes, err := ws.Handler()
			if err != nil {
				t.Fatal(err)
			}
			srv := wstest.StartHandler(t, ws, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := context.WithTimeoutCause(r.Context(), time.Second, errors.New("a second is over"))
				defer cancel()
				routes.ServeHTTP(w, r.WithContext(ctx))
			}))
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+srv.Host+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := srv.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != test.status || !strings.Contains(log.String(), test.log) {
				t.Errorf("%s: %d, logged\n%s", name, response.StatusCode, log.String())
			}
		})
	}
}
