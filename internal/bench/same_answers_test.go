package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
)

// TestMain is the command itself if the driver has started it as a server.
func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	if os.Getenv(asServer) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// serving runs a server in the test's process.
func serving(t *testing.T, name string) (addr string, id identity) {
	t.Helper()
	id, err := newIdentity("HS256")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- servers[name](ctx, listener, id) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	return listener.Addr().String(), id
}

// send writes a raw request, and returns the answer.
func send(t *testing.T, addr, request string) answer {
	t.Helper()
	conn, err := dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	got, err := readAnswer(bufio.NewReader(conn))
	if err != nil {
		t.Fatalf("%.60q: %v", request, err)
	}
	return got
}

// question is an edit of a good handshake, and its answer.
type question struct {
	name      string
	old, new  string
	status    int
	challenge string
	reason    string // of the problem document; "" for any body
	errors    string // parameter:code, in their order
}

func questions(token string) []question {
	const invalid = `Bearer error="invalid_token"`
	swap := func(i int) string { return token[:i] + swapped(token[i]) + token[i+1:] }
	return []question{
		{"good", "", "", 101, "", "", ""},
		{"no origin", "Origin: " + origin + "\r\n", "", 101, "", "", ""},
		{"no since", "?since=7", "", 101, "", "", ""},
		{"case of tokens", "Upgrade: websocket", "Upgrade: WebSocket", 101, "", "", ""},
		{"no token", "Authorization: Bearer " + token + "\r\n", "", 401, "Bearer", "credentials_required", ""},
		{"empty token", token, "", 401, "Bearer", "credentials_required", ""},
		{"another scheme", "Bearer", "Basic", 401, "Bearer", "credentials_required", ""},
		{
			"no token and a bad parameter", "since=7 HTTP/1.1\r\nHost: chat.example.com\r\nAuthorization: Bearer " + token,
			"since=x HTTP/1.1\r\nHost: chat.example.com", 401, "Bearer", "credentials_required", "",
		},
		{"forged signature", token, swap(len(token) - 5), 401, invalid, "invalid_token", ""},
		{"forged claims", token, swap(len(token) / 2), 401, invalid, "invalid_token", ""},
		{"no JWT", token, "x", 401, invalid, "invalid_token", ""},
		{"signature in another spelling", token, respelt(token), 401, invalid, "invalid_token", ""},
		{"two tokens", "Authorization", "Authorization: Bearer x\r\nAuthorization", 400, `Bearer error="invalid_request"`, "invalid_request", ""},
		{"since is no number", "since=7", "since=x", 422, "", "invalid_parameters", "since:int"},
		{"since is negative", "since=7", "since=-1", 422, "", "invalid_parameters", "since:gte"},
		{"room has a dash", "lobby", "lob-by", 422, "", "invalid_parameters", "room:alphanum"},
		{"room is too long", "lobby", strings.Repeat("x", 65), 422, "", "invalid_parameters", "room:max"},
		{"both are bad", "lobby?since=7", "lob-by?since=x", 422, "", "invalid_parameters", "room:alphanum since:int"},
		{"query does not decode", "since=7", "since=%zz", 400, "", "invalid_query", ""},
		{"foreign origin", origin, "https://evil.example", 403, "", "origin_not_allowed", ""},
		{"foreign origin and no token", "Authorization: Bearer " + token + "\r\nOrigin: https://chat", "Origin: https://evil", 403, "", "origin_not_allowed", ""},
		{"two origins", "Origin", "Origin: " + origin + "\r\nOrigin", 403, "", "origin_not_allowed", ""},
		{"POST", "GET", "POST", 405, "", "", ""},
		{"plain", "Upgrade: websocket\r\n", "", 426, "", "upgrade_required", ""},
		{"version 12", "Version: 13", "Version: 12", 426, "", "websocket_version", ""},
		{"no connection", "Connection: Upgrade\r\n", "", 400, "", "connection_header", ""},
		{"no key", "Sec-WebSocket-Key: " + handshakeKey + "\r\n", "", 400, "", "websocket_key", ""},
		{"short key", handshakeKey, "dGhlIA==", 400, "", "websocket_key", ""},
		{"body", "\r\n\r\n", "\r\nContent-Length: 1\r\n\r\nx", 400, "", "unexpected_body", ""},
		{"no such route", roomPath, "/none/", 404, "", "", ""},
	}
}

