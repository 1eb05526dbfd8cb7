package wsroute_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// looked is what a provider finds each time that it runs.
type looked struct{ times int }

// looks is a provider of looked, and what it does the second time and later.
func looks(deps *depends.Graph, option depends.ProvideOption, do func(ctx context.Context, times int) error) {
	times := 0
	depends.Provide(deps, func(ctx context.Context, _ none) (looked, error) {
		times++
		return looked{times}, do(ctx, times)
	}, option)
}

// stay opens a connection of which parts are resolved anew, and waits for its end.
func stay(t *testing.T, deps *depends.Graph, target string, talk func(ws *wsroute.Router, p *wstest.Peer[string, string])) (code int, reason string, after time.Duration) {
	t.Helper()
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, _ *wsroute.Conn[string, string], _ struct {
		Live depends.Live[looked]
		Pass depends.Optional[pass]
	},
	) error {
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
		}
		return nil
	}, wsroute.Renewable)
	p := wstest.Dial[string, string](t, wstest.Start(t, ws), target)
	start := time.Now()
	talk(ws, p)
	got := untilClosed(p)
	if got == nil {
		t.Fatalf("it is open after %v", time.Since(start))
	}
	return got.Code, got.Reason, time.Since(start)
}

func listens(*wsroute.Router, *wstest.Peer[string, string]) {}

// TestWhatARevalidationSays of its connection counts, as what the first call said did.
func TestWhatARevalidationSays(t *testing.T) {
	for name, test := range map[string]struct {
		talk func(*wsroute.Router, *wstest.Peer[string, string])
		want string
	}{
		"its expiry":   {listens, "token_expired"},
		"its identity": {func(ws *wsroute.Router, _ *wstest.Peer[string, string]) { revokeLater(t, ws) }, "revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				until := time.Now().Add(5 * time.Second)
				deps := passes(func(context.Context, string) error { return nil })
				looks(deps, depends.Revalidate(time.Second), func(ctx context.Context, _ int) error {
					depends.ValidUntil(ctx, until)
					depends.Identify(ctx, depends.Identity{Session: "s1"})
					return nil
				})
				if code, reason, after := stay(t, deps, "/?pass=t1", test.talk); code != 3000 || reason != test.want || after > 5*time.Second {
					t.Errorf("after %v: %d %s", after, code, reason)
				}
			})
		})
	}
}

// TestARevocationFromBeforeAConnection does not meet its renewals: whoever has signed in again
// since then stays.
func TestARevocationFromBeforeAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deps := depends.New()
		scheme := depends.Scheme{Name: "Pass", Challenge: "Bearer", Sources: []depends.Source{{In: "query", Name: "pass"}}}
		provideScheme(deps, scheme, func(ctx context.Context, _ depends.Credential) (pass, error) {
			depends.Identify(ctx, depends.Identity{Subject: "ada"})
			return pass{who: "ada"}, nil
		})
		depends.Provide(deps, func(ctx context.Context, _ struct{ _ pass }) (looked, error) { return looked{}, nil }, depends.Revalidate(time.Minute))
		ws := wsroute.New(deps, quiet())
		wsroute.Handle(ws, "/", func(ctx context.Context, _ *wsroute.Conn[string, string], _ struct{ Live depends.Live[looked] }) error {
			<-ctx.Done()
			return nil
		}, wsroute.Renewable)
		srv := wstest.Start(t, ws)
		renew := func(p *wstest.Peer[string, string]) {
			p.Send(`{"$renew":"t2"}`)
			if got := p.Receive(); got != `{"$renewed":null}` {
				t.Errorf("got %s", got)
			}
		}
		before := wstest.Dial[string, string](t, srv, "/?pass=t1")
		renew(before)
		time.Sleep(time.Second)
		if n, err := ws.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"}); n != 1 || err != nil {
			t.Errorf("revoked %d, %v", n, err)
		}
		before.Closed()
		time.Sleep(time.Second)
		after := wstest.Dial[string, string](t, srv, "/?pass=t1")
		renew(after)
		after.Close(1000, "")
	})
}

// revokeLater revokes a session when it was looked up anew some times.
func revokeLater(t *testing.T, ws *wsroute.Router) {
	t.Helper()
	time.Sleep(4 * time.Second)
	if n, err := ws.Revoke(t.Context(), wsroute.Revocation{Session: "s1"}); n != 1 || err != nil {
		t.Errorf("revoked %d, %v", n, err)
	}
}

