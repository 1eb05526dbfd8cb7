package wsroute_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

type say struct {
	Text string `json:"text" validate:"min=1,max=5"`
}

func serveEcho[T any](t *testing.T) *wstest.Server {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", echo[T], wsroute.Public)
	return wstest.Start(t, ws)
}

func TestEveryKindOfMessageEchoes(t *testing.T) {
	text := wstest.Dial[string, string](t, serveEcho[string](t), "/")
	text.Send("grüß")
	if got := text.Receive(); got != "grüß" {
		t.Errorf("got %q", got)
	}
	binary := wstest.Dial[[]byte, []byte](t, serveEcho[[]byte](t), "/")
	binary.Send([]byte{0xff, 0})
	if got := binary.Receive(); !bytes.Equal(got, []byte{0xff, 0}) {
		t.Errorf("got %q", got)
	}
	either := wstest.Dial[wsroute.Message, wsroute.Message](t, serveEcho[wsroute.Message](t), "/")
	for _, m := range []wsroute.Message{{Data: []byte("a")}, {Binary: true, Data: []byte{1}}, {Data: []byte{}}} {
		either.Send(m)
		if diff := cmp.Diff(m, either.Receive()); diff != "" {
			t.Error(diff)
		}
	}
	typed := wstest.Dial[say, string](t, serveEcho[say](t), "/")
	typed.Send(say{"<é>"})
	if got := typed.Receive(); got != `{"text":"<é>"}` {
		t.Errorf("got %s", got)
	}
	if got := typed.Close(4000, "zz"); got.Code != 4000 {
		t.Errorf("got %v", got)
	}
}

func TestABadMessageLeavesTheConnectionUsable(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[say, string], _ none) error {
		for {
			m, err := conn.Receive(ctx)
			var bad *wsroute.MessageError
			switch {
			case errors.As(err, &bad):
				err = conn.Send(ctx, fmt.Sprintf("%d %s", bad.Code, bad.Reason))
			case err == nil:
				err = conn.Send(ctx, m.Text)
			}
			if err != nil {
				return err
			}
		}
	}, wsroute.Public)
	peer := wstest.Dial[wsroute.Message, string](t, wstest.Start(t, ws), "/")
	for in, want := range map[string]string{
		`{"text":"hi"}`:       "hi",
		`{"text":`:            "1007 invalid_json",
		`{"text":"hi"} x`:     "1007 invalid_json",
		`{"text":7}`:          "1007 invalid_json",
		``:                    "1007 invalid_json",
		`{"text":"too long"}`: "1008 invalid_message",
		`null`:                "1008 invalid_message",
	} {
		peer.Send(wsroute.Message{Data: []byte(in)})
		if got := peer.Receive(); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
	peer.Send(wsroute.Message{Binary: true, Data: []byte(`{"text":"hi"}`)})
	if got := peer.Receive(); got != "1003 binary_not_accepted" {
		t.Errorf("got %q", got)
	}
}

// TestHowAConnectionCloses covers what a handler can return, and Close.
func TestHowAConnectionCloses(t *testing.T) {
	type conn = wsroute.Conn[say, string]
	for name, test := range map[string]struct {
		handler func(context.Context, *conn, none) error
		want    wsroute.CloseError
	}{
		"nil":         {func(context.Context, *conn, none) error { return nil }, wsroute.CloseError{Code: 1000}},
		"error":       {func(context.Context, *conn, none) error { return errors.New("secret") }, wsroute.CloseError{Code: 1011}},
		"panic":       {func(context.Context, *conn, none) error { panic("secret") }, wsroute.CloseError{Code: 1011}},
		"bad message": {func(ctx context.Context, c *conn, _ none) error { _, err := c.Receive(ctx); return err }, wsroute.CloseError{Code: 1007, Reason: "invalid_json"}},
		"rejection": {
			func(context.Context, *conn, none) error { return depends.Forbidden("not_yours", errors.New("secret")) },
			wsroute.CloseError{Code: 3003, Reason: "not_yours"},
		},
		"wrapped and joined": {func(context.Context, *conn, none) error {
			return errors.Join(errors.New("x"), fmt.Errorf("y: %w", &depends.Rejection{Status: 400, CloseCode: 4400, Reason: "r"}))
		}, wsroute.CloseError{Code: 4400, Reason: "r"}},
		"rejection with a bad code": {func(context.Context, *conn, none) error { return &depends.Rejection{CloseCode: 1006, Reason: "r"} }, wsroute.CloseError{Code: 1011}},
		"close": {func(_ context.Context, c *conn, _ none) error {
			return errors.Join(c.Close(4001, "bye"), c.Close(4002, "again"), errors.New("too late to matter"))
		}, wsroute.CloseError{Code: 4001, Reason: "bye"}},
		"close with a code that must not be sent": {func(_ context.Context, c *conn, _ none) error { return c.Close(1005, "") }, wsroute.CloseError{Code: 1011}},
		"long reason": {
			func(_ context.Context, c *conn, _ none) error { return c.Close(3000, strings.Repeat("é", 100)) },
			wsroute.CloseError{Code: 3000, Reason: strings.Repeat("é", 61)},
		},
		"sent before": {func(ctx context.Context, c *conn, _ none) error { return c.Send(ctx, "x") }, wsroute.CloseError{Code: 1000}},
	} {
		t.Run(name, func(t *testing.T) {
			ws := wsroute.New(depends.New(), quiet())
			wsroute.Handle(ws, "/", test.handler, wsroute.Public)
			peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
			peer.Send("{")
			if got := peer.Closed(); *got != test.want {
				t.Errorf("got %+v, want %+v", *got, test.want)
			}
		})
	}
}

