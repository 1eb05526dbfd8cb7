package conformance_test

import (
	"context"
	"log/slog"
	"net"
	"testing"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	"example.com/usher/depends"
	"example.com/usher/internal/conformance"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(m)
}

// newEcho returns every message untouched, text as text and binary as binary.
func newEcho(largest int64) *wsroute.Router {
	ws := wsroute.New(depends.New(), &wsroute.Config{
		Logger: slog.New(slog.DiscardHandler), Limits: wsroute.Limits{ReadLimit: largest},
	})
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[wsroute.Message, wsroute.Message], _ struct{}) error {
		for {
			message, err := conn.Receive(ctx)
			if err != nil {
				return err
			}
			if err := conn.Send(ctx, message); err != nil {
				return err
			}
		}
	}, wsroute.Public)
	return ws
}

// serve starts the server on loopback.
func serve(t *testing.T, largest int64) func(context.Context) (net.Conn, error) {
	t.Helper()
	ws, engine := newEcho(largest), gin.New()
	if err := ws.Mount(engine); err != nil {
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
	const largest = 2 << 20
	dial := serve(t, largest)
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

// TestLargeMessages of the size that external suites send.
func TestLargeMessages(t *testing.T) {
	peer := wstest.Dial[wsroute.Message, wsroute.Message](t, wstest.Start(t, newEcho(16<<20)), "/")
	for _, m := range []wsroute.Message{{Data: []byte("text")}, {Binary: true, Data: []byte{0xff}}, {Data: make([]byte, 16<<20)}} {
		peer.Send(m)
		if got := peer.Receive(); got.Binary != m.Binary || string(got.Data) != string(m.Data) {
			t.Errorf("%d octets came back for %d", len(got.Data), len(m.Data))
		}
	}
}
