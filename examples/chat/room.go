package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// maxHistory is how many messages a room remembers. A page of all of them fits into the send
// queue of one connection.
const maxHistory = 100

// Rooms are the rooms that have connections.
type Rooms struct {
	mu   sync.Mutex
	open map[string]*Room
}

// Room is who is in a room, and what was said last.
type Room struct {
	name string
	uses int // connections, guarded by Rooms.mu

	// mu is held while an event is queued, so that all members get the events in the order in
	// which they happened.
	mu      sync.Mutex
	members map[string][]wsroute.Sender[Event] // the connections of each user, by name
	conns   wsroute.Room[Event]
	history []Said // by ID
	lastID  int64
}

// Summary describes a room to signed-in users.
type Summary struct {
	Name    string   `json:"name"`
	Members []string `json:"members"` // each user once, by name
}

type roomInput struct {
	Rooms *Rooms
	Name  string `path:"room" validate:"alphanum,max=64"`
}

// currentRoom provides the room that the path names. It opens with its first connection, and is
// forgotten with its last, history and all. It does not depend on the user, so that a renewal
// does not run it again.
func currentRoom(ctx context.Context, in roomInput) (*Room, error) {
	room := in.Rooms.take(in.Name)
	depends.Cleanup(ctx, func(context.Context, error) error {
		in.Rooms.release(room)
		return nil
	})
	return room, nil
}

func (r *Rooms) take(name string) *Room {
	r.mu.Lock()
	defer r.mu.Unlock()
	room := r.open[name]
	if room == nil {
		if r.open == nil {
			r.open = map[string]*Room{}
		}
		room = &Room{name: name, members: map[string][]wsroute.Sender[Event]{}}
		r.open[name] = room
	}
	room.uses++
	return room
}

func (r *Rooms) release(room *Room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if room.uses--; room.uses == 0 {
		delete(r.open, room.name)
	}
}

// List returns the rooms that have members, by name.
func (r *Rooms) List() []Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Summary, 0, len(r.open))
	for _, name := range slices.Sorted(maps.Keys(r.open)) {
		if users := r.open[name].users(); len(users) > 0 {
			list = append(list, Summary{name, users})
		}
	}
	return list
}

func (r *Room) users() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.members))
}

// Join adds a connection of a user, tells it who is there, and tells the others of a user who
// was not there before.
func (r *Room) Join(ctx context.Context, user string, conn wsroute.Sender[Event]) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.members[user]
	r.members[user] = append(before, conn)
	if len(before) == 0 {
		_ = r.conns.Send(ctx, Joined{user}) // it has a JSON form
	}
	r.conns.Join(conn)
	return conn.Send(ctx, Members{slices.Sorted(maps.Keys(r.members))})
}

// Leave removes a connection of a user, and tells the others of a user's last one.
func (r *Room) Leave(user string, conn wsroute.Sender[Event]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := slices.DeleteFunc(r.members[user], func(c wsroute.Sender[Event]) bool { return c == conn })
	if r.members[user] = left; len(left) == 0 {
		delete(r.members, user)
		_ = r.conns.Send(context.Background(), Left{user}) // it has a JSON form
	}
}

// Say adds a message to the history and sends it to all connections but one, which gets the
// result as its answer.
func (r *Room) Say(
	ctx context.Context, conn wsroute.Sender[Event], user, text string,
) (Said, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	// IDs go on where those of a forgotten room of this name have ended.
	r.lastID = max(r.lastID+1, now.UnixMilli())
	said := Said{ID: r.lastID, From: user, Text: text, At: now.UTC().Truncate(time.Second)}
	if len(r.history) == maxHistory {
		r.history = slices.Delete(r.history, 0, 1)
	}
	r.history = append(r.history, said)
	return said, r.conns.SendOthers(ctx, conn, said)
}

// Find returns a message of the history.
func (r *Room) Find(id int64) (Said, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, err := r.index(id)
	if err != nil {
		return Said{}, err
	}
	return r.history[i], nil
}

// Edit changes a message, and tells all connections but one.
func (r *Room) Edit(
	ctx context.Context, conn wsroute.Sender[Event], id int64, text string,
) (Edited, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, err := r.index(id) // it may have gone since it was found
	if err != nil {
		return Edited{}, err
	}
	r.history[i].Text, r.history[i].Edited = text, true
	edited := Edited{id, text}
	return edited, r.conns.SendOthers(ctx, conn, edited)
}

// Delete removes a message, and tells all connections but one.
func (r *Room) Delete(ctx context.Context, conn wsroute.Sender[Event], id int64) (Deleted, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, err := r.index(id)
	if err != nil {
		return Deleted{}, err
	}
	r.history = slices.Delete(r.history, i, i+1)
	deleted := Deleted{id}
	return deleted, r.conns.SendOthers(ctx, conn, deleted)
}

// index is where a message is in the history; r.mu is held.
func (r *Room) index(id int64) (int, error) {
	i, found := r.search(id)
	if !found {
		return 0, depends.NotFound("no_message", nil)
	}
	return i, nil
}

func (r *Room) search(id int64) (i int, found bool) {
	return slices.BinarySearchFunc(r.history, id, func(s Said, id int64) int {
		return cmp.Compare(s.ID, id)
	})
}

// History returns the last messages, or the last before one. 0 is none.
func (r *Room) History(before int64, limit int) Page {
	r.mu.Lock()
	defer r.mu.Unlock()
	end := len(r.history)
	if before != 0 {
		end, _ = r.search(before)
	}
	return Page{append([]Said{}, r.history[max(0, end-limit):end]...)}
}

// Kick tells all connections but one that a user was removed, and closes the user's.
func (r *Room) Kick(ctx context.Context, conn wsroute.Sender[Event], user string) (Kicked, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	theirs, here := r.members[user]
	if !here {
		return Kicked{}, depends.NotFound("not_here", nil)
	}
	kicked := Kicked{user}
	if err := r.conns.SendOthers(ctx, conn, kicked); err != nil {
		return Kicked{}, err
	}
	for _, c := range theirs {
		if err := c.Close(codeKicked, "kicked"); err != nil {
			return Kicked{}, err
		}
	}
	return kicked, nil
}
