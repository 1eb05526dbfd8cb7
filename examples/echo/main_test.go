package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"

	"go.uber.org/goleak"

	"example.com/usher/internal/conformance"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// largest is what the server of these tests takes.
const largest = 2 << 20

// serve starts the program on loopback.
func serve(t *testing.T) func(context.Context) (net.Conn, error) {
	t.Helper()
	ws, engine, err := newEcho(largest, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- wsroute.ServeListener(ctx, listener, ws, engine) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", listener.Addr().String())
	}
}

// TestConformance asks the server all that RFC 6455 demands of one.
func TestConformance(t *testing.T) {
	dial := serve(t)
	cases := conformance.Cases(largest)
	if len(cases) < 300 {
		t.Errorf("there are only %d cases", len(cases))
	}
	seen := map[string]bool{}
	t.Run("all", func(t *testing.T) { // returns when the parallel ones have
		for _, c := range cases {
			if seen[c.Name] {
				t.Errorf("two cases are called %s", c.Name)
			}
			seen[c.Name] = true
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				if err := c.Run(t.Context(), dial); err != nil {
					t.Error(err)
				}
			})
		}
	})
	t.Logf("%d cases", len(cases))
}

// TestEcho returns text as text and binary as binary, to whoever comes without an Origin.
func TestEcho(t *testing.T) {
	ws, engine, err := newEcho(16<<20, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	c := wstest.Dial[wsroute.Message, wsroute.Message](t, wstest.StartHandler(t, ws, engine), "/")
	for _, m := range []wsroute.Message{{Data: []byte("text")}, {Binary: true, Data: []byte{0xff}}, {Data: make([]byte, 16<<20)}} {
		c.Send(m)
		if got := c.Receive(); got.Binary != m.Binary || string(got.Data) != string(m.Data) {
			t.Errorf("%d octets came back for %d", len(got.Data), len(m.Data))
		}
	}
	if _, _, err := newEcho(0, nil); err == nil {
		t.Error("a server that takes nothing has started")
	}
}