// starts are the two ways to start a router: each takes one of its own.
var starts = map[string]func(testing.TB, *wsroute.Router, ...depends.Replacement) *wstest.Server{
	"memory": wstest.Start, "loopback": wstest.StartLoopback,
}

func TestWhatBreaksTheProtocolCloses(t *testing.T) {
	causes := make(chan error, 1)
	type conn = wsroute.Conn[string, string]
	for name, start := range starts {
		config := &wsroute.Config{Logger: quiet().Logger, Limits: wsroute.Limits{ReadLimit: 10}}
		ws := wsroute.New(depends.New(), config)
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *conn, _ none) error {
			err := echo(ctx, conn, none{})
			causes <- err
			return err
		}, wsroute.Public)
		srv := start(t, ws)
		for want, send := range map[int]func(*websocket.Conn) error{
			1007: func(c *websocket.Conn) error { return c.WriteMessage(websocket.TextMessage, []byte{0xff}) },
			1009: func(c *websocket.Conn) error { return c.WriteMessage(websocket.TextMessage, make([]byte, 11)) },
			1002: func(c *websocket.Conn) error {
				_, err := c.NetConn().Write([]byte{0x83, 0x80, 0, 0, 0, 0}) // a reserved opcode
				return err
			},
		} {
			peer := wstest.Dial[string, string](t, srv, "/")
			peer.Send("0123456789")
			peer.Receive()
			if err := send(peer.WebSocket); err != nil {
				t.Fatal(err)
			}
			if got := peer.Closed(); got.Code != want {
				t.Errorf("%s: got %v, want %d", name, got, want)
			}
			if err := <-causes; !errors.Is(err, wsroute.ErrProtocol) {
				t.Errorf("%s: %d: cause %v", name, want, err)
			}
		}
	}
}

func TestTextThatIsNotUTF8IsNotSent(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
		if err := conn.Send(ctx, "\xff"); err == nil {
			return errors.New("it was")
		}
		return conn.Send(ctx, "usable")
	}, wsroute.Public)
	peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
	if got := peer.Receive(); got != "usable" {
		t.Errorf("got %q", got)
	}
}

// TestTheContextEndsWhileTheHandlerWorks is the promise of the read-ahead.
func TestTheContextEndsWhileTheHandlerWorks(t *testing.T) {
	for name, end := range map[string]func(*wstest.Peer[string, string]){
		"close": func(p *wstest.Peer[string, string]) { p.Close(4000, "zz") },
		"lost":  func(p *wstest.Peer[string, string]) { _ = p.WebSocket.NetConn().Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cause := make(chan error, 1)
				var rest []string
				ws := wsroute.New(depends.New(), quiet())
				wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
					select {
					case <-ctx.Done():
					case <-time.After(10 * time.Second):
					}
					for {
						m, err := conn.Receive(ctx)
						if err != nil {
							cause <- errors.Join(context.Cause(ctx), err)
							return err
						}
						rest = append(rest, m)
					}
				}, wsroute.Public)
				peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
				for i := range 10 {
					peer.Send(fmt.Sprint(i))
				}
				synctest.Wait()
				start := time.Now()
				end(peer)
				err := <-cause
				want := time.Duration(0)
				if name == "close" { // the handler has so long for what stands before it
					want = 2 * time.Second
				}
				if d := time.Since(start); d != want {
					t.Errorf("noticed after %v", d)
				}
				var closed *wsroute.CloseError
				if name == "close" && (!errors.As(err, &closed) || *closed != (wsroute.CloseError{Code: 4000, Reason: "zz"})) || name == "lost" && !errors.Is(err, wsroute.ErrPeerLost) {
					t.Errorf("cause %v", err)
				}
				if len(rest) != 10 {
					t.Errorf("%d of 10 messages that were sent before the end were received", len(rest))
				}
			})
		})
	}
}

