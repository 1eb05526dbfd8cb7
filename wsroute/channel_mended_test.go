package wsroute_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// committing provides a *tx for each message, whose commit fails if fail says so.
func committing(fail func() error) *depends.Graph {
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, _ struct{}) (*tx, error) {
		depends.Cleanup(ctx, func(_ context.Context, cause error) error { return errors.Join(cause, fail()) })
		return &tx{}, nil
	}, depends.Message)
	return deps
}

func noFailure() error { return nil }

// TestAPanicOfWhatIsSentLater is logged, and everything else is sent.
func TestAPanicOfWhatIsSentLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var room wsroute.Room[event]
		srv := talking(t, committing(noFailure), func(c *wsroute.Channel[event]) {
			wsroute.OnOpen(c, func(_ context.Context, in struct{ Sender wsroute.Sender[event] }) error {
				room.Join(in.Sender)
				return nil
			})
			wsroute.Answer(c, "say", func(ctx context.Context, _ nothing, in struct{ Tx *tx }) (doneMsg, error) {
				err := room.SendTo(ctx, saidMsg{}, func(depends.Identity) bool { panic("boom") })
				return doneMsg{}, errors.Join(err, room.Send(ctx, saidMsg{"room", "hears"}))
			})
		})
		wstest.Converse(t, wstest.Dial[string, string](t, srv, "/ws"), `> {"type":"say","ref":1}`,
			`< {"type":"said","from":"room","text":"hears"}`, `< {"type":"done","ref":1}`)
	})
}

type listMsg struct {
	List []int `json:"list"`
}

func (listMsg) event() {}

// TestWhatIsSentLaterIsWhatItWas when it was sent, and a provider's waits as well.
func TestWhatIsSentLaterIsWhatItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var room wsroute.Room[event]
		var commit error
		deps := committing(func() error { return commit })
		depends.Provide(deps, func(ctx context.Context, in struct{ Sender wsroute.Sender[event] }) (note, error) {
			return note{}, in.Sender.Send(ctx, listMsg{[]int{-1}})
		}, depends.Message)
		ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
		c := wsroute.HandleMessages(ws, "/ws", wsroute.Union[event]{"list": listMsg{}, "done": doneMsg{}}, wsroute.Public)
		wsroute.OnOpen(c, func(_ context.Context, in struct{ Sender wsroute.Sender[event] }) error {
			room.Join(in.Sender)
			return nil
		})
		wsroute.Answer(c, "say", func(ctx context.Context, _ nothing, in struct {
			Note note
			Tx   *tx
		},
		) (doneMsg, error) {
			list := []int{0}
			for i := range 3 {
				list[0] = i
				if err := room.Send(ctx, listMsg{list}); err != nil {
					return doneMsg{}, err
				}
			}
			return doneMsg{}, nil
		})
		wsroute.Answer(c, "note", func(context.Context, nothing, struct{ Note note }) (doneMsg, error) { return doneMsg{}, nil })
		peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/ws")
		wstest.Converse(t, peer, `> {"type":"say"}`, `< {"type":"list","list":[-1]}`, `< {"type":"list","list":[0]}`,
			`< {"type":"list","list":[1]}`, `< {"type":"list","list":[2]}`, `< {"type":"done"}`,
			`> {"type":"note"}`, `< {"type":"list","list":[-1]}`, `< {"type":"done"}`)
		commit = errors.New("no commit")
		wstest.Converse(t, peer, `> {"type":"say"}`, `< {"type":"error","reason":"internal"}`)
	})
}

