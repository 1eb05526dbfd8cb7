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
	rings       time.Time // when the timer does
	turn        int       // of the timer: an older one does nothing
}

// begin counts the time of a handshake that has begun now.
func (b *budgets) begin(h *handshake, now time.Time, limit time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h.due, h.before = now.Add(limit), b.last
	if b.last == nil {
		b.first = h
	} else {
		b.last.behind = h
	}
	b.last = h
	// A timer that comes early for this one goes on then. One of another clock, as
	// tests have them, may never come.
	if left := b.rings.Sub(now); left <= 0 || left > limit {
		b.arm(now)
	}
}

// arm sets the timer for the first handshake; b.mu is held.
func (b *budgets) arm(now time.Time) {
	b.rings = b.first.due
	b.turn++
	turn := b.turn
	time.AfterFunc(b.rings.Sub(now), func() { b.expire(turn) })
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
func (b *budgets) expire(turn int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if turn != b.turn {
		return
	}
	now := time.Now()
	for b.first != nil && !now.Before(b.first.due) {
		late := b.first
		b.drop(late)
		go late.abandon(errBudget)
	}
	if b.first != nil {
		b.arm(now)
	}
}
