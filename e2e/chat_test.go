package e2e

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// passwords are those of the demonstration's accounts.
var passwords = map[string]string{"alice": "wonderland", "bob": "builder", "carol": "teaparty"}

// signIn opens the page and signs in with the keyboard alone.
func signIn(t *testing.T, s *server, name string, before ...chromedp.Action[chromedp.Void]) *window {
	t.Helper()
	w := open(t, s.url, before...)
	w.has("username")
	w.types(name + kb.Tab)
	w.has("password")
	w.types(passwords[name] + kb.Enter)
	w.has("room")
	return w
}

// joins types the name of a room, over the one that is there, which is selected.
func (w *window) joins(room string) {
	w.t.Helper()
	w.types(room + kb.Enter)
}

// enter opens the page, signs in and joins a room.
func enter(t *testing.T, s *server, name, room string, before ...chromedp.Action[chromedp.Void]) *window {
	t.Helper()
	w := signIn(t, s, name, before...)
	w.joins(room)
	w.has("text")
	w.says("status", "Connected.")
	w.says("title", room)
	return w
}

// hears waits until the last message is one of somebody, which the server has.
func (w *window) hears(from, text string) {
	w.t.Helper()
	w.until(fmt.Sprintf(`(() => {
		const last = [...document.querySelectorAll(".message")].at(-1);
		return last?.dataset.id && last.querySelector(".from").textContent === %q && last.querySelector(".text").textContent === %q;
	})()`, from, text))
}

// counts is how many elements a selector finds.
func (w *window) counts(selector string) int {
	w.t.Helper()
	return value[int](w, fmt.Sprintf("document.querySelectorAll(%q).length", selector))
}

func TestTwoTalk(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	alice := enter(t, s, "alice", "lobby")
	alice.types("hi" + kb.Enter)
	alice.hears("alice", "hi")

	bob := signIn(t, s, "bob")
	bob.says("rooms", "alice") // who is in the lobby
	bob.do(chromedp.Click(chromedp.CSS(`[data-name="lobby"]`)))
	bob.has("text")
	bob.hears("alice", "hi") // what was said before
	bob.says("members", "alice")
	alice.says("members", "bob")

	bob.types(`<img src=x onerror="alert(1)"><b>hello</b>` + kb.Enter)
	alice.hears("bob", `<img src=x onerror="alert(1)"><b>hello</b>`)
	bob.hears("bob", `<img src=x onerror="alert(1)"><b>hello</b>`)
	if got := alice.counts("#messages img, #messages b"); got != 0 {
		t.Errorf("what bob wrote became %d elements", got)
	}

	bob.clicks("leave")
	bob.has("room")
	alice.until(`!document.getElementById("members").innerText.includes("bob")`)
	alice.picks("sign-out-everywhere")
	alice.has("username")
	if alice.counts("#who:not([hidden])") != 0 {
		t.Error("alice has signed out, and is still named")
	}
}

func TestWrongPassword(t *testing.T) {
	w := open(t, serve(t, "127.0.0.1:0", key).url)
	w.has("username")
	w.types("alice" + kb.Tab + "builder" + kb.Enter)
	w.says("status", "not the name and the password of an account")
	w.has("password")
}

func TestRefusedJoinSaysWhy(t *testing.T) {
	w := signIn(t, serve(t, "127.0.0.1:0", key), "alice")
	w.joins("no-room")
	w.says("status", "no-room was not joined. The name of a room has letters and digits, and nothing else. (422 invalid_parameters)")
	w.has("room")
	if tone := value[string](w, `document.getElementById("notice").dataset.tone`); tone != "bad" {
		t.Errorf("the tone is %q", tone)
	}
	w.joins("lobby")
	w.says("status", "Connected.")
}

// A server that was killed says nothing, and comes back without its history.
func TestKilledServer(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	alice := enter(t, s, "alice", "lobby")
	alice.types("before" + kb.Enter)
	alice.hears("alice", "before")

	s.end(t, os.Kill)
	alice.says("status", "The server cannot be reached. Trying again.")
	alice.says("countdown", "in ")
	alice.has("text")
	alice.types("meanwhile" + kb.Enter)
	if got := value[string](alice, `document.getElementById("text").value`); got != "meanwhile" {
		t.Errorf("what could not be sent is %q, want it kept", got)
	}

	s.again(t, key)
	alice.says("status", "Connected.") // by itself
	alice.says("messages", "The room began anew.")
	alice.types(kb.Enter)
	alice.hears("alice", "meanwhile")
	if got := alice.counts(".message"); got != 2 {
		t.Errorf("there are %d messages, want the one from before and the one from now", got)
	}
}

