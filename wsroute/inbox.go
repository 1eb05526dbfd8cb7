package wsroute

import (
	"context"
	"runtime"
	"sync"
)

// inbox holds the messages that were read ahead. It belongs to a session: whoever
// waits at it is woken by the session's end.
type inbox struct {
	mu      sync.Mutex
	changed sync.Cond // of mu
	queue   []*inbound
	room    int // how many it may hold
	getting int // how many wait for a message
}

func (b *inbox) open(room int) {
	b.changed.L = &b.mu
	b.room = room
}

// wake lets those who wait look again.
func (b *inbox) wake() {
	b.mu.Lock()
	b.mu.Unlock() //nolint:staticcheck // who has looked already waits by now
	b.changed.Broadcast()
}

// put adds a message if there is room. Whoever waits for one goes first: its answer is
// what most peers wait for, so that there is nothing to read before.
func (b *inbox) put(in *inbound) bool {
	b.mu.Lock()
	fits, wanted := len(b.queue) < b.room, b.getting > 0
	if fits {
		b.queue = append(b.queue, in)
	}
	b.mu.Unlock()
	if fits && wanted {
		b.changed.Broadcast() // who wakes finds the lock free
		runtime.Gosched()
	}
	return fits
}

// wait returns once there may be room, or when ctx, the session's, has ended.
func (b *inbox) wait(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) == b.room && ctx.Err() == nil {
		b.changed.Wait()
	}
}

// get takes the oldest message out, and waits for one until ctx or the session's
// context, own, has ended; then it returns nil. What is there is returned after own
// has ended too, but not after ctx has by itself.
func (b *inbox) get(ctx, own context.Context) *inbound {
	if ctx != own {
		if ctx.Err() != nil && own.Err() == nil {
			return nil
		}
		stop := context.AfterFunc(ctx, b.wake)
		defer stop()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) == 0 {
		if own.Err() != nil || ctx.Err() != nil {
			return nil
		}
		b.getting++
		b.changed.Wait()
		b.getting--
	}
	in := b.queue[0]
	n := copy(b.queue, b.queue[1:])
	b.queue[n] = nil
	if b.queue = b.queue[:n]; n == b.room-1 {
		b.changed.Broadcast() // there is room again
	}
	return in
}
