// Package presence is what the processes of a program know of who is in its rooms. Each process owns
// its entries and numbers its changes, and the others follow. A follower that has missed a change asks
// the owner for all of its entries.
//
//	frame  = change / question / part
//	change   = ("+" / "-") version room number [data]
//	question = "?" owner
//	part     = "=" version index count *(room number data)
//
// A change is applied to the version before it, and passed over otherwise. Each beat of an owner tells
// its version: a follower that has not come to the version of one beat by the next one asks. A
// snapshot is published in parts, one behind the other.
package presence

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"time"

	"example.com/usher/internal/link"
)

// answerEvery is the time between two snapshots, which all who have asked hear.
const answerEvery = time.Second

// Hooks are called one after the other, and must not call the table.
type Hooks struct {
	// Send publishes a frame, after those before it. It must not wait. A frame that is lost is
	// noticed by the others.
	Send func(frame []byte)
	// SendAll publishes the frames that Snapshot returns at that moment.
	SendAll func()
	// Changed says that the entries of a room are others now.
	Changed func(room string)
	// Decode reads the data of an entry. One with an error is left out.
	Decode func(data []byte) (any, error)
}

// Table is what one process knows. It is safe for concurrent use.
type Table struct {
	hooks    Hooks
	mu       sync.Mutex
	self     link.ID
	own      view
	answered time.Time
	others   map[link.ID]*view
}

// view is what is known of one process.
type view struct {
	version uint64
	rooms   map[string]map[uint64]entry
	heard   uint64   // the version of its last beat
	parts   snapshot // those that have come
}

type entry struct {
	data  []byte
	value any
}

type snapshot struct {
	version, next, count uint64
	rooms                map[string]map[uint64]entry
}

// New returns an empty table.
func New(hooks Hooks) *Table {
	own := view{rooms: map[string]map[uint64]entry{}}
	return &Table{hooks: hooks, own: own, others: map[link.ID]*view{}}
}

// Begin says which process the table's is.
func (t *Table) Begin(self link.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.self = self
}

// Put adds an entry of this process, or replaces it. The error is of Hooks.Decode.
func (t *Table) Put(room string, number uint64, data []byte) error {
	value, err := t.hooks.Decode(data)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	put(t.own.rooms, room, number, entry{data, value})
	t.change('+', room, number, data)
	return nil
}

// Remove removes an entry of this process.
func (t *Table) Remove(room string, number uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	remove(t.own.rooms, room, number)
	t.change('-', room, number, nil)
}

func (t *Table) change(kind byte, room string, number uint64, data []byte) {
	t.own.version++
	frame := binary.AppendUvarint([]byte{kind}, t.own.version)
	t.hooks.Send(appendEntry(frame, room, number, data))
	t.hooks.Changed(room)
}

func put(rooms map[string]map[uint64]entry, room string, number uint64, e entry) {
	if rooms[room] == nil {
		rooms[room] = map[uint64]entry{}
	}
	rooms[room][number] = e
}

func remove(rooms map[string]map[uint64]entry, room string, number uint64) {
	delete(rooms[room], number)
	if len(rooms[room]) == 0 {
		delete(rooms, room)
	}
}

// Present returns the values of a room, in the same order in every process.
func (t *Table) Present(room string) (values []any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	views := map[link.ID]*view{t.self: &t.own}
	for id, v := range t.others {
		if len(v.rooms[room]) > 0 {
			views[id] = v
		}
	}
	byID := func(a, b link.ID) int { return bytes.Compare(a[:], b[:]) }
	for _, id := range slices.SortedFunc(maps.Keys(views), byID) {
		entries := views[id].rooms[room]
		for _, number := range slices.Sorted(maps.Keys(entries)) {
			values = append(values, entries[number].value)
		}
	}
	return values
}

// Digest returns what a beat tells of the entries of this process.
func (t *Table) Digest() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return binary.AppendUvarint(nil, t.own.version)
}

// Heard takes the digest of another process.
func (t *Table) Heard(from link.ID, digest []byte) {
	version, n := binary.Uvarint(digest)
	if n <= 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.of(from)
	if v.version < v.heard { // changes that were under way have come by now
		t.hooks.Send(append([]byte{'?'}, from[:]...))
	}
	v.heard = version
}

func (t *Table) of(id link.ID) *view {
	v := t.others[id]
	if v == nil {
		v = &view{rooms: map[string]map[uint64]entry{}}
		t.others[id] = v
	}
	return v
}

// Gone removes what is known of a process.
func (t *Table) Gone(id link.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.others[id]; v != nil {
		delete(t.others, id)
		t.changed(v.rooms, nil)
	}
}

