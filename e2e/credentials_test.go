package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// climbs presses the button of a rung, and waits for what came of it.
func (w *window) climbs(rung, want string) {
	w.t.Helper()
	w.clicks("climb-" + rung)
	w.says("out-"+rung, want)
}

// TestWhatABrowserCanShow: of the five places, all but the header, and what a page
// learns of a refusal.
func TestWhatABrowserCanShow(t *testing.T) {
	w := open(t, start(t, credentials, "127.0.0.1:0", "").url)
	w.climbs("cookie", "closed with 1006 , because 401 credentials_required") // HTTP hides it; the same URL tells
	w.clicks("sign-in")
	w.says("state", "Signed in as alice.")
	w.climbs("header", "closed with 1006 , because 401 credentials_required")
	w.climbs("query", "hello alice")
	w.climbs("cookie", "hello alice")
	w.climbs("subprotocol", "hello alice, subprotocol bearer") // the marker, and not the token
	w.climbs("ticket", "hello alice")
	w.clicks("broken")
	w.climbs("subprotocol", "closed with 3000 invalid_token") // AcceptThenClose says it itself
	w.climbs("query", "closed with 1006 , because 401 invalid_token")
}

// TestAPageOfAnotherPort is refused, though the browser sends its user's cookie:
// for cookies, another port of the same host is the same site.
func TestAPageOfAnotherPort(t *testing.T) {
	s := start(t, credentials, "127.0.0.1:0", "")
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, "<!doctype html><title>elsewhere</title><p id=out>waiting,</p>")
	}))
	defer evil.Close()
	w := open(t, s.url)
	w.clicks("sign-in")
	w.says("state", "Signed in as alice.")
	w.climbs("cookie", "hello alice")
	w.goes(evil.URL)
	connect := fmt.Sprintf(`(() => {
		const socket = new WebSocket(%q);
		socket.onopen = () => { document.getElementById("out").textContent = "let in"; };
		socket.onclose = (event) => { document.getElementById("out").textContent += " closed with " + event.code; };
	})()`, strings.Replace(s.url, "http", "ws", 1)+"/ws/cookie")
	value[any](w, connect)
	w.says("out", "waiting, closed with 1006")
	s.end(t, os.Interrupt)
	if !strings.Contains(s.log.String(), "origin_not_allowed") {
		t.Errorf("the server's log:\n%s", s.log)
	}
}
