package wsroute_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/conformance"
	"example.com/usher/internal/memconn"
	"example.com/usher/wsroute"
)

// FuzzFrames: whatever a peer sends, what comes back are frames as RFC 6455 wants
// them, and when the peer has gone all is released.
func FuzzFrames(f *testing.F) {
	for _, c := range conformance.Cases(200) {
		var octets []byte
		for _, frame := range c.Send {
			octets = append(octets, frame.Encode()...)
		}
		f.Add(octets)
	}
	l, released := serveFrames(f)
	f.Fuzz(func(t *testing.T, octets []byte) {
		conn, err := l.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p, err := conformance.Open(conn, nil)
		if err != nil {
			t.Fatal(err)
		}
		heard := make(chan error, 1)
		go func() {
			for {
				if _, err := p.Read(); err != nil {
					heard <- err
					return
				}
			}
		}()
		_, _ = conn.Write(octets) // a server that has closed need not take all of it
		_ = conn.Close()
		if err := <-heard; errors.Is(err, conformance.ErrServer) {
			t.Error(err)
		}
		select {
		case <-released:
		case <-time.After(20 * time.Second):
			t.Fatal("the connection is there although the peer has gone")
		}
	})
}

// serveFrames serves an echo in memory. released is sent to when a connection is gone.
func serveFrames(f *testing.F) (*memconn.Listener, <-chan struct{}) {
	released := make(chan struct{})
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, _ none) (gate, error) {
		depends.Cleanup(ctx, func(context.Context, error) error { released <- struct{}{}; return nil })
		return gate{}, nil
	})
	config := quiet()
	config.Limits.ReadLimit = 1 << 10
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[wsroute.Message, wsroute.Message], _ struct{ _ gate }) error {
		for {
			m, err := conn.Receive(ctx)
			if err != nil {
				return err
			}
			if err := conn.Send(ctx, m); err != nil {
				return err
			}
		}
	}, wsroute.Public)
	handler, err := ws.Handler()
	if err != nil {
		f.Fatal(err)
	}
	l := memconn.Listen()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- wsroute.ServeListener(ctx, l, ws, handler) }()
	f.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			f.Error(err)
		}
	})
	return l, released
}
