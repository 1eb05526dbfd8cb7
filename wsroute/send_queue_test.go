package wsroute_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// noise is text of n bytes that does not compress well, and begins with a number.
func noise(number, n int) string {
	raw := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(number)}).Read(raw)
	return fmt.Sprintf("%06d", number) + base64.StdEncoding.EncodeToString(raw)[:n-6]
}

// backlogged is a way to send to a peer that does not read.
type backlogged struct {
	deflate, room bool
	size          int
}

func (b backlogged) String() string {
	by := "Conn"
	if b.room {
		by = "Room"
	}
	return fmt.Sprintf("%s, %d bytes, deflate %t", by, b.size, b.deflate)
}

// ways are with and without a room, with and without compression, small and large.
func ways(t *testing.T, f func(t *testing.T, b backlogged)) {
	for _, deflate := range []bool{false, true} {
		for _, room := range []bool{false, true} {
			for _, size := range []int{1 << 10, 20_000, 150_000} {
				b := backlogged{deflate, room, size}
				t.Run(b.String(), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { f(t, b) })
				})
			}
		}
	}
}

// serve returns a router whose one route compresses, a function that sends to the peer
// who connects, and what the handler's context ended with.
func (b backlogged) serve(config *wsroute.Config, options ...wsroute.RouteOption) (*wsroute.Router, func(string) error, <-chan error) {
	var room wsroute.Room[string]
	var only *wsroute.Conn[string, string]
	ended := make(chan error, 1)
	ws := identified(config, nil, func(ctx context.Context, conn *wsroute.Conn[string, string]) error {
		only = conn
		room.Join(conn)
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return nil
	}, append(options, wsroute.Compress)...)
	return ws, func(s string) error {
		if b.room {
			return room.Send(context.Background(), s)
		}
		return only.Send(context.Background(), s)
	}, ended
}

