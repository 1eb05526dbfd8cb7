package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// between stands between the browser and the chat, and does to WebSockets what a test wants.
type between struct {
	*server
	fault atomic.Pointer[http.HandlerFunc]
}

func stand(t *testing.T, s *server) *between {
	t.Helper()
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // the page's Origin is of this host
	}}
	b := &between{server: s}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault := b.fault.Load(); fault != nil && strings.HasPrefix(r.URL.Path, "/ws/") {
			(*fault)(w, r)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	b.server.url = front.URL
	return b
}

// does lets a handler answer what asks for a WebSocket, or asks about one; nil lets all through.
func (b *between) does(handler http.HandlerFunc) {
	if handler == nil {
		b.fault.Store(nil)
		return
	}
	b.fault.Store(&handler)
}

// stalls answers nothing.
func stalls(t *testing.T) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-t.Context().Done():
		}
	}
}

// closes opens a connection and closes it with a code, once, and lets the next one wait.
func closes(t *testing.T, code int, reason string) http.HandlerFunc {
	var done atomic.Bool
	upgrader := websocket.Upgrader{Subprotocols: []string{"bearer"}}
	return func(w http.ResponseWriter, r *http.Request) {
		if done.Swap(true) {
			stalls(t)(w, r)
			return
		}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		end := time.Now().Add(patience)
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), end)
		_ = conn.SetReadDeadline(end)
		_, _, _ = conn.ReadMessage() // the page's answer
	}
}

// says opens connections and sends each a message.
func says(t *testing.T, message string) http.HandlerFunc {
	upgrader := websocket.Upgrader{Subprotocols: []string{"bearer"}}
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		if err := conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
			t.Error(err)
		}
		_, _, _ = conn.ReadMessage() // until the page is gone
	}
}

// pages opens connections and answers what asks for the history by a page; some events come
// before it.
func pages(t *testing.T, messages string, before ...string) http.HandlerFunc {
	upgrader := websocket.Upgrader{Subprotocols: []string{"bearer"}}
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		var asked struct{ Ref int }
		if err := conn.ReadJSON(&asked); err != nil {
			t.Error(err)
		}
		for _, message := range append(before, fmt.Sprintf(`{"type":"page","ref":%d,"messages":%s}`, asked.Ref, messages)) {
			if err := conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
				t.Error(err)
			}
		}
		_, _, _ = conn.ReadMessage() // until the page is gone
	}
}

// refuses answers with a problem document.
func refuses(status int, reason string, retryAfter int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		if retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "reason": reason})
	}
}
