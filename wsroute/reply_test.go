package wsroute_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

type (
	askMsg struct {
		Tokens int `json:"tokens"`
	}
	streaming struct {
		Deltas wsroute.Reply[saidMsg]
	}
)

// generate answers with as many parts as are asked for, one a second, and counts what it makes.
func generate(made *atomic.Int32) func(context.Context, askMsg, streaming) (doneMsg, error) {
	return func(ctx context.Context, ask askMsg, in streaming) (doneMsg, error) {
		for i := range ask.Tokens {
			made.Add(1)
			if err := in.Deltas.Send(ctx, saidMsg{"model", fmt.Sprint(i)}); err != nil {
				return doneMsg{}, err
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
		return doneMsg{}, ctx.Err()
	}
}

// TestStreams: deltas of two messages are told apart by their refs, a ping is answered between
// them, and a cancel ends one.
func TestStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int32
		srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) {
			wsroute.Answer(c, "ask", generate(&made), wsroute.Concurrent(2))
			wsroute.Answer(c, "say", sayBack)
		})
		peer := wstest.Dial[string, string](t, srv, "/ws")
		wstest.Converse(t, peer,
			`> {"type":"ask","ref":1,"tokens":3}`, `< {"type":"said","ref":1,"from":"model","text":"0"}`,
			`> {"type":"ask","ref":"b","tokens":40}`, `< {"type":"said","ref":"b","from":"model","text":"0"}`,
			`> {"type":"say","ref":3,"text":"hi"}`, `< {"type":"said","ref":3,"from":"you","text":"hi"}`,
			`> {"type":"ping","ref":4}`, `< {"type":"pong","ref":4}`,
		)
		heard := map[string]int{}
		for range 4 {
			heard[peer.Receive()]++
		}
		for _, ref := range []string{"1", `"b"`} {
			for _, text := range []string{"1", "2"} {
				want := fmt.Sprintf(`{"type":"said","ref":%s,"from":"model","text":%q}`, ref, text)
				if heard[want] != 1 {
					t.Errorf("%s was heard %d times, of %v", want, heard[want], heard)
				}
			}
		}
		time.Sleep(500 * time.Millisecond)
		wstest.Converse(t, peer,
			`> {"type":"cancel","ref":"b"}`, `< {"type":"error","ref":"b","reason":"cancelled"}`,
			`< {"type":"done","ref":1}`,
			`> {"type":"cancel","ref":"b"}`, `> {"type":"cancel","ref":99}`, // nothing to cancel any more
			`> {"type":"cancel"}`, `< {"type":"error","reason":"invalid_message"}`,
			`> {"type":"ask","ref":"b","tokens":0}`, `< {"type":"done","ref":"b"}`,
		)
		if got := made.Load(); got > 7 {
			t.Errorf("%d parts were made, want 3, and 3 until the cancel and one more", got)
		}
	})
}

// TestACancelledMessageThatWaits: it is not begun; one behind the cancel with the same ref is.
func TestACancelledMessageThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int32
		srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) { wsroute.Answer(c, "ask", generate(&made)) })
		peer := wstest.Dial[string, string](t, srv, "/ws")
		wstest.Converse(t, peer,
			`> {"type":"ask","ref":1,"tokens":2}`, `> {"type":"ask","ref":2,"tokens":2}`, `> {"type":"cancel","ref":2}`,
			`> {"type":"ask","ref":2,"tokens":0}`,
			`< {"type":"said","ref":1,"from":"model","text":"0"}`, `< {"type":"said","ref":1,"from":"model","text":"1"}`,
			`< {"type":"done","ref":1}`, `< {"type":"error","ref":2,"reason":"cancelled"}`, `< {"type":"done","ref":2}`,
		)
		if got := made.Load(); got != 2 {
			t.Errorf("%d parts were made, want 2", got)
		}
	})
}

// TestAGonePeerStopsAStream: no part is made for nobody.
func TestAGonePeerStopsAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int32
		srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) { wsroute.Answer(c, "ask", generate(&made)) })
		peer := wstest.Dial[string, string](t, srv, "/ws")
		wstest.Converse(t, peer, `> {"type":"ask","ref":1,"tokens":40}`,
			`< {"type":"said","ref":1,"from":"model","text":"0"}`, `< {"type":"said","ref":1,"from":"model","text":"1"}`)
		_ = peer.WebSocket.NetConn().Close()
		time.Sleep(10 * time.Second)
		if got := made.Load(); got > 3 {
			t.Errorf("%d parts were made, 2 were heard", got)
		}
	})
}

