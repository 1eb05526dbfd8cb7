package main

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// maxHistory is how many messages a room remembers for new members. All of them fit into the
// queue of one connection.
const maxHistory = 100

// nothingBefore is the since of a member that wants no history.
const nothingBefore = -1

// Said is a message to everybody in a room.
type Said struct {
	From string `json:"from"`
	Text string `json:"text"`

	At time.Time `json:"at"` // when the room got it, to the second, in UTC
}

// member is a connection in a room. Its Send, called with a context that is not its handler's,
// never waits; a member that reads too slowly is disconnected.
type member interface {
	Send(ctx context.Context, said Said) error
}

// Room describes a room to signed-in users.
type Room struct {
	Name    string   `json:"name"`
	Members []string `json:"members"` // each user once, by name
	Said    int      `json:"said"`    // how many messages there were
}

// Rooms are the rooms that have members.
type Rooms struct {
	mu   sync.Mutex
	open map[string]*room
}

// room sends its messages to its members while it holds mu, so that all of them get the same
// messages in the same order, and none is lost or sent twice while somebody joins.
type room struct {
	mu      sync.Mutex
	members map[member]string // the users' names: a user may have two connections
	history []Said            // the last of them
	said    int               // how many there were
}

// Join makes m, a connection of user, a member of a room, and first sends it the
// room's history without the first since messages, which it has already; or
// nothingBefore.
//
// The caller has to Leave.
func (r *Rooms) Join(name string, user User, m member, since int) *room {
	r.mu.Lock()
	defer r.mu.Unlock()
	joined, ok := r.open[name]
	if !ok {
		if r.open == nil {
			r.open = map[string]*room{}
		}
		joined = &room{members: map[member]string{}}
		r.open[name] = joined
	}
	joined.add(m, user.Name, since)
	return joined
}

// Leave ends a membership. A room without members is forgotten, with its history.
func (r *Rooms) Leave(name string, m member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if left, ok := r.open[name]; ok && left.remove(m) == 0 {
		delete(r.open, name)
	}
}

// Look returns a room as it is now. One without members is empty.
func (r *Rooms) Look(name string) Room {
	r.mu.Lock()
	defer r.mu.Unlock()
	if open, ok := r.open[name]; ok {
		return open.look(name)
	}
	return Room{Name: name, Members: []string{}}
}

// List returns the rooms that have members, by name.
func (r *Rooms) List() []Room {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Room, 0, len(r.open))
	for _, name := range slices.Sorted(maps.Keys(r.open)) {
		list = append(list, r.open[name].look(name))
	}
	return list
}

func (r *room) look(name string) Room {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Room{name, slices.Compact(slices.Sorted(maps.Values(r.members))), r.said}
}

func (r *room) add(m member, user string, since int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if since == nothingBefore {
		since = r.said
	}
	if since > r.said { // the room was forgotten in between, and started again
		since = 0
	}
	first := r.said - len(r.history)
	for i, said := range r.history {
		if first+i >= since {
			_ = m.Send(context.Background(), said) // a member that is gone leaves by itself
		}
	}
	r.members[m] = user
}

func (r *room) remove(m member) (left int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, m)
	return len(r.members)
}

// Say sends a message to everybody in the room, with the time.
func (r *room) Say(from, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	said := Said{from, text, time.Now().UTC().Truncate(time.Second)}
	if len(r.history) == maxHistory {
		r.history = append(r.history[:0], r.history[1:]...)
	}
	r.history = append(r.history, said)
	r.said++
	for m := range r.members {
		_ = m.Send(context.Background(), said) // a member that is gone leaves by itself
	}
}
