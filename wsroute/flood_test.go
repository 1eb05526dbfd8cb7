package wsroute_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// flooded serves an echo with a configuration.
func flooded(t *testing.T, change func(*wsroute.Config), options ...wsroute.RouteOption) *wstest.Server {
	config := quiet()
	change(config)
	ws := wsroute.New(depends.New(), config)
	wsroute.Handle(ws, "/", echo[string], append(options, wsroute.Public)...)
	return wstest.Start(t, ws)
}

// raw writes bytes that are no concern of gorilla's.
func raw(t *testing.T, c *websocket.Conn, b ...byte) {
	t.Helper()
	if _, err := c.NetConn().Write(b); err != nil {
		t.Fatal(err)
	}
}

// TestAMessageThatDoesNotEnd is closed at the deadline of its first frame, which
// neither fragments nor pongs extend.
func TestAMessageThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := wstest.Dial[string, string](t, flooded(t, func(*wsroute.Config) {}), "/")
		start := time.Now()
		raw(t, c.WebSocket, 0x01, 0x81, 0, 0, 0, 0, 'x')
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				time.Sleep(500 * time.Millisecond)
				if _, err := c.WebSocket.NetConn().Write([]byte{0x00, 0x80, 0, 0, 0, 0, 0x8a, 0x80, 0, 0, 0, 0}); err != nil {
					return
				}
			}
		}()
		got := untilClosed(c)
		if d := time.Since(start); got == nil || d != 10*time.Second || got.Code != 1008 || got.Reason != "message_timeout" {
			t.Errorf("after %v: %v", d, got)
		}
		_ = c.WebSocket.Close()
		<-done
	})
}

// TestASlowMessageInTime comes in, and the clock stops with it.
func TestASlowMessageInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := wstest.Dial[string, string](t, flooded(t, func(*wsroute.Config) {}), "/")
		for range 3 {
			raw(t, c.WebSocket, 0x01, 0x81, 0, 0, 0, 0, 'x')
			time.Sleep(9 * time.Second)
			raw(t, c.WebSocket, 0x80, 0x81, 0, 0, 0, 0, 'y')
			if got := c.Receive(); got != "xy" {
				t.Errorf("got %q", got)
			}
		}
		time.Sleep(9 * time.Second)
		if got := c.Close(1000, ""); got.Code != 1000 {
			t.Errorf("got %v", got)
		}
	})
}

func TestPingFlood(t *testing.T) {
	for name, opcode := range map[string]byte{"pings": 0x89, "pongs": 0x8a} {
		t.Run(name, func(t *testing.T) {
			c := wstest.Dial[string, string](t, flooded(t, func(*wsroute.Config) {}), "/")
			go func() {
				for c.WebSocket.NetConn() != nil {
					if _, err := c.WebSocket.NetConn().Write([]byte{opcode, 0x80, 0, 0, 0, 0}); err != nil {
						return
					}
				}
			}()
			c.WebSocket.SetPongHandler(func(string) error { return nil })
			if got := c.Closed(); got.Code != 1008 || got.Reason != "too_many_control_frames" {
				t.Errorf("got %v", got)
			}
			_ = c.WebSocket.Close()
		})
	}
}

// TestMessageRate: the burst comes in at once, then so many a second, and who
// sends more is closed.
func TestMessageRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := flooded(t, func(c *wsroute.Config) { c.Limits.MessageRate, c.Limits.MessageBurst = 2, 5 })
		c := wstest.Dial[string, string](t, srv, "/")
		for i := range 5 {
			c.Send(fmt.Sprint(i))
			c.Receive()
		}
		for range 20 {
			time.Sleep(500 * time.Millisecond)
			c.Send("x")
			c.Receive()
		}
		c.Send("one too many")
		if got := c.Closed(); got.Code != 1008 || got.Reason != "too_many_messages" {
			t.Errorf("got %v", got)
		}
	})
}

// TestAPingFloodIsAnsweredOnce: who pings without reading is owed the latest
// pong alone (RFC 6455 §5.5.3), and nothing piles up.
func TestAPingFloodIsAnsweredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := quiet()
		config.Limits.WriteTimeout = 24 * time.Hour
		ws := wsroute.New(depends.New(), config)
		wsroute.Handle(ws, "/", echo[string], wsroute.Public)
		peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
		const pings = 5000
		payload := make([]byte, 100)
		for i := range pings {
			if i == pings-1 {
				payload = []byte("last")
			}
			if err := peer.WebSocket.WriteControl(websocket.PingMessage, payload, time.Time{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond) // as often as a peer may
		}
		synctest.Wait()
		pongs, last := 0, ""
		peer.WebSocket.SetPongHandler(func(data string) error {
			pongs++
			last = data
			return nil
		})
		peer.Send("done")
		peer.Receive()
		peer.Close(1000, "")
		if pongs > 1000 || last != "last" {
			t.Errorf("%d pongs, the last %q", pongs, last)
		}
	})
}
