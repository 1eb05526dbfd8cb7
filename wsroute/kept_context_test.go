package wsroute_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestWhatAKeptContextStillDoes: whatever context a program has kept, Identify and ValidUntil do
// nothing after the 101, and a cleanup runs when the lifetime of the value is over. The kind:
// what is said of a connection by a context whose time is over.
func TestWhatAKeptContextStillDoes(t *testing.T) {
	type derived struct{}
	once, often := depends.Revalidate(time.Hour), depends.Revalidate(5*time.Second)
	for name, test := range map[string]struct {
		options []depends.ProvideOption
		waits   time.Duration // for the provider to run again
		want    string
	}{
		"Connection":             {nil, 0, "opened closed released"},
		"Handshake":              {[]depends.ProvideOption{depends.Handshake}, 0, "opened released closed"},
		"Revalidate, not yet":    {[]depends.ProvideOption{once}, 0, "opened closed released"},
		"Revalidate, once more":  {[]depends.ProvideOption{often}, 7 * time.Second, "opened closed released"},
		"the scheme's":           {nil, 0, "opened closed released"},
		"the scheme's, again":    {[]depends.ProvideOption{often}, 7 * time.Second, "opened closed released"},
		"one that is made of it": {nil, 0, "opened closed released"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := &journal{}
				var ofScheme, ofProvider atomic.Pointer[context.Context] // they may run again
				deps := depends.New()
				provideScheme(deps, depends.Scheme{
					Name: "test", Challenge: "Bearer", Sources: []depends.Source{{In: "query", Name: "token"}},
				}, func(ctx context.Context, _ depends.Credential) (who, error) {
					depends.Identify(ctx, depends.Identity{Subject: "ada"})
					ofScheme.Store(&ctx)
					return who{"ada"}, nil
				})
				depends.Provide(deps, func(ctx context.Context, _ struct{ Who who }) (gate, error) {
					ofProvider.Store(&ctx)
					return gate{}, nil
				}, test.options...)
				ws := wsroute.New(deps, quiet())
				wsroute.Handle(ws, "/ws", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{ _ gate }) error {
					_, err := conn.Receive(ctx)
					j.add("closed")
					return err
				})
				srv := wstest.Start(t, ws)
				peer := wstest.Dial[string, string](t, srv, "/ws?token=x")
				time.Sleep(test.waits)
				synctest.Wait()
				j.add("opened")
				kept := *ofProvider.Load()
				switch name {
				case "the scheme's", "the scheme's, again":
					kept = *ofScheme.Load()
				case "one that is made of it":
					kept = context.WithValue(kept, derived{}, 1)
				}
				depends.Identify(kept, depends.Identity{Subject: "mallory", Session: "s"})
				depends.ValidUntil(kept, time.Now().Add(time.Second))
				time.Sleep(test.waits) // nor does it count when the provider has run again
				depends.Cleanup(kept, func(context.Context, error) error { j.add("released"); return nil })
				for _, of := range []wsroute.Revocation{{Subject: "mallory"}, {Session: "s"}} {
					if n, err := ws.Revoke(t.Context(), of); n != 0 || err != nil {
						t.Errorf("%+v ended %d, %v", of, n, err)
					}
				}
				time.Sleep(5 * time.Second)
				synctest.Wait()
				peer.Send("a message")
				if closed := peer.Closed(); closed.Code != 1000 {
					t.Errorf("closed with %v", closed)
				}
				synctest.Wait()
				if name != "Revalidate, once more" { // its value was replaced
					j.want(t, test.want)
				}
			})
		})
	}
}