// TestAFullReadAheadSlowsThePeer: it is not lost, though no pong can be read,
// and the handler that took nothing for too long is ended.
func TestAFullReadAheadSlowsThePeer(t *testing.T) {
	for _, works := range []time.Duration{29 * time.Second, 31 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan error, 1)
			ws := wsroute.New(depends.New(), &wsroute.Config{
				Logger: quiet().Logger,
				Limits: wsroute.Limits{ReadAhead: 2, PingInterval: 3 * time.Second, PongTimeout: 7 * time.Second},
			})
			wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
				select {
				case <-ctx.Done():
					ended <- context.Cause(ctx)
					return nil
				case <-time.After(works):
				}
				for range 8 {
					if _, err := conn.Receive(ctx); err != nil {
						ended <- err
						return err
					}
				}
				ended <- nil
				return nil
			}, wsroute.Public)
			peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
			for range 8 {
				peer.Send("x")
			}
			start := time.Now()
			closed := make(chan *wsroute.CloseError, 1)
			go func() { closed <- untilClosed(peer) }()
			err := <-ended
			if works < 30*time.Second {
				if err != nil {
					t.Errorf("a slow handler lost its peer: %v", err)
				}
			} else if !errors.Is(err, wsroute.ErrStalled) || time.Since(start) != 30*time.Second {
				t.Errorf("after %v: %v", time.Since(start), err)
			} else if got := <-closed; got.Code != 1008 || got.Reason != "handler_stalled" {
				t.Errorf("closed with %v", got)
			}
		})
	}
}

// untilClosed reads, and so answers pings, for as long as it takes.
func untilClosed(p *wstest.Peer[string, string]) *wsroute.CloseError {
	_ = p.WebSocket.SetReadDeadline(time.Time{})
	for {
		_, _, err := p.WebSocket.ReadMessage()
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			return &wsroute.CloseError{Code: closed.Code, Reason: closed.Text}
		} else if err != nil {
			return nil
		}
	}
}

func TestASilentPeerIsPingedAndThenLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 2)
		ws := wsroute.New(depends.New(), quiet())
		wsroute.Handle(ws, "/", func(ctx context.Context, _ *wsroute.Conn[string, string], _ none) error {
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return nil
		}, wsroute.Public)
		srv := wstest.Start(t, ws)
		alive := wstest.Dial[string, string](t, srv, "/")
		go func() { _ = untilClosed(alive) }() // answers pings while it waits
		silent := wstest.Dial[string, string](t, srv, "/")
		start := time.Now()
		silent.WebSocket.NetConn().(interface{ Vanish() }).Vanish()
		if err := <-ended; !errors.Is(err, wsroute.ErrPeerLost) || time.Since(start) != 35*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		alive.WebSocket.NetConn().Close()
		if err := <-ended; !errors.Is(err, wsroute.ErrPeerLost) {
			t.Error(err)
		}
	})
}

func TestAPeerThatAnswersPingsStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serveEcho[string](t)
		peer := wstest.Dial[string, string](t, srv, "/")
		got := make(chan error, 1)
		go func() {
			_, _, err := peer.WebSocket.ReadMessage()
			got <- err
		}()
		time.Sleep(time.Hour + time.Second)
		select {
		case err := <-got:
			t.Errorf("ended: %v", err)
		default:
		}
		_ = peer.WebSocket.NetConn().Close()
		if err := <-got; err == nil {
			t.Error("a message from nowhere")
		}
	})
}

