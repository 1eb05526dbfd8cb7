package wsroute

import (
	"context"
	"sync"
)

// inbox holds the messages that were read ahead. It belongs to a session: whoever
// waits at it is woken by the session's end.
type inbox struct {
	mu      sync.Mutex
	changed sync.Cond // of mu
	queue   []*inbound
	room    int // how many it may hold
}

func (b *inbox) open(room int) {
	b.changed.L = &b.mu
	b.room = room
}

// wake lets those who wait look again.
func (b *inbox) wake() {
	b.mu.Lock()
	b.changed.Broadcast()
	b.mu.Unlock()
}

// put adds a message if there is room.
func (b *inbox) put(in *inbound) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.append(in)
}

// append is put with mu held.
func (b *inbox) append(in *inbound) bool {
	if len(b.queue) == b.room {
		return false
	}
	b.queue = append(b.queue, in)
	b.changed.Broadcast()
	return true
}

// putWhenRoom adds a message once there is room, or returns false when ctx, the
// session's, has ended before.
func (b *inbox) putWhenRoom(ctx context.Context, in *inbound) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.append(in) {
		if ctx.Err() != nil {
			return false
		}
		b.changed.Wait()
	}
	return true
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
		b.changed.Wait()
	}
	in := b.queue[0]
	n := copy(b.queue, b.queue[1:])
	b.queue[n] = nil
	if b.queue = b.queue[:n]; n == b.room-1 {
		b.changed.Broadcast() // there is room again
	}
	return in
}