// respelt is a token of which the last letter has bits that no byte takes: a lax decoder
// reads the same signature.
func respelt(token string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(letters, token[len(token)-1])
	return token[:len(token)-1] + string(letters[last|1])
}

// signedQuestions are about tokens that the right key has signed, and that say
// something wrong.
func signedQuestions(t *testing.T, id identity) (list []question) {
	hence := func(d time.Duration) *jwt.NumericDate { return jwt.NewNumericDate(time.Now().Add(d)) }
	for name, spoil := range map[string]func(*Claims){
		"expired":            func(c *Claims) { c.ExpiresAt = hence(-time.Minute) },
		"no exp":             func(c *Claims) { c.ExpiresAt = nil },
		"not yet valid":      func(c *Claims) { c.NotBefore = hence(time.Minute) },
		"issued in future":   func(c *Claims) { c.IssuedAt = hence(time.Minute) },
		"another issuer":     func(c *Claims) { c.Issuer = "https://evil.example" },
		"no issuer":          func(c *Claims) { c.Issuer = "" },
		"another audience":   func(c *Claims) { c.Audience = jwt.ClaimStrings{"others"} },
		"no audience":        func(c *Claims) { c.Audience = nil },
		"no subject":         func(c *Claims) { c.Subject = "" },
		"a user nobody has":  func(c *Claims) { c.Subject = "2" },
		"several audiences":  func(c *Claims) { c.Audience = append(c.Audience, "others") },
		"expired just now":   func(c *Claims) { c.ExpiresAt = hence(-leeway / 2) },
		"valid in a moment":  func(c *Claims) { c.NotBefore = hence(leeway / 2) },
		"issued in a moment": func(c *Claims) { c.IssuedAt = hence(leeway / 2) },
	} {
		claims := goodClaims()
		spoil(&claims)
		token, err := id.sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		q := question{name, id.token, token, 401, `Bearer error="invalid_token"`, "invalid_token", ""}
		switch name {
		case "a user nobody has":
			q = question{name, id.token, token, 403, "", "unknown_user", ""}
		case "several audiences", "expired just now", "valid in a moment", "issued in a moment": // leeway
			q = question{name, id.token, token, 101, "", "", ""}
		}
		list = append(list, q)
	}
	return list
}

// Nobody wins by doing less: usher and the hand-written servers are asked the same.
func TestSameAnswers(t *testing.T) {
	for name := range servers {
		t.Run(name, func(t *testing.T) {
			addr, id := serving(t, name)
			token := id.token
			good := "GET " + roomPath + "lobby?since=7 HTTP/1.1\r\nHost: chat.example.com\r\n" +
				"Authorization: Bearer " + token + "\r\nOrigin: " + origin + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + handshakeKey + "\r\n\r\n"
			for _, q := range append(questions(token), signedQuestions(t, id)...) {
				edited := strings.Replace(good, q.old, q.new, 1)
				if edited == good && q.old != "" {
					t.Fatalf("%s: %q is not in the request", q.name, q.old)
				}
				got := send(t, addr, edited)
				q.check(t, got)
			}
		})
	}
}