// TestOurCloseDeliversNothingMore: the peer goes on talking and does not answer.
func TestOurCloseDeliversNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		ws := wsroute.New(depends.New(), quiet())
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
			_ = conn.Close(3000, "over")
			synctest.Wait()
			_, err := conn.Receive(ctx)
			j.add("receive %v, send %v", errors.Is(err, wsroute.ErrClosed), errors.Is(conn.Send(ctx, "x"), wsroute.ErrClosed))
			return nil
		}, wsroute.Public)
		srv := wstest.Start(t, ws)
		peer := wstest.Dial[string, string](t, srv, "/")
		peer.Send("transfer")
		start := time.Now()
		time.Sleep(time.Second)
		peer.Send("transfer")
		peer.WebSocket.SetCloseHandler(func(int, string) error { return nil }) // never answers
		if got := peer.Closed(); got.Code != 3000 {
			t.Errorf("got %v", got)
		}
		srv.Stop()
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("the peer had %v to answer", d)
		}
		j.want(t, "receive true, send true")
	})
}

func TestCancellingReceiveLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := wstest.Pipe[string, string](t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := conn.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		peer.Send("kept")
		synctest.Wait()
		if _, err := conn.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		if got, err := conn.Receive(t.Context()); got != "kept" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// TestSlowReader: the handler's own Send waits for the peer, a stranger's never.
func TestSlowReader(t *testing.T) {
	const total = 10 << 20
	chunk := bytes.Repeat([]byte("x"), 32<<10)
	ended := make(chan error, 1)
	type conn = wsroute.Conn[[]byte, []byte]
	for name, start := range starts {
		ws := wsroute.New(depends.New(), quiet())
		wsroute.Handle(ws, "/own", func(ctx context.Context, conn *conn, _ none) error {
			for range total / len(chunk) {
				if err := conn.Send(ctx, chunk); err != nil {
					return err
				}
			}
			return nil
		}, wsroute.Public)
		wsroute.Handle(ws, "/stranger", func(ctx context.Context, conn *conn, _ none) error {
			var err error
			for n := 0; err == nil && n < 64<<20; n += len(chunk) {
				err = conn.Send(context.Background(), chunk)
			}
			ended <- errors.Join(err, context.Cause(ctx))
			return err
		}, wsroute.Public)
		srv := start(t, ws)
		peer := wstest.Dial[[]byte, []byte](t, srv, "/own")
		got := 0
		for got < total {
			got += len(peer.Receive())
		}
		if closed := peer.Closed(); closed.Code != 1000 || got != total {
			t.Errorf("%s: %d bytes, then %v", name, got, closed)
		}
		slow := wstest.Dial[[]byte, []byte](t, srv, "/stranger")
		if err := <-ended; !errors.Is(err, wsroute.ErrSlowReader) {
			t.Errorf("%s: got %v", name, err)
		}
		if closed := slow.Closed(); closed.Code != 1013 || closed.Reason != "slow_reader" {
			t.Errorf("%s: got %v", name, closed)
		}
	}
}

func TestAPeerThatReadsNothingIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		ws := wsroute.New(depends.New(), quiet())
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[[]byte, []byte], _ none) error {
			for {
				if err := conn.Send(ctx, make([]byte, 4<<10)); err != nil {
					ended <- err
					return err
				}
			}
		}, wsroute.Public)
		start := time.Now()
		wstest.Dial[[]byte, []byte](t, wstest.Start(t, ws), "/")
		err, took := <-ended, time.Since(start)
		if !errors.Is(err, wsroute.ErrSlowReader) || took < 5*time.Second || took > 6*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

func TestManyWritersKeepMessagesWholeAndInOrder(t *testing.T) {
	const writers, each = 16, 500
	handler := func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for i := range each {
					if err := conn.Send(ctx, fmt.Sprintf("%d %d %s", w, i, strings.Repeat("x", i%200*40))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		return nil
	}
	for _, start := range starts {
		ws := wsroute.New(depends.New(), quiet())
		wsroute.Handle(ws, "/", handler, wsroute.Public)
		peer := wstest.Dial[string, string](t, start(t, ws), "/")
		var next [writers]int
		for range writers * each {
			var w, i int
			m := peer.Receive()
			if _, err := fmt.Sscanf(m, "%d %d", &w, &i); err != nil || next[w] != i || strings.Count(m, "x") != i%200*40 {
				t.Fatalf("got %.40q, expected number %d of writer %d", m, next[w], w)
			}
			next[w]++
		}
	}
}
