package link_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/usher/internal/link"
)

// broker delivers in order to those who have subscribed, unless it is told otherwise.
type broker struct {
	mu    sync.Mutex
	subs  map[*sub]bool
	fails error
	lose  func(data []byte) bool
	twice bool

	before *hanging // which takes each message first; nil for none
}

type sub struct {
	receive func([]byte)
	end     chan error
}

var errDown = errors.New("the broker is down")

func (*broker) MaxPayload() int { return 1 << 20 }

func (b *broker) Publish(ctx context.Context, topic string, data []byte) error {
	b.mu.Lock()
	before := b.before
	b.mu.Unlock()
	if before != nil {
		if err := before.Publish(ctx, topic, data); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails != nil {
		return b.fails
	}
	if b.lose != nil && b.lose(data) {
		return nil
	}
	for s := range b.subs {
		s.receive(data)
		if b.twice {
			s.receive(data)
		}
	}
	return nil
}

func (b *broker) Subscribe(ctx context.Context, _ string, receive func([]byte), live func()) error {
	s := &sub{receive, make(chan error, 1)}
	b.mu.Lock()
	if err := b.fails; err != nil {
		b.mu.Unlock()
		return err
	}
	b.subs[s] = true
	live()
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, s)
	}()
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.end:
		return err
	}
}

func (b *broker) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// down ends all subscriptions.
func (b *broker) down() {
	b.set(func() {
		b.fails = errDown
		for s := range b.subs {
			s.end <- errDown
		}
	})
}

func (b *broker) up() { b.set(func() { b.fails = nil }) }

// process notes what its link tells.
type process struct {
	*link.Link
	mu   sync.Mutex
	told []string
}

func start(b link.Broker, name string) *process {
	p := &process{}
	note := func(format string, args ...any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.told = append(p.told, fmt.Sprintf(format, args...))
	}
	p.Link = link.Start(b, "t", link.Hooks{
		Receive: func(_ link.ID, data []byte) { note("%s", data) },
		Gap:     func(why string) { note("gap: %s", why) },
		State:   func() []byte { return []byte(name) },
		Heard:   func(_ link.ID, state []byte) { note("beat of %s", state) },
		Gone:    func(link.ID) { note("gone") },
		Failed:  func(err error) { note("failed: %v", err) },
	})
	return p
}

// take returns what was told, and forgets it.
func (p *process) take() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	told := p.told
	p.told = nil
	return told
}

func (p *process) wants(t *testing.T, what string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, p.take()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (p *process) say(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := p.Publish(t.Context(), []byte(text)); err != nil {
			t.Error(err)
		}
	}
}

// pair runs a test with two processes that are live.
func pair(t *testing.T, f func(t *testing.T, b *broker, one, two *process)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &broker{subs: map[*sub]bool{}}
		one, two := start(b, "one"), start(b, "two")
		<-one.Live()
		<-two.Live()
		one.wants(t, "at first", "gap: live")
		two.wants(t, "at first", "gap: live")
		f(t, b, one, two)
		one.Close()
		two.Close()
	})
}

func TestMessages(t *testing.T) {
	pair(t, func(t *testing.T, _ *broker, one, two *process) {
		one.say(t, "a", "b", "c")
		two.wants(t, "three", "a", "b", "c")
		one.wants(t, "own")
		time.Sleep(link.BeatEvery)
		two.wants(t, "a beat", "beat of one")
	})
}

func TestNothingIsLostUnnoticed(t *testing.T) {
	lose := func(text string) func([]byte) bool {
		return func(data []byte) bool { return strings.HasSuffix(string(data), text) }
	}
	pair(t, func(t *testing.T, b *broker, one, two *process) {
		one.say(t, "a")
		b.set(func() { b.lose = lose("b") })
		one.say(t, "b", "c")
		two.wants(t, "one in the middle", "a", "gap: 1 messages are missing", "c")
		b.set(func() { b.lose = lose("d") })
		one.say(t, "d")
		two.wants(t, "the last")
		time.Sleep(link.BeatEvery)
		two.wants(t, "the last, with a beat", "gap: 1 messages are missing", "beat of one")
		time.Sleep(link.BeatEvery)
		two.wants(t, "the next beat", "beat of one")
		b.set(func() { b.twice = true })
		one.say(t, "e")
		two.wants(t, "twice", "e")
	})
}

// TestASplit: the broker takes everything and delivers nothing, without an error.
func TestASplit(t *testing.T) {
	pair(t, func(t *testing.T, b *broker, one, two *process) {
		b.set(func() { b.lose = func([]byte) bool { return true } })
		one.say(t, "a")
		time.Sleep(8 * time.Second)
		one.wants(t, "split", "gap: beats of our own do not come back")
		b.set(func() { b.lose = nil })
		time.Sleep(link.BeatEvery)
		told := two.take()
		for _, want := range []string{"gap: beats of our own do not come back", "gap: a beat of our own has come back", "gap: 1 messages are missing"} {
			if !slices.Contains(told, want) {
				t.Errorf("%q is not in %q", want, told)
			}
		}
	})
}

func TestTheBrokerIsDown(t *testing.T) {
	pair(t, func(t *testing.T, b *broker, one, two *process) {
		b.down()
		if err := one.Publish(t.Context(), []byte("a")); !errors.Is(err, errDown) {
			t.Errorf("got %v", err)
		}
		time.Sleep(1500 * time.Millisecond)
		b.up()
		time.Sleep(3 * time.Second) // a beat comes after the subscription
		told := two.take()
		for _, want := range []string{"failed: the broker is down", "gap: live", "gap: 1 messages are missing", "beat of one"} {
			if !slices.Contains(told, want) {
				t.Errorf("%q is not in %q", want, told)
			}
		}
	})
}

func TestGone(t *testing.T) {
	pair(t, func(t *testing.T, b *broker, one, two *process) {
		one.say(t, "a")
		two.wants(t, "a message", "a")
		one.Close()
		two.wants(t, "a goodbye", "gone")
		three := start(b, "three")
		<-three.Live()
		three.say(t, "b")
		b.set(func() { b.lose = func(data []byte) bool { return strings.HasSuffix(string(data), "three") } })
		two.wants(t, "another", "b")
		time.Sleep(link.GoneAfter + link.BeatEvery)
		if told := two.take(); !slices.Contains(told, "gone") {
			t.Errorf("a silent one: %q", told)
		}
		three.Close()
	})
}

func TestGarbage(t *testing.T) {
	pair(t, func(t *testing.T, b *broker, _, two *process) {
		for _, text := range []string{"", "u", "u2m" + strings.Repeat("x", 40), "u1x" + strings.Repeat("x", 40), strings.Repeat("x", 1000)} {
			_ = b.Publish(t.Context(), "t", []byte(text))
		}
		told := two.take()
		if len(told) != 5 || !strings.Contains(told[0], "are no message of this version") {
			t.Errorf("got %q", told)
		}
	})
}

func TestManyPublishers(t *testing.T) {
	pair(t, func(t *testing.T, _ *broker, one, two *process) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 500 {
					one.say(t, "x")
				}
			})
		}
		all.Wait()
		if told := two.take(); len(told) != 4000 || slices.ContainsFunc(told, func(s string) bool { return s != "x" }) {
			t.Errorf("%d messages", len(told))
		}
	})
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte("u1m"))
	f.Fuzz(func(t *testing.T, data []byte) {
		pairOf := &broker{subs: map[*sub]bool{}}
		p := start(pairOf, "p")
		<-p.Live()
		_ = pairOf.Publish(t.Context(), "t", data)
		p.Close()
	})
}
