package wsroute_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/conformance"
	"example.com/usher/internal/memconn"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestAPeerThatReadsSlowlyIsAlive: bytes that the peer takes are life, although it comes
// to our ping only behind them.
func TestAPeerThatReadsSlowlyIsAlive(t *testing.T) {
	for _, tt := range []struct {
		size, perSecond int
		ping, pong      time.Duration
	}{
		{1 << 20, 20_000, 25 * time.Second, 35 * time.Second}, // 160 kbit/s, and the defaults
		{8 << 20, 600_000, time.Second, 2 * time.Second},
		{1 << 20, 40_000, time.Second, 3 * time.Second},
	} {
		t.Run(fmt.Sprintf("%d bytes a second", tt.perSecond), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := quiet()
				config.Limits.SendQueue, config.Limits.PingInterval, config.Limits.PongTimeout = 16<<20, tt.ping, tt.pong
				ended := make(chan error, 1)
				ws := wsroute.New(depends.New(), config)
				wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
					for i := range tt.size >> 12 {
						if err := conn.Send(ctx, noise(i, 4<<10)); err != nil {
							ended <- err
							return err
						}
					}
					_, err := conn.Receive(ctx)
					ended <- err
					return err
				}, wsroute.Public)
				p := open(t, wstest.Start(t, ws))
				slow := &slowly{p.Conn.(*memconn.Conn), tt.perSecond / 10}
				for n := 0; n < tt.size-8<<10; { // some came with the 101
					k, err := slow.Read()
					if n += k; err != nil {
						t.Fatalf("after %d bytes: %v; the handler: %v", n, err, <-ended)
					}
				}
				write(t, p, closeFrame(1000, ""))
				var closed *wsroute.CloseError
				if err := <-ended; !errors.As(err, &closed) {
					t.Errorf("the handler got %v", err)
				}
			})
		})
	}
}

// slowly reads so many bytes in a tenth of a second.
type slowly struct {
	conn *memconn.Conn
	n    int
}

func (s *slowly) Read() (int, error) {
	time.Sleep(100 * time.Millisecond)
	return s.conn.Read(make([]byte, s.n))
}

// TestAPeerThatVanishesUnderABacklog: without progress, the clock runs from the first ping
// that is not answered.
func TestAPeerThatVanishesUnderABacklog(t *testing.T) {
	for _, backlog := range []int{0, 1 << 10, 60 << 10, 200 << 10} {
		t.Run(fmt.Sprintf("%d bytes", backlog), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := quiet()
				config.Limits.PingInterval, config.Limits.PongTimeout, config.Limits.WriteTimeout = time.Second, 3*time.Second, time.Hour
				ended := make(chan time.Time, 1)
				ws := wsroute.New(depends.New(), config)
				wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
					_, _ = conn.Receive(ctx)
					_ = conn.Send(ctx, string(make([]byte, backlog)))
					<-ctx.Done()
					if !errors.Is(context.Cause(ctx), wsroute.ErrPeerLost) {
						t.Errorf("the cause is %v", context.Cause(ctx))
					}
					ended <- time.Now()
					return nil
				}, wsroute.Public)
				p := open(t, wstest.Start(t, ws))
				write(t, p, textFrame("go"))
				synctest.Wait()
				start := time.Now()
				p.Conn.(*memconn.Conn).Vanish()
				if d := (<-ended).Sub(start); d < 2*time.Second || d > 3*time.Second {
					t.Errorf("it took %v", d)
				}
			})
		})
	}
}

// TestAPeerThatAnswersNoPing is lost, although it takes them.
func TestAPeerThatAnswersNoPing(t *testing.T) {
	for _, talks := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			config := quiet()
			config.Limits.PingInterval, config.Limits.PongTimeout = time.Second, 4*time.Second
			ended := make(chan error, 1)
			ws := wsroute.New(depends.New(), config)
			wsroute.Handle(ws, "/", func(ctx context.Context, _ *wsroute.Conn[string, string], _ none) error {
				<-ctx.Done()
				ended <- context.Cause(ctx)
				return nil
			}, wsroute.Public)
			p := open(t, wstest.Start(t, ws))
			start := time.Now()
			go func() {
				for {
					e, err := p.Read()
					if err != nil {
						return
					}
					if talks && e.Opcode == conformance.Ping && time.Since(start) < 10*time.Second {
						_, _ = p.Conn.Write(textFrame("x").Encode())
					}
				}
			}()
			err := <-ended
			want := 4 * time.Second
			if talks { // whatever it says is life
				want += 9 * time.Second
			}
			if d := time.Since(start); !errors.Is(err, wsroute.ErrPeerLost) || d != want {
				t.Errorf("after %v, not %v: %v", d, want, err)
			}
			_ = p.Conn.Close()
		})
	}
}

// TestAKernelThatTakesPings: a peer whose kernel takes them, several in the time that it
// has to answer one, is lost as well.
func TestAKernelThatTakesPings(t *testing.T) {
	for _, secure := range []bool{false, true} {
		config := quiet()
		config.Limits.PingInterval, config.Limits.PongTimeout = 20*time.Millisecond, 220*time.Millisecond
		ended := make(chan error, 1)
		ws := wsroute.New(depends.New(), config)
		wsroute.Handle(ws, "/", func(ctx context.Context, _ *wsroute.Conn[string, string], _ none) error {
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return nil
		}, wsroute.Public)
		var p *conformance.Peer
		if secure {
			p = overTLS(t, ws)
		} else {
			p = open(t, wstest.StartLoopback(t, ws))
		}
		go func() { _, _ = io.Copy(io.Discard, p.Conn) }()
		if err := <-ended; !errors.Is(err, wsroute.ErrPeerLost) {
			t.Error(err)
		}
	}
}
