package e2e

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// faint returns the texts of the page whose contrast to what is behind them is
// less than WCAG 2.2 asks for.
//
//go:embed testdata/faint.js
var faint string

// nameless returns what can be used on the page and has no name to say.
//
//go:embed testdata/nameless.js
var nameless string

// screens are where the page is looked at.
var screens = []struct {
	name          string
	width, height int64
}{
	{"desktop", 1280, 800},
	{"phone", 390, 844},
	{"small", 360, 640}, // not in pictures
}

func scheme(name string) chromedp.Action[chromedp.Void] {
	return prefers(map[string]string{"color-scheme": name, "reduced-motion": "reduce"})
}

// prefers sets what the reader wants, by the names of the media features after "prefers-".
func prefers(wishes map[string]string) chromedp.Action[chromedp.Void] {
	var features []*emulation.MediaFeature
	for name, value := range wishes {
		features = append(features, &emulation.MediaFeature{Name: "prefers-" + name, Value: value})
	}
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
		return err
	})
}

// inspects looks at the page in every size, in light and in dark. With
// E2E_SCREENSHOTS, a directory, it takes pictures.
func (w *window) inspects(view string) {
	w.t.Helper()
	for _, screen := range screens {
		for _, colors := range []string{"light", "dark"} {
			name := fmt.Sprintf("%s-%s-%s", view, screen.name, colors)
			w.do(chromedp.EmulateViewport(screen.width, screen.height), scheme(colors))
			w.until(fmt.Sprintf("innerWidth === %d", screen.width))
			if got := value[int64](w, "document.scrollingElement.scrollWidth"); got > screen.width {
				w.t.Errorf("%s: the page is %d wide", name, got)
			}
			if got := value[[]string](w, faint); len(got) > 0 {
				w.t.Errorf("%s: too faint to read: %q", name, got)
			}
			if dir := os.Getenv("E2E_SCREENSHOTS"); dir != "" && screen.name != "small" {
				w.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.scrollIntoView({ block: "center" })`))
				w.shoots(filepath.Join(dir, name+".png"))
			}
		}
	}
	if got := value[[]string](w, nameless); len(got) > 0 {
		w.t.Errorf("%s: nothing says what these are: %q", view, got)
	}
}

// touches wants each of these, or its label, to be large enough for a finger: 44 px, WCAG 2.2, 2.5.5.
func (w *window) touches(ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		size := value[[]float64](w, fmt.Sprintf(`(() => {
			const { width, height } = (document.querySelector("label:has(#%[1]s)") ?? document.getElementById(%[1]q)).getBoundingClientRect();
			return [width, height];
		})()`, id))
		if min(size[0], size[1]) < 44 {
			w.t.Errorf("%s is %v px, too small for a finger", id, size)
		}
	}
}

// shoots takes a picture of what is to be seen.
func (w *window) shoots(path string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, picture, 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// The page is looked at in all that it can show.
func TestLooks(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	bob := enter(t, s, "bob", "lobby")
	bob.types("Good morning!" + kb.Enter)
	bob.hears("bob", "Good morning!")
	bob.types("Has anybody seen the bridge? It was here yesterday, between the mill and the bakery, and I would like to cross the river." + kb.Enter)

	alice := open(t, s.url)
	alice.has("username")
	alice.inspects("1-signed-out")
	alice.types("alice" + kb.Tab + "nothing" + kb.Enter)
	alice.says("status", "not the name and the password")
	alice.inspects("2-wrong-password")
	alice.types(passwords["alice"] + kb.Enter)
	alice.has("room")
	alice.says("rooms", "lobby")
	alice.inspects("3-rooms")
	alice.touches("account", "room", "go")
	alice.joins("no-room")
	alice.says("status", "422")
	alice.inspects("4-refused")
	alice.joins("lobby")
	alice.has("text")
	alice.says("members", "bob")
	for _, text := range []string{"Morning, bob.", "Look behind the looking-glass.", "https://example.com/" + long(120)} {
		alice.types(text + kb.Enter)
		alice.hears("alice", text)
	}
	bob.hears("alice", "https://example.com/"+long(120))
	bob.types("It is there!" + kb.Enter)
	alice.hears("bob", "It is there!")
	bob.types("And ")
	value[any](bob, `setInterval(() => document.getElementById("text").dispatchEvent(new Event("input")), 500), 0`)
	alice.says("typing", "bob is typing")
	alice.inspects("5-talking")
	alice.touches("account", "leave", "text", "send")
	alice.acts("open")
	alice.inspects("5-talking-actions")
	alice.clicks("account")
	alice.inspects("5-talking-menu")
	alice.touches("stay", "sign-out", "sign-out-everywhere")
	alice.types(kb.Escape)
	alice.acts("edit")
	alice.says("editing", "You are changing a message.")
	alice.touches("cancel")
	alice.inspects("5-talking-editing")
	alice.types(kb.Escape)
	s.end(t, os.Kill)
	alice.says("countdown", "in ")
	alice.inspects("6-lost")
	alice.touches("now", "give-up")
}

func long(n int) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = 'a' + byte(i%26)
	}
	return string(text)
}

// TestLooksOfTheEnds: a sign-in that ends, is renewed and is revoked, and a restart.
func TestLooksOfTheEnds(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key, "-token-ttl", "50s")
	alice := enter(t, s, "alice", "lobby")
	alice.picks("stay")
	alice.says("expiry", "Then you are signed out.")
	alice.inspects("7-ends-soon-menu")
	alice.types(kb.Escape)
	alice.inspects("7-ends-soon")
	alice.clicks("stay-now")
	alice.has("text")
	alice.says("aside", "Sign-in renewed at")
	alice.inspects("8-renewed")
	alice.until(`document.getElementById("ending").hidden`)
	elsewhere := signIn(t, s, "alice")
	elsewhere.picks("sign-out-everywhere")
	elsewhere.says("status", "Signed out, here and wherever else you were.")
	elsewhere.inspects("9-signed-out-everywhere")
	alice.says("status", "This account was signed out.")
	alice.inspects("10-revoked")
	alice.has("password")
	alice.types(passwords["alice"] + kb.Enter)
	alice.has("text")
	s.end(t, os.Interrupt)
	alice.says("status", "restart")
	alice.inspects("11-restarting")
}

// TestLooksOfMessages: history in pages, messages that were changed and refused, and removing somebody.
func TestLooksOfMessages(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key)
	bob := enter(t, s, "bob", "lobby")
	value[any](bob, `(() => {
		for (let i = 1; i <= 34; i++) {
			document.getElementById("text").value = "Bridge number " + i + " is not the one.";
			document.getElementById("say").requestSubmit();
		}
	})()`)
	bob.hears("bob", "Bridge number 34 is not the one.")
	bob.acts("edit")
	bob.types(" I am sure." + kb.Enter)
	carol := enter(t, s, "carol", "lobby")
	carol.hears("bob", "Bridge number 34 is not the one. I am sure.")
	alice := enter(t, s, "alice", "lobby")
	carol.says("members", "alice")
	value[any](carol, `document.getElementById("messages").scrollTop = 0`)
	carol.inspects("13-older")
	carol.types("Try the one by the mill." + kb.Enter)
	alice.hears("carol", "Try the one by the mill.")
	carol.acts("edit")
	carol.types(" Or the bakery." + kb.Enter)
	alice.hears("carol", "Try the one by the mill. Or the bakery.")
	carol.hears("carol", "Try the one by the mill. Or the bakery.")
	value[any](carol, `document.getElementById("text").value = "No. ".repeat(126)`)
	carol.types(kb.Enter)
	carol.says("messages", "Not sent.")
	value[any](carol, `document.querySelector('.kick[data-name="alice"]').click()`)
	alice.says("status", "You were removed from this room.")
	carol.says("messages", "alice was removed from the room.")
	carol.inspects("14-refused-message")
	carol.touches("older")
	alice.inspects("15-kicked")
}