// TestWhatRunsForAMessageIsMadeOfWhatIsNow: a Handshake value is made anew, and so is a fresh one
// behind a guard.
func TestWhatRunsForAMessageIsMadeOfWhatIsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type (
			rights struct{ readOnly bool }
			policy struct{}
			ban    struct{}
			outer  struct{}
		)
		banned := false
		deps := depends.New()
		depends.Provide(deps, func(context.Context, struct{}) (rights, error) { return rights{true}, nil }, depends.Handshake)
		depends.Provide(deps, func(_ context.Context, in struct {
			Rights rights `depends:"handshake-only"`
		},
		) (policy, error) {
			if !in.Rights.readOnly {
				return policy{}, depends.Forbidden("made_of_nothing", nil)
			}
			return policy{}, nil
		})
		depends.Provide(deps, func(context.Context, struct{}) (ban, error) {
			if banned {
				return ban{}, depends.Forbidden("banned", nil)
			}
			return ban{}, nil
		})
		depends.Provide(deps, func(context.Context, struct {
			Ban ban `depends:"fresh"`
		},
		) (outer, error) {
			return outer{}, nil
		})
		srv := talking(t, deps, func(c *wsroute.Channel[event]) {
			done := func(context.Context, nothing, struct{}) (doneMsg, error) { return doneMsg{}, nil }
			wsroute.Answer(c, "policy", done, wsroute.Require[policy]())
			wsroute.Answer(c, "outer", done, wsroute.Require[outer]())
		}, wsroute.Require[policy](), wsroute.Require[outer]())
		peer := wstest.Dial[string, string](t, srv, "/ws")
		wstest.Converse(t, peer, `> {"type":"policy"}`, `< {"type":"done"}`, `> {"type":"outer"}`, `< {"type":"done"}`)
		banned = true
		wstest.Converse(t, peer, `> {"type":"outer"}`, `< {"type":"error","reason":"banned"}`)
	})
}

// TestAPingWhileThePeerReadsSlowly is answered behind what waits, and ends nothing.
func TestAPingWhileThePeerReadsSlowly(t *testing.T) {
	const total = 20_000
	srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) {
		wsroute.On(c, "stream", func(ctx context.Context, _ nothing, in struct{ Sender wsroute.Sender[event] }) error {
			for range total {
				if err := in.Sender.Send(ctx, saidMsg{"stream", strings.Repeat("x", 100)}); err != nil {
					return err
				}
			}
			return nil
		})
	})
	peer := wstest.Dial[string, string](t, srv, "/ws")
	peer.Send(`{"type":"stream"}`)
	peer.Receive()
	peer.Send(`{"type":"ping"}`)
	pongs := 0
	for range total {
		if peer.Receive() == `{"type":"pong"}` {
			pongs++
		}
	}
	if pongs != 1 {
		t.Errorf("%d pongs", pongs)
	}
}

// TestARenewalThatEndsItsGoroutine, with a message behind it and a peer that is lost, keeps
// nothing: the server stops.
func TestARenewalThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, goOn := make(chan struct{}), make(chan struct{})
		deps := passScheme(func(_ context.Context, credential string) error {
			if credential == "t2" {
				close(began)
				<-goOn
				runtime.Goexit()
			}
			return nil
		})
		ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
		c := wsroute.HandleMessages(ws, "/ws", events, wsroute.Renewable, wsroute.Require[pass]())
		wsroute.Answer(c, "say", sayBack)
		srv := wstest.Start(t, ws)
		peer := wstest.Dial[string, string](t, srv, "/ws?pass=t1")
		peer.Send(`{"type":"renew","token":"t2"}`)
		peer.Send(`{"type":"say","text":"x"}`)
		<-began
		_ = peer.WebSocket.NetConn().Close()
		synctest.Wait()
		close(goOn)
		synctest.Wait()
		if drained, err := ws.Drain(t.Context()); err != nil || drained.Stuck != 0 {
			t.Error(fmt.Sprint(drained), err)
		}
	})
}