// dial connects a client that inflates, if it is to.
func (b backlogged) dial(t *testing.T, srv *wstest.Server) *websocket.Conn {
	dialer := websocket.Dialer{NetDialContext: dialOf(srv), EnableCompression: b.deflate}
	c, response, err := dialer.Dial("ws://"+srv.Host+"/ws?sub=ada", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	t.Cleanup(func() { _ = c.Close() })
	synctest.Wait()
	return c
}

// readAll reads to the end, and returns the numbers of the messages.
func readAll(c *websocket.Conn) (numbers []string, err error) {
	for {
		_, data, err := c.ReadMessage()
		if err != nil {
			return numbers, err
		}
		numbers = append(numbers, string(data[:6]))
	}
}

// TestARevocationDropsWhatIsQueued: what was not begun when Revoke returns never comes.
func TestARevocationDropsWhatIsQueued(t *testing.T) {
	ways(t, func(t *testing.T, b backlogged) {
		config := quiet()
		config.Limits.SendQueue, config.Limits.SendMessages = 1<<30, 1<<20
		ws, send, ended := b.serve(config)
		c := b.dial(t, wstest.Start(t, ws))
		for i := range 40 {
			if err := send(noise(i, b.size)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := ws.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"}); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, wsroute.ErrRevoked) {
			t.Errorf("the cause is %v", err)
		}
		got, err := readAll(c)
		const inFlight = 64 << 10 // what the connection in memory holds, and what is begun
		if most := inFlight/(b.size/2) + 2; len(got) > most || !websocket.IsCloseError(err, 3000) {
			t.Errorf("%d messages came, of at most %d, then %v", len(got), most, err)
		}
	})
}

// TestTheQueueIsBoundedInMessages, whatever form they go out in.
func TestTheQueueIsBoundedInMessages(t *testing.T) {
	ways(t, func(t *testing.T, b backlogged) {
		config := quiet()
		config.Limits.SendQueue, config.Limits.SendMessages = 1<<30, 20
		ws, send, ended := b.serve(config)
		c := b.dial(t, wstest.Start(t, ws))
		sent := 0
		for ; len(ended) == 0 && sent < 2000; sent++ {
			_ = send(noise(sent, b.size))
			synctest.Wait()
		}
		const inFlight = 64 << 10
		if most := 20 + inFlight/(b.size/2) + 2; sent > most || sent < 20 {
			t.Errorf("%d messages were taken, of at most %d", sent, most)
		}
		if _, err := readAll(c); !websocket.IsCloseError(err, 1013) {
			t.Errorf("the peer reads %v", err)
		}
	})
}

// TestTheQueueIsBoundedInBytes, of what goes out.
func TestTheQueueIsBoundedInBytes(t *testing.T) {
	ways(t, func(t *testing.T, b backlogged) {
		config := quiet()
		config.Limits.SendQueue, config.Limits.SendMessages = 400_000, 1<<20
		ws, send, ended := b.serve(config)
		c := b.dial(t, wstest.Start(t, ws))
		sent := 0
		for ; len(ended) == 0 && sent < 2000; sent++ {
			_ = send(noise(sent, b.size))
			synctest.Wait()
		}
		const inFlight = 64 << 10
		most := (400_000+inFlight)/(b.size/2) + 2
		if least := 400_000 / b.size; sent > most || sent < least {
			t.Errorf("%d messages were taken, not %d to %d", sent, least, most)
		}
		if _, err := readAll(c); !websocket.IsCloseError(err, 1013) {
			t.Errorf("the peer reads %v", err)
		}
	})
}

// TestTheOldestGivesWay: on a route with DropOldest nobody is closed, and who reads late
// finds the newest messages, whole and in order.
func TestTheOldestGivesWay(t *testing.T) {
	ways(t, func(t *testing.T, b backlogged) {
		config := quiet()
		config.Limits.SendQueue, config.Limits.SendMessages, config.Limits.WriteTimeout = 1<<30, 20, time.Hour
		ws, send, ended := b.serve(config, wsroute.DropOldest)
		c := b.dial(t, wstest.Start(t, ws))
		last := 100
		if b.size > 100_000 {
			last = 30
		}
		for i := range last {
			if err := send(noise(i, b.size)); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for len(got) == 0 || got[len(got)-1] != fmt.Sprintf("%06d", last-1) {
			_, data, err := c.ReadMessage()
			if err != nil {
				t.Fatalf("after %d messages: %v", len(got), err)
			}
			number := string(data[:6])
			if len(got) > 0 && number <= got[len(got)-1] || string(data) != noise(atoi(number), b.size) {
				t.Fatalf("%s came behind %s", number, got[len(got)-1])
			}
			got = append(got, number)
		}
		if n := len(got); n < 20 || n == last && b.size > 1<<10 {
			t.Errorf("%d messages came", n)
		}
		if len(ended) > 0 {
			t.Errorf("the connection ended with %v", <-ended)
		}
	})
}

func atoi(s string) (n int) {
	for _, c := range s {
		n = 10*n + int(c-'0')
	}
	return n
}

// TestPongsThatWeHaveAskedFor: a peer that comes to read after a while, and answers all
// our pings then, is no flood.
func TestPongsThatWeHaveAskedFor(t *testing.T) {
	for _, backlog := range []int{0, 200_000} {
		t.Run(fmt.Sprintf("behind %d bytes", backlog), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := quiet()
				config.Limits.PingInterval, config.Limits.PongTimeout, config.Limits.WriteTimeout = time.Second, 2*time.Minute, time.Hour
				ws := wsroute.New(depends.New(), config)
				wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
					if backlog > 0 {
						if err := conn.Send(ctx, string(make([]byte, backlog))); err != nil {
							return err
						}
					}
					return echo(ctx, conn, none{})
				}, wsroute.Public)
				c := wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
				time.Sleep(40 * time.Second)
				if backlog > 0 {
					c.Receive()
				}
				for range 3 { // the answers to our pings come behind the first
					c.Send("there")
					if got := c.Receive(); got != "there" {
						t.Errorf("got %q", got)
					}
				}
			})
		})
	}
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
		}, wsroute.DropOldest, wsroute.Public)
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
		}, wsroute.Public)
		c := wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
		if err := <-ended; !errors.Is(err, wsroute.ErrSlowReader) {
			t.Errorf("got %v", err)
		}
		if got := c.Closed(); got.Code != 1013 {
			t.Errorf("got %v", got)
		}
	})
}
