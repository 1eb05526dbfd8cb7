package wsroute_test

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"runtime"
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
	wsroute.Handle(ws, "/", echo[string], options...)
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

// TestDropOldest: who does not read finds the newest messages when it does, in
// order, and is not closed.
func TestDropOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := quiet()
		config.Limits.SendMessages, config.Limits.WriteTimeout = 8, time.Hour
		ws := wsroute.New(depends.New(), config)
		const last = 300
		big := bytes.Repeat([]byte{'.'}, 4<<10)
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
			for i := range last {
				if err := conn.Send(context.Background(), fmt.Sprintf("%03d%s", i, big)); err != nil {
					return err
				}
			}
			_, err := conn.Receive(ctx)
			return err
		}, wsroute.DropOldest)
		c := wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
		synctest.Wait()
		var got []string
		for len(got) == 0 || got[len(got)-1] != fmt.Sprint(last-1) {
			got = append(got, c.Receive()[:3])
		}
		if n := len(got); n >= last || n < 8 {
			t.Errorf("%d messages came", n)
		}
		for i, m := range got[len(got)-8:] {
			if want := fmt.Sprint(last - 8 + i); m != want {
				t.Errorf("%s came in place of %s", m, want)
			}
		}
		if closed := c.Close(1000, ""); closed.Code != 1000 {
			t.Errorf("got %v", closed)
		}
	})
}

// TestSendMessages: without that option, the queue is bounded by messages too.
func TestSendMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := quiet()
		config.Limits.SendMessages = 8
		ws := wsroute.New(depends.New(), config)
		ended := make(chan error, 1)
		wsroute.Handle(ws, "/", func(_ context.Context, conn *wsroute.Conn[string, string], _ none) error {
			for {
				if err := conn.Send(context.Background(), string(make([]byte, 1<<10))); err != nil {
					ended <- err
					return err
				}
			}
		})
		c := wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
		if err := <-ended; !errors.Is(err, wsroute.ErrSlowReader) {
			t.Errorf("got %v", err)
		}
		if got := c.Closed(); got.Code != 1013 {
			t.Errorf("got %v", got)
		}
	})
}

// TestCompression: it works where the route has it, and a bomb is refused at the
// inflated size, without being inflated.
func TestCompression(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/deflate", echo[string], wsroute.Compress)
	wsroute.Handle(ws, "/plain", echo[string])
	srv := wstest.StartLoopback(t, ws)
	dial := func(path string) (*websocket.Conn, string) {
		dialer := websocket.Dialer{EnableCompression: true}
		c, response, err := dialer.Dial("ws://"+srv.Host+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		t.Cleanup(func() { _ = c.Close() })
		return c, response.Header.Get("Sec-WebSocket-Extensions")
	}
	if _, extension := dial("/plain"); extension != "" {
		t.Errorf("without the option %q was negotiated", extension)
	}
	c, extension := dial("/deflate")
	if extension == "" {
		t.Fatal("nothing was negotiated")
	}
	deflated := []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00} // "Hello", RFC 7692 §7.2.3.1
	raw(t, c, append([]byte{0xc1, 0x87, 0, 0, 0, 0}, deflated...)...)
	head := make([]byte, 9)
	if _, err := c.NetConn().Read(head); err != nil || head[0]&0x40 == 0 {
		t.Errorf("the answer % x is not compressed: %v", head, err)
	}

	bomb := deflate(t, make([]byte, 60<<20))
	if len(bomb) > 64<<10 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	c, _ = dial("/deflate")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	frame := append([]byte{0xc1, 0xfe, byte(len(bomb) >> 8), byte(len(bomb)), 0, 0, 0, 0}, bomb...)
	raw(t, c, frame...)
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, 1009) {
		t.Errorf("got %v", err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
}

// deflate compresses as RFC 7692 §7.2.1 demands: without the last four bytes.
func deflate(t *testing.T, b []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{0, 0, 0xff, 0xff})
}