// TestAMessageThatEndsItsGoroutine: by runtime.Goexit, as a test helper would: what was made for it
// is cleaned up, with that as the cause, and the connection ends.
func TestAMessageThatEndsItsGoroutine(t *testing.T) {
	for name, options := range map[string][]wsroute.MessageOption{"one": nil, "concurrent": {wsroute.Concurrent(2)}} {
		t.Run(name, func(t *testing.T) {
			var causes record
			deps := depends.New()
			depends.Provide(deps, func(ctx context.Context, _ struct{}) (perTx, error) {
				depends.Cleanup(ctx, func(_ context.Context, cause error) error {
					causes.add("%v", cause)
					return nil
				})
				return perTx{}, nil
			}, depends.Message)
			srv := talking(t, deps, func(c *wsroute.Channel[event]) {
				wsroute.On(c, "say", func(context.Context, sayMsg, struct{ Tx perTx }) error {
					runtime.Goexit()
					return nil
				}, options...)
			})
			wstest.Converse(t, wstest.Dial[string, string](t, srv, "/ws"), `> {"type":"say","text":"hi"}`, "x 1011")
			srv.Stop()
			if got := fmt.Sprint(causes.take()); !strings.Contains(got, "Goexit") {
				t.Errorf("the cleanups got %s", got)
			}
		})
	}
}

// TestADemandIsNoBlindGuard: a value that the messages of a route take is demanded by Require, and
// guards nothing; one that nobody takes is a guard that asks a peer nothing.
func TestADemandIsNoBlindGuard(t *testing.T) {
	for taken, want := range map[bool]int{true: 0, false: 1} {
		var log bytes.Buffer
		deps := depends.New()
		depends.Provide(deps, func(context.Context, struct{}) (perTx, error) { return perTx{}, nil })
		ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		c := wsroute.HandleMessages(ws, "/ws", events, wsroute.Public, wsroute.Require[perTx]())
		if taken {
			wsroute.On(c, "say", nop[sayMsg, struct{ Tx perTx }])
		}
		if _, err := ws.Handler(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(log.String(), "a guard asks a peer nothing"); got != want {
			t.Errorf("taken %t: logged\n%s", taken, log.String())
		}
	}
}

// TestACleanupThatFailsLate is internal, whatever has ended the message: nothing is committed.
func TestACleanupThatFailsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failure := func() error { return errors.New("the disk is full") }
		srv := talking(t, committing(failure), func(c *wsroute.Channel[event]) {
			wsroute.On(c, "say", func(ctx context.Context, _ sayMsg, _ struct{ Tx *tx }) error {
				<-ctx.Done()
				return ctx.Err()
			}, wsroute.Within(time.Second))
		})
		wstest.Converse(t, wstest.Dial[string, string](t, srv, "/ws"),
			`> {"type":"say","text":"hi"}`, `< {"type":"error","reason":"internal"}`)
	})
}

// TestNothingIsCommittedAfterTheEnd: a handler that has not looked at its context returns nil, and
// its cleanups get the end of the connection as the cause, or that of the message.
func TestNothingIsCommittedAfterTheEnd(t *testing.T) {
	for name, want := range map[string]error{"peer": wsroute.ErrPeerLost, "within": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun, causes := make(chan bool, 1), make(chan error, 1)
				deps := depends.New()
				depends.Provide(deps, func(ctx context.Context, _ struct{}) (perTx, error) {
					depends.Cleanup(ctx, func(_ context.Context, cause error) error {
						causes <- cause
						return nil
					})
					return perTx{}, nil
				}, depends.Message)
				limit := map[string]time.Duration{"peer": time.Hour, "within": time.Second}[name]
				srv := talking(t, deps, func(c *wsroute.Channel[event]) {
					wsroute.On(c, "say", func(ctx context.Context, _ sayMsg, _ struct{ Tx perTx }) error {
						begun <- true
						<-ctx.Done()
						return nil
					}, wsroute.Within(limit))
				})
				peer := wstest.Dial[string, string](t, srv, "/ws")
				peer.Send(`{"type":"say","text":"hi"}`)
				<-begun
				if name == "peer" {
					_ = peer.WebSocket.NetConn().Close()
				}
				if cause := <-causes; cause == nil || want != nil && !errors.Is(cause, want) {
					t.Errorf("the cause is %v", cause)
				}
			})
		})
	}
}
