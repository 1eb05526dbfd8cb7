package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestPage(t *testing.T) {
	srv, _ := start(t)
	for path, want := range map[string]string{
		"/": "text/html", "/app.js": "text/javascript", "/client.js": "text/javascript", "/session.js": "text/javascript",
		"/messages.js": "text/javascript", "/parts.js": "text/javascript", "/words.js": "text/javascript",
		"/style.css": "text/css", "/icon.svg": "image/svg+xml",
	} {
		got := request(t, srv, http.MethodGet, path, "")
		if kind := got.header.Get("Content-Type"); got.status != http.StatusOK || !strings.HasPrefix(kind, want) || got.body == "" {
			t.Errorf("%s is %d %s of %d bytes, want 200 %s", path, got.status, kind, len(got.body), want)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		} {
			if value := got.header.Get(name); value != want {
				t.Errorf("%s: %s is %q, want %q", path, name, value, want)
			}
		}
	}
	for _, path := range []string{"/index.html", "/static/app.js", "/main.go"} {
		if got := request(t, srv, http.MethodGet, path, ""); got.status != http.StatusNotFound {
			t.Errorf("%s is %d, want 404", path, got.status)
		}
	}
}

// The policy forbids inline code, and what people write must not become markup.
func TestPageIsPlain(t *testing.T) {
	forbidden := regexp.MustCompile(`style="|\son[a-z]+="|<script>|<style|innerHTML|insertAdjacentHTML|document\.write|eval\(|https?://`)
	for _, name := range []string{"index.html", "app.js", "client.js", "messages.js", "parts.js", "session.js", "words.js", "style.css"} {
		text, err := static.ReadFile("static/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if found := forbidden.Find(text); found != nil {
			t.Errorf("%s has %q", name, found)
		}
	}
}

func TestPageHasItsElements(t *testing.T) {
	html, _ := static.ReadFile("static/index.html")
	js, _ := static.ReadFile("static/app.js")
	for _, m := range regexp.MustCompile(`(?:\$|[bB]usy)\("([a-z-]+)"|show\("([a-z-]+)", "([a-z-]+)"\)`).FindAllStringSubmatch(string(js), -1) {
		for _, id := range m[1:] {
			if id != "" && !strings.Contains(string(html), `id="`+id+`"`) {
				t.Errorf("app.js uses %q, which index.html does not have", id)
			}
		}
	}
	for _, m := range regexp.MustCompile(` (for|popovertarget|aria-labelledby|aria-describedby)="([^"]+)"`).FindAllStringSubmatch(string(html), -1) {
		for _, id := range strings.Fields(m[2]) {
			if !strings.Contains(string(html), `id="`+id+`"`) {
				t.Errorf("%s refers to %q, which is not there", m[1], id)
			}
		}
	}
	for _, m := range regexp.MustCompile(`<input id="([a-z-]+)"`).FindAllStringSubmatch(string(html), -1) {
		if !strings.Contains(string(html), `<label for="`+m[1]+`"`) {
			t.Errorf("the input %q has no label", m[1])
		}
	}
}

// What ends the sign-in is a step away: it is in the menu, after the way to stay, and is never the
// main action.
func TestSignOutIsInTheMenu(t *testing.T) {
	html, _ := static.ReadFile("static/index.html")
	_, rest, found := strings.Cut(string(html), `<div id="menu" popover`)
	menu, _, _ := strings.Cut(rest, "</div>")
	if !found || !regexp.MustCompile(`(?s)id="stay".*<button id="sign-out" class="quiet".*<button id="sign-out-everywhere" class="quiet"`).MatchString(menu) {
		t.Errorf("the menu is\n%s", menu)
	}
}

// Every animation stops for readers who want less motion, those of ::before and ::after too, which
// the selector * does not match.
func TestLessMotion(t *testing.T) {
	css, _ := static.ReadFile("static/style.css")
	if want := "prefers-reduced-motion: reduce) {\n  *,\n  ::before,\n  ::after {\n    animation: none !important;"; !strings.Contains(string(css), want) {
		t.Errorf("style.css does not have\n%s", want)
	}
}
