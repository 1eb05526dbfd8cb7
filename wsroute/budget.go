package wsroute

import (
	"sync"
	"time"
)

// budgets sees to it that no handshake of a router takes longer than ResolveTimeout. All
// have the same time, so that the first to begin is the first to be late, and one timer
// does for all.
type budgets struct {
	mu          sync.Mutex
	first, last *handshake
	armed       bool
}

// begin counts the time of a handshake from now.
func (b *budgets) begin(h *handshake, limit time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h.due, h.before = time.Now().Add(limit), b.last
	if b.last == nil {
		b.first = h
	} else {
		b.last.behind = h
	}
	b.last = h
	if !b.armed { // else it comes early for this one, and goes on then
		b.armed = true
		time.AfterFunc(limit, b.expire)
	}
}

// end lets a handshake go that is over.
func (b *budgets) end(h *handshake) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !h.due.IsZero() {
		b.drop(h)
	}
}

// drop takes a handshake out of the list; b.mu is held.
func (b *budgets) drop(h *handshake) {
	if h.before == nil {
		b.first = h.behind
	} else {
		h.before.behind = h.behind
	}
	if h.behind == nil {
		b.last = h.before
	} else {
		h.behind.before = h.before
	}
	h.before, h.behind, h.due = nil, nil, time.Time{}
}

// expire answers in the place of those that are late, and waits for the next one.
func (b *budgets) expire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for b.first != nil && !now.Before(b.first.due) {
		late := b.first
		b.drop(late)
		go late.abandon(errBudget)
	}
	if b.armed = b.first != nil; b.armed {
		time.AfterFunc(b.first.due.Sub(now), b.expire)
	}
}
