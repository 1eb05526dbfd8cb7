package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// page collects what several goroutines log.
type page struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// start serves the program in a bubble, whose clock stands still, and so do the
// headers Date. It returns the log, without the times and addresses.
func start(t *testing.T, use func(t *testing.T, srv *wstest.Server)) (log string) {
	t.Helper()
	var p page
	synctest.Test(t, func(t *testing.T) {
		logger := slog.New(slog.NewTextHandler(&p, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "remote" {
				return slog.Attr{}
			}
			return a
		}}))
		srv := wstest.Start(t, newRouter(wsroute.Config{Logger: logger}))
		use(t, srv)
		srv.Stop()
	})
	return p.text.String()
}

const handshake = `Connection: Upgrade
Upgrade: websocket
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
`

// curl sends a request as it is written, and returns the answer as it is.
func curl(t *testing.T, srv *wstest.Server, path, header string) string {
	t.Helper()
	conn, err := srv.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	request := "GET " + path + " HTTP/1.1\nHost: 127.0.0.1:8080\nUser-Agent: curl\n" + header + "\n"
	if _, err := io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.ReplaceAll(string(answer), "\r\n", "\n")) + "\n"
}

// TestRawHTTP: a refusal is an HTTP response, and what it is about is in the log.
func TestRawHTTP(t *testing.T) {
	log := start(t, func(t *testing.T, srv *wstest.Server) {
		golden(t, "testdata/b.txt", curl(t, srv, "/seats/b", handshake+"Connection: close\n"))
		golden(t, "testdata/c.txt", curl(t, srv, "/seats/c", handshake+"Connection: close\n"))
		golden(t, "testdata/get.txt", curl(t, srv, "/seats/b", "Connection: close\n"))
		golden(t, "testdata/diagnose.txt", curl(t, srv, "/asked/b", "Connection: close\n"))
	})
	golden(t, "testdata/log.txt", log)
}

// connect returns why a handshake was refused, as a client in Go finds it out.
func connect(dialer *websocket.Dialer, url string) (*websocket.Conn, error) {
	conn, response, err := dialer.Dial(url, nil)
	if !errors.Is(err, websocket.ErrBadHandshake) {
		return conn, err
	}
	defer func() { _ = response.Body.Close() }()
	var problem struct{ Reason string }
	_ = json.NewDecoder(response.Body).Decode(&problem) // a proxy may have answered, with something else
	return nil, fmt.Errorf("%s: %s: %s", url, response.Status, problem.Reason)
}

// TestGoClients: a Dialer has the response of a refusal, but not of a connection that
// was accepted to be closed; the first read has its reason.
func TestGoClients(t *testing.T) {
	start(t, func(t *testing.T, srv *wstest.Server) {
		dialer := &websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return srv.Connect(ctx) }}
		var b strings.Builder
		for _, route := range []string{"/seats", "/page"} {
			for _, row := range []string{"a", "b", "c", "d", "ef"} {
				url := "ws://127.0.0.1:8080" + route + "/" + row
				conn, err := connect(dialer, url)
				if err != nil {
					fmt.Fprintln(&b, err)
					continue
				}
				if _, text, err := conn.ReadMessage(); err != nil {
					fmt.Fprintf(&b, "%s: opened, then %v\n", url, err)
				} else {
					fmt.Fprintf(&b, "%s: %s\n", url, text)
				}
				_ = conn.Close()
			}
		}
		golden(t, "testdata/dialer.txt", b.String())
	})
}
