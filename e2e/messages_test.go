package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// countSockets keeps each WebSocket that a page opens in sockets.
const countSockets = `
	globalThis.sockets = [];
	globalThis.WebSocket = class extends WebSocket {
		constructor(...args) { super(...args); sockets.push(this); }
	};`

// acts opens what can be done with the last message of the user's, and does it, unless it is "open".
func (w *window) acts(act string) {
	w.t.Helper()
	if value[bool](w, `(() => {
		const last = [...document.querySelectorAll(".mine .open")].at(-1);
		last.focus();
		return last.ariaExpanded === "false";
	})()`) {
		w.types(kb.Enter)
	}
	if act != "open" {
		w.do(chromedp.Click(chromedp.CSS(`.mine .acts:not([hidden]) [data-act="` + act + `"]`)))
	}
}

// TestEditAndDelete: the author does it, by keyboard, and the other page sees it.
func TestEditAndDelete(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	alice, bob := enter(t, s, "alice", "lobby"), enter(t, s, "bob", "lobby")
	alice.types("first" + kb.Enter)
	bob.hears("alice", "first")
	alice.types("second" + kb.Enter)
	bob.hears("alice", "second")
	if got := bob.counts(".open"); got != 0 {
		t.Errorf("bob is offered to change %d messages of alice", got)
	}

	alice.hears("alice", "second")
	alice.types("a draft")
	alice.acts("edit")
	alice.has("text")
	alice.says("editing", "You are changing a message.")
	alice.types(kb.End + " thought" + kb.Enter)
	bob.hears("alice", "second thought")
	alice.hears("alice", "second thought")
	bob.says("messages", "edited")
	alice.until(`document.getElementById("editing").hidden && document.getElementById("text").value === "a draft"`)
	alice.acts("edit")
	alice.says("editing", "You are changing a message.")
	alice.types(kb.Escape)
	alice.until(`document.getElementById("editing").hidden && document.getElementById("text").value === "a draft"`)

	alice.acts("delete")
	alice.hears("alice", "first")
	bob.hears("alice", "first")
	alice.has("text")
}

// TestChangesOfOthersAreRefused, by the server, whatever the page asks for; and it says so where
// they were asked for.
func TestChangesOfOthersAreRefused(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	alice, bob := enter(t, s, "alice", "lobby"), enter(t, s, "bob", "lobby")
	bob.types("of bob" + kb.Enter)
	alice.hears("bob", "of bob")
	alice.types("of alice" + kb.Enter)
	alice.hears("alice", "of alice")
	value[any](alice, `(() => {
		const [theirs, mine] = document.querySelectorAll(".message");
		[theirs.dataset.id, mine.dataset.id] = [mine.dataset.id, theirs.dataset.id];
	})()`)
	alice.acts("edit")
	alice.types(" no more" + kb.Enter)
	alice.says("say-fault", "Not changed. Only its author may do that. (not_yours)")
	alice.clicks("cancel")
	alice.acts("delete")
	alice.says("messages", "Not deleted. Only its author may do that. (not_yours)")
	alice.says("status", "Connected.")
	late := enter(t, s, "alice", "lobby")
	late.hears("alice", "of alice")
	late.says("messages", "of bob")
}

// TestKick: refused without the scope, and done with it; who was removed is told why.
func TestKick(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	bob, carol := enter(t, s, "bob", "lobby"), enter(t, s, "carol", "lobby")
	bob.says("members", "carol")
	if got := bob.counts(".kick:not([hidden])"); got != 0 {
		t.Errorf("bob is offered to remove %d users", got)
	}
	const kick = `document.querySelector('.kick[data-name="%s"]').click()`
	value[any](bob, fmt.Sprintf(kick, "carol"))
	bob.says("members-fault", "carol was not removed. Your sign-in does not allow that. (insufficient_scope)")
	bob.says("status", "Connected.")

	carol.do(chromedp.Click(chromedp.CSS(`.kick[data-name="bob"]`)))
	bob.says("status", "You were removed from this room. (4001 kicked)")
	bob.says("now", "Join again")
	carol.says("messages", "bob was removed from the room.")
	carol.until(`!document.getElementById("members").innerText.includes("bob")`)
	value[any](carol, `document.querySelector('.kick').dataset.name = "bob"`)
	value[any](carol, `document.querySelector('.kick').click()`)
	carol.says("members-fault", "bob was not removed. There is nobody of that name in the room. (not_here)")
}

// TestTyping is seen by the others until the message comes.
func TestTyping(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	alice, bob := enter(t, s, "alice", "lobby"), enter(t, s, "bob", "lobby")
	alice.types("h")
	bob.says("typing", "alice is typing …")
	alice.types("i" + kb.Enter)
	bob.hears("alice", "hi")
	bob.until(`document.getElementById("typing").textContent === ""`)
	if got := value[string](alice, `document.getElementById("typing").textContent`); got != "" {
		t.Errorf("alice is told %q", got)
	}
	alice.types("more")
	bob.says("typing", "alice is typing …")
	s.end(t, os.Kill)
	bob.says("status", "Trying again.")
	if got := value[string](bob, `document.getElementById("typing").textContent`); got != "" {
		t.Errorf("without a connection bob is told %q", got)
	}
}

