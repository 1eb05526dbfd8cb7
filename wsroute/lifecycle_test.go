package wsroute_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// Five providers in a row; their cleanups tell what ended them.
type (
	p1 struct{}
	p2 struct{}
	p3 struct{}
	p4 struct{}
	p5 struct{}
)

type fiveInput struct {
	P1 p1
	P2 p2
	_  p3
	P4 p4
	P5 p5
}

// five provides p1 to p5, of which p2 and p3 are Handshake values; in the third,
// user code runs.
func five(j *journal, third func(context.Context) error) *depends.Graph {
	deps := depends.New()
	make1(deps, j, "1", p1{}, nil, depends.Connection)
	make1(deps, j, "2", gate{}, nil, depends.Handshake)
	depends.Provide(deps, func(context.Context, struct{ _ gate }) (p2, error) { return p2{}, nil })
	make1(deps, j, "3", p3{}, third, depends.Handshake)
	make1(deps, j, "4", p4{}, nil, depends.Connection)
	make1(deps, j, "5", p5{}, nil, depends.Connection)
	return deps
}

func make1[T any](deps *depends.Graph, j *journal, name string, value T, body func(context.Context) error, l depends.Lifetime) {
	depends.Provide(deps, func(ctx context.Context, _ none) (T, error) {
		j.add("+%s", name)
		depends.Cleanup(ctx, func(ctx context.Context, cause error) error {
			if ctx.Err() != nil {
				j.add("cancelled!")
			}
			j.add("-%s%s", name, short(cause))
			return nil
		})
		if body != nil {
			if err := body(ctx); err != nil {
				return value, err
			}
		}
		return value, nil
	}, l)
}

func short(cause error) string {
	var closed *wsroute.CloseError
	switch {
	case cause == nil:
		return ""
	case errors.As(cause, &closed):
		return fmt.Sprintf("(%d)", closed.Code)
	case strings.Contains(cause.Error(), "left before"):
		return "(gone)"
	case strings.Contains(cause.Error(), "ResolveTimeout"):
		return "(budget)"
	}
	return "(error)"
}

func lifecycle(j *journal, third func(context.Context) error) *wsroute.Router {
	ws := wsroute.New(five(j, third), quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ fiveInput) error {
		j.add("handler")
		_, err := conn.Receive(ctx)
		return err
	}, wsroute.Public)
	return ws
}

func TestOrderOfAConnection(t *testing.T) {
	j := &journal{}
	srv := wstest.Start(t, lifecycle(j, nil))
	peer := wstest.Dial[string, string](t, srv, "/")
	peer.Close(4000, "")
	srv.Stop()
	j.want(t, "+1 +2 +3 +4 +5 -3 -2 handler -5(4000) -4(4000) -1(4000)")
}

// TestEachFailureOfAProvider: whatever a provider does, the client gets an
// answer and each cleanup runs once, in reverse, with the cause.
func TestEachFailureOfAProvider(t *testing.T) {
	for name, test := range map[string]struct {
		third  func(context.Context) error
		status int
	}{
		"error":                {func(context.Context) error { return errors.New("secret") }, 500},
		"rejection":            {func(context.Context) error { return depends.NotFound("no_room", errors.New("secret")) }, 404},
		"bad status":           {func(context.Context) error { return &depends.Rejection{Status: 200} }, 500},
		"panic":                {func(context.Context) error { panic("secret") }, 500},
		"panic of the runtime": {func(context.Context) error { panic(runtime.Error(new(runtime.TypeAssertionError))) }, 500},
		"panic EPIPE":          {func(context.Context) error { panic(fmt.Errorf("write: %w", syscall.EPIPE)) }, 500},
		"panic abort":          {func(context.Context) error { panic(http.ErrAbortHandler) }, 500},
		"panic rejection":      {func(context.Context) error { panic(depends.NotFound("secret", nil)) }, 500},
		"Goexit":               {func(context.Context) error { runtime.Goexit(); return nil }, 500},
	} {
		t.Run(name, func(t *testing.T) {
			j := &journal{}
			srv := wstest.Start(t, lifecycle(j, test.third))
			r := wstest.Refused(t, srv, "/")
			if r.Status != test.status || strings.Contains(string(r.Body), "secret") {
				t.Errorf("got %d %s", r.Status, r.Body)
			}
			srv.Stop()
			j.want(t, "+1 +2 +3 -3(error) -2(error) -1(error)")
		})
	}
}

func TestAProviderThatIgnoresItsContextIsAnsweredFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		srv := wstest.Start(t, lifecycle(j, func(ctx context.Context) error {
			time.Sleep(20 * time.Second)
			j.add("awake(%v)", context.Cause(ctx) != nil)
			depends.Cleanup(ctx, func(context.Context, error) error { j.add("-late"); return nil })
			return nil
		}))
		start := time.Now()
		r := wstest.Refused(t, srv, "/")
		if r.Status != 503 || r.Header.Get("Retry-After") == "" || r.Problem.Reason != "timeout" || time.Since(start) != 5*time.Second {
			t.Errorf("after %v: %+v", time.Since(start), r)
		}
		time.Sleep(20 * time.Second)
		j.want(t, "+1 +2 +3 awake(true) -late -3(budget) -2(budget) -1(budget)")
	})
}