// changed says which rooms are others now.
func (t *Table) changed(before, after map[string]map[uint64]entry) {
	same := func(a, b entry) bool { return bytes.Equal(a.data, b.data) }
	for room, entries := range before {
		if !maps.EqualFunc(entries, after[room], same) {
			t.hooks.Changed(room)
		}
	}
	for room := range after {
		if before[room] == nil {
			t.hooks.Changed(room)
		}
	}
}

// Receive takes a frame of another process, and says whether it is one. What it keeps, it copies.
func (t *Table) Receive(from link.ID, frame []byte) (ok bool) {
	if len(frame) == 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r := reader{rest: frame[1:]}
	switch frame[0] {
	case '+', '-':
		version := r.number()
		room, number, data := r.entry()
		if !r.bad && len(r.rest) == 0 {
			t.applied(from, version, frame[0] == '+', room, number, data)
		}
	case '?':
		if bytes.Equal(r.rest, t.self[:]) {
			t.answer()
		}
	case '=':
		t.part(from, &r)
	default:
		return false
	}
	return !r.bad
}

func (t *Table) applied(
	from link.ID, version uint64, joined bool, room string, number uint64, data []byte,
) {
	v := t.of(from)
	if version != v.version+1 { // a snapshot had it, or those before it are lost
		return
	}
	v.version = version
	remove(v.rooms, room, number)
	if joined {
		t.read(v.rooms, room, number, data)
	}
	t.hooks.Changed(room)
}

// read adds an entry of another process.
func (t *Table) read(rooms map[string]map[uint64]entry, room string, number uint64, data []byte) {
	if value, err := t.hooks.Decode(data); err == nil {
		put(rooms, room, number, entry{bytes.Clone(data), value})
	}
}

func (t *Table) answer() {
	if now := time.Now(); now.Sub(t.answered) >= answerEvery {
		t.answered = now
		t.hooks.SendAll()
	}
}

// part takes a part of a snapshot. The others of its version follow it, or never come.
func (t *Table) part(from link.ID, r *reader) {
	version, index, count := r.number(), r.number(), r.number()
	v := t.of(from)
	if r.bad || version <= v.version {
		return
	}
	s := &v.parts
	if index == 0 {
		*s = snapshot{version: version, count: count, rooms: map[string]map[uint64]entry{}}
	}
	if version != s.version || index != s.next {
		*s = snapshot{}
		return
	}
	s.next++
	for len(r.rest) > 0 {
		room, number, data := r.entry()
		if r.bad {
			*s = snapshot{}
			return
		}
		t.read(s.rooms, room, number, data)
	}
	if s.next == s.count {
		before := v.rooms
		v.rooms, v.version = s.rooms, s.version
		*s = snapshot{}
		t.changed(before, v.rooms)
	}
}

// headMost is the most that a part begins with.
const headMost = 1 + 3*binary.MaxVarintLen64

// EntryMost is the most that an entry takes beside its room and its data.
const EntryMost = headMost + 3*binary.MaxVarintLen64

// Snapshot returns the frames of all entries of this process, each of at most so many bytes, if
// its entries have less than that by [EntryMost]. Those of one version are always the same, so
// that parts of two answers fit together.
func (t *Table) Snapshot(most int) (frames [][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	parts := [][]byte{nil}
	for _, room := range slices.Sorted(maps.Keys(t.own.rooms)) {
		entries := t.own.rooms[room]
		for _, number := range slices.Sorted(maps.Keys(entries)) {
			e := entries[number]
			last := &parts[len(parts)-1]
			if len(*last) > 0 && len(*last)+len(room)+len(e.data)+EntryMost > most {
				parts = append(parts, nil)
				last = &parts[len(parts)-1]
			}
			*last = appendEntry(*last, room, number, e.data)
		}
	}
	for i, part := range parts {
		head := []byte{'='}
		for _, n := range []uint64{t.own.version, uint64(i), uint64(len(parts))} { //nolint:gosec // no i is negative
			head = binary.AppendUvarint(head, n)
		}
		frames = append(frames, append(head, part...))
	}
	return frames
}

func appendEntry(b []byte, room string, number uint64, data []byte) []byte {
	b = link.AppendPart(b, []byte(room))
	b = binary.AppendUvarint(b, number)
	return link.AppendPart(b, data)
}

// reader reads the parts of a frame. When one is not there, bad stays set.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) number() uint64 {
	n, length := binary.Uvarint(r.rest)
	if length <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[length:]
	return n
}

func (r *reader) part() (part []byte) {
	var ok bool
	part, r.rest, ok = link.CutPart(r.rest)
	r.bad = r.bad || !ok
	return part
}

func (r *reader) entry() (room string, number uint64, data []byte) {
	room, number, data = string(r.part()), r.number(), r.part()
	return room, number, data
}
