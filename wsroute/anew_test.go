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

// passes are dependencies whose scheme takes any credential as a token's ID, once look has
// seen it.
func passes(look func(ctx context.Context, credential string) error) *depends.Graph {
	deps := depends.New()
	scheme := depends.Scheme{Name: "Pass", Challenge: "Bearer", Sources: []depends.Source{{In: "query", Name: "pass"}}}
	provideScheme(deps, scheme, func(ctx context.Context, c depends.Credential) (pass, error) {
		depends.Identify(ctx, depends.Identity{Subject: "ada", TokenID: c.Value})
		return pass{text: c.Value}, look(ctx, c.Value)
	})
	return deps
}

// TestARenewalBehindACheck waits for its turn, and nothing waits for it: whoever ends the
// connection ends the provider that hangs.
func TestARenewalBehindACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checking, goOn, renewing, calls := make(chan bool), make(chan bool), make(chan bool, 1), 0
		deps := passes(func(ctx context.Context, credential string) error {
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
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{ Live depends.Live[owner] }) error {
			_, err := conn.Receive(ctx)
			return err
		}, wsroute.Renewable)
		p := wstest.Dial[string, string](t, wstest.Start(t, ws), "/?pass=t1")
		<-checking
		p.Send(`{"$renew":"t2"}`)
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

// TestWhatWasMadeInVainIsReleasedLast: the connection is over before cleanups run, and what
// its handler still has is released when that has returned.
func TestWhatWasMadeInVainIsReleasedLast(t *testing.T) {
	for credential, want := range map[string]string{"revoked": "3000 revoked", "forbidden": "3003 banned", "goexit": "1011 "} {
		t.Run(credential, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ws *wsroute.Router
				var returned atomic.Bool
				var released atomic.Int32
				deps := passes(func(ctx context.Context, now string) error {
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
				wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{ Owner owner }) error {
					if err := conn.Send(ctx, "ready"); err != nil {
						return err
					}
					_, err := conn.Receive(ctx)
					time.Sleep(3 * time.Second) // it is in the middle of something
					returned.Store(true)
					return err
				}, wsroute.Renewable)
				srv := wstest.Start(t, ws)
				p := wstest.Dial[string, string](t, srv, "/?pass=first")
				p.Receive()
				start := time.Now()
				p.Send(`{"$renew":"` + credential + `"}`)
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

// TestACheckThatEndsItsGoroutine ends the connection too: none would come after it.
func TestACheckThatEndsItsGoroutine(t *testing.T) {
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
		})
		if got := wstest.Dial[string, string](t, wstest.Start(t, ws), "/").Closed(); got.Code != 1011 {
			t.Errorf("closed with %v", got)
		}
	})
}
