package wsroute_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// expiring serves an echo whose connections are valid for ?for=, and tells the
// cause of each end.
func expiring(t *testing.T, handler func(context.Context, *wsroute.Conn[string, string]) error) (*wstest.Server, chan error) {
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, in struct {
		For  time.Duration `query:"for"`
		Also time.Duration `query:"also" default:"100h"`
	},
	) (gate, error) {
		depends.ValidUntil(ctx, time.Now().Add(in.For))
		depends.ValidUntil(ctx, time.Now().Add(in.Also))
		return gate{}, nil
	}, depends.Handshake)
	causes := make(chan error, 10)
	config := quiet()
	config.Limits.MessageTimeout = 24 * time.Hour // a message in the middle is not what ends it
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/ws", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{ _ gate }) error {
		err := handler(ctx, conn)
		causes <- context.Cause(ctx)
		return err
	})
	return wstest.Start(t, ws), causes
}

func receiveAll(ctx context.Context, conn *wsroute.Conn[string, string]) error {
	return echo(ctx, conn, none{})
}

// TestExpiry: at the moment, to the nanosecond, whatever the peer does.
func TestExpiry(t *testing.T) {
	for name, peer := range map[string]func(*testing.T, *websocket.Conn){
		"is quiet": func(*testing.T, *websocket.Conn) {},
		"goes on sending": func(t *testing.T, c *websocket.Conn) {
			go func() {
				for c.WriteMessage(websocket.TextMessage, []byte("transfer")) == nil {
					time.Sleep(100 * time.Millisecond)
				}
			}()
		},
		"is in the middle of a message": func(t *testing.T, c *websocket.Conn) {
			if _, err := c.NetConn().Write([]byte{0x01, 0x81, 0, 0, 0, 0, 'x'}); err != nil { // text, more follows
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var last time.Time
				srv, causes := expiring(t, func(ctx context.Context, conn *wsroute.Conn[string, string]) error {
					for {
						if _, err := conn.Receive(ctx); err != nil {
							return err
						}
						last = time.Now()
					}
				})
				start := time.Now()
				c := wstest.Dial[string, string](t, srv, "/ws?for=1h&also=2h")
				peer(t, c.WebSocket)
				got := untilClosed(c)
				if d := time.Since(start); d != time.Hour || got == nil || got.Code != 3000 || got.Reason != "token_expired" {
					t.Errorf("after %v: %v", d, got)
				}
				if err := <-causes; !errors.Is(err, wsroute.ErrExpired) {
					t.Errorf("the cause is %v", err)
				}
				if !last.Before(start.Add(time.Hour)) {
					t.Errorf("a message was delivered %v after the end", last.Sub(start.Add(time.Hour)))
				}
				_ = c.WebSocket.Close()
				time.Sleep(time.Second) // whoever goes on sending notices
			})
		})
	}
}

// TestExpiryOfAPeerThatDoesNothing: it neither reads nor answers the close, and
// still is gone within the bound.
func TestExpiryOfAPeerThatDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, causes := expiring(t, func(ctx context.Context, conn *wsroute.Conn[string, string]) error {
			for conn.Send(ctx, string(make([]byte, 1<<10))) == nil {
			}
			return nil
		})
		start := time.Now()
		wstest.Dial[string, string](t, srv, "/ws?for=2s")
		if err := <-causes; !errors.Is(err, wsroute.ErrExpired) || time.Since(start) != 2*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		srv.Stop()
		if d := time.Since(start); d > 8*time.Second {
			t.Errorf("it is gone after %v", d)
		}
	})
}

// TestExpiryWhileTheHandlerWorks ends its context, and what is unread is dropped.
func TestExpiryWhileTheHandlerWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, causes := expiring(t, func(ctx context.Context, conn *wsroute.Conn[string, string]) error {
			<-ctx.Done()
			m, err := conn.Receive(ctx)
			if m != "" || !errors.Is(err, wsroute.ErrExpired) || !errors.Is(conn.Send(ctx, "x"), wsroute.ErrExpired) {
				t.Errorf("after the end: %q, %v", m, err)
			}
			return nil
		})
		peer := wstest.Dial[string, string](t, srv, "/ws?for=10s")
		for i := range 5 {
			peer.Send(fmt.Sprint(i))
		}
		start := time.Now()
		if err := <-causes; !errors.Is(err, wsroute.ErrExpired) {
			t.Errorf("the cause is %v", err)
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("after %v", d)
		}
	})
}

func TestWhatHasExpiredIsRefused(t *testing.T) {
	srv, _ := expiring(t, receiveAll)
	for _, query := range []string{"for=0s", "for=-1h", "for=1h&also=-1s"} {
		if r := wstest.Refused(t, srv, "/ws?"+query); r.Status != 401 || r.Problem.Reason != "token_expired" {
			t.Errorf("%s: %d %s", query, r.Status, r.Body)
		}
	}
	if got := wstest.Dial[string, string](t, srv, "/ws?for=1h").Close(1000, ""); got.Code != 1000 {
		t.Errorf("got %v", got)
	}
}

// TestAnExpiryFarAway is none of today: nanoseconds do not reach that far.
func TestAnExpiryFarAway(t *testing.T) {
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, _ none) (gate, error) {
		depends.ValidUntil(ctx, time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC))
		return gate{}, nil
	})
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{ _ gate }) error {
		return receiveAll(ctx, conn)
	}, wsroute.Public)
	c := wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
	c.Send("still here")
	if got := c.Receive(); got != "still here" {
		t.Errorf("got %q", got)
	}
}
