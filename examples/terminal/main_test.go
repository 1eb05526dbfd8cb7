//go:build unix

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "SESAME"

func start(t *testing.T) *wstest.Server {
	t.Helper()
	ws, engine, err := newApp(key, []string{"sh"})
	if err != nil {
		t.Fatal(err)
	}
	return wstest.StartHandler(t, ws, engine)
}

func open(t *testing.T, srv *wstest.Server) *wstest.Peer[[]byte, []byte] {
	t.Helper()
	return wstest.Dial[[]byte, []byte](t, srv, "/run", wstest.Subprotocol("bearer, "+key))
}

// TestTheProgramIsBehindTheKey, and the page is not.
func TestTheProgramIsBehindTheKey(t *testing.T) {
	srv := start(t)
	if r := wstest.Refused(t, srv, "/run", wstest.Subprotocol("bearer, guessed")); r.Status != 401 {
		t.Errorf("a wrong key: %d", r.Status)
	}
	if r := wstest.Refused(t, srv, "/run"); r.Status != 401 {
		t.Errorf("no key: %d", r.Status)
	}
	if r := wstest.Get(t, srv, "/"); r.Status != 200 || !strings.Contains(string(r.Body), "app.js") {
		t.Errorf("the page: %d %s", r.Status, r.Body)
	}
}

// hears reads what the program writes, to as many bytes.
func hears(peer *wstest.Peer[[]byte, []byte], n int) string {
	var got strings.Builder
	for got.Len() < n {
		got.Write(peer.Receive())
	}
	return got.String()
}

// TestInputAndOutput of the program, and how it has ended.
func TestInputAndOutput(t *testing.T) {
	srv := start(t)
	peer := open(t, srv)
	for _, step := range [][2]string{
		{"echo ready; read name; echo \"hi $name\"\n", "ready\n"},
		{"ada\n", "hi ada\n"},
		{"echo oops >&2\n", "oops\n"},
		{"head -c 300000 /dev/zero | tr '\\0' x\n", strings.Repeat("x", 300000)},
	} {
		peer.Send([]byte(step[0]))
		if got := hears(peer, len(step[1])); got != step[1] {
			t.Errorf("%q: got %.99q, want %.99q", step[0], got, step[1])
		}
	}
	peer.Send([]byte("exit 3\n"))
	if got := peer.Closed(); got.Code != 4000 || got.Reason != "exit status 3" {
		t.Errorf("closed with %v", got)
	}
	peer = open(t, srv)
	peer.Send([]byte("exit\n"))
	if got := peer.Closed(); got.Code != 1000 {
		t.Errorf("closed with %v", got)
	}
}

// TestTheProgramDiesWithItsPage, and so does what it has started: nobody holds the pipe open
// any more.
func TestTheProgramDiesWithItsPage(t *testing.T) {
	srv := start(t)
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	peer := open(t, srv)
	peer.Send([]byte("sleep 1000 > " + pipe + " & sleep 1000 > " + pipe + "\n"))
	held, err := os.Open(pipe) // waits for them
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	_ = peer.WebSocket.Close() // as a tab that is closed in a hurry
	if left, err := io.ReadAll(held); len(left) > 0 || err != nil {
		t.Errorf("read %q, %v", left, err)
	}
}
