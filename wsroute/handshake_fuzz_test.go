package wsroute_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// FuzzHandshake: a request that net/http takes is upgraded if and only if it is what
// RFC 6455 §4.2.1 asks for, which is written here once more.
func FuzzHandshake(f *testing.F) {
	const good = "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	f.Add("GET", "HTTP/1.1", good)
	f.Add("POST", "HTTP/1.1", good)
	f.Add("GET", "HTTP/1.0", good)
	f.Add("GET", "HTTP/1.1", strings.Replace(good, "13", "12", 1))
	f.Add("GET", "HTTP/1.1", good+"Content-Length: 1\r\n")
	f.Add("GET", "HTTP/1.1", good+"Transfer-Encoding: chunked\r\n")
	f.Add("GET", "HTTP/1.1", strings.Replace(good, "Upgrade: websocket", "Upgrade: h2c, WebSocket", 1))
	f.Add("GET", "HTTP/1.1", strings.Replace(good, "Connection: Upgrade", "Connection: keep-alive\r\nConnection: upgrade", 1))
	f.Add("GET", "HTTP/1.1", good+"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
	f.Add("GET", "HTTP/1.1", strings.Replace(good, "Upgrade: websocket", "Upgrade: foo/2, websocket", 1))
	f.Add("GET", "HTTP/1.1", strings.Replace(good, "Connection: Upgrade", "Connection: , keep alive, Upgrade", 1))
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], none) error { return nil }, wsroute.Public)
	srv := wstest.Start(f, ws)
	f.Fuzz(func(t *testing.T, method, proto, headers string) {
		raw := method + " /ws " + proto + "\r\n" + headers + "\r\n"
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		if err != nil {
			t.Skip("net/http refuses it")
		}
		conn, err := srv.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		switch { // net/http waits for a body before it answers
		case r.TransferEncoding != nil:
			raw += "0\r\n\r\n"
		case r.ContentLength > 1<<10:
			t.Skip("a long body")
		default:
			raw += strings.Repeat("x", int(max(0, r.ContentLength)))
		}
		go func() { _, _ = io.WriteString(conn, raw) }() // the answer may come before the end
		answer, err := http.ReadResponse(bufio.NewReader(conn), r)
		if err != nil {
			t.Fatalf("%q is not answered: %v", raw, err)
		}
		defer answer.Body.Close()
		_, own := answer.Header["Cache-Control"] // an answer of net/http's has none
		switch got, want := answer.StatusCode, isHandshake(r); {
		case got == 101 && !want, got == 500:
			t.Errorf("%q is answered with %d", raw, got)
		case got != 101 && want && own && (got != 403 || r.Header["Origin"] == nil) && got != 404:
			t.Errorf("%q is refused with %d", raw, got)
		}
	})
}

// isHandshake follows the list of RFC 6455 §4.2.1, point by point.
func isHandshake(r *http.Request) bool {
	one := func(name string) string {
		if lines := r.Header.Values(name); len(lines) == 1 {
			return strings.Trim(lines[0], " \t")
		}
		return ""
	}
	names := func(name, wanted string) bool {
		for _, item := range strings.Split(strings.Join(r.Header.Values(name), ","), ",") {
			if strings.EqualFold(strings.TrimSpace(item), wanted) {
				return true
			}
		}
		return false
	}
	key, err := base64.StdEncoding.Strict().DecodeString(one("Sec-WebSocket-Key"))
	newEnough := r.ProtoMajor > 1 || r.ProtoMajor == 1 && r.ProtoMinor >= 1
	return r.Method == "GET" && newEnough && // 1
		names("Upgrade", "websocket") && // 3
		names("Connection", "upgrade") && // 4
		err == nil && len(key) == 16 && // 5
		one("Sec-WebSocket-Version") == "13" && // 6
		r.ContentLength == 0 && r.TransferEncoding == nil // no body: what follows are frames
}
