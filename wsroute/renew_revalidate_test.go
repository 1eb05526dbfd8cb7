package wsroute_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// looked counts the calls of its provider.
type looked struct{ times int }

// provideLooked provides looked; do runs in each call.
func provideLooked(deps *depends.Graph, option depends.ProvideOption, do func(ctx context.Context, times int) error) {
	times := 0
	depends.Provide(deps, func(ctx context.Context, _ none) (looked, error) {
		times++
		return looked{times}, do(ctx, times)
	}, option)
}

// openUntilClosed opens a connection with a live value, calls talk, and waits for the close.
func openUntilClosed(t *testing.T, deps *depends.Graph, target string, talk func(ws *wsroute.Router, p *wstest.Peer[string, string])) (code int, reason string, after time.Duration) {
	t.Helper()
	ws := wsroute.New(deps, quiet())
	c := wsroute.HandleMessages(ws, "/", events, wsroute.Renewable, wsroute.Public)
	wsroute.OnOpen(c, func(ctx context.Context, in struct {
		Live   depends.Live[looked]
		Pass   depends.Optional[pass]
		Sender wsroute.Sender[event]
	},
	) error {
		ending := time.AfterFunc(time.Minute, func() { _ = in.Sender.Close(1000, "") })
		context.AfterFunc(ctx, func() { ending.Stop() })
		return nil
	})
	p := wstest.Dial[string, string](t, wstest.Start(t, ws), target)
	start := time.Now()
	talk(ws, p)
	got := untilClosed(p)
	if got == nil {
		t.Fatalf("it is open after %v", time.Since(start))
	}
	return got.Code, got.Reason, time.Since(start)
}

func nothingSaid(*wsroute.Router, *wstest.Peer[string, string]) {}

// TestARevalidationSetsExpiryAndIdentity: as the first call of the provider does.
func TestARevalidationSetsExpiryAndIdentity(t *testing.T) {
	for name, test := range map[string]struct {
		talk func(*wsroute.Router, *wstest.Peer[string, string])
		want string
	}{
		"its expiry":   {nothingSaid, "token_expired"},
		"its identity": {func(ws *wsroute.Router, _ *wstest.Peer[string, string]) { revokeLater(t, ws) }, "revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				until := time.Now().Add(5 * time.Second)
				deps := passScheme(func(context.Context, string) error { return nil })
				provideLooked(deps, depends.Revalidate(time.Second), func(ctx context.Context, _ int) error {
					depends.ValidUntil(ctx, until)
					depends.Identify(ctx, depends.Identity{Session: "s1"})
					return nil
				})
				if code, reason, after := openUntilClosed(t, deps, "/?pass=t1", test.talk); code != 3000 || reason != test.want || after > 5*time.Second {
					t.Errorf("after %v: %d %s", after, code, reason)
				}
			})
		})
	}
}

// TestARevocationFromBeforeAConnection: it does not end the connection of somebody who has signed in
// again since.
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
		wsroute.HandleMessages(ws, "/", events, wsroute.Renewable, wsroute.Require[looked]())
		srv := wstest.Start(t, ws)
		before := wstest.Dial[string, string](t, srv, "/?pass=t1")
		converse(t, before, renewBy("t2"), renewedForEver)
		time.Sleep(time.Second)
		if n, err := ws.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"}); n != 1 || err != nil {
			t.Errorf("revoked %d, %v", n, err)
		}
		before.Closed()
		time.Sleep(time.Second)
		after := wstest.Dial[string, string](t, srv, "/?pass=t1")
		converse(t, after, renewBy("t2"), renewedForEver)
		after.Close(1000, "")
	})
}

// revokeLater revokes a session after some revalidations.
func revokeLater(t *testing.T, ws *wsroute.Router) {
	t.Helper()
	time.Sleep(4 * time.Second)
	if n, err := ws.Revoke(t.Context(), wsroute.Revocation{Session: "s1"}); n != 1 || err != nil {
		t.Errorf("revoked %d, %v", n, err)
	}
}