// A server that stops closes with 1012, and one that comes back with another key
// believes no token of before: the page leads to the sign-in and back.
func TestRestartWithAnotherKey(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	alice := enter(t, s, "alice", "cellar")
	alice.types("before" + kb.Enter)
	alice.hears("alice", "before")

	s.end(t, syscall.SIGTERM)
	alice.until(`!document.getElementById("now").hidden`)
	s.again(t, otherKey)
	alice.says("status", "Your sign-in is not valid any more. (401 invalid_token) Sign in again to go on to cellar.")
	alice.has("password")
	alice.types(passwords["alice"] + kb.Enter)
	alice.has("text")
	alice.says("title", "cellar")
	alice.says("messages", "before") // what she saw is still hers
	alice.types("after" + kb.Enter)
	alice.hears("alice", "after")
}

func TestTryNowAndGiveUp(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	alice := enter(t, s, "alice", "lobby")
	s.end(t, syscall.SIGTERM)
	alice.until(`!document.getElementById("give-up").hidden`)
	alice.clicks("give-up")
	alice.says("status", "Not connected.")
	alice.has("now")
	s.again(t, key)
	alice.types(kb.Enter) // on "Join again"
	alice.says("status", "Connected.")
	alice.has("text")
}

// TestRefusedMessage: it is shown with the reason, and the page stays connected.
func TestRefusedMessage(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	alice, bob := enter(t, s, "alice", "lobby"), enter(t, s, "bob", "lobby")
	alice.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("text").value = "x".repeat(501)`))
	alice.types(kb.Enter)
	alice.says("messages", "Not sent. A message has at most 500 characters. (invalid_message)")
	alice.says("status", "Connected.")
	if got := value[int](alice, `document.querySelector(".failed .text").textContent.length`); got != 501 {
		t.Errorf("%d characters of what was not sent are there", got)
	}
	alice.do(chromedp.Click(chromedp.CSS(`.failed [data-act="again"]`)))
	alice.has("text")
	alice.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("text").value = "shorter"`))
	alice.types(kb.Enter)
	bob.hears("alice", "shorter")
	if got := alice.counts(".message"); got != 1 {
		t.Errorf("alice sees %d messages, want 1", got)
	}
}

// A token of six seconds is renewed on the open connection for as long as the user
// wants to stay; then the connection ends with it, and the page says so.
func TestExpiryAndRenewal(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key, "-token-ttl", "6s")
	alice := enter(t, s, "alice", "lobby", runsFirst(countSockets))
	for range 3 { // longer than a token lives
		before := value[string](alice, `document.querySelector("#expiry time").dateTime`)
		alice.until(fmt.Sprintf(`document.querySelector("#expiry time").dateTime !== %q`, before))
	}
	alice.says("status", "Connected.")
	alice.types("still here" + kb.Enter)
	alice.hears("alice", "still here")

	alice.says("aside", "Sign-in renewed at")
	if got := value[int](alice, "sockets.length"); got != 1 {
		t.Errorf("the page has opened %d connections, want the first to go on", got)
	}

	alice.picks("stay")
	alice.says("expiry", "Then you are signed out.")
	alice.says("ending", "You will be signed out in less than a minute.")
	alice.says("status", "Your sign-in has run out. (3000 token_expired) Sign in again to go on to lobby.")
	alice.has("password")
	alice.types(passwords["alice"] + kb.Enter)
	alice.has("text")
	alice.says("messages", "The room began anew. What stands above is on this page only.") // nobody else was there
	alice.says("messages", "still here")
	alice.types("back" + kb.Enter)
	alice.hears("alice", "back")
}

// Signing out ends what the account has open elsewhere, and nothing else.
func TestRevocation(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	here, there, bob := enter(t, s, "alice", "lobby"), enter(t, s, "alice", "cellar"), enter(t, s, "bob", "lobby")
	here.picks("sign-out-everywhere")
	here.says("status", "Signed out, here and wherever else you were.")
	here.has("username")
	there.says("status", "This account was signed out. (3000 revoked) Sign in again to go on to cellar.")
	there.has("password")
	bob.says("status", "Connected.")
	there.types(passwords["alice"] + kb.Enter)
	there.has("text")
	there.says("title", "cellar")
}

// Without this, a silent watch would pass every other test.
func TestViolationsAreSeen(t *testing.T) {
	w := open(t, serve(t, "127.0.0.1:0", key).url)
	w.do(chromedp.Evaluate[chromedp.Void](`document.head.append(Object.assign(document.createElement("style"), { textContent: "b{}" }))`))
	w.do(chromedp.Evaluate[chromedp.Void](`addEventListener("securitypolicyviolation", () => document.body.dataset.seen = "1")`))
	w.do(chromedp.Evaluate[chromedp.Void](`document.body.setAttribute("style", "color: red")`))
	w.until(`document.body.dataset.seen === "1"`)
	if len(w.wrongs()) == 0 {
		t.Error("inline styles were refused, and nobody saw it")
	}
}

// Signing out on one page leaves the others alone.
func TestSignOutHere(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	here, there := enter(t, s, "alice", "lobby"), enter(t, s, "alice", "lobby")
	here.picks("sign-out")
	here.says("status", "Signed out.")
	here.has("username")
	there.types("still here" + kb.Enter)
	there.hears("alice", "still here")
	there.says("status", "Connected.")
}
