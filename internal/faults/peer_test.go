package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/conformance"
	"example.com/usher/wsroute"
)

func TestRow19SlowHandshake(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		w := begin(t, depends.New(), nil, echo)
		c, start := w.dial(), time.Now()
		go func() {
			for _, b := range []byte("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ") {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		answer, _ := io.ReadAll(c)
		if s := string(answer); s != "" && !strings.HasPrefix(s, "HTTP/1.1 4") {
			t.Errorf("the answer is %q", s)
		}
		took(t, start, 5*time.Second, 6*time.Second)
		_ = c.Close()
		time.Sleep(time.Second)
	})
}

func TestRow20SlowReader(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		w := begin(t, depends.New(), nil, func(ctx context.Context, c *conn, _ none) error {
			for {
				if err := c.Send(ctx, message{Data: make([]byte, 8<<10)}); err != nil {
					return err
				}
			}
		})
		w.open()
		start := time.Now()
		w.caused(wsroute.ErrSlowReader)
		took(t, start, 5*time.Second, 6*time.Second)
		w.stop()
		took(t, start, 5*time.Second, 11*time.Second)
	})
}

func TestRow21HalfOpen(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		w := begin(t, depends.New(), nil, echo)
		c := w.dial()
		p, err := conformance.Open(c, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = say(p, text("there"))
		if _, err := p.Read(); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		c.Vanish()
		w.caused(wsroute.ErrPeerLost)
		took(t, start, 34*time.Second, 35*time.Second)
	})
}

func TestRow22PingFlood(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		w := begin(t, depends.New(), nil, echo)
		p := w.open()
		synctest.Wait() // a flood may end the connection before its handler begins, which then tells no cause
		sent := make(chan int)
		go func() {
			n := 0
			for ; n < 100_000 && say(p, conformance.Frame{Opcode: conformance.Ping}) == nil; n++ {
				_ = n
			}
			sent <- n
		}()
		if got := closed(p); got != "1008 too_many_control_frames" {
			t.Errorf("closed with %s", got)
		}
		w.caused(wsroute.ErrProtocol)
		_ = p.Conn.Close()
		<-sent
	})
}

func TestRow23FragmentFlood(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		w := begin(t, depends.New(), nil, echo)
		p, start := w.open(), time.Now()
		_ = say(p, conformance.Frame{Opcode: conformance.Text, More: true})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 1_000_000 {
				if say(p, conformance.Frame{More: true}) != nil {
					return
				}
			}
		}()
		if got := closed(p); got != "1008 too_many_fragments" {
			t.Errorf("closed with %s", got)
		}
		took(t, start, 0, 0)
		_ = p.Conn.Close()
		<-done

		p, start = w.open(), time.Now()
		_ = say(p, conformance.Frame{Opcode: conformance.Text, Payload: []byte("x"), More: true})
		drip := time.NewTicker(time.Second)
		defer drip.Stop()
		go func() {
			for range 60 {
				<-drip.C
				if say(p, conformance.Frame{Opcode: conformance.Pong}) != nil || say(p, conformance.Frame{Payload: []byte("x"), More: true}) != nil {
					return
				}
			}
		}()
		if got := closed(p); got != "1008 message_timeout" {
			t.Errorf("closed with %s", got)
		}
		took(t, start, 10*time.Second, 10*time.Second)
		_ = p.Conn.Close()
		time.Sleep(2 * time.Second)
	})
}

func TestRow24MessageFlood(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		w := begin(t, depends.New(), &wsroute.Config{Limits: wsroute.Limits{MessageRate: 5}}, echo)
		p := w.open()
		for range 11 {
			_ = say(p, text("again"))
		}
		if got := closed(p); got != "1008 too_many_messages" {
			t.Errorf("closed with %s", got)
		}
	})
}

func TestRow27Limits(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		deps := depends.New()
		var turn atomic.Int32
		depends.Provide(deps, func(ctx context.Context, _ none) (ticket, error) {
			switch turn.Add(1) % 4 {
			case 0:
				return 0, errors.New("no")
			case 1:
				panic("a provider")
			}
			time.Sleep(time.Second)
			return 1, ctx.Err()
		})
		w := begin(t, deps, &wsroute.Config{MaxConnections: 5}, func(ctx context.Context, c *conn, _ struct{ _ ticket }) error {
			return echo(ctx, c, none{})
		})
		for range 3 { // nothing is lost from one time to the next
			var many sync.WaitGroup
			var let, busy, failed atomic.Int32
			for range 200 {
				many.Go(func() {
					c := w.dial()
					answer, err := w.ask(c)
					if err != nil {
						t.Error(err)
						return
					}
					switch answer.StatusCode {
					case 101:
						let.Add(1)
						time.Sleep(time.Minute / 4)
						c.Reset()
						return
					case 503:
						busy.Add(1)
					default:
						failed.Add(1)
					}
					_ = read(answer)
				})
			}
			many.Wait()
			synctest.Wait()
			if let.Load() > 5 || let.Load() == 0 || let.Load()+busy.Load()+failed.Load() != 200 {
				t.Errorf("%d were let in, %d were too many, %d failed", let.Load(), busy.Load(), failed.Load())
			}
		}
	})
}

// ticket is a dependency of these tests.
type ticket int

func TestRow28InvalidUTF8(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		w := begin(t, depends.New(), nil, func(ctx context.Context, c *conn, _ none) error {
			if c.Send(ctx, message{Data: []byte("\xff")}) == nil {
				t.Error("text that is not UTF-8 was sent")
			}
			return echo(ctx, c, none{})
		})
		p := w.open()
		_ = say(p, text("\xff"))
		if got := closed(p); got != "1007 invalid_utf8" {
			t.Errorf("closed with %s", got)
		}
	})
}

func TestRow29CloseCodes(t *testing.T) {
	for code := range 5100 {
		good := code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
		if code%100 > 20 && code%1000 > 20 { // a sample
			continue
		}
		inFakeTime(t, func(t *testing.T) {
			reason := strings.Repeat("é", 100)
			w := begin(t, depends.New(), nil, func(_ context.Context, c *conn, _ none) error {
				if err := c.Close(code, reason); (err == nil) != good {
					t.Errorf("%d: %v", code, err)
				}
				return nil
			})
			want := "1011 "
			if good {
				want = fmt.Sprint(code, " ", strings.Repeat("é", 61)) // 122 octets of 123
			}
			if got := closed(w.open()); got != want {
				t.Errorf("%d went out as %q", code, got)
			}
		})
	}
}

func TestRow31ConcurrentWrites(t *testing.T) {
	const writers, each = 16, 2000
	w := begin(t, depends.New(), &wsroute.Config{Limits: wsroute.Limits{SendMessages: math.MaxInt32, SendQueue: 1 << 30}}, func(ctx context.Context, c *conn, _ none) error {
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				for n := range each {
					if err := c.Send(ctx, message{Data: []byte(fmt.Sprintf("%d %d", i, n))}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		return nil
	})
	p := w.open()
	var next [writers]int
	for range writers * each {
		e, err := p.Read()
		var i, n int
		if _, bad := fmt.Sscan(string(e.Payload), &i, &n); err != nil || bad != nil || n != next[i] {
			t.Fatalf("got %v, %v", e, err)
		}
		next[i]++
	}
	if got := closed(p); got != "1000 " {
		t.Errorf("closed with %s", got)
	}
}
