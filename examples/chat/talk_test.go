package main

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/wsroute/wstest"
)

// inOrder returns texts by the IDs of their messages.
func inOrder(seen map[int64]string) (list []string) {
	for _, id := range slices.Sorted(maps.Keys(seen)) {
		list = append(list, seen[id])
	}
	return list
}

// TestConversation is a whole one: each answer has the ref of what was asked, and the others get
// the same without it. The clock of the bubble starts at midnight.
func TestConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := start(t)
		alice := join(t, srv, "lobby", "alice")
		bob := join(t, srv, "lobby", "bob")
		elsewhere := join(t, srv, "cellar", "alice")
		wstest.Converse(t, alice,
			`< {"type":"joined","user":"bob"}`,
			`> {"type":"typing"}`,
			`> {"type":"say","ref":1,"text":"<b>hi</b>"}`,
			`< {"type":"said","ref":1,"id":946684800000,"from":"alice","text":"<b>hi</b>","at":"2000-01-01T00:00:00Z"}`,
			`> {"type":"say","ref":2,"text":"oh"}`,
			`< {"type":"said","ref":2,"id":946684800001,"from":"alice","text":"oh","at":"2000-01-01T00:00:00Z"}`,
			`> {"type":"edit","ref":3,"id":946684800000,"text":"hello"}`,
			`< {"type":"edited","ref":3,"id":946684800000,"text":"hello"}`,
			`> {"type":"delete","ref":4,"id":946684800001}`,
			`< {"type":"deleted","ref":4,"id":946684800001}`,
		)
		wstest.Converse(t, bob,
			`< {"type":"typing","from":"alice"}`,
			`< {"type":"said","id":946684800000,"from":"alice","text":"<b>hi</b>","at":"2000-01-01T00:00:00Z"}`,
			`< {"type":"said","id":946684800001,"from":"alice","text":"oh","at":"2000-01-01T00:00:00Z"}`,
			`< {"type":"edited","id":946684800000,"text":"hello"}`,
			`< {"type":"deleted","id":946684800001}`,
			`> {"type":"history","ref":"h"}`,
			`< {"type":"page","ref":"h","messages":[{"id":946684800000,"from":"alice","text":"hello","at":"2000-01-01T00:00:00Z","edited":true}]}`,
		)
		for _, p := range []*peer{alice, bob, elsewhere} {
			p.NothingSent(time.Second)
		}
		if got := alice.Close(1000, ""); got.Code != 1000 {
			t.Errorf("closing was answered with %v", got)
		}
	})
}

// TestRefusedMessages: each is answered with a reason, nobody else hears of it, and the connection lives.
func TestRefusedMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := start(t)
		alice, bob := join(t, srv, "lobby", "alice"), join(t, srv, "lobby", "bob")
		wstest.Converse(t, alice, `< {"type":"joined","user":"bob"}`)
		said := wstest.Ask[Said](t, alice, "say", Say{"mine"})
		bob.Receive()
		for _, tt := range []struct {
			name    string
			message any
			want    string
		}{
			{"say", Say{}, "invalid_message text min"},
			{"say", Say{strings.Repeat("x", 501)}, "invalid_message text max"},
			{"say", struct{}{}, "invalid_message text min"},
			{"edit", Edit{Target{said.ID}, "theirs"}, "not_yours"},
			{"edit", Edit{Target{1}, "x"}, "no_message"},
			{"edit", Edit{Target{said.ID}, ""}, "invalid_message text min"},
			{"edit", Edit{Text: "x"}, "invalid_message id required"},
			{"delete", Delete{Target{said.ID}}, "not_yours"},
			{"delete", Delete{Target{1}}, "no_message"},
			{"delete", Delete{}, "invalid_message id required"},
			{"history", History{Limit: 101}, "invalid_message limit lte"},
			{"history", History{Before: -1}, "invalid_message before gte"},
			{"kick", Kick{"alice"}, "insufficient_scope"},
			{"shout", struct{}{}, "unknown_type"},
		} {
			failure := wstest.AskFailure(t, bob, tt.name, tt.message)
			got := failure.Reason
			for _, e := range failure.Errors {
				got += " " + strings.Join(e.Loc, ".") + " " + e.Code
			}
			if got != tt.want {
				t.Errorf("%s %+v: got %s, want %s", tt.name, tt.message, got, tt.want)
			}
		}
		alice.NothingSent(time.Second)
		if got := wstest.Ask[Page](t, bob, "history", History{}); len(got.Messages) != 1 || got.Messages[0] != said {
			t.Errorf("after all that the history is %v", got)
		}
	})
}

