package wsroute_test

import (
	"bytes"
	"context"
	"regexp"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// bubbled counts the goroutines of the caller's synctest bubble: those of earlier tests, which
// may end at any moment, are not among them.
func bubbled(t *testing.T) int {
	t.Helper()
	stacks := make([]byte, 1<<20)
	own := bytes.Clone(regexp.MustCompile(`synctest bubble \d+\]`).Find(stacks[:runtime.Stack(stacks, false)]))
	if own == nil {
		t.Fatal("the caller is in no bubble")
	}
	all := stacks[:runtime.Stack(stacks, true)]
	if len(all) == len(stacks) {
		t.Fatalf("more than %d bytes of stacks", len(stacks))
	}
	return bytes.Count(all, own)
}

// The goroutine of messages waits a second for the next one, counted from the last.
func TestAnIdleChannelHasOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) { wsroute.Answer(c, "say", sayBack) })
		peer := wstest.Dial[string, string](t, srv, "/ws")
		synctest.Wait()
		idle := bubbled(t)
		const busy = 1
		check := func(when string, more int) {
			t.Helper()
			synctest.Wait()
			if got := bubbled(t) - idle; got != more {
				t.Errorf("%s: %d more goroutines than before the first message, want %d", when, got, more)
			}
		}
		for range 2 {
			wstest.Ask[saidMsg](t, peer, "say", sayMsg{"hi"})
			check("after a message", busy)
			time.Sleep(900 * time.Millisecond)
			wstest.Ask[saidMsg](t, peer, "say", sayMsg{"hi"})
			time.Sleep(900 * time.Millisecond)
			check("900 ms after the next", busy)
			time.Sleep(200 * time.Millisecond)
			check("1.1 s after it", 0)
		}
	})
}

// A peer's close frame is answered once the last concurrent handler has returned, also while
// the goroutine of messages waits for the next one.
func TestAPeerClosesBesideAConcurrentMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) {
			wsroute.On(c, "work", func(context.Context, nothing, struct{}) error {
				time.Sleep(500 * time.Millisecond)
				return nil
			}, wsroute.Concurrent(2))
		})
		peer := wstest.Dial[string, string](t, srv, "/ws")
		peer.Send(`{"type":"work"}`)
		synctest.Wait()
		begun := time.Now()
		if got := peer.Close(1000, ""); got.Code != 1000 {
			t.Errorf("closed with %v", got)
		}
		if took := time.Since(begun); took < 499*time.Millisecond || took > 501*time.Millisecond {
			t.Errorf("the close took %v, want the 500 ms of the handler", took)
		}
	})
}
