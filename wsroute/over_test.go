package wsroute_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestADeadlineOfMiddleware is no client that has left: there is somebody to answer, and
// what the providers say later is not it.
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
				wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ looked }) error { return nil })
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

// TestWhatAHandlerSaysAfterADeadline stays: it has done something, or it is broken.
func TestWhatAHandlerSaysAfterADeadline(t *testing.T) {
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