// TestOlderMessages are loaded page by page, and what is in sight stays there.
func TestOlderMessages(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	bob := enter(t, s, "bob", "lobby")
	const said = 65
	value[any](bob, fmt.Sprintf(`(() => {
		for (let i = 1; i <= %d; i++) {
			document.getElementById("text").value = "number " + i;
			document.getElementById("say").requestSubmit();
		}
	})()`, said))
	bob.hears("bob", fmt.Sprint("number ", said))

	alice := enter(t, s, "alice", "lobby")
	alice.hears("bob", fmt.Sprint("number ", said))
	for i, first := range []string{"number 36", "number 6", "number 1"} {
		alice.until(`document.querySelector(".message .text").textContent === "` + first + `"`)
		if left := alice.counts("#older:not([hidden])"); (left == 1) != (i < 2) {
			t.Errorf("at %s there is a button for older messages: %d", first, left)
		}
		if i < 2 {
			const top = `document.querySelector(".message").getBoundingClientRect().top`
			value[any](alice, `document.getElementById("messages").scrollTop = 0`)
			value[any](alice, `globalThis.first = document.querySelector(".message")`)
			before := value[float64](alice, top)
			alice.do(chromedp.Click(chromedp.ID("older")))
			alice.until(`document.querySelector(".message") !== first`)
			if after := value[float64](alice, `first.getBoundingClientRect().top`); after < before-40 || after > before+40 {
				t.Errorf("what was at %v is at %v", before, after)
			}
		}
	}
	alice.has("messages")
	if got := alice.counts(".message"); got != said {
		t.Errorf("alice sees %d messages, want %d", got, said)
	}
}

// TestChangesWhileAway are caught up with: what was said, changed and deleted.
func TestChangesWhileAway(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	alice, bob := enter(t, s, "alice", "lobby", runsFirst(countSockets)), enter(t, s, "bob", "lobby")
	for _, text := range []string{"stays", "changes", "goes"} {
		bob.types(text + kb.Enter)
		alice.hears("bob", text)
		bob.hears("bob", text)
	}
	value[any](alice, `sockets[0].close(1000)`)
	alice.says("now", "Join again")
	bob.acts("delete")
	bob.hears("bob", "changes")
	bob.acts("edit")
	bob.types("d" + kb.Enter)
	bob.hears("bob", "changesd")
	bob.types("new" + kb.Enter)
	bob.hears("bob", "new")
	alice.clicks("now")
	alice.hears("bob", "new")
	if got := value[string](alice, `[...document.querySelectorAll(".text")].map((e) => e.textContent).join()`); got != "stays,changesd,new" {
		t.Errorf("alice sees %s", got)
	}
}

// TestPresenceIsTold, also to those who listen; a second page of a user is no news.
func TestPresenceIsTold(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	alice := enter(t, s, "alice", "lobby")
	bob := enter(t, s, "bob", "lobby")
	alice.until(`document.getElementById("news").textContent === "bob has joined."`)
	second := enter(t, s, "bob", "lobby")
	alice.remembers("news")
	second.clicks("leave")
	second.has("room")
	bob.types("still here" + kb.Enter)
	alice.hears("bob", "still here")
	if got := value[string](alice, "told.join()"); strings.Contains(got, "left") {
		t.Errorf("alice was told %q", got)
	}
	bob.clicks("leave")
	alice.told("bob has left.")
	alice.until(`!document.getElementById("members").innerText.includes("bob")`)
}

// TestAskedWithoutAConnection: the page says so, where it was asked.
func TestAskedWithoutAConnection(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	carol := enter(t, s, "carol", "lobby")
	bob := enter(t, s, "bob", "lobby")
	carol.says("members", "bob")
	carol.types("mine" + kb.Enter)
	bob.hears("carol", "mine")
	carol.hears("carol", "mine")
	s.end(t, os.Kill)
	carol.says("status", "Trying again.")
	carol.acts("delete")
	carol.says("messages", "Not deleted. There is no connection. (offline)")
	carol.do(chromedp.Click(chromedp.CSS(`.kick[data-name="bob"]`)))
	carol.says("members-fault", "bob was not removed. There is no connection. (offline)")
}

// TestEventsBeforeAPageAreNewer than it: what was deleted does not come back.
func TestEventsBeforeAPageAreNewer(t *testing.T) {
	b := stand(t, serve(t, "127.0.0.1:0", key))
	alice := signIn(t, b.server, "alice", runsFirst(countSockets))
	b.does(pages(t,
		`[{"id":1,"from":"bob","text":"gone"},{"id":2,"from":"bob","text":"old"}]`,
		`{"type":"deleted","id":1}`, `{"type":"edited","id":2,"text":"new"}`, `{"type":"said","id":3,"from":"bob","text":"last"}`,
	))
	alice.joins("lobby")
	alice.hears("bob", "last")
	const texts = `[...document.querySelectorAll(".text")].map((e) => e.textContent).join()`
	alice.until(texts + `.startsWith("new")`)
	if got := value[string](alice, texts); got != "new,last" {
		t.Errorf("alice sees %s", got)
	}

	b.does(nil) // to the room itself, in which nothing was said
	value[any](alice, `sockets[0].close(1000)`)
	alice.says("now", "Join again")
	alice.clicks("now")
	alice.says("messages", "The room began anew.")
}
