package wsroute_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

type numbered struct {
	N int `json:"n"`
}

func (numbered) event() {}

var numbers = wsroute.Union[event]{"number": numbered{}, "done": doneMsg{}}

// TestTwentyThousandInOrder: messages of several types are answered in the order in which they
// were sent; concurrent ones come in any order.
func TestTwentyThousandInOrder(t *testing.T) {
	ws := wsroute.New(depends.New(), &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
	c := wsroute.HandleMessages(ws, "/ws", numbers, wsroute.Public, wsroute.Limits{ReadAhead: 64})
	answer := func(_ context.Context, n numbered, _ struct{}) (numbered, error) { return n, nil }
	for i := range 4 {
		wsroute.Answer(c, fmt.Sprint("n", i), answer)
	}
	var working, most atomic.Int64
	wsroute.Answer(c, "any", func(_ context.Context, n numbered, _ struct{}) (numbered, error) {
		if now := working.Add(1); now > most.Load() {
			most.Store(now)
		}
		defer working.Add(-1)
		return n, nil
	}, wsroute.Concurrent(4))
	srv := wstest.StartLoopback(t, ws)
	peer := wstest.Dial[string, string](t, srv, "/ws")
	const total = 20_000
	go func() {
		for i := range total {
			name := fmt.Sprint("n", i%4)
			if i%10 == 9 {
				name = "any"
			}
			peer.Send(fmt.Sprintf(`{"type":%q,"ref":%d,"n":%d}`, name, i, i))
		}
	}()
	next, seen := 0, map[int]bool{}
	for range total {
		var got struct{ N, Ref int }
		text := peer.Receive()
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.N != got.Ref || seen[got.N] {
			t.Fatalf("%s: %v", text, err)
		}
		seen[got.N] = true
		if got.N%10 == 9 {
			continue
		}
		if next%10 == 9 {
			next++
		}
		if got.N != next {
			t.Fatalf("%d came in place of %d", got.N, next)
		}
		next++
	}
	if n := most.Load(); n > 4 {
		t.Errorf("%d at once", n)
	}
}

// TestConcurrentMessages: as many as the option says are handled at once, the next one and all
// behind it wait, and others pass those that are handled.
func TestConcurrentMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws := wsroute.New(depends.New(), &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
		c := wsroute.HandleMessages(ws, "/ws", numbers, wsroute.Public)
		wsroute.Answer(c, "slow", func(ctx context.Context, n numbered, _ struct{}) (numbered, error) {
			select {
			case <-time.After(time.Duration(n.N) * time.Second):
			case <-ctx.Done():
			}
			return n, ctx.Err()
		}, wsroute.Concurrent(2))
		wsroute.Answer(c, "quick", func(_ context.Context, n numbered, _ struct{}) (numbered, error) { return n, nil })
		peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/ws")
		begun := time.Now()
		wstest.Converse(t, peer,
			`> {"type":"slow","n":4}`, `> {"type":"slow","n":2}`, `> {"type":"quick","n":100}`, `< {"type":"number","n":100}`,
			`> {"type":"slow","n":1}`, `> {"type":"quick","n":101}`,
			`< {"type":"number","n":2}`, `< {"type":"number","n":101}`, `< {"type":"number","n":1}`, `< {"type":"number","n":4}`,
		)
		if took := time.Since(begun); took != 4*time.Second {
			t.Errorf("it took %v", took)
		}
		peer.Send(`{"type":"slow","n":1}`)
		if got := peer.Close(1000, ""); got.Code != 1000 {
			t.Errorf("closed with %v", got)
		}
	})
}

// TestASlowHandlerDelaysNobody: pings are answered, a ping of usher's own, too, and the end by a
// revocation, an expiry, a drain or a peer that goes comes at once.
func TestASlowHandlerDelaysNobody(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, ws *wsroute.Router, peer *wstest.Peer[string, string]) int{
		"revoked": func(t *testing.T, ws *wsroute.Router, _ *wstest.Peer[string, string]) int {
			if n, err := ws.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"}); n != 1 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			return 3000
		},
		"closed by the program": func(_ *testing.T, _ *wsroute.Router, peer *wstest.Peer[string, string]) int { return 4001 },
		"lost": func(_ *testing.T, _ *wsroute.Router, peer *wstest.Peer[string, string]) int {
			_ = peer.WebSocket.NetConn().Close()
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				deps := depends.New()
				depends.Provide(deps, func(ctx context.Context, in struct {
					Name string `query:"name"`
				},
				) (guest, error) {
					depends.Identify(ctx, depends.Identity{Subject: in.Name})
					return guest{in.Name}, nil
				})
				ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
				c := wsroute.HandleMessages(ws, "/ws", numbers, wsroute.Public, wsroute.Require[guest]())
				var sender wsroute.Sender[event]
				wsroute.OnOpen(c, func(_ context.Context, in struct{ Sender wsroute.Sender[event] }) error {
					sender = in.Sender
					return nil
				})
				began, ended := make(chan struct{}), make(chan error, 1)
				wsroute.On(c, "hang", func(ctx context.Context, _ nothing, _ struct{}) error {
					close(began)
					<-ctx.Done()
					ended <- context.Cause(ctx)
					return nil
				})
				wsroute.On(c, "never", func(context.Context, nothing, struct{}) error {
					t.Error("a message began after the end")
					return nil
				})
				peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/ws?name=ada")
				pongs := 0
				peer.WebSocket.SetPongHandler(func(string) error { pongs++; return nil })
				peer.Send(`{"type":"hang"}`)
				peer.Send(`{"type":"never"}`)
				<-began
				if err := peer.WebSocket.WriteControl(9, nil, time.Now().Add(time.Second)); err != nil {
					t.Fatal(err)
				}
				wstest.Converse(t, peer, `> {"type":"ping","ref":1}`, `< {"type":"pong","ref":1}`)
				if pongs != 1 {
					t.Errorf("%d pongs", pongs)
				}
				code := end(t, ws, peer)
				if code == 4001 {
					_ = sender.Close(4001, "kicked")
				}
				if code != 0 {
					if got := peer.Closed(); got.Code != code {
						t.Errorf("closed with %v", got)
					}
				}
				if err := <-ended; err == nil {
					t.Error("its context has not ended")
				}
			})
		})
	}
}