func (q question) check(t *testing.T, got answer) {
	t.Helper()
	if got.status != q.status || got.header["www-authenticate"] != q.challenge {
		t.Errorf("%s: got %d %q, want %d %q", q.name, got.status, got.header["www-authenticate"], q.status, q.challenge)
	}
	switch q.status {
	case 101:
		if got.header["sec-websocket-accept"] != acceptKey || !strings.EqualFold(got.header["upgrade"], "websocket") {
			t.Errorf("%s: got %v", q.name, got.header)
		}
	case 405:
		if !strings.Contains(got.header["allow"], "GET") {
			t.Errorf("%s: Allow is %q", q.name, got.header["allow"])
		}
	case 426:
		if got.header["upgrade"] != "websocket" {
			t.Errorf("%s: Upgrade is %q", q.name, got.header["upgrade"])
		}
		if want := map[bool]string{true: "13"}[q.reason == "websocket_version"]; got.header["sec-websocket-version"] != want {
			t.Errorf("%s: Sec-WebSocket-Version is %q, want %q", q.name, got.header["sec-websocket-version"], want)
		}
	}
	if q.reason == "" {
		return
	}
	var p problem
	if err := json.Unmarshal(got.body, &p); err != nil {
		t.Fatalf("%s: %v: %s", q.name, err, got.body)
	}
	var errs []string
	for _, e := range p.Errors {
		errs = append(errs, e.Loc[len(e.Loc)-1]+":"+e.Code)
	}
	if p.Type != "about:blank" || p.Title == "" || p.Status != q.status || p.Reason != q.reason || strings.Join(errs, " ") != q.errors {
		t.Errorf("%s: got %s, want %s %s", q.name, got.body, q.reason, q.errors)
	}
	if got.header["content-type"] != "application/problem+json" || got.header["cache-control"] != "no-store" {
		t.Errorf("%s: got %v, want a problem document that is not stored", q.name, got.header)
	}
}

// What is sent after the handshake, and with which code it closes.
func TestSameCloses(t *testing.T) {
	for _, name := range []string{"usher", "hand", "lean"} { // the other libraries have some codes of their own
		addr, id := serving(t, name)
		for what, test := range map[string]struct {
			frame []byte
			code  uint16
		}{
			"close":             {frame(opClose, []byte{0x03, 0xe8}), 1000},
			"binary":            {frame(0x2, []byte("x")), 1003},
			"no JSON":           {frame(opText, []byte("x")), 1007},
			"no UTF-8":          {frame(opText, []byte("{\"text\":\"\xff\"}")), 1007},
			"rule broken":       {frame(opText, []byte(`{"text":""}`)), 1008},
			"more than allowed": {frame(opText, make([]byte, readLimit+1)), 1009},
		} {
			a := asks(id.token)[0]
			r := bufio.NewReader(nil)
			conn, err := a.open(addr, r)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			defer conn.Close()
			if _, err := conn.Write(test.frame); err != nil {
				t.Fatalf("%s: %s: %v", name, what, err)
			}
			op, payload, err := readFrame(r, nil)
			if err != nil || op != opClose || len(payload) < 2 || uint16(payload[0])<<8|uint16(payload[1]) != test.code {
				t.Errorf("%s: %s: got %d %q, %v, want close with %d", name, what, op, payload, err, test.code)
			}
		}
	}
}

// The read limit is one that every server keeps.
func TestTooMuchIsClosed(t *testing.T) {
	for name := range servers {
		addr, id := serving(t, name)
		r := bufio.NewReader(nil)
		conn, err := asks(id.token)[0].open(addr, r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, _ = conn.Write(frame(opText, make([]byte, readLimit+1))) // it may be cut off
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if op, _, err := readFrame(r, nil); err == nil && op != opClose {
			t.Errorf("%s: got a frame %d, want the end", name, op)
		} else if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: a message that is too large does not end the connection", name)
		}
		_ = conn.Close()
	}
}

// What waits is told nothing but pings, and is there.
func TestWaits(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, test := range []struct {
		told   []byte
		closed bool
		want   string
	}{
		{nil, false, ""},
		{[]byte{0x89, 0}, false, ""},
		{[]byte{0x89, 0, 0x89, 0}, false, ""},
		{[]byte{0x88, 0}, false, "while it waits"},
		{[]byte{0x89, 0, 0x81, 1, 'x'}, false, "while it waits"},
		{nil, true, "is gone"},
	} {
		conn, err := dial(listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		peer, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = peer.Write(test.told)
		if test.closed {
			_ = peer.Close()
		}
		if test.told != nil || test.closed { // it is there when the kernel says so
			raw, _ := conn.(*net.TCPConn).SyscallConn()
			_ = raw.Read(func(fd uintptr) bool {
				n, _, err := syscall.Recvfrom(int(fd), make([]byte, len(test.told)+1), syscall.MSG_PEEK)
				return err == nil && n >= len(test.told)
			})
		}
		if err := waits(conn); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("told %q, closed %v: got %v, want %q", test.told, test.closed, err, test.want)
		}
		_ = peer.Close()
		_ = conn.Close()
	}
}
