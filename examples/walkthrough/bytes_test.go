package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"example.com/usher/wsroute/wstest"
)

// TestBytes writes a handshake as it goes over the wire, and reads what comes back:
// the 101, and behind it frames.
func TestBytes(t *testing.T) {
	srv := wstest.Start(t, router(key))
	raw, err := srv.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	request, err := os.ReadFile("testdata/request.txt")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(raw, strings.ReplaceAll(string(request), "\n", "\r\n")); err != nil {
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
	shown(t, "testdata/response.txt", strings.ReplaceAll(response, "\r\n", "\n"))

	frames := ""
	for range 3 { // each begins with what it is and how long; none is longer than 125
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
	shown(t, "testdata/frames.txt", frames)
	if _, err := raw.Write([]byte{0x88, 0x80, 0, 0, 0, 0}); err != nil { // a close frame in answer
		t.Fatal(err)
	}
}
