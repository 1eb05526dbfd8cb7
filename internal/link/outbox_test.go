package link_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/internal/link"
)

func TestPost(t *testing.T) {
	pair(t, func(t *testing.T, b *broker, one, two *process) {
		var mu sync.Mutex
		var done []error
		post := func(text string) {
			t.Helper()
			if err := one.Post([]byte(text), func(err error) {
				mu.Lock()
				defer mu.Unlock()
				done = append(done, err)
			}); err != nil {
				t.Error(err)
			}
		}
		var want []string
		for n := range 1000 {
			post(fmt.Sprint(n))
			want = append(want, fmt.Sprint(n))
		}
		if err := one.PostAll(func() [][]byte { return [][]byte{[]byte("x"), []byte("y")} }); err != nil {
			t.Error(err)
		}
		two.wants(t, "all", append(want, "x", "y")...)
		b.set(func() { b.fails = errDown })
		post("lost")
		synctest.Wait()
		one.wants(t, "a failure", "failed: the broker is down")
		b.set(func() { b.fails = nil })
		post("found")
		synctest.Wait()
		two.wants(t, "the next one", "gap: 1 messages are missing", "found")
		mu.Lock()
		defer mu.Unlock()
		if len(done) != 1002 || done[999] != nil || !errors.Is(done[1000], errDown) || done[1001] != nil {
			t.Errorf("%d are done, the last with %v", len(done), done[max(0, len(done)-2):])
		}
	})
}

// hanging is a broker that takes nothing until it is told to.
type hanging struct{ free chan struct{} }

func (*hanging) MaxPayload() int { return 1 << 20 }

func (b *hanging) Publish(ctx context.Context, _ string, _ []byte) error {
	select {
	case <-b.free:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (*hanging) Subscribe(ctx context.Context, _ string, _ func([]byte), live func()) error {
	live()
	<-ctx.Done()
	return nil
}

// TestTheOutboxIsBounded, and Close does not wait for ever for what is in it.
func TestTheOutboxIsBounded(t *testing.T) {
	for _, recovers := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := &hanging{make(chan struct{})}
			p := start(b, "one")
			var mu sync.Mutex
			posted, failed := 0, 0
			for {
				err := p.Post(bytes.Repeat([]byte("x"), 1<<16), func(err error) {
					mu.Lock()
					defer mu.Unlock()
					posted--
					if err != nil {
						failed++
					}
				})
				if errors.Is(err, link.ErrBehind) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				mu.Lock()
				posted++
				mu.Unlock()
			}
			mu.Lock()
			if posted < 120 || posted > 128 {
				t.Errorf("%d messages of 64 KiB have room", posted)
			}
			mu.Unlock()
			if err := p.PostAll(func() [][]byte { return nil }); err != nil {
				t.Error(err) // it takes no room
			}
			if recovers {
				close(b.free)
				synctest.Wait()
				if err := p.Post(make([]byte, 9<<20), nil); err != nil { // alone, it has room
					t.Error(err)
				}
			}
			begun := time.Now()
			p.Close()
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("Close took %v", took)
			}
			mu.Lock()
			defer mu.Unlock()
			if posted != 0 || recovers != (failed == 0) {
				t.Errorf("%d messages were forgotten, %d have failed", posted, failed)
			}
			if err := p.Post(nil, nil); !errors.Is(err, link.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}

// TestWhatWaitsGoesTogether: each message of the broker takes a round trip.
func TestWhatWaitsGoesTogether(t *testing.T) {
	pair(t, func(t *testing.T, b *broker, one, two *process) {
		published := 0
		b.set(func() {
			b.lose = func(data []byte) bool {
				if data[2] == 'm' {
					published++
				}
				return false
			}
		})
		b.mu.Lock() // the broker takes nothing meanwhile
		var want []string
		for n := range 1000 {
			want = append(want, fmt.Sprint(n))
			if err := one.Post([]byte(want[n]), nil); err != nil {
				t.Error(err)
			}
		}
		large := string(bytes.Repeat([]byte("x"), 100<<10)) // goes alone
		want = append(want, large, "last")
		for _, text := range want[1000:] {
			if err := one.Post([]byte(text), nil); err != nil {
				t.Error(err)
			}
		}
		b.mu.Unlock()
		two.wants(t, "all", want...)
		b.set(func() {
			if published > 10 {
				t.Errorf("%d messages of the broker", published)
			}
		})
	})
}

// TestWhatHasWaitedForLong is not published any more, and the others notice.
func TestWhatHasWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{subs: map[*sub]bool{}}
		one, two := start(b, "one"), start(b, "two")
		<-one.Live()
		<-two.Live()
		synctest.Wait()
		two.take()
		h := &hanging{make(chan struct{})}
		b.set(func() { b.before = h })
		var failed error
		for _, text := range []string{"held", "old"} {
			if err := one.Post([]byte(text), func(err error) { failed = err }); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(15 * time.Second)
		if err := one.Post([]byte("new"), nil); err != nil {
			t.Error(err)
		}
		close(h.free)
		synctest.Wait()
		told := two.take()
		if slices.Contains(told, "old") || !slices.Contains(told, "new") || failed == nil {
			t.Errorf("told %q, and the sender %v", told, failed)
		}
		if !slices.ContainsFunc(told, func(s string) bool { return strings.HasSuffix(s, "messages are missing") }) {
			t.Errorf("nobody notices: %q", told)
		}
		one.Close()
		two.Close()
	})
}

// TestCloseIsTheLast: what was posted goes before the goodbye.
func TestCloseIsTheLast(t *testing.T) {
	pair(t, func(t *testing.T, _ *broker, one, two *process) {
		for n := range 3 {
			if err := one.Post([]byte(fmt.Sprint(n)), nil); err != nil {
				t.Error(err)
			}
		}
		one.Close()
		two.wants(t, "at the end", "0", "1", "2", "gone")
	})
}

func TestParts(t *testing.T) {
	for _, part := range []string{"", "a", string(bytes.Repeat([]byte("b"), 300))} {
		data := append(link.AppendPart(nil, []byte(part)), "rest"...)
		got, rest, ok := link.CutPart(data)
		if string(got) != part || string(rest) != "rest" || !ok {
			t.Errorf("%q, %q, %v", got, rest, ok)
		}
	}
	for _, bad := range []string{"", "\x05abc", "\xff", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01abc"} {
		if _, _, ok := link.CutPart([]byte(bad)); ok {
			t.Errorf("%q has a part", bad)
		}
	}
}
