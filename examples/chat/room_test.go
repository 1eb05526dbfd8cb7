package main

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// listener is a member that remembers what it was sent. The room's lock guards it.
type listener struct{ heard []string }

func (l *listener) Send(_ context.Context, said Said) error {
	l.heard = append(l.heard, said.Text)
	return nil
}

func texts(first, last int) (list []string) {
	for i := first; i <= last; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

func TestHistory(t *testing.T) {
	var rooms Rooms
	room := rooms.Join("a", User{"x"}, &listener{}, 0)
	const said = maxHistory + 50
	for _, text := range texts(1, said) {
		room.Say("x", text)
	}
	for since, want := range map[int][]string{
		0:             texts(51, said), // the last hundred
		50:            texts(51, said),
		51:            texts(52, said),
		said - 1:      {fmt.Sprint(said)},
		said:          nil,
		nothingBefore: nil,
		said + 1:      texts(51, said), // a count from before the room was forgotten
	} {
		var l listener
		rooms.Join("a", User{"x"}, &l, since)
		if diff := cmp.Diff(want, l.heard); diff != "" {
			t.Errorf("since %d (-want +got):\n%s", since, diff)
		}
	}
}

func TestEmptyRoomIsForgotten(t *testing.T) {
	var rooms Rooms
	one, two := &listener{}, &listener{}
	rooms.Join("a", User{"x"}, one, 0).Say("x", "1")
	rooms.Join("a", User{"x"}, two, 0)
	rooms.Leave("a", one)
	if len(rooms.open) != 1 {
		t.Error("a room with a member was forgotten")
	}
	rooms.Leave("a", two)
	rooms.Leave("a", two)
	if len(rooms.open) != 0 {
		t.Error("an empty room is kept")
	}
	rooms.Join("a", User{"x"}, one, 0).Say("x", "2")
	if diff := cmp.Diff([]string{"1", "2"}, one.heard); diff != "" {
		t.Errorf("after the room was forgotten (-want +got):\n%s", diff)
	}
}

// A member that joins while others talk gets each message once, in the same order.
func TestJoinWhileOthersTalk(t *testing.T) {
	const talkers, each, joiners = 4, 25, 20 // all of it fits into the history
	var rooms Rooms
	first := &listener{}
	room := rooms.Join("a", User{"x"}, first, 0)
	late := make([]listener, joiners)
	var wg sync.WaitGroup
	for i := range talkers {
		wg.Go(func() {
			for j := range each {
				room.Say("x", fmt.Sprint(i, ".", j))
			}
		})
	}
	for i := range late {
		wg.Go(func() { rooms.Join("a", User{"x"}, &late[i], 0) })
	}
	wg.Wait()
	if len(first.heard) != talkers*each {
		t.Fatalf("the first heard %d messages, want %d", len(first.heard), talkers*each)
	}
	for i := range late {
		if diff := cmp.Diff(first.heard, late[i].heard); diff != "" {
			t.Errorf("joiner %d (-first +joiner):\n%s", i, diff)
		}
	}
}

// A full history has to fit into a connection's queue, or joining would end it.
func TestHistoryFitsTheQueue(t *testing.T) {
	longest := len(`{"from":"","text":"","at":"2000-01-01T00:00:00Z"}`) + 64 + 500*len(`\u0001`)
	if size := maxHistory * longest; size > 1<<20 {
		t.Errorf("the history can take %d bytes, more than wsroute queues", size)
	}
}
