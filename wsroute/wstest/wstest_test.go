package wstest_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a test whose failures are looked at.
type recorder struct {
	testing.TB
	failed   bool
	cleanups []func()
}

func (r *recorder) Helper()                  {}
func (r *recorder) Cleanup(f func())         { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(string, ...any)    { r.failed = true }
func (r *recorder) Fatalf(string, ...any)    { r.failed = true; panic(r) }
func (r *recorder) Fatal(...any)             { r.failed = true; panic(r) }
func (r *recorder) Context() context.Context { return context.Background() }

// fails says whether f fails its test.
func fails(t *testing.T, f func(testing.TB)) (failed bool) {
	r := &recorder{TB: t}
	defer func() {
		if v := recover(); v != nil && v != any(r) {
			panic(v)
		}
		for _, cleanup := range r.cleanups {
			cleanup()
		}
		failed = r.failed
	}()
	f(r)
	return
}

type room struct{ Name string }

func router() *wsroute.Router {
	deps := depends.New()
	depends.Provide(deps, func(context.Context, struct{}) (room, error) {
		return room{}, depends.Unavailable(time.Minute, errors.New("database is down"))
	})
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Room room }) error {
		for {
			m, err := conn.Receive(ctx)
			if err != nil {
				return err
			}
			if err := conn.Send(ctx, in.Room.Name+m); err != nil {
				return err
			}
		}
	}, wsroute.Public)
	return ws
}

func TestWhatShouldFailATestDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusing := wstest.Start(t, router())
		open := wstest.Start(t, router(), depends.OverrideValue(room{"r "}))
		for name, f := range map[string]func(testing.TB){
			"a refused Dial":     func(t testing.TB) { wstest.Dial[string, string](t, refusing, "/") },
			"Refused that opens": func(t testing.TB) { wstest.Refused(t, open, "/") },
			"Receive of nothing": func(t testing.TB) { wstest.Dial[string, string](t, open, "/").Receive() },
			"Closed without end": func(t testing.TB) { wstest.Dial[string, string](t, open, "/").Closed() },
			"a message of another kind": func(t testing.TB) {
				p := wstest.Dial[string, []byte](t, open, "/")
				p.Send("x")
				p.Receive()
			},
			"a wiring fault": func(t testing.TB) {
				wstest.Start(t, router(), depends.OverrideValue(time.Now()))
			},
			"a failing cleanup": func(t testing.TB) {
				depends.Cleanup(wstest.Context(t), func(context.Context, error) error { return errors.New("x") })
			},
		} {
			if !fails(t, f) {
				t.Errorf("%s does not fail", name)
			}
		}
		r := wstest.Refused(t, refusing, "/")
		want := wstest.Problem{Type: "about:blank", Title: "Service Unavailable", Status: 503, Reason: "unavailable"}
		if r.Problem.Reason != want.Reason || r.Problem.Title != want.Title || r.Header.Get("Retry-After") != "60" {
			t.Errorf("got %+v", r)
		}
	})
}

func TestOverridesHoldForOneRouter(t *testing.T) {
	replacements := []depends.Replacement{depends.Override(func(_ context.Context, in struct {
		Name string `query:"name"`
	},
	) (room, error) {
		return room{in.Name}, nil
	})}
	overridden := wstest.Start(t, router(), replacements...)
	peer := wstest.Dial[string, string](t, overridden, "/?name=a")
	peer.Send("b")
	if got := peer.Receive(); got != "ab" {
		t.Errorf("got %q", got)
	}
	if r := wstest.Refused(t, overridden, "/"); r.Status != 422 { // its needs are resolved
		t.Errorf("got %d", r.Status)
	}
	if r := wstest.Refused(t, wstest.Start(t, router()), "/?name=a"); r.Status != 503 {
		t.Errorf("got %d", r.Status)
	}
	again := wstest.Dial[string, string](t, wstest.Start(t, router(), replacements...), "/?name=c")
	again.Send("d") // the replacements themselves are as they were
	if got := again.Receive(); got != "cd" {
		t.Errorf("got %q", got)
	}
}

// TestAnOverrideKeepsTheLifetime of the provider that it replaces.
func TestAnOverrideKeepsTheLifetime(t *testing.T) {
	for lifetime, want := range map[depends.Lifetime]string{
		depends.App:        "made, opened, closed, released",
		depends.Connection: "made, opened, released, closed",
		depends.Handshake:  "made, released, opened, closed",
	} {
		synctest.Test(t, func(t *testing.T) {
			var events []string
			deps := depends.New()
			original := func(context.Context, struct{}) (room, error) { return room{}, nil }
			depends.Provide(deps, original, lifetime)
			type needsRoom struct {
				Room room `depends:"handshake-only"`
			}
			type welcome struct{}
			depends.Provide(deps, func(context.Context, needsRoom) (welcome, error) { return welcome{}, nil })
			ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
			type conn = wsroute.Conn[string, string]
			wsroute.Handle(ws, "/", func(ctx context.Context, conn *conn, _ struct{ Welcome welcome }) error {
				_, err := conn.Receive(ctx)
				return err
			}, wsroute.Public)
			srv := wstest.Start(t, ws, depends.Override(func(ctx context.Context, _ struct{}) (room, error) {
				events = append(events, "made")
				depends.Cleanup(ctx, func(context.Context, error) error {
					events = append(events, "released")
					return nil
				})
				return room{}, nil
			}))
			peer := wstest.Dial[string, string](t, srv, "/")
			synctest.Wait()
			events = append(events, "opened")
			peer.Close(1000, "")
			synctest.Wait()
			events = append(events, "closed")
			srv.Stop()
			if got := strings.Join(events, ", "); got != want {
				t.Errorf("%v: %s, want %s", lifetime, got, want)
			}
		})
	}
}

func TestPipe(t *testing.T) {
	conn, peer := wstest.Pipe[string, []byte](t)
	peer.Send("in")
	if got, err := conn.Receive(t.Context()); got != "in" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := conn.Send(t.Context(), []byte("out")); err != nil || string(peer.Receive()) != "out" {
		t.Error(err)
	}
	if conn.RemoteAddr() == nil || conn.Close(4000, "x") != nil {
		t.Error("the connection is not usable")
	}
	if got := peer.Closed(); got.Code != 4000 {
		t.Errorf("got %v", got)
	}
}