func TestACleanupAfterTheEndRunsAtOnce(t *testing.T) {
	j := &journal{}
	var kept context.Context
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, _ none) (p1, error) { kept = ctx; return p1{}, nil })
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], struct{ P p1 }) error { return nil }, wsroute.Public)
	srv := wstest.Start(t, ws)
	wstest.Dial[string, string](t, srv, "/").Closed()
	srv.Stop()
	depends.Cleanup(kept, func(context.Context, error) error { j.add("ran"); return nil })
	j.want(t, "ran")
}

func TestTheClientLeavesWhileAProviderRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		running := make(chan struct{})
		srv := wstest.Start(t, lifecycle(j, func(ctx context.Context) error {
			close(running)
			<-ctx.Done()
			return ctx.Err()
		}))
		conn, err := srv.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, fmt.Sprintf(handshake, "/"))
		<-running
		start := time.Now()
		_ = conn.Close()
		synctest.Wait()
		if time.Since(start) != 0 {
			t.Errorf("noticed after %v", time.Since(start))
		}
		j.want(t, "+1 +2 +3 -3(gone) -2(gone) -1(gone)")
	})
}

// TestTheUpgradeItselfFails: the client has gone without net/http noticing.
func TestTheUpgradeItselfFails(t *testing.T) {
	j := &journal{}
	ws := lifecycle(j, nil)
	handler, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(unhijackable{w}, r)
	}))
	if r := wstest.Refused(t, srv, "/"); r.Status != 500 {
		t.Errorf("got %+v", r)
	}
	j.want(t, "") // found before anything ran
	failing := wstest.StartHandler(t, ws, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(brokenHijacker{w}, r)
	}))
	if r := wstest.Refused(t, failing, "/"); r.Status != 500 || strings.Contains(string(r.Body), "secret") {
		t.Errorf("got %+v", r)
	}
	failing.Stop()
	j.want(t, "+1 +2 +3 +4 +5 -3(error) -2(error) -5(error) -4(error) -1(error)")
}

type unhijackable struct{ http.ResponseWriter }

type brokenHijacker struct{ http.ResponseWriter }

func (brokenHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("secret")
}

func TestCleanupsThatFailChangeNothing(t *testing.T) {
	for name, fail := range map[string]func(){
		"panic":  func() { panic(http.ErrAbortHandler) },
		"Goexit": runtime.Goexit,
	} {
		for _, lifetime := range []depends.Lifetime{depends.Handshake, depends.Connection} {
			t.Run(name+" "+lifetime.String(), func(t *testing.T) {
				j := &journal{}
				deps := depends.New()
				make1(deps, j, "1", p1{}, nil, lifetime)
				depends.Provide(deps, func(ctx context.Context, in struct{ _ p1 }) (p2, error) {
					depends.Cleanup(ctx, func(context.Context, error) error { fail(); return nil })
					return p2{}, nil
				}, lifetime)
				ws := wsroute.New(deps, quiet())
				wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], struct{ _ p2 }) error { return nil }, wsroute.Public)
				srv := wstest.Start(t, ws)
				got := wstest.Dial[string, string](t, srv, "/").Closed()
				srv.Stop()
				if want := "+1 -1"; j.String() != want {
					t.Errorf("journal %q", j)
				}
				if lifetime == depends.Connection && got.Code != 1000 {
					t.Errorf("closed with %v", got)
				}
			})
		}
	}
}

func TestAHandlerThatCallsGoexitCloses(t *testing.T) {
	j := &journal{}
	deps := depends.New()
	make1(deps, j, "1", p1{}, nil, depends.Connection)
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], struct{ _ p1 }) error {
		runtime.Goexit()
		return nil
	}, wsroute.Public)
	srv := wstest.Start(t, ws)
	if got := wstest.Dial[string, string](t, srv, "/").Closed(); got.Code != 1011 {
		t.Errorf("got %v", got)
	}
	srv.Stop()
	j.want(t, "+1 -1(error)")
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		resolving, opened := make(chan struct{}), make(chan struct{})
		deps := depends.New()
		depends.Provide(deps, func(ctx context.Context, _ none) (p1, error) {
			close(resolving)
			<-ctx.Done()
			return p1{}, ctx.Err()
		})
		ws := wsroute.New(deps, quiet())
		wsroute.Handle(ws, "/open", func(ctx context.Context, _ *wsroute.Conn[string, string], _ none) error {
			close(opened)
			<-ctx.Done()
			time.Sleep(3 * time.Second)
			j.add("%v", errors.Is(context.Cause(ctx), wsroute.ErrDraining))
			return nil
		}, wsroute.Public)
		wsroute.Handle(ws, "/resolving", func(context.Context, *wsroute.Conn[string, string], struct{ P p1 }) error {
			j.add("handler")
			return nil
		}, wsroute.Public)
		handler, err := ws.Handler()
		if err != nil {
			t.Fatal(err)
		}
		srv := wstest.StartHandler(t, ws, handler)
		open := wstest.Dial[string, string](t, srv, "/open")
		refused := make(chan *wstest.Refusal)
		go func() { refused <- wstest.Refused(t, srv, "/resolving") }()
		<-resolving
		<-opened
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := ws.Drain(short); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 connections") {
			t.Errorf("got %v", err)
		}
		if got := open.Closed(); got.Code != 1012 || got.Reason != "server_restart" {
			t.Errorf("got %v", got)
		}
		for _, r := range []*wstest.Refusal{<-refused, wstest.Refused(t, srv, "/open")} {
			if r.Status != 503 || r.Problem.Reason != "draining" || r.Header.Get("Retry-After") == "" {
				t.Errorf("got %+v", r)
			}
		}
		if _, err := ws.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		j.want(t, "true")
	})
}