// TestACleanupThatExits is logged, and what comes after it comes: the other cleanups, and
// the next checks.
func TestACleanupThatExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deps := passes(func(context.Context, string) error { return nil })
		var released atomic.Int32
		looks(deps, depends.Revalidate(time.Second), func(ctx context.Context, times int) error {
			depends.Cleanup(ctx, func(context.Context, error) error { released.Add(1); return nil })
			depends.Cleanup(ctx, func(context.Context, error) error {
				if times > 1 {
					runtime.Goexit()
				}
				return nil
			})
			if times > 3 {
				return errBanned
			}
			return nil
		})
		if code, reason, after := stay(t, deps, "/?pass=t1", listens); code != 3003 || reason != "banned" || after > 4*time.Second {
			t.Errorf("after %v: %d %s", after, code, reason)
		}
		synctest.Wait()
		if n := released.Load(); n != 4 {
			t.Errorf("%d of 4 were released", n)
		}
	})
}

// TestACleanupThatHangs holds up checks, renewals and the end until it has had its time,
// and no longer.
func TestACleanupThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		deps := passes(func(context.Context, string) error { return nil })
		looks(deps, depends.Revalidate(time.Second), func(ctx context.Context, times int) error {
			depends.Cleanup(ctx, func(context.Context, error) error {
				if times == 2 {
					<-release
				}
				return nil
			})
			if times > 4 {
				return errBanned
			}
			return nil
		})
		var router *wsroute.Router
		code, reason, after := stay(t, deps, "/?pass=t1", func(ws *wsroute.Router, p *wstest.Peer[string, string]) {
			router = ws
			time.Sleep(6 * time.Second)
			p.Send(`{"$renew":"t2"}`)
			if got := p.Receive(); got != `{"$renewed":null}` {
				t.Errorf("the renewal is answered with %s", got)
			}
		})
		if code != 3003 || reason != "banned" || after < 10*time.Second || after > 20*time.Second {
			t.Errorf("after %v: %d %s", after, code, reason)
		}
		if _, err := router.Drain(t.Context()); err != nil { // nor does the end wait any longer
			t.Error(err)
		}
		close(release)
	})
}

// TestCleanupsComeInOrder: what a value was made with is released after it.
func TestCleanupsComeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type made struct{ released *atomic.Bool }
		deps := passes(func(context.Context, string) error { return nil })
		depends.Provide(deps, func(ctx context.Context, _ none) (made, error) {
			m := made{new(atomic.Bool)}
			depends.Cleanup(ctx, func(context.Context, error) error { m.released.Store(true); return nil })
			return m, nil
		}, depends.Revalidate(10*time.Second))
		times := 0
		depends.Provide(deps, func(ctx context.Context, in struct{ Made made }) (looked, error) {
			times++
			slow := times%2 == 1
			depends.Cleanup(ctx, func(context.Context, error) error {
				if slow {
					time.Sleep(3 * time.Second)
				}
				if in.Made.released.Load() {
					t.Error("what it was made with is released already")
				}
				return nil
			})
			return looked{}, nil
		}, depends.Revalidate(time.Second))
		if code, reason, after := stay(t, deps, "/?pass=t1", listens); code != 1000 {
			t.Errorf("after %v: %d %s", after, code, reason)
		}
	})
}

// TestARenewalHasItsOwnTime: that of a check before or behind it, and of the cleanups of
// what it replaced, is not its own, and holds up no expiry.
func TestARenewalHasItsOwnTime(t *testing.T) {
	for name, test := range map[string]struct {
		renewal, check, cleanup time.Duration // of a budget of 5 s
		valid                   time.Duration // from the renewal's end on
		want                    string
	}{
		"behind a check":        {renewal: 3 * time.Second, check: 3 * time.Second, valid: 9 * time.Second, want: "token_expired"},
		"before a check":        {renewal: 2 * time.Second, check: 4 * time.Second, valid: 9 * time.Second, want: "token_expired"},
		"with slow cleanups":    {cleanup: 8 * time.Second, valid: 30 * time.Second, want: "token_expired"},
		"for less than a check": {renewal: 2 * time.Second, check: 4 * time.Second, valid: time.Second, want: "token_expired"},
		"too slow":              {renewal: 6 * time.Second, valid: time.Hour, want: "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var due time.Time
				deps := passes(func(ctx context.Context, credential string) error {
					if credential != "t2" {
						return nil
					}
					time.Sleep(test.renewal)
					due = time.Now().Add(test.valid)
					depends.ValidUntil(ctx, due)
					return nil
				})
				looks(deps, depends.Revalidate(5*time.Second), func(ctx context.Context, times int) error {
					depends.Cleanup(ctx, func(context.Context, error) error { time.Sleep(test.cleanup); return nil })
					if times == 2 {
						time.Sleep(test.check)
					}
					return nil
				})
				code, reason, _ := stay(t, deps, "/?pass=t1", func(_ *wsroute.Router, p *wstest.Peer[string, string]) {
					time.Sleep(4450 * time.Millisecond)
					p.Send(`{"$renew":"t2"}`)
				})
				if reason != test.want {
					t.Errorf("closed with %d %s", code, reason)
				}
				if test.want != "token_expired" {
					return // the provider is still at it
				}
				if late := time.Since(due); late < 0 || late > time.Millisecond {
					t.Errorf("%v late", late)
				}
			})
		})
	}
}