// TestAClosedTabStopsAStream: also within the CloseGrace that other handlers have, of a stream
// that runs and of one that waits behind it. It is no failure.
func TestAClosedTabStopsAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int32
		var log bytes.Buffer
		var causes []error
		deps := depends.New()
		depends.Provide(deps, func(ctx context.Context, _ struct{}) (*unit, error) {
			depends.Cleanup(ctx, func(_ context.Context, cause error) error {
				causes = append(causes, cause)
				return nil
			})
			return new(unit), nil
		}, depends.Message)
		ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		c := wsroute.HandleMessages(ws, "/ws", events, wsroute.Public)
		wsroute.Answer(c, "ask", func(ctx context.Context, ask askMsg, in struct {
			streaming
			_ *unit
		},
		) (doneMsg, error) {
			for range ask.Tokens {
				made.Add(1)
				if err := in.Deltas.Send(ctx, saidMsg{}); err != nil {
					return doneMsg{}, err
				}
				select {
				case <-time.After(10 * time.Millisecond):
				case <-ctx.Done():
				}
			}
			return doneMsg{}, nil
		})
		srv := wstest.Start(t, ws)
		peer := wstest.Dial[string, string](t, srv, "/ws")
		peer.Send(`{"type":"ask","ref":1,"tokens":1000}`)
		peer.Send(`{"type":"ask","ref":2,"tokens":1000}`)
		peer.Receive()
		begun := time.Now()
		if got := peer.Close(1001, "gone").Code; got != 1001 {
			t.Errorf("the close was answered with %d", got)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("the close was answered after %v", took)
		}
		srv.Stop()
		if got := made.Load(); got > 2 {
			t.Errorf("%d parts were made, 1 was heard", got)
		}
		for _, cause := range causes {
			if closed, ok := errors.AsType[*wsroute.CloseError](cause); !ok || closed.Code != 1001 {
				t.Errorf("a cleanup's cause is %v", cause)
			}
		}
		if len(causes) == 0 || strings.Contains(log.String(), "failed") {
			t.Errorf("%d cleanups; the log:\n%s", len(causes), log.String())
		}
	})
}

// TestTwoMessagesWithOneRef are both answered, and a cancel ends both.
func TestTwoMessagesWithOneRef(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int32
		srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) {
			wsroute.Answer(c, "ask", generate(&made), wsroute.Concurrent(2))
		})
		peer := wstest.Dial[string, string](t, srv, "/ws")
		wstest.Converse(t, peer,
			`> {"type":"ask","ref":1,"tokens":40}`, `< {"type":"said","ref":1,"from":"model","text":"0"}`,
			`> {"type":"ask","ref":1,"tokens":40}`, `< {"type":"said","ref":1,"from":"model","text":"0"}`,
			`> {"type":"cancel","ref":1}`,
			`< {"type":"error","ref":1,"reason":"cancelled"}`, `< {"type":"error","ref":1,"reason":"cancelled"}`)
		peer.NothingSent(time.Minute)
	})
}

// TestADeltaAfterTheEnd of its message is an error, whatever its own context says.
func TestADeltaAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := make(chan bool)
		srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) {
			wsroute.Answer(c, "ask", func(ctx context.Context, _ nothing, in streaming) (saidMsg, error) {
				close(begun)
				<-ctx.Done()
				return saidMsg{"the error", fmt.Sprint(in.Deltas.Send(context.Background(), saidMsg{}))}, nil
			}, wsroute.Concurrent(1))
		})
		peer := wstest.Dial[string, string](t, srv, "/ws")
		peer.Send(`{"type":"ask","ref":1}`)
		<-begun
		wstest.Converse(t, peer, `> {"type":"cancel","ref":1}`,
			`< {"type":"said","ref":1,"from":"the error","text":"wsroute: the peer has cancelled the message"}`)
	})
}

// TestADeltaIsNotHeld: a transaction that fails does not take back what was streamed, and
// nothing follows the answer.
func TestADeltaIsNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deps := depends.New()
		depends.Provide(deps, func(ctx context.Context, _ struct{}) (*unit, error) {
			depends.Cleanup(ctx, func(context.Context, error) error { return errors.New("no commit") })
			return new(unit), nil
		}, depends.Message)
		var late wsroute.Reply[saidMsg]
		srv := talking(t, deps, func(c *wsroute.Channel[event]) {
			wsroute.Answer(c, "ask", func(ctx context.Context, _ nothing, in struct {
				Tx     *unit
				Deltas wsroute.Reply[saidMsg]
				Sender wsroute.Sender[event]
			},
			) (doneMsg, error) {
				late = in.Deltas
				if err := in.Sender.Send(ctx, saidMsg{"held", ""}); err != nil {
					return doneMsg{}, err
				}
				return doneMsg{}, in.Deltas.Send(ctx, saidMsg{"streamed", ""})
			})
		})
		peer := wstest.Dial[string, string](t, srv, "/ws")
		wstest.Converse(t, peer, `> {"type":"ask","ref":1}`,
			`< {"type":"said","ref":1,"from":"streamed","text":""}`, `< {"type":"error","ref":1,"reason":"internal"}`)
		if err := late.Send(t.Context(), saidMsg{}); err == nil || !strings.Contains(err.Error(), "has returned") {
			t.Errorf("a part after the answer: %v", err)
		}
		if err := (wsroute.Reply[saidMsg]{}).Send(t.Context(), saidMsg{}); err == nil {
			t.Error("a Reply of no message has sent something")
		}
		peer.NothingSent(time.Second)
	})
}

