package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// remembers keeps all that an element shows from now on, also what is gone before a test
// looks for it.
func (w *window) remembers(id string) {
	w.t.Helper()
	value[any](w, fmt.Sprintf(`(() => {
		const told = globalThis.told = [];
		new MutationObserver(() => told.push(document.getElementById(%q).textContent))
			.observe(document.getElementById(%q), { subtree: true, childList: true, characterData: true });
	})()`, id, id))
}

// told waits until what was to be remembered has shown a text.
func (w *window) told(text string) {
	w.t.Helper()
	w.until(fmt.Sprintf("told.some((text) => text.includes(%q))", text))
}

// TestRestart: a server that stops says so, and the page says so and comes back by itself.
func TestRestart(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	alice := enter(t, s, "alice", "lobby")
	alice.remembers("status")
	s.end(t, syscall.SIGTERM)
	alice.told("The server restarts. (1012 server_restart) Trying again.")
	alice.told("The server has not come back from its restart yet. Trying again.")
	s.again(t, key)
	alice.says("status", "Connected. The server has restarted.")
	alice.types("after" + kb.Enter)
	alice.hears("alice", "after")
}

// TestTheEndInTheLobby: who is in no room has no connection that could say it.
func TestTheEndInTheLobby(t *testing.T) {
	t.Run("expired", func(t *testing.T) {
		alice := signIn(t, serve(t, "127.0.0.1:0", key, "-token-ttl", "2s"), "alice")
		alice.picks("stay")
		alice.says("status", "Your sign-in has run out.")
		alice.has("password")
	})
	t.Run("revoked", func(t *testing.T) {
		s := serve(t, "127.0.0.1:0", key)
		here, there := signIn(t, s, "alice"), signIn(t, s, "alice")
		here.picks("sign-out-everywhere")
		there.says("status", "Your sign-in is not valid any more: you have signed out elsewhere, or the server was restarted.")
		there.has("password")
		there.types(passwords["alice"] + kb.Enter)
		there.has("room")
	})
}

// TestSignOutWithoutAnAnswer does not say what is not known.
func TestSignOutWithoutAnAnswer(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	alice := enter(t, s, "alice", "lobby")
	s.end(t, os.Kill)
	alice.picks("sign-out-everywhere")
	alice.says("status", "Signed out on this page. The server has not answered: elsewhere you may be signed in still.")
	alice.has("username")
}

// TestCloseCodes: what each says on the page, and whether the page comes back: as the document says,
// and after a code and reason that it does not have.
func TestCloseCodes(t *testing.T) {
	b := stand(t, serve(t, "127.0.0.1:0", key))
	alice := signIn(t, b.server, "alice")
	for i, c := range []struct {
		code   int
		reason string
		says   string
		again  bool
	}{
		{1000, "", "The server ended the conversation. (1000)", false},
		{1001, "", "The server is going away. (1001)", true},
		{1003, "binary_not_accepted", "The server did not accept a message. (1003 binary_not_accepted)", true},
		{1008, "too_many_messages", "The server did not accept a message. (1008 too_many_messages)", true},
		{1008, "too_many_bad_messages", "The server did not accept a message. (1008 too_many_bad_messages)", false},
		{1009, "message_too_big", "A message was too long for the server. (1009 message_too_big)", false},
		{1011, "", "The server failed. (1011)", true},
		{1012, "server_restart", "The server restarts. (1012 server_restart)", true},
		{1013, "slow_reader", "This page could not keep up with the messages. (1013 slow_reader)", true},
		{1013, "unavailable", "The server has no room for this connection just now. (1013 unavailable)", true},
		{3003, "other_principal", "You may not be in this room any more. (3003 other_principal)", false},
		{4001, "kicked", "You were removed from this room. (4001 kicked)", false},
		{4000, "x", "The server closed the connection. (4000 x)", false},
	} {
		b.does(closes(t, c.code, c.reason))
		alice.remembers("status") // the next attempt may follow at once
		if i == 0 {
			alice.joins("lobby")
		} else {
			alice.says("now", "Join again")
			alice.clicks("now")
		}
		alice.told(c.says)
		if c.again {
			alice.says("status", "Connecting to lobby …") // by itself
			alice.clicks("give-up")
			alice.says("status", "Not connected.")
		} else if got := value[string](alice, `document.getElementById("status").innerText`); strings.Contains(got, "again") {
			t.Errorf("%d: %q", c.code, got)
		}
	}
}

// TestServerThatDoesNotAnswer: the page says what it waits for, and lets go when told to.
func TestServerThatDoesNotAnswer(t *testing.T) {
	b := stand(t, serve(t, "127.0.0.1:0", key))
	alice := signIn(t, b.server, "alice")
	b.does(stalls(t))
	alice.joins("lobby")
	alice.says("status", "Connecting to lobby …")
	alice.clicks("give-up")
	alice.has("room")
	b.does(nil)
	alice.joins("lobby")
	alice.says("status", "Connected.")
}

// TestRefusedByTheServer: what may pass is tried again, not before the time that the server
// asks for; what would be refused again is not.
func TestRefusedByTheServer(t *testing.T) {
	b := stand(t, serve(t, "127.0.0.1:0", key))
	alice := signIn(t, b.server, "alice")
	for reason, c := range map[string]struct {
		status int
		says   string
	}{
		"banned":       {403, "lobby was not joined. You may not join this room. (403 banned)"},
		"no_such_room": {404, "lobby was not joined. There is no such room. (404 no_such_room)"},
	} {
		b.does(refuses(c.status, reason, 0))
		alice.joins("lobby")
		alice.says("status", c.says)
		alice.has("room")
	}
	for _, c := range []struct {
		status int
		reason string
		says   string
	}{
		{429, "too_many_of_principal", "You are connected too often already. (429 too_many_of_principal) Trying again."},
		{503, "draining", "The server is about to restart. (503 draining) Trying again."},
		{503, "too_many_connections", "The server is full just now. (503 too_many_connections) Trying again."},
	} {
		b.does(refuses(c.status, c.reason, 60))
		alice.joins("lobby")
		alice.says("status", c.says)
		alice.until(`parseInt(document.getElementById("countdown").textContent.slice(3)) > 50`)
		alice.clicks("give-up")
		alice.has("room")
	}
	alice.joins("lobby")
	alice.says("status", "Trying again.")
	b.does(nil)
	alice.clicks("now")
	alice.says("status", "Connected.")
}

// TestNoWebSocketGetsThrough: something in between drops what the server would accept.
func TestNoWebSocketGetsThrough(t *testing.T) {
	b := stand(t, serve(t, "127.0.0.1:0", key))
	alice := signIn(t, b.server, "alice")
	b.does(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			panic(http.ErrAbortHandler) // the connection ends without an answer
		}
		w.WriteHeader(http.StatusUpgradeRequired)
	})
	alice.joins("lobby")
	alice.says("status", "The server would let you in, but no WebSocket gets through to it.")
	b.does(nil)
	alice.says("status", "Connected.")
}
