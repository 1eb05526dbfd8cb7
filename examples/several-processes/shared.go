package main

import (
	"context"
	"sync"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// Shared is what the processes have in common: a broker, and a store whose entries expire. A real
// program has a server for each of them; this one is memory, and its processes run in one.
type Shared struct {
	broker wsroute.LocalBroker

	mu      sync.Mutex
	entries map[string]entry
}

type entry struct {
	value   []byte
	expires time.Time
}

// NewShared returns an empty store and a broker.
func NewShared() *Shared { return &Shared{entries: map[string]entry{}} }

// ticketStore is a security.TicketStore.
type ticketStore struct{ shared *Shared }

// Put implements [security.TicketStore].
func (s ticketStore) Put(_ context.Context, hash string, ticket []byte, expires time.Time) error {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	s.shared.entries[hash] = entry{ticket, expires}
	return nil
}

// Take implements [security.TicketStore].
func (s ticketStore) Take(_ context.Context, hash string, spend bool) ([]byte, error) {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	found, ok := s.shared.entries[hash]
	if !ok || time.Now().After(found.expires) {
		return nil, depends.ErrAbsent
	}
	if spend {
		delete(s.shared.entries, hash)
	}
	return found.value, nil
}
