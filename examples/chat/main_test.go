package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/wsroute/wstest"
)

// TestMain is main itself if a test wants to run the program: see process_test.go.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

var testSettings = settings{key: []byte("the key of the tests, thirty-two bytes"), ttl: time.Minute}

// start serves the whole program in memory. log returns what it has logged.
func start(t *testing.T) (srv *wstest.Server, log func() string) {
	t.Helper()
	var buffer syncBuffer
	ws, engine, err := newChat(testSettings, slog.New(slog.NewTextHandler(&buffer, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return wstest.StartHandler(t, ws, engine), buffer.String
}

// syncBuffer is a buffer that connections may write to at once.
type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// tokenFor is a token that the program would issue.
func tokenFor(t *testing.T, name string) string {
	t.Helper()
	token, err := tokenIssuer{demoAccounts(), &Sessions{}, testSettings.key, testSettings.ttl}.sign(User{name}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func as(t *testing.T, name string) wstest.Option {
	t.Helper()
	return wstest.Header("Authorization", "Bearer "+tokenFor(t, name))
}

// peer is a client's end of a connection to a room.
type peer = wstest.Peer[string, string]

// join connects to a room, and reads who is there.
func join(t *testing.T, srv *wstest.Server, room, name string) *peer {
	t.Helper()
	p := wstest.Dial[string, string](t, srv, "/ws/rooms/"+room, as(t, name))
	wstest.Converse(t, p, `< {"type":"members","users":"*"}`)
	return p
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   string
}

// request sends a request that is no handshake, or a broken one. Headers are
// given as "Name: value".
func request(t *testing.T, srv *wstest.Server, method, path, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+srv.Host+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	response, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

func TestRefusals(t *testing.T) {
	srv, _ := start(t)
	const path = "/ws/rooms/lobby"
	ghost := as(t, "ghost")
	foreign := wstest.Header("Origin", "https://evil.example")
	for _, tt := range []struct {
		name      string
		path      string
		options   []wstest.Option
		status    int
		challenge string
	}{
		{"no token", path, nil, 401, "Bearer"},
		{"no token comes before bad parameters", "/ws/rooms/no-room", nil, 401, "Bearer"},
		{"broken token", path + "?token=x.y.z", nil, 401, `Bearer error="invalid_token"`},
		{"no account any more", path, []wstest.Option{ghost}, 401, `Bearer error="invalid_token"`},
		{"two tokens", path + "?token=" + tokenFor(t, "bob"), []wstest.Option{as(t, "alice")}, 400, `Bearer error="invalid_request"`},
		{"bad room", "/ws/rooms/no-room", []wstest.Option{as(t, "alice")}, 422, ""},
		{"foreign origin", path, []wstest.Option{as(t, "alice"), foreign}, 403, ""},
		{"foreign origin without token", path, []wstest.Option{foreign}, 403, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := wstest.Refused(t, srv, tt.path, tt.options...)
			if challenge := got.Header.Get("WWW-Authenticate"); got.Status != tt.status || challenge != tt.challenge {
				t.Errorf("got %d %q, want %d %q", got.Status, challenge, tt.status, tt.challenge)
			}
		})
	}
}

func TestBadParameterIsNamedOnce(t *testing.T) {
	srv, _ := start(t)
	got := wstest.Refused(t, srv, "/ws/rooms/no-room", as(t, "alice"))
	if got.Status != http.StatusUnprocessableEntity || strings.Count(string(got.Body), "room") != 1 {
		t.Errorf("got %d %s, want 422 that names room once", got.Status, got.Body)
	}
}

func TestDiagnose(t *testing.T) {
	srv, _ := start(t)
	query := "/ws/rooms/lobby?token=" + tokenFor(t, "alice")
	if got := wstest.Get(t, srv, query); got.Status != http.StatusUpgradeRequired {
		t.Errorf("with a token a plain GET is %d, want 426", got.Status)
	}
	if got := wstest.Get(t, srv, "/ws/rooms/lobby"); got.Status != http.StatusUnauthorized {
		t.Errorf("without a token a plain GET is %d, want 401", got.Status)
	}
}

func TestWrongProtocol(t *testing.T) {
	srv, _ := start(t)
	post := request(t, srv, http.MethodPost, "/ws/rooms/lobby", "")
	if post.status != http.StatusMethodNotAllowed || post.header.Get("Allow") != "GET, OPTIONS" {
		t.Errorf("POST is %d %v, want 405 with Allow: GET, OPTIONS", post.status, post.header)
	}
	old := request(t, srv, http.MethodGet, "/ws/rooms/lobby", "", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 12", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
	if old.status != http.StatusUpgradeRequired || old.header.Get("Sec-WebSocket-Version") != "13" {
		t.Errorf("version 12 is %d %v, want 426 with Sec-WebSocket-Version: 13", old.status, old.header)
	}
}

// A member that does not read is disconnected, and nobody waits for it.
func TestSlowMember(t *testing.T) {
	srv, _ := start(t)
	slow, quick := join(t, srv, "lobby", "bob"), join(t, srv, "lobby", "alice")
	long := Say{strings.Repeat("\u2603", 500)}
	for i := range 4000 { // 6 MB: more than what is queued and buffered for one
		if got := wstest.Ask[Said](t, quick, "say", long); got.Text != long.Text {
			t.Fatalf("message %d is answered %q", i, got.Text)
		}
	}
	if got := slow.Closed(); got.Code != 1013 && got.Code != 1006 {
		t.Errorf("the slow member was closed with %v, want 1013, or 1006 after the write timeout", got)
	}
}

func TestTokenIsNotLogged(t *testing.T) {
	var access, logged syncBuffer
	ws, _, err := newChat(testSettings, slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	engine := gin.New()
	engine.Use(gin.LoggerWithWriter(&access))
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, engine)
	token := tokenFor(t, "alice")
	wstest.Dial[string, string](t, srv, "/ws/rooms/lobby?token="+token).Close(1000, "")
	wstest.Get(t, srv, "/ws/rooms/lobby?token="+token)
	wstest.Refused(t, srv, "/ws/rooms/lobby?x=1&token="+token+"y")
	wstest.Refused(t, srv, "/ws/rooms/lobby?token="+token+"x")
	request(t, srv, http.MethodPost, "/ws/rooms/lobby?token="+token, "")
	srv.Stop()
	// gin writes the 101's line after the connection has left it, and may be late.
	for deadline := time.Now().Add(5 * time.Second); strings.Count(access.String(), "/ws/rooms/lobby") < 5 && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	if got := access.String(); strings.Count(got, "/ws/rooms/lobby") != 5 || strings.Contains(got, "token") || strings.Contains(got, token) {
		t.Errorf("the access log is\n%s\nwant five lines without the token", got)
	}
	if got := logged.String(); strings.Contains(got, token) || !strings.Contains(got, "connection ended") {
		t.Errorf("the log is\n%s\nwant the connection's end, without the token", got)
	}
}

func TestSettings(t *testing.T) {
	for name, s := range map[string]settings{
		"short key": {key: []byte("hunter2"), ttl: time.Minute},
		"no key":    {ttl: time.Minute},
		"no ttl":    {key: testSettings.key},
	} {
		if _, _, err := newChat(s, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: it starts", name)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := testSettings
	s.addr = l.Addr().String()
	var stdout bytes.Buffer
	if err := run(context.Background(), s, slog.New(slog.DiscardHandler), &stdout); err == nil || stdout.Len() > 0 {
		t.Errorf("got %v and %q, want an error and no URL", err, stdout.String())
	}
}

func TestPageURL(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080",
		"0.0.0.0:80":     "http://localhost:80",
		"[::]:8080":      "http://localhost:8080",
		"[::1]:8080":     "http://[::1]:8080",
	} {
		a, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := pageURL(a); got != want {
			t.Errorf("pageURL(%s) = %s, want %s", addr, got, want)
		}
	}
}
