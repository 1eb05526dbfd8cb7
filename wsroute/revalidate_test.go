package wsroute_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// role is what the store of these tests knows of an account.
type role struct {
	name string
	at   time.Time
}

// roles is such a store.
type roles struct {
	mu     sync.Mutex
	of     map[string]string
	asked  int
	failed error
}

func (s *roles) get(name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.of[name], s.failed
}

func (s *roles) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// serveRoles serves a handler that sees the role of ?name=, revalidated by option.
func serveRoles(t *testing.T, store *roles, option depends.ProvideOption, handler func(context.Context, *wsroute.Conn[string, string], depends.Live[role]) error) *wstest.Server {
	deps := depends.New()
	depends.Supply(deps, store)
	depends.Provide(deps, func(_ context.Context, in struct {
		Store *roles
		Name  string `query:"name"`
	},
	) (role, error) {
		name, err := in.Store.get(in.Name)
		if name == "banned" {
			return role{}, errBanned
		}
		return role{name, time.Now()}, err
	}, option)
	config := quiet()
	config.Limits.MessageTimeout = time.Hour
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct {
		First role
		Now   depends.Live[role]
	},
	) error {
		if in.First != in.Now.Get() {
			t.Errorf("at first %v is not %v", in.First, in.Now.Get())
		}
		return handler(ctx, conn, in.Now)
	}, wsroute.Public)
	return wstest.Start(t, ws)
}

func tellRole(ctx context.Context, conn *wsroute.Conn[string, string], now depends.Live[role]) error {
	for {
		if _, err := conn.Receive(ctx); err != nil {
			return err
		}
		if err := conn.Send(ctx, now.Get().name); err != nil {
			return err
		}
	}
}

// TestRevalidate: the value follows its source within the interval and a tenth,
// and an error closes with its code.
func TestRevalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &roles{of: map[string]string{"ada": "guest"}}
		srv := serveRoles(t, store, depends.Revalidate(10*time.Second), tellRole)
		c := wstest.Dial[string, string](t, srv, "/?name=ada")
		for _, name := range []string{"member", "owner", "guest", "guest"} {
			store.set(func() { store.of["ada"] = name })
			time.Sleep(11 * time.Second)
			c.Send("?")
			if got := c.Receive(); got != name {
				t.Errorf("got %q, not %q", got, name)
			}
		}
		if store.asked < 4 || store.asked > 6 {
			t.Errorf("the store was asked %d times", store.asked)
		}
		store.set(func() { store.of["ada"] = "banned" })
		start := time.Now()
		if got := untilClosed(c); got.Code != 3003 || got.Reason != "banned" || time.Since(start) > 11*time.Second {
			t.Errorf("after %v: %v", time.Since(start), got)
		}
	})
}

// TestARevalidationThatFails closes whatever the peer does, and nothing is
// delivered afterwards.
func TestARevalidationThatFails(t *testing.T) {
	for name, peer := range lives {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &roles{of: map[string]string{"ada": "guest"}}
				var over atomic.Bool
				end := make(chan error, 1)
				srv := serveRoles(t, store, depends.Revalidate(4*time.Second), func(ctx context.Context, conn *wsroute.Conn[string, string], _ depends.Live[role]) error {
					stop := context.AfterFunc(ctx, func() { over.Store(true) })
					defer stop()
					for {
						if _, err := conn.Receive(ctx); err != nil {
							end <- context.Cause(ctx)
							return err
						}
						if over.Load() {
							t.Error("a message was delivered after the end")
						}
					}
				})
				c := wstest.Dial[string, string](t, srv, "/?name=ada")
				closed := peer(t, c.WebSocket)
				away := errors.New("the store is away")
				store.set(func() { store.failed = away })
				start := time.Now()
				if err := <-end; !errors.Is(err, away) || time.Since(start) > 4400*time.Millisecond {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
				srv.Stop()
				if d := time.Since(start); d > 10*time.Second {
					t.Errorf("it was gone after %v", d)
				}
				if got := <-closed; got != "" && got != `1011 ""` {
					t.Errorf("closed with %s", got)
				}
				_ = c.WebSocket.Close()
				time.Sleep(time.Second)
			})
		})
	}
}

// TestRevalidateAtDifferentTimes: connections that were opened at once do not ask
// at once.
func TestRevalidateAtDifferentTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &roles{of: map[string]string{}}
		var mu sync.Mutex
		moments := map[time.Time]bool{}
		srv := serveRoles(t, store, depends.Revalidate(time.Minute), func(ctx context.Context, conn *wsroute.Conn[string, string], now depends.Live[role]) error {
			time.Sleep(70 * time.Second)
			mu.Lock()
			defer mu.Unlock()
			moments[now.Get().at] = true
			return nil
		})
		for i := range 50 {
			c := wstest.Dial[string, string](t, srv, fmt.Sprintf("/?name=%d", i))
			go func() { _ = untilClosed(c) }()
		}
		time.Sleep(71 * time.Second)
		srv.Stop()
		if len(moments) < 40 {
			t.Errorf("50 connections asked at %d moments", len(moments))
		}
	})
}

