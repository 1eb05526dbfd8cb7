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
		"/": "text/html", "/app.js": "text/javascript", "/link.js": "text/javascript", "/session.js": "text/javascript",
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
	for _, name := range []string{"index.html", "app.js", "link.js", "session.js", "style.css"} {
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
	for _, m := range regexp.MustCompile(`\$\("([a-z-]+)"\)|show\("([a-z-]+)", "([a-z-]+)"\)`).FindAllStringSubmatch(string(js), -1) {
		for _, id := range m[1:] {
			if id != "" && !strings.Contains(string(html), `id="`+id+`"`) {
				t.Errorf("app.js uses %q, which index.html does not have", id)
			}
		}
	}
	for _, m := range regexp.MustCompile(`<input id="([a-z-]+)"`).FindAllStringSubmatch(string(html), -1) {
		if !strings.Contains(string(html), `<label for="`+m[1]+`"`) {
			t.Errorf("the input %q has no label", m[1])
		}
	}
}