// TestHandshakeValuesAreFreedWhileTheHandlerRuns: an idle connection holds neither its
// Handshake values nor its inputs.
func TestHandshakeValuesAreFreedWhileTheHandlerRuns(t *testing.T) {
	type heavy struct{ data []byte }
	freed := make(chan struct{})
	deps := depends.New()
	depends.Provide(deps, func(context.Context, none) (*heavy, error) {
		h := &heavy{make([]byte, 1<<20)}
		runtime.AddCleanup(h, func(struct{}) { close(freed) }, struct{}{})
		return h, nil
	}, depends.Handshake)
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ _ *heavy }) error {
		_, err := conn.Receive(ctx)
		return err
	}, wsroute.Public)
	wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
	for range 100 {
		runtime.GC()
		select {
		case <-freed:
			return
		default:
			runtime.Gosched()
		}
	}
	t.Error("a Handshake value is held while the connection idles")
}

// brittle is a ResponseWriter of the program's own.
type brittle struct{ http.ResponseWriter }

func (brittle) WriteHeader(int) { panic("brittle") }

func (b brittle) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// TestAWriterThatPanicsAfterTheBudget does not end the process.
func TestAWriterThatPanicsAfterTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out safeBuffer
		deps := depends.New()
		depends.Provide(deps, func(ctx context.Context, _ none) (gate, error) {
			<-ctx.Done()
			return gate{}, ctx.Err()
		})
		ws := wsroute.New(deps, &wsroute.Config{Logger: textLogger(&out)})
		wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], struct{ _ gate }) error { return nil }, wsroute.Public)
		handler, err := ws.Handler()
		if err != nil {
			t.Fatal(err)
		}
		srv := wstest.StartHandler(t, ws, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(brittle{w}, r) }))
		conn, err := srv.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(conn, handshake, "/")
		time.Sleep(6 * time.Second)
		if !strings.Contains(out.String(), "brittle") {
			t.Errorf("the log: %s", out.String())
		}
	})
}

// TestALostPeersMessagesHaveNoGap: when a peer is lost while the read-ahead is full, the
// handler gets what came first, without a hole in it.
func TestALostPeersMessagesHaveNoGap(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			config := quiet()
			config.Limits.ReadAhead = 2
			got := make(chan []string, 1)
			ws := wsroute.New(depends.New(), config)
			wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
				var all []string
				defer func() { got <- all }()
				synctest.Wait() // the read-ahead is full
				wsroute.Lose(conn)
				for {
					m, err := conn.Receive(ctx)
					if err != nil {
						return err
					}
					all = append(all, m)
					runtime.Gosched()
				}
			}, wsroute.Public)
			c := wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
			for i := range 10 {
				c.Send(strconv.Itoa(i))
			}
			for i, m := range <-got {
				if m != strconv.Itoa(i) {
					t.Fatalf("message %s came in place of %d", m, i)
				}
			}
		})
	}
}

// exitingHijacker ends its goroutine in the middle of an upgrade, as a test's writer that fails
// its test does.
type exitingHijacker struct{ http.ResponseWriter }

func (exitingHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	runtime.Goexit()
	return nil, nil, nil
}

// TestAWriterThatEndsTheUpgradeLeavesNothing: what was resolved is released, and nobody counts.
func TestAWriterThatEndsTheUpgradeLeavesNothing(t *testing.T) {
	j := &journal{}
	ws := wsroute.New(five(j, nil), quiet())
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], fiveInput) error { return nil }, wsroute.Public)
	handler, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(exitingHijacker{w}, r)
	}))
	conn, err := srv.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, ask("")); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(conn) // until net/http gives the connection up
	if drained, err := ws.Drain(t.Context()); err != nil || drained.Stuck != 0 {
		t.Errorf("Drain: %+v, %v", drained, err)
	}
	if !strings.HasSuffix(j.String(), "-1(error)") {
		t.Errorf("journal %q", j)
	}
}
