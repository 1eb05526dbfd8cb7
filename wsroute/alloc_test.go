package wsroute_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// mallocs is how often run allocates, all goroutines together.
func mallocs(times int, run func()) float64 {
	var before, after runtime.MemStats
	for range times / 5 {
		run() // it fills the pools
	}
	runtime.ReadMemStats(&before)
	for range times {
		run()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(times)
}

// traceNothing has every function of a Trace, each of which does nothing.
func traceNothing() *wsroute.Trace {
	return &wsroute.Trace{
		HandshakeStart: func(ctx context.Context, _ wsroute.HandshakeInfo) context.Context { return ctx },
		HandshakeDone:  func(context.Context, wsroute.HandshakeInfo, wsroute.HandshakeResult) {},
		Opened:         func(ctx context.Context, _ wsroute.ConnInfo) context.Context { return ctx },
		ProviderStart:  func(ctx context.Context, _ wsroute.ProviderInfo) context.Context { return ctx },
		ProviderDone:   func(context.Context, wsroute.ProviderInfo, time.Duration, error) {},
		Received:       func(context.Context, wsroute.ReceivedInfo) {},
		Sent:           func(context.Context, wsroute.SentInfo) {},
		Dropped:        func(context.Context, wsroute.DropInfo) {},
		Pong:           func(context.Context, string, time.Duration) {},
		Closed:         func(context.Context, wsroute.ClosedInfo) {},
	}
}

// The counts are those of the server and of the smallest client there is. They
// may fall; what makes them rise should be worth it. Six are of the line of log, which is written
// by a goroutine of its own, so that a log that blocks holds nobody up. Without a Trace there are
// none for it.
func TestAllocationsOfHandshakes(t *testing.T) {
	t.Run("no Trace", func(t *testing.T) { allocationsOfHandshakes(t, 137, 80, 108, 88) })
	t.Run("a Trace", func(t *testing.T) { allocationsOfHandshakes(t, 143, 80, 113, 90, traceNothing()) })
}

func allocationsOfHandshakes(
	t *testing.T, accepted, noToken, badParameter, foreignOrigin float64, trace ...*wsroute.Trace,
) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates too")
	}
	deps := depends.New()
	bearer(deps)
	config := quiet()
	config.Trace = trace
	ws := wsroute.New(deps, config)
	type in struct {
		Who   who
		Room  string `path:"room" validate:"alphanum,max=64"`
		Since int    `query:"since" default:"0" validate:"gte=0"`
	}
	wsroute.Handle(ws, "/:room", func(ctx context.Context, conn *wsroute.Conn[string, string], _ in) error {
		_, err := conn.Receive(ctx)
		return err
	})
	srv := wstest.Start(t, ws)
	ask := func(status, target, header, behind string) func() {
		request := []byte(fmt.Sprintf(handshake[:len(handshake)-2], target) + header + "\r\n" + behind)
		answer := make([]byte, 4<<10)
		return func() {
			conn, err := srv.Connect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(request); err != nil {
				t.Fatal(err)
			}
			if n, err := conn.Read(answer); err != nil || !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 "+status)) {
				t.Fatalf("got %q, %v, want %s", answer[:n], err, status)
			}
			for behind != "" {
				if _, err := conn.Read(answer); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	const token, closing = "Authorization: Bearer alice\r\n", "\x88\x82\x00\x00\x00\x00\x03\xe8"
	for _, test := range []struct {
		name string
		run  func()
		most float64
	}{
		{"accepted", ask("101", "/lobby?since=7", token, closing), accepted},
		{"no token", ask("401", "/lobby?since=7", "Connection: close\r\n", " "), noToken},
		{"bad parameter", ask("422", "/lobby?since=-1", token+"Connection: close\r\n", " "), badParameter},
		{"foreign origin", ask("403", "/lobby?since=7", "Origin: https://evil.example\r\nConnection: close\r\n", " "), foreignOrigin},
	} {
		if got := mallocs(200, test.run); got > test.most {
			t.Errorf("%s: %.1f allocations, want at most %v", test.name, got, test.most)
		}
	}
}

// TestAllocationsOfMessages: of one that is received and one that is sent, with JSON and
// its rules. A Trace adds none.
func TestAllocationsOfMessages(t *testing.T) {
	t.Run("no Trace", func(t *testing.T) { allocationsOfMessages(t) })
	t.Run("a Trace", func(t *testing.T) { allocationsOfMessages(t, traceNothing()) })
}

func allocationsOfMessages(t *testing.T, trace ...*wsroute.Trace) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates too")
	}
	type say struct {
		Text string `json:"text" validate:"min=1,max=100"`
	}
	config := quiet()
	config.Trace = trace
	ws := wsroute.New(depends.New(), config)
	wsroute.Handle(ws, "/ws", echo[say], wsroute.Public)
	const message = `{"text":"hello"}`
	if got := mallocsOfAMessage(t, ws, message, message); got > 20 {
		t.Errorf("%.1f allocations, want at most 20", got)
	}
}

// TestAllocationsOfMessagesWithDependencies: of one with two values of the connection, a guard
// of its own, and an answer. Those of the connection in memory count as well.
func TestAllocationsOfMessagesWithDependencies(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates too")
	}
	type (
		user  struct{ name string }
		seat  struct{ room string }
		voice struct{}
		both  struct {
			User user
			Seat seat
		}
	)
	deps := depends.New()
	depends.Provide(deps, func(context.Context, struct{}) (user, error) { return user{"ada"}, nil })
	depends.Provide(deps, func(context.Context, struct{}) (seat, error) { return seat{"lobby"}, nil })
	depends.Provide(deps, func(context.Context, both) (voice, error) { return voice{}, nil }, depends.Message)
	ws := wsroute.New(deps, quiet())
	c := wsroute.HandleMessages(ws, "/ws", events, wsroute.Public,
		wsroute.Require[user](), wsroute.Require[seat]())
	wsroute.Answer(c, "say", func(_ context.Context, say sayMsg, in both) (saidMsg, error) {
		return saidMsg{in.User.name, say.Text}, nil
	}, wsroute.Require[voice]())
	got := mallocsOfAMessage(t, ws, `{"type":"say","ref":7,"text":"hello"}`,
		`{"type":"said","ref":7,"from":"ada","text":"hello"}`)
	if got > 20 {
		t.Errorf("%.1f allocations, want at most 20", got)
	}
}

// mallocsOfAMessage is how often a message and its answer allocate.
func mallocsOfAMessage(t *testing.T, ws *wsroute.Router, message, want string) float64 {
	t.Helper()
	srv := wstest.Start(t, ws)
	conn, err := srv.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer := make([]byte, 4<<10)
	if _, err := fmt.Fprintf(conn, handshake, "/ws"); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(answer); err != nil || !bytes.HasSuffix(answer[:n], []byte("\r\n\r\n")) {
		t.Fatalf("got %q, %v", answer[:n], err)
	}
	frame := append([]byte{0x81, 0x80 | byte(len(message)), 0, 0, 0, 0}, message...)
	return mallocs(500, func() {
		if _, err := conn.Write(frame); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(answer); err != nil || !bytes.Contains(answer[:n], []byte(want)) {
			t.Fatalf("got %q, %v", answer[:n], err)
		}
	})
}
