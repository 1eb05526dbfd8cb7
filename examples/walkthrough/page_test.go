package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"example.com/usher/wsroute/wstest"
)

// TestPage: the page and its files are served beside the routes, under the policy.
func TestPage(t *testing.T) {
	gin.SetMode(gin.TestMode)
	ws, engine := router(key), gin.New()
	servePage(engine)
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, engine)
	for path, want := range map[string]string{
		"/": "text/html", "/app.js": "text/javascript", "/style.css": "text/css", "/icon.svg": "image/svg+xml",
	} {
		got := wstest.Get(t, srv, path)
		kind := got.Header.Get("Content-Type")
		if got.Status != http.StatusOK || !strings.HasPrefix(kind, want) || got.Header.Get("Content-Security-Policy") != policy {
			t.Errorf("%s is %d %s with the policy %q", path, got.Status, kind, got.Header.Get("Content-Security-Policy"))
		}
	}
	if got := wstest.Get(t, srv, "/main.go"); got.Status != http.StatusNotFound {
		t.Errorf("the source is served: %d", got.Status)
	}
}

// The policy forbids inline code and styles, and what the server sends must not become markup.
func TestPageIsPlain(t *testing.T) {
	forbidden := regexp.MustCompile(`style="|\son[a-z]+="|<script>|<style|innerHTML|insertAdjacentHTML|document\.write|eval\(|https?://`)
	for _, name := range []string{"index.html", "app.js", "style.css"} {
		text, err := static.ReadFile("static/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if found := forbidden.Find(text); found != nil {
			t.Errorf("%s has %q", name, found)
		}
	}
}

// TestWhy is what the page asks when a browser has hidden a refusal from it: the same URL,
// without a WebSocket.
func TestWhy(t *testing.T) {
	srv := wstest.Start(t, router(key))
	for path, want := range map[string]string{"/greet/ada?times=9": "invalid_parameters", "/read": "credentials_required"} {
		if r := wstest.Get(t, srv, path); r.Problem.Reason != want {
			t.Errorf("%s: %d %s", path, r.Status, r.Body)
		}
	}
	if r := wstest.Get(t, srv, "/read", bearer(t, "mallory")); r.Status != 403 || r.Problem.Reason != "banned" {
		t.Errorf("banned: %d %s", r.Status, r.Body)
	}
	if r := wstest.Get(t, srv, "/read", bearer(t, "ada")); r.Status != 426 {
		t.Errorf("let in: %d %s", r.Status, r.Body)
	}
	ada, err := token(key, "ada")
	if err != nil {
		t.Fatal(err)
	}
	if peer := wstest.Dial[string, string](t, srv, "/read", wstest.Subprotocol("bearer, "+ada)); peer.WebSocket.Subprotocol() != "bearer" {
		t.Errorf("the subprotocol is %q", peer.WebSocket.Subprotocol())
	}
}
