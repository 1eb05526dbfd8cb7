package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"example.com/usher/wsroute/wstest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = []byte("a key of at least thirty-two bytes")

func bearer(t *testing.T, name string, life time.Duration) wstest.Option {
	t.Helper()
	signed, err := token(key, name, life)
	if err != nil {
		t.Fatal(err)
	}
	return wstest.Header("Authorization", "Bearer "+signed)
}

// client is one that reads all the time, as a page does.
type client struct {
	peer  *wstest.Peer[string, string]
	reads chan string
}

func dial(t *testing.T, srv *wstest.Server, route string, option wstest.Option) client {
	t.Helper()
	c := client{wstest.Dial[string, string](t, srv, route, option), make(chan string, 2)}
	go func() {
		for {
			_, text, err := c.peer.WebSocket.ReadMessage()
			if closed := (*websocket.CloseError)(nil); errors.As(err, &closed) {
				c.reads <- fmt.Sprintf("closed with %d %s", closed.Code, closed.Text)
			}
			if err != nil {
				return
			}
			c.reads <- "answered " + string(text)
		}
	}()
	return c
}

// ask says something, and tells what came: the answer, or the end.
func (c client) ask(text string) string {
	_ = c.peer.WebSocket.WriteMessage(websocket.TextMessage, []byte(text)) // it may be closed already
	return <-c.reads
}

// story opens the route with a token of a minute, lets time go by, and bans an account.
func story(t *testing.T, route string) string {
	var b strings.Builder
	synctest.Test(t, func(t *testing.T) {
		accounts := &Accounts{}
		ws, engine, err := newApp(key, accounts)
		if err != nil {
			t.Fatal(err)
		}
		srv := wstest.StartHandler(t, ws, engine)
		line := func(what, result string) { fmt.Fprintf(&b, "%-44s %s\n", what, result) }

		line("GET "+route+", no token", fmt.Sprint(wstest.Refused(t, srv, route).Status))
		ada := dial(t, srv, route, bearer(t, "ada", time.Minute))
		line("ada, her token is good for a minute", ada.ask("one"))
		time.Sleep(2 * time.Minute)
		line("ada, two minutes later", ada.ask("two"))

		bob := dial(t, srv, route, bearer(t, "bob", time.Hour))
		line("bob, his token is good for an hour", bob.ask("one"))
		accounts.Ban("bob")
		line("bob, banned, connects again", fmt.Sprint(wstest.Refused(t, srv, route, bearer(t, "bob", time.Hour)).Status))
		time.Sleep(12 * time.Second)
		line("bob, banned, on the connection that he has", bob.ask("two"))
		_ = ada.peer.WebSocket.Close() // the loop behind the middleware ends with its peer alone
		_ = bob.peer.WebSocket.Close()
	})
	return b.String()
}

// TestMiddlewareLetsThemThrough shows the fault; TestMended shows the correction.
func TestMiddlewareLetsThemThrough(t *testing.T) {
	golden(t, "testdata/before.txt", story(t, "/before"))
}

func TestMended(t *testing.T) { golden(t, "testdata/after.txt", story(t, "/after")) }

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
