package wsroute_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/conformance"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestTheReadAheadIsBoundedInBytes: a peer whose messages nobody receives can make the
// server hold two of the largest, beside the one that is being read.
func TestTheReadAheadIsBoundedInBytes(t *testing.T) {
	for name, tt := range map[string]struct {
		size, least, most int // messages that are taken
	}{
		"small": {1, 17, 17 + 64<<10/7 + 512}, // the connection in memory holds the rest
		"large": {64 << 10, 3, 3 + 2},
		"half":  {32 << 10, 5, 5 + 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ws := wsroute.New(depends.New(), quiet())
				wsroute.Handle(ws, "/", func(ctx context.Context, _ *wsroute.Conn[string, string], _ none) error {
					<-ctx.Done()
					return nil
				}, wsroute.Public)
				p := open(t, wstest.Start(t, ws))
				taken := make(chan int, 1)
				go func() {
					n := 0
					_ = p.Conn.SetWriteDeadline(time.Now().Add(time.Second))
					for ; n < 20_000; n++ {
						if _, err := p.Conn.Write(textFrame(strings.Repeat("x", tt.size)).Encode()); err != nil {
							break
						}
					}
					taken <- n
				}()
				if n := <-taken; n < tt.least || n > tt.most {
					t.Errorf("%d messages of %d bytes were taken, not %d to %d", n, tt.size, tt.least, tt.most)
				}
				_ = p.Conn.Close()
			})
		})
	}
}

// TestAMessageOfTheLimitAlwaysFits, one behind the other.
func TestAMessageOfTheLimitAlwaysFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := quiet()
		config.Limits.ReadLimit = 100
		got := make(chan string, 10)
		ws := wsroute.New(depends.New(), config)
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
			time.Sleep(time.Second)
			for {
				m, err := conn.Receive(ctx)
				if err != nil {
					return err
				}
				got <- m
			}
		}, wsroute.Public)
		p := open(t, wstest.Start(t, ws))
		var frames []conformance.Frame
		for i := range 10 {
			frames = append(frames, textFrame(strings.Repeat(string(rune('a'+i)), 100)))
		}
		write(t, p, frames...)
		for i := range 10 {
			if m := <-got; m != strings.Repeat(string(rune('a'+i)), 100) {
				t.Errorf("message %d is %q", i, m)
			}
		}
	})
}
