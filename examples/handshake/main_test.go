package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.com/usher/wsroute/wstest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(read(t, name), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestBytes writes a handshake as it goes over the wire, and reads what comes back:
// the 101, and behind it frames.
func TestBytes(t *testing.T) {
	srv := wstest.Start(t, newRouter())
	raw, err := srv.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	request := strings.ReplaceAll(read(t, "testdata/request.txt"), "\n", "\r\n")
	if _, err := io.WriteString(raw, request); err != nil {
		t.Fatal(err)
	}
	wire, response := bufio.NewReader(raw), ""
	for !strings.HasSuffix(response, "\r\n\r\n") {
		line, err := wire.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		response += line
	}
	golden(t, "testdata/response.txt", strings.ReplaceAll(response, "\r\n", "\n"))

	frames := ""
	for range 2 { // each begins with what it is and how long; none is longer than 125
		head := make([]byte, 2)
		if _, err := io.ReadFull(wire, head); err != nil {
			t.Fatal(err)
		}
		payload := make([]byte, head[1])
		if _, err := io.ReadFull(wire, payload); err != nil {
			t.Fatal(err)
		}
		frames += fmt.Sprintf("% x  %q\n", head, payload)
	}
	golden(t, "testdata/frames.txt", frames)
	if _, err := raw.Write([]byte{0x88, 0x80, 0, 0, 0, 0}); err != nil { // a close frame in answer
		t.Fatal(err)
	}
}

// TestAnythingIsOptional: the parameters have defaults.
func TestAnythingIsOptional(t *testing.T) {
	srv := wstest.Start(t, newRouter())
	c := wstest.Dial[string, string](t, srv, "/rooms/attic")
	if got := c.Receive(); got != "Go-http-client/1.1 in attic, since 0, theme light" {
		t.Errorf("got %q", got)
	}
	if closed := c.Closed(); closed.Code != 1000 {
		t.Errorf("closed with %v", closed)
	}
	if got := wstest.Get(t, srv, "/rooms/attic"); got.Status != 426 {
		t.Errorf("a plain GET: %d", got.Status)
	}
}
