package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = []byte("a key of at least thirty-two bytes")

func quiet() *wsroute.Config { return &wsroute.Config{Logger: slog.New(slog.DiscardHandler)} }

// signed returns the token of somebody.
func signed(t *testing.T, name, scope string) string {
	t.Helper()
	text, err := token(key, name, scope)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func bearer(t *testing.T, name, scope string) wstest.Option {
	t.Helper()
	return wstest.Header("Authorization", "Bearer "+signed(t, name, scope))
}

// enterBoard connects somebody, and takes the greeting.
func enterBoard(t *testing.T, srv *wstest.Server, name, scope string) *wstest.Peer[string, string] {
	t.Helper()
	peer := wstest.Dial[string, string](t, srv, "/boards/kitchen", bearer(t, name, scope))
	wstest.Converse(t, peer, `< {"type":"notice","text":"welcome to the kitchen"}`)
	return peer
}

// lines reads a conversation.
func lines(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func TestATeam(t *testing.T) {
	srv := wstest.Start(t, newRouter(key, &Staff{}, quiet()))
	bob := enterBoard(t, srv, "bob", "")
	ada := wstest.Dial[string, string](t, srv, "/boards/kitchen", bearer(t, "ada", "cards:remove"))
	wstest.Converse(t, ada, lines(t, "testdata/team.txt")...)
	wstest.Converse(t, bob, lines(t, "testdata/watcher.txt")...)
}

func TestErrors(t *testing.T) {
	srv := wstest.Start(t, newRouter(key, &Staff{}, quiet()))
	wstest.Ask[Card](t, enterBoard(t, srv, "ada", ""), "add", Add{"buy tea"})
	wstest.Converse(t, enterBoard(t, srv, "bob", ""), lines(t, "testdata/errors.txt")...)
}

func TestAdd(t *testing.T) {
	none := func(context.Context, string) ([]int, error) { return nil, errors.New("the index is down") }
	srv := wstest.Start(t, newRouter(key, &Staff{}, quiet()), depends.OverrideValue(Index(none)))
	peer := wstest.Dial[string, string](t, srv, "/boards/kitchen", bearer(t, "ada", ""))
	if got := wstest.Ask[Card](t, peer, "add", Add{"buy tea"}); got != (Card{1, "buy tea", "ada"}) {
		t.Errorf("got %v", got)
	}
	if got := wstest.AskFailure(t, peer, "add", Add{}); got.Reason != "invalid_message" {
		t.Errorf("without a title: %v", got)
	}
	if got := wstest.AskFailure(t, peer, "rename", Rename{Target{7}, "buy milk"}); got.Reason != "no_such_card" {
		t.Errorf("of no card: %v", got)
	}
	if got := wstest.AskFailure(t, peer, "search", Search{"tea"}); got.Reason != "internal" {
		t.Errorf("without an index: %v", got)
	}
}

// TestAnAdminOfThisMoment: a guard of a message asks anew for each.
func TestAnAdminOfThisMoment(t *testing.T) {
	staff := &Staff{}
	srv := wstest.Start(t, newRouter(key, staff, quiet()))
	bob := enterBoard(t, srv, "bob", "")
	wstest.Converse(t, bob, `> {"type":"clear","ref":1}`, `< {"type":"error","ref":1,"reason":"not_an_admin"}`)
	staff.names.Store("bob", true)
	wstest.Converse(t, bob, `> {"type":"clear","ref":2}`, `< {"type":"removed","ids":[]}`)
}

// TestNothingOfAFailureIsHeard: neither the change nor what was sent of it.
func TestNothingOfAFailureIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := func(ctx context.Context, in struct{ Board *Board }) (*Edit, error) {
			e, err := edit(ctx, in)
			depends.Cleanup(ctx, func(context.Context, error) error { return errors.New("the disk is full") })
			return e, err
		}
		srv := wstest.Start(t, newRouter(key, &Staff{}, quiet()), depends.Override(full))
		ada, bob := enterBoard(t, srv, "ada", ""), enterBoard(t, srv, "bob", "")
		if got := wstest.AskFailure(t, ada, "add", Add{"buy tea"}); got.Reason != "internal" {
			t.Errorf("got %v", got)
		}
		bob.NothingSent(time.Second)
	})
}

// TestASlowIndex: other messages pass a search, which has two seconds.
func TestASlowIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := Index(func(ctx context.Context, _ string) ([]int, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		srv := wstest.Start(t, newRouter(key, &Staff{}, quiet()), depends.OverrideValue(slow))
		begun := time.Now()
		wstest.Converse(t, enterBoard(t, srv, "ada", ""),
			`> {"type":"search","ref":1,"text":"tea"}`,
			`> {"type":"add","ref":2,"title":"buy tea"}`,
			`< {"type":"card","ref":2,"id":1,"title":"buy tea","owner":"ada"}`,
			`< {"type":"error","ref":1,"reason":"timeout"}`,
		)
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestWhatIsSentLater comes from a goroutine, and from a plain request.
func TestWhatIsSentLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := wstest.Start(t, newRouter(key, &Staff{}, quiet()))
		ada := enterBoard(t, srv, "ada", "")
		ada.Timeout = 2 * time.Minute
		begun := time.Now()
		wstest.Converse(t, ada, `> {"type":"remind","id":1,"seconds":60}`, `< {"type":"due","id":1}`)
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("it took %v", took)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+srv.Host+"/notices",
			strings.NewReader(url.Values{"text": {"tea is ready"}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Authorization", "Bearer "+signed(t, "bob", ""))
		response, err := srv.Client().Do(request)
		if err != nil || response.Body.Close() != nil || response.StatusCode != http.StatusNoContent {
			t.Fatal(response, err)
		}
		wstest.Converse(t, ada, `< {"type":"notice","text":"tea is ready"}`)
		ada.Send(`{"type":"remind","id":1,"seconds":60}`)
	})
}

func TestPingAndRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := wstest.Start(t, newRouter(key, &Staff{}, quiet()))
		ada := enterBoard(t, srv, "ada", "")
		ada.NothingSent(30 * time.Minute)
		var talk []string
		for _, line := range lines(t, "testdata/own.txt") {
			talk = append(talk, strings.ReplaceAll(line, "<token>", signed(t, "ada", "")))
		}
		wstest.Converse(t, ada, talk...)
	})
}

// TestGuests sign in later.
func TestGuests(t *testing.T) {
	ws := newRouter(key, new(Staff), quiet())
	c := wsroute.HandleMessages(ws, "/open/:board", events, wsroute.Public, wsroute.Renewable)
	wsroute.OnOpen(c, func(context.Context, struct{ Claims depends.Optional[Claims] }) error { return nil })
	wsroute.Answer(c, "add", add, wsroute.Require[Claims](), wsroute.Require[Member]())
	peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/open/kitchen")
	wstest.Converse(t, peer,
		`> {"type":"add","ref":1,"title":"buy tea"}`, `< {"type":"error","ref":1,"reason":"unauthorized"}`,
		`> {"type":"renew","token":"`+signed(t, "ada", "")+`"}`, `< {"type":"renewed","expires":"*"}`,
		`> {"type":"add","ref":2,"title":"buy tea"}`, `< {"type":"card","ref":2,"id":1,"title":"buy tea","owner":"ada"}`)
}

func TestALoop(t *testing.T) {
	srv := wstest.Start(t, newRouter(key, &Staff{}, quiet()))
	peer := wstest.Dial[string, string](t, srv, "/terminal", bearer(t, "ada", ""))
	wstest.Converse(t, peer, lines(t, "testdata/terminal.txt")...)
}
