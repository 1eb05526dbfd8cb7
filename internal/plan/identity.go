package plan

import (
	"sync"
	"time"
)

// Identity is whose connection it is and until when, once somebody has said so.
type Identity struct {
	mu        sync.Mutex
	principal string
	until     time.Time
}

// Set replaces what was said before.
func (i *Identity) Set(principal string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.principal = principal
}

// Principal returns what was said last, or "".
func (i *Identity) Principal() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.principal
}

// Limit lets the connection end at a time; the earliest of all wins.
func (i *Identity) Limit(until time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.until.IsZero() || until.Before(i.until) {
		i.until = until.Round(0) // the wall clock decides, also after a machine has slept
	}
}

// Until returns when the connection is to end; zero is never.
func (i *Identity) Until() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.until
}