// TestASlowReaderSlowsItsOwnStream, and nobody else's.
func TestASlowReaderSlowsItsOwnStream(t *testing.T) {
	var slow, quick atomic.Int32
	long := strings.Repeat("x", 16<<10)
	srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) {
		wsroute.Answer(c, "ask", func(ctx context.Context, ask askMsg, in streaming) (doneMsg, error) {
			made := &quick
			if ask.Tokens > 1000 {
				made = &slow
			}
			for range ask.Tokens {
				made.Add(1)
				if err := in.Deltas.Send(ctx, saidMsg{"model", long}); err != nil {
					return doneMsg{}, err
				}
			}
			return doneMsg{}, nil
		})
	})
	sleeper := wstest.Dial[string, string](t, srv, "/ws")
	sleeper.Send(`{"type":"ask","ref":1,"tokens":100000}`)
	peer := wstest.Dial[string, string](t, srv, "/ws")
	peer.Send(`{"type":"ask","ref":1,"tokens":500}`)
	for range 500 {
		peer.Receive()
	}
	if got := peer.Receive(); got != `{"type":"done","ref":1}` {
		t.Errorf("the end is %s", got)
	}
	if got := slow.Load(); got >= 100000 || quick.Load() != 500 {
		t.Errorf("%d parts were made for who does not read, %d for who does", got, quick.Load())
	}
	_ = sleeper.WebSocket.NetConn().Close()
}

// TestACancelKeepsItsPlace: concurrent messages begin in any order, and one behind the cancel does
// not make it forgotten.
func TestACancelKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int32
		srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) {
			wsroute.Answer(c, "ask", generate(&made), wsroute.Concurrent(2))
			wsroute.On(c, "wait", func(context.Context, nothing, struct{}) error {
				time.Sleep(time.Second)
				return nil
			})
		})
		peer := wstest.Dial[string, string](t, srv, "/ws")
		for range 50 {
			peer.Send(`{"type":"wait"}`)
			peer.Send(`{"type":"ask","ref":1,"tokens":5}`)
			peer.Send(`{"type":"cancel","ref":1}`)
			peer.Send(`{"type":"ask","ref":2,"tokens":0}`)
			heard := []string{peer.Receive(), peer.Receive()}
			slices.Sort(heard)
			want := []string{`{"type":"done","ref":2}`, `{"type":"error","ref":1,"reason":"cancelled"}`}
			if !slices.Equal(heard, want) {
				t.Fatalf("heard %v", heard)
			}
		}
	})
}

// TestARepliesPlace: what is no Reply itself, and one of a Call, are faults of the wiring.
func TestARepliesPlace(t *testing.T) {
	type wrapped struct{ wsroute.Reply[saidMsg] }
	ws := wsroute.New(depends.New(), quiet())
	call := wsroute.NewCall(func(context.Context, int, streaming) (int, error) { return 0, nil })
	c := wsroute.HandleMessages(ws, "/", events, wsroute.Public, wsroute.Calls(call))
	wsroute.Answer(c, "pointer", func(context.Context, nothing, struct{ Deltas *wsroute.Reply[saidMsg] }) (doneMsg, error) {
		return doneMsg{}, nil
	})
	wsroute.Answer(c, "wrapped", func(context.Context, nothing, struct{ Deltas wrapped }) (doneMsg, error) {
		return doneMsg{}, nil
	})
	_, err := ws.Handler()
	for _, want := range []string{
		"no provider for *wsroute.Reply[wsroute_test.saidMsg]", "no provider for wsroute_test.wrapped",
		"a Reply is for HandleMessages", "Calls is for loops",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said in\n%v", want, err)
		}
	}
}

// TestAPartHasADeadlineOfItsOwn, also while another goroutine's part waits for a slow reader.
func TestAPartHasADeadlineOfItsOwn(t *testing.T) {
	took := make(chan error, 1)
	long := strings.Repeat("x", 1<<20)
	srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) {
		wsroute.Answer(c, "ask", func(ctx context.Context, _ nothing, in streaming) (doneMsg, error) {
			waits := make(chan struct{})
			go func() {
				for range 5 {
					_ = in.Deltas.Send(ctx, saidMsg{"model", long})
				}
				close(waits)
			}()
			select {
			case <-waits:
				t.Error("the reader is quick")
			case <-time.After(100 * time.Millisecond):
			}
			short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			defer cancel()
			took <- in.Deltas.Send(short, saidMsg{"model", long})
			<-waits
			return doneMsg{}, nil
		})
	}, wsroute.Limits{SendMessages: 1})
	peer := wstest.Dial[string, string](t, srv, "/ws")
	peer.Send(`{"type":"ask","ref":1}`)
	select {
	case err := <-took:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after its deadline: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it waits longer than its deadline")
	}
	_ = peer.WebSocket.NetConn().Close()
	srv.Stop()
}