// TestKick closes all connections of the user in the room, and no others.
func TestKick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := start(t)
		carol, alice := join(t, srv, "lobby", "carol"), join(t, srv, "lobby", "alice")
		first, second, cellar := join(t, srv, "lobby", "bob"), join(t, srv, "lobby", "bob"), join(t, srv, "cellar", "bob")
		if got := wstest.AskFailure(t, carol, "kick", Kick{"dora"}); got.Reason != "not_here" {
			t.Errorf("who is not here: %+v", got)
		}
		if got := wstest.Ask[Kicked](t, carol, "kick", Kick{"bob"}); got.User != "bob" {
			t.Errorf("the answer is %+v", got)
		}
		for _, p := range []*peer{first, second} {
			wstest.Converse(t, p, `< {"type":"kicked","user":"bob"}`, `x 4001 kicked`)
		}
		wstest.Converse(t, alice, `< {"type":"joined","user":"bob"}`, `< {"type":"kicked","user":"bob"}`, `< {"type":"left","user":"bob"}`)
		wstest.Converse(t, carol, `< {"type":"joined","user":"alice"}`, `< {"type":"joined","user":"bob"}`, `< {"type":"left","user":"bob"}`)
		if got := wstest.AskFailure(t, carol, "kick", Kick{"bob"}); got.Reason != "not_here" {
			t.Errorf("a second time: %+v", got)
		}
		wstest.Ask[Said](t, cellar, "say", Say{"still here"})
	})
}

// TestPresence: a user with two pages joins once and leaves once, however they end.
func TestPresence(t *testing.T) {
	for name, end := range map[string]func(*peer){
		"closed": func(p *peer) { p.Close(1000, "") },
		"lost":   func(p *peer) { _ = p.WebSocket.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, _ := start(t)
				one, two := join(t, srv, "lobby", "bob"), join(t, srv, "lobby", "bob")
				alice := wstest.Dial[string, string](t, srv, "/ws/rooms/lobby", as(t, "alice"))
				wstest.Converse(t, alice, `< {"type":"members","users":["alice","bob"]}`)
				for _, p := range []*peer{one, two} {
					wstest.Converse(t, p, `< {"type":"joined","user":"alice"}`)
				}
				end(one)
				alice.NothingSent(time.Second)
				end(two)
				wstest.Converse(t, alice, `< {"type":"left","user":"bob"}`)
				alice.NothingSent(time.Second)
				bob := wstest.Dial[string, string](t, srv, "/ws/rooms/lobby", as(t, "bob"))
				wstest.Converse(t, bob, `< {"type":"members","users":["alice","bob"]}`)
				wstest.Converse(t, alice, `< {"type":"joined","user":"bob"}`)
			})
		})
	}
}

// TestPresenceEndsWithTheToken of the user.
func TestPresenceEndsWithTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := start(t)
		bob := join(t, srv, "lobby", "bob")
		time.Sleep(10 * time.Second)
		alice := join(t, srv, "lobby", "alice")
		var both sync.WaitGroup // each answers pings meanwhile
		for _, p := range []*peer{bob, alice} {
			p.Timeout = 2 * testSettings.ttl
		}
		both.Go(func() { wstest.Converse(t, bob, `< {"type":"joined","user":"alice"}`, `x 3000 token_expired`) })
		both.Go(func() { wstest.Converse(t, alice, `< {"type":"left","user":"bob"}`) })
		both.Wait()
	})
}