// TestFaultsOfLiveValues are found at Mount, all of them.
func TestFaultsOfLiveValues(t *testing.T) {
	deps := depends.New()
	depends.Provide(deps, func(context.Context, none) (p1, error) { return p1{}, nil }, depends.Revalidate(-time.Second))
	depends.Provide(deps, func(context.Context, struct{ L depends.Live[p1] }) (p2, error) { return p2{}, nil })
	depends.Provide(deps, func(context.Context, none) (gate, error) { return gate{}, nil }, depends.Handshake, depends.Revalidate(time.Second))
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], struct {
		P p2
		G depends.Live[gate]
		_ depends.Live[p1]
	},
	) error {
		return nil
	}, wsroute.Renewable)
	_, err := ws.Handler()
	if err == nil {
		t.Fatal("it mounted")
	}
	for _, want := range []string{
		"is to be revalidated every -1s", "a provider is run again when what it needs has changed",
		"(Handshake) is to be revalidated, and has no value while a connection is open",
		"is Renewable, and its dependencies have 0 schemes",
		"a Live value is read, and made once", "would keep wsroute_test.gate (Handshake)",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the report does not say %q:\n%v", want, err)
		}
	}
}

// TestAReplacedValueOutlivesItsUse: what revalidation replaces is released when the
// handler has done with the message that it had in its hands, not under it.
func TestAReplacedValueOutlivesItsUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type session struct{ number int }
		var made, released atomic.Int32
		deps := depends.New()
		depends.Provide(deps, func(ctx context.Context, _ none) (*session, error) {
			n := made.Add(1)
			depends.Cleanup(ctx, func(context.Context, error) error { released.Store(n); return nil })
			return &session{int(n)}, nil
		}, depends.Revalidate(10*time.Second))
		config := quiet()
		config.Limits.PingInterval, config.Limits.PongTimeout = time.Hour, 2*time.Hour
		ws := wsroute.New(deps, config)
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct {
			Session depends.Live[*session]
		},
		) error {
			for {
				if _, err := conn.Receive(ctx); err != nil {
					return err
				}
				mine := in.Session.Get()
				time.Sleep(25 * time.Second) // two revalidations
				if r := int(released.Load()); r >= mine.number {
					t.Errorf("%d was released while the handler worked with %d", r, mine.number)
				}
				if err := conn.Send(ctx, "done"); err != nil {
					return err
				}
			}
		}, wsroute.Public)
		srv := wstest.Start(t, ws)
		c := wstest.Dial[string, string](t, srv, "/")
		time.Sleep(12 * time.Second)
		for range 2 {
			c.Send("work")
			time.Sleep(26 * time.Second)
			c.Receive()
			synctest.Wait()
			if r, m := released.Load(), made.Load(); r != m-1 {
				t.Errorf("%d were released of %d, though the handler waits", r, m)
			}
		}
		c.Close(1000, "")
		srv.Stop()
		if r, m := released.Load(), made.Load(); r != m && r != 1 { // the first comes last
			t.Errorf("in the end %d were released of %d", r, m)
		}
	})
}

// TestALiveOptional comes and goes while the connection is open, and one that App providers
// give is always there.
func TestALiveOptional(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &roles{of: map[string]string{}}
		deps := depends.New()
		depends.Supply(deps, store)
		depends.Provide(deps, func(context.Context, struct{}) (role, error) {
			name, err := store.get("ada")
			if name == "" && err == nil {
				err = depends.ErrAbsent
			}
			return role{name: name}, err
		}, depends.Revalidate(time.Minute))
		type desk struct{ of string }
		depends.Provide(deps, func(_ context.Context, in struct{ Role role }) (desk, error) { return desk{in.Role.name + "'s"}, nil })
		ws := wsroute.New(deps, quiet())
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct {
			First depends.Optional[role]
			Now   depends.Live[depends.Optional[role]]
			Desk  depends.Live[depends.Optional[desk]]
			Store depends.Live[depends.Optional[*roles]]
		},
		) error {
			for {
				if _, err := conn.Receive(ctx); err != nil {
					return err
				}
				if got := in.Store.Get(); !got.OK || got.Value != store {
					t.Errorf("the App value is %v", got)
				}
				if err := conn.Send(ctx, fmt.Sprint(in.First.OK, in.Now.Get(), in.Desk.Get())); err != nil {
					return err
				}
			}
		}, wsroute.Public)
		peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
		_ = peer.WebSocket.SetReadDeadline(time.Time{})
		for _, step := range []struct{ role, want string }{
			{"", "false {{ {0 0 <nil>}} false} {{} false}"},
			{"clerk", "false {{clerk {0 0 <nil>}} true} {{clerk's} true}"},
			{"", "false {{ {0 0 <nil>}} false} {{} false}"},
			{"boss", "false {{boss {0 0 <nil>}} true} {{boss's} true}"},
		} {
			store.set(func() { store.of["ada"] = step.role })
			for range 10 { // answers pings
				time.Sleep(9 * time.Second)
				peer.Send("?")
				peer.Receive()
			}
			peer.Send("?")
			if got := peer.Receive(); got != step.want {
				t.Errorf("role %q: got %q, want %q", step.role, got, step.want)
			}
		}
	})
}