// TestACleanupThatCallsGoexit: it is logged; the other cleanups and the next revalidations run.
func TestACleanupThatCallsGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deps := passScheme(func(context.Context, string) error { return nil })
		var released atomic.Int32
		provideLooked(deps, depends.Revalidate(time.Second), func(ctx context.Context, times int) error {
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
		if code, reason, after := openUntilClosed(t, deps, "/?pass=t1", nothingSaid); code != 3003 || reason != "banned" || after > 4*time.Second {
			t.Errorf("after %v: %d %s", after, code, reason)
		}
		synctest.Wait()
		if n := released.Load(); n != 4 {
			t.Errorf("%d of 4 were released", n)
		}
	})
}

// TestACleanupThatHangs: it delays revalidations, renewals and the end of the connection for
// CleanupTimeout, and no longer.
func TestACleanupThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		deps := passScheme(func(context.Context, string) error { return nil })
		provideLooked(deps, depends.Revalidate(time.Second), func(ctx context.Context, times int) error {
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
		code, reason, after := openUntilClosed(t, deps, "/?pass=t1", func(ws *wsroute.Router, p *wstest.Peer[string, string]) {
			router = ws
			time.Sleep(6 * time.Second)
			converse(t, p, renewBy("t2"), renewedForEver)
		})
		if code != 3003 || reason != "banned" || after < 10*time.Second || after > 20*time.Second {
			t.Errorf("after %v: %d %s", after, code, reason)
		}
		if _, err := router.Drain(t.Context()); err != nil { // the end does not wait longer either
			t.Error(err)
		}
		close(release)
	})
}

// TestCleanupsOfRevalidatedValuesRunInOrder: a value is released before those that it was made with.
func TestCleanupsOfRevalidatedValuesRunInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type made struct{ released *atomic.Bool }
		deps := passScheme(func(context.Context, string) error { return nil })
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
		if code, reason, after := openUntilClosed(t, deps, "/?pass=t1", nothingSaid); code != 1000 {
			t.Errorf("after %v: %d %s", after, code, reason)
		}
	})
}

// TestARenewalHasItsOwnBudget: neither the time of a revalidation before or behind it nor that of
// cleanups counts, and it delays no expiry.
func TestARenewalHasItsOwnBudget(t *testing.T) {
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
				deps := passScheme(func(ctx context.Context, credential string) error {
					if credential != "t2" {
						return nil
					}
					time.Sleep(test.renewal)
					due = time.Now().Add(test.valid)
					depends.ValidUntil(ctx, due)
					return nil
				})
				provideLooked(deps, depends.Revalidate(5*time.Second), func(ctx context.Context, times int) error {
					depends.Cleanup(ctx, func(context.Context, error) error { time.Sleep(test.cleanup); return nil })
					if times == 2 {
						time.Sleep(test.check)
					}
					return nil
				})
				code, reason, _ := openUntilClosed(t, deps, "/?pass=t1", func(_ *wsroute.Router, p *wstest.Peer[string, string]) {
					time.Sleep(4450 * time.Millisecond)
					p.Send(renewBy("t2"))
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

// passScheme returns dependencies whose scheme takes any credential as a token's ID, after a
// call of look.
func passScheme(look func(ctx context.Context, credential string) error) *depends.Graph {
	deps := depends.New()
	scheme := depends.Scheme{Name: "Pass", Challenge: "Bearer", Sources: []depends.Source{{In: "query", Name: "pass"}}}
	provideScheme(deps, scheme, func(ctx context.Context, c depends.Credential) (pass, error) {
		depends.Identify(ctx, depends.Identity{Subject: "ada", TokenID: c.Value})
		return pass{text: c.Value}, look(ctx, c.Value)
	})
	return deps
}

// TestARenewalBehindARevalidation: the renewal waits for the revalidation, and nothing waits for
// the renewal: Revoke ends a provider that hangs.
func TestARenewalBehindARevalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checking, goOn, renewing, calls := make(chan bool), make(chan bool), make(chan bool, 1), 0
		deps := passScheme(func(ctx context.Context, credential string) error {
			if credential == "t2" {
				renewing <- true
				<-ctx.Done()
			}
			return ctx.Err()
		})
		depends.Provide(deps, func(context.Context, struct{ Pass pass }) (owner, error) {
			if calls++; calls == 2 {
				checking <- true
				<-goOn
			}
			return owner{}, nil
		}, depends.Revalidate(5*time.Second))
		ws := wsroute.New(deps, quiet())
		wsroute.HandleMessages(ws, "/", events, wsroute.Renewable, wsroute.Require[owner]())
		p := wstest.Dial[string, string](t, wstest.Start(t, ws), "/?pass=t1")
		<-checking
		p.Send(renewBy("t2"))
		synctest.Wait()
		close(goOn)
		<-renewing
		synctest.Wait()
		start := time.Now()
		if n, err := ws.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"}); n != 1 || err != nil || time.Since(start) > time.Second {
			t.Errorf("revoked %d after %v, %v", n, time.Since(start), err)
		}
		if got := p.Closed(); got.Reason != "revoked" {
			t.Errorf("closed with %v", got)
		}
	})
}

