package main

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// Shared is what the processes have in common: a broker, and a store whose entries expire. A real
// program has a server for each of them; this one is memory, and its processes run in one.
type Shared struct {
	broker wsroute.LocalBroker // of usher

	mu          sync.Mutex
	entries     map[string]entry
	subscribers map[string][]func([]byte)
}

type entry struct {
	value   []byte
	expires time.Time
}

// NewShared returns an empty store and a broker without subscribers.
func NewShared() *Shared {
	return &Shared{entries: map[string]entry{}, subscribers: map[string][]func([]byte){}}
}

// Publish hands data to the subscribers of a topic, in all processes.
func (s *Shared) Publish(topic string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, receive := range s.subscribers[topic] {
		receive(data)
	}
	return nil
}

// Subscribe lets receive be called with what is published to a topic.
func (s *Shared) Subscribe(topic string, receive func([]byte)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribers[topic] = append(s.subscribers[topic], receive)
	return nil
}

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

// Room is a room with members in all processes.
type Room struct {
	shared *Shared
	here   wsroute.Room[Said]
}

// NewRoom returns a room that hears what any process sends.
func NewRoom(shared *Shared) (*Room, error) {
	room := &Room{shared: shared}
	return room, shared.Subscribe("said", func(data []byte) {
		var said Said
		if json.Unmarshal(data, &said) == nil {
			_ = room.here.Send(context.Background(), said) // a Said can be encoded
		}
	})
}

// Send sends to the members in all processes. Those of this one hear it from the broker, too, so
// that all get the messages in its order.
func (r *Room) Send(said Said) error {
	data, err := json.Marshal(said)
	if err != nil {
		return err
	}
	return r.shared.Publish("said", data)
}
