package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/usher/wsroute/wstest"
)

// texts are those of a room's messages.
func texts(page Page) (list []string) {
	for _, said := range page.Messages {
		list = append(list, said.Text)
	}
	return list
}

func numbers(first, last int) (list []string) {
	for i := first; i <= last; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

// TestHistoryIsBounded, and comes in pages.
func TestHistoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := start(t)
		alice := join(t, srv, "lobby", "alice")
		const said = maxHistory + 50
		var first Said
		for i, text := range numbers(1, said) {
			if m := wstest.Ask[Said](t, alice, "say", Say{text}); i == 0 {
				first = m
			}
		}
		last := wstest.Ask[Page](t, alice, "history", History{})
		for name, tt := range map[string]struct {
			ask  History
			want []string
		}{
			"usual":                  {History{}, numbers(101, said)},
			"limit":                  {History{Limit: 2}, numbers(149, said)},
			"all":                    {History{Limit: maxHistory}, numbers(51, said)},
			"before":                 {History{Before: last.Messages[0].ID, Limit: 3}, numbers(98, 100)},
			"before a lost":          {History{Before: first.ID, Limit: 3}, nil},
			"before what is to come": {History{Before: last.Messages[49].ID + 1, Limit: 1}, numbers(said, said)},
		} {
			if diff := cmp.Diff(tt.want, texts(wstest.Ask[Page](t, alice, "history", tt.ask))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		if got := wstest.AskFailure(t, alice, "delete", Delete{Target{first.ID}}); got.Reason != "no_message" {
			t.Errorf("a message that the room has forgotten: %+v", got)
		}
	})
}

// TestEmptyRoomIsForgotten with its history; IDs go on.
func TestEmptyRoomIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := start(t)
		one, two := join(t, srv, "lobby", "alice"), join(t, srv, "lobby", "alice")
		before := wstest.Ask[Said](t, one, "say", Say{"1"})
		one.Close(1000, "")
		synctest.Wait()
		if got := texts(wstest.Ask[Page](t, two, "history", History{})); len(got) != 1 {
			t.Errorf("a room with a member has the history %q", got)
		}
		two.Close(1000, "")
		synctest.Wait()
		time.Sleep(time.Second)
		one = join(t, srv, "lobby", "alice")
		if got := wstest.Ask[Page](t, one, "history", History{}); got.Messages == nil || len(got.Messages) > 0 {
			t.Errorf("a new room has the history %v", got)
		}
		if after := wstest.Ask[Said](t, one, "say", Say{"2"}); after.ID <= before.ID {
			t.Errorf("message %d comes after %d", after.ID, before.ID)
		}
	})
}

// TestJoinWhileOthersTalk: each message is in the history of who joins or is sent, in order.
func TestJoinWhileOthersTalk(t *testing.T) {
	srv, _ := start(t)
	const talkers, each, joiners = 4, 20, 5
	first := join(t, srv, "lobby", "bob")
	var wg sync.WaitGroup
	for i := range talkers {
		p := join(t, srv, "lobby", "alice")
		wg.Go(func() {
			for j := range each {
				p.Send(fmt.Sprintf(`{"type":"say","ref":%d,"text":"%d.%d"}`, j, i, j))
				for !strings.Contains(p.Receive(), `"ref"`) { // those of others
				}
			}
		})
	}
	heard := make([][]string, joiners)
	for i := range joiners {
		p := join(t, srv, "lobby", "alice")
		wg.Go(func() {
			p.Send(`{"type":"history","ref":1,"limit":100}`)
			seen := map[int64]string{}
			for len(seen) < talkers*each {
				var got struct {
					Said
					Page
				}
				if err := json.Unmarshal([]byte(p.Receive()), &got); err != nil {
					t.Error(err)
				}
				for _, said := range append(got.Messages, got.Said) {
					if said.ID != 0 {
						seen[said.ID] = said.Text
					}
				}
			}
			heard[i] = inOrder(seen)
		})
	}
	wg.Wait()
	want := texts(wstest.Ask[Page](t, first, "history", History{Limit: maxHistory}))
	for i := range heard {
		if diff := cmp.Diff(want, heard[i]); diff != "" {
			t.Errorf("joiner %d (-want +got):\n%s", i, diff)
		}
	}
}

// TestHistoryFitsTheQueue: a page of all of it must not be more than a connection queues.
func TestHistoryFitsTheQueue(t *testing.T) {
	longest := len(`{"id":1000000000000,"from":"","text":"","at":"2000-01-01T00:00:00Z","edited":true},`) + 64 + 500*len(`\u0001`)
	if size := maxHistory * longest; size > 1<<20 {
		t.Errorf("the history can take %d bytes, more than wsroute queues", size)
	}
}