// TestUnusedValuesAreReleasedAfterTheClose: cleanups run when the connection has closed, and
// those of the handler's values when the handler has returned.
func TestUnusedValuesAreReleasedAfterTheClose(t *testing.T) {
	for credential, want := range map[string]string{"revoked": "3000 revoked", "forbidden": "3003 banned", "goexit": "1011 "} {
		t.Run(credential, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ws *wsroute.Router
				var returned atomic.Bool
				var released atomic.Int32
				deps := passScheme(func(ctx context.Context, now string) error {
					depends.Cleanup(ctx, func(context.Context, error) error {
						released.Add(1)
						time.Sleep(2 * time.Second)
						return nil
					})
					switch now {
					case "revoked":
						_, err := ws.Revoke(context.Background(), wsroute.Revocation{TokenID: now})
						return err
					case "forbidden":
						return depends.Forbidden("banned", nil)
					case "goexit":
						runtime.Goexit()
					}
					return nil
				})
				depends.Provide(deps, func(ctx context.Context, in struct{ Pass pass }) (owner, error) {
					depends.Cleanup(ctx, func(context.Context, error) error {
						if in.Pass.text == "first" && !returned.Load() {
							t.Error("what the handler has was released before it returned")
						}
						released.Add(1)
						return nil
					})
					return owner{}, nil
				})
				ws = wsroute.New(deps, quiet())
				c := wsroute.HandleMessages(ws, "/", events, wsroute.Renewable, wsroute.Require[owner]())
				wsroute.On(c, "work", func(ctx context.Context, _ nothing, _ struct{ Owner owner }) error {
					<-ctx.Done()
					time.Sleep(3 * time.Second) // it is still at work
					returned.Store(true)
					return nil
				})
				srv := wstest.Start(t, ws)
				p := wstest.Dial[string, string](t, srv, "/?pass=first")
				p.Send(`{"type":"work"}`)
				synctest.Wait()
				start := time.Now()
				p.Send(renewBy(credential))
				if got := p.Closed(); fmt.Sprint(got.Code, " ", got.Reason) != want || time.Since(start) > time.Second {
					t.Errorf("after %v closed with %v, want %s", time.Since(start), got, want)
				}
				srv.Stop()
				if n := released.Load(); n != map[bool]int32{true: 4, false: 3}[credential == "revoked"] {
					t.Errorf("%d cleanups ran", n)
				}
			})
		})
	}
}

// TestARevalidationThatCallsGoexit: it ends the connection, which nothing would revalidate again.
func TestARevalidationThatCallsGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		deps := depends.New()
		depends.Provide(deps, func(context.Context, none) (owner, error) {
			if calls++; calls == 2 {
				runtime.Goexit()
			}
			return owner{}, nil
		}, depends.Revalidate(time.Second))
		ws := wsroute.New(deps, quiet())
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{ Owner owner }) error {
			_, err := conn.Receive(ctx)
			return err
		}, wsroute.Public)
		if got := wstest.Dial[string, string](t, wstest.Start(t, ws), "/").Closed(); got.Code != 1011 {
			t.Errorf("closed with %v", got)
		}
	})
}
