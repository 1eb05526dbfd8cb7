package e2e

import (
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// hourAndMinute is how Chromium writes a time for a reader of English.
var hourAndMinute = regexp.MustCompile(`^\d{1,2}:\d\d\s[AP]M$`)

// TestMessagesHaveATime: the one of the server, also in the history.
func TestMessagesHaveATime(t *testing.T) {
	const shown, exact = `document.querySelector(".message time").innerText`, `document.querySelector(".message time").dateTime`
	s := serve(t, "127.0.0.1:0", key)
	alice := enter(t, s, "alice", "lobby")
	alice.types("hi" + kb.Enter)
	alice.hears("alice", "hi")
	at, err := time.Parse(time.RFC3339, value[string](alice, exact))
	if err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("the message was said at %v, %v", at, err)
	}
	if got := value[string](alice, shown); !hourAndMinute.MatchString(got) {
		t.Errorf("the time is %q, not an hour and a minute", got)
	}
	alice.until(`Date.now() > Date.parse(` + exact + `) + 2000`)
	bob := enter(t, s, "bob", "lobby")
	bob.hears("alice", "hi")
	if got := value[string](bob, exact); got != at.Format("2006-01-02T15:04:05.000Z") {
		t.Errorf("the history has the time %s, want %v", got, at)
	}
}

// TestExpiryIsAClockTime: it says what ends, when, and what happens then.
func TestExpiryIsAClockTime(t *testing.T) {
	alice := enter(t, serve(t, "127.0.0.1:0", key), "alice", "lobby")
	alice.clicks("account")
	for _, want := range []string{
		`^Your sign-in lasts until \d{1,2}:\d\d\s[AP]M\. It is renewed for as long as this page is open\.$`,
		`^Your sign-in lasts until \d{1,2}:\d\d\s[AP]M\. Then you are signed out\.$`,
	} {
		if got := value[string](alice, `document.getElementById("expiry").innerText`); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("the expiry is %q, want %s", got, want)
		}
		alice.clicks("stay")
	}
	if alice.counts("#ending:not([hidden])") != 0 {
		t.Error("alice is warned of an end that is a quarter of an hour away")
	}
}

// TestOldMessagesHaveADay: an hour alone would say little about the day before.
func TestOldMessagesHaveADay(t *testing.T) {
	b := stand(t, serve(t, "127.0.0.1:0", key))
	alice := signIn(t, b.server, "alice")
	b.does(says(t, `{"type":"said","id":1,"from":"bob","text":"hi","at":"2025-01-31T12:00:00Z"}`))
	alice.joins("lobby")
	alice.hears("bob", "hi")
	if got := value[string](alice, `document.querySelector(".message time").innerText`); !strings.HasPrefix(got, "Jan 31, ") {
		t.Errorf("the time is %q", got)
	}
}

// TestMessageWithoutATime has the one at which it came.
func TestMessageWithoutATime(t *testing.T) {
	b := stand(t, serve(t, "127.0.0.1:0", key))
	alice := signIn(t, b.server, "alice")
	b.does(says(t, `{"type":"said","id":1,"from":"bob","text":"hi"}`))
	alice.joins("lobby")
	alice.hears("bob", "hi")
	at, err := time.Parse(time.RFC3339, value[string](alice, `document.querySelector(".message time").dateTime`))
	if err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("the time is %v, %v", at, err)
	}
}

// TestMenuByKeyboard: it opens, is walked through and closes without a mouse.
func TestMenuByKeyboard(t *testing.T) {
	alice := enter(t, serve(t, "127.0.0.1:0", key), "alice", "lobby")
	value[any](alice, `document.getElementById("account").focus()`)
	alice.types(kb.Enter)
	for _, id := range []string{"stay", "sign-out", "sign-out-everywhere"} {
		alice.types(kb.Tab)
		alice.has(id)
	}
	alice.types(kb.Escape)
	alice.has("account")
	if alice.counts("#menu:popover-open") != 0 {
		t.Error("the menu is still open")
	}
}

// TestBusy: a button that is busy says so, and does nothing twice.
func TestBusy(t *testing.T) {
	b := stand(t, serve(t, "127.0.0.1:0", key))
	w := open(t, b.url)
	w.has("username")
	value[any](w, `(() => {
		const real = fetch;
		globalThis.asked = 0;
		globalThis.fetch = (...request) => new Promise((resolve) => {
			asked++;
			globalThis.release = () => { globalThis.fetch = real; resolve(real(...request)); };
		});
	})()`)
	w.types("alice" + kb.Tab + passwords["alice"] + kb.Enter)
	w.isBusy("enter", "Signing in …")
	w.types(kb.Enter)
	w.clicks("enter")
	if got := value[int](w, "asked"); got != 1 {
		t.Errorf("the page signs in %d times at once", got)
	}
	value[any](w, "release()")
	w.has("room")

	var asked atomic.Int32
	b.does(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		stalls(t)(w, r)
	})
	w.joins("lobby")
	w.isBusy("go", "Joining …")
	if got := value[string](w, `document.querySelector("#status b").innerText`); got != "lobby" {
		t.Errorf("the status sets %q off, want the name of the room", got)
	}
	w.clicks("go")
	w.inspects("12-joining")
	w.clicks("give-up")
	w.until(`document.getElementById("go").ariaBusy === "false" && document.getElementById("go").innerText === "Join"`)
	if got := asked.Load(); got > 1 {
		t.Errorf("the page joins %d times at once", got)
	}
	b.does(nil)
	w.joins("lobby")
	w.says("status", "Connected.")
}

// isBusy waits until a button says that it is busy, and wants it to turn only where the
// reader has not asked for less motion.
func (w *window) isBusy(id, text string) {
	w.t.Helper()
	w.says(id, text)
	const turns = `getComputedStyle(document.querySelector("[aria-busy=true]"), "::before").animationName`
	if got := value[string](w, `document.getElementById("`+id+`").ariaBusy + " " + `+turns); got != "true spin" {
		w.t.Errorf("%s is busy and turns: %s", id, got)
	}
	w.do(prefers(map[string]string{"reduced-motion": "reduce"}))
	if got := value[string](w, turns); got != "none" {
		w.t.Errorf("%s turns although less motion is wanted: %s", id, got)
	}
	w.do(prefers(map[string]string{"reduced-motion": "no-preference"}))
}
