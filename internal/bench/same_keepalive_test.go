package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// shorter lets servers keep times that a test can wait for.
func shorter(t *testing.T) {
	write, ping, pong := writeTimeout, pingInterval, pongTimeout
	writeTimeout, pingInterval, pongTimeout = 150*time.Millisecond, 100*time.Millisecond, 300*time.Millisecond
	t.Cleanup(func() { writeTimeout, pingInterval, pongTimeout = write, ping, pong })
}

// guest is a client that reads frame by frame.
type guest struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func enter(t *testing.T, addr, token string) *guest {
	t.Helper()
	r := bufio.NewReader(nil)
	conn, err := asks(token)[0].open(addr, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &guest{t, conn, r}
}

func (g *guest) say(op byte, payload []byte) {
	g.t.Helper()
	if _, err := g.conn.Write(frame(op, payload)); err != nil {
		g.t.Fatal(err)
	}
}

// ping waits for the next ping.
func (g *guest) ping() []byte {
	g.t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(g.r, head[:]); err != nil || head[0] != 0x80|opPing {
		g.t.Fatalf("got %x, %v, want a ping", head, err)
	}
	payload := make([]byte, head[1])
	if _, err := io.ReadFull(g.r, payload); err != nil {
		g.t.Fatal(err)
	}
	return payload
}

// TestSamePings: every server pings, keeps who answers, and drops who does not. Long
// behind the deadline of the last write it still closes in the proper way.
func TestSamePings(t *testing.T) {
	const opPong = 0xa
	shorter(t)
	for name := range servers {
		t.Run(name, func(t *testing.T) {
			addr, id := serving(t, name)
			g := enter(t, addr, id.token)
			script, err := newScript(64)
			if err != nil {
				t.Fatal(err)
			}
			member := talker{conn: g.conn, r: g.r, says: script, hears: script}
			if err := member.echo(2); err != nil {
				t.Fatal(err)
			}
			for start := time.Now(); time.Since(start) < 3*pongTimeout; {
				g.say(opPong, g.ping())
			}
			g.say(opClose, []byte{0x03, 0xe8})
			for {
				op, payload, err := readFrame(g.r, nil)
				if err != nil {
					t.Fatalf("instead of a close frame: %v", err)
				}
				if op == opClose {
					if !bytes.Equal(payload, []byte{0x03, 0xe8}) {
						t.Errorf("closed with %q", payload)
					}
					break
				}
			}
			silent, start := enter(t, addr, id.token), time.Now()
			if _, err := io.Copy(io.Discard, silent.r); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("who answers no ping stays")
			}
			if time.Since(start) < pongTimeout/3 { // when it must have been let in
				t.Errorf("dropped after %v", time.Since(start))
			}
		})
	}
}

// TestSameDeadline: no server waits for a peer that does not read.
func TestSameDeadline(t *testing.T) {
	shorter(t)
	pingInterval, pongTimeout = patience, 2*patience // it must be the write that ends it
	script, err := newScript(4 << 10)
	if err != nil {
		t.Fatal(err)
	}
	for name := range servers {
		t.Run(name, func(t *testing.T) {
			addr, id := serving(t, name)
			g := enter(t, addr, id.token)
			for {
				_, err := g.conn.Write(script.say)
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal("it stays")
				}
				if err != nil {
					return
				}
			}
		})
	}
}

// lines is what servers have logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// TestSameLines: every server writes the same facts of a refusal and of an end.
func TestSameLines(t *testing.T) {
	defer func() { logTo = io.Discard }()
	varying := regexp.MustCompile(`^time=\S+ |(remote|duration)=\S+|( hint=| error=| reason=binary_not_accepted).*|\{room\}`)
	for name := range servers {
		var log lines
		logTo = &log
		t.Run(name, func(t *testing.T) {
			addr, id := serving(t, name)
			for _, i := range []int{1, 2, 3, 4} { // the refusals
				a := asks(id.token)[i]
				if err := a.repeat(addr, 1); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range [][]byte{frame(opClose, []byte{0x03, 0xe8}), frame(0x2, []byte("x"))} {
				g := enter(t, addr, id.token)
				if _, err := g.conn.Write(f); err != nil {
					t.Fatal(err)
				}
				if op, payload, err := readFrame(g.r, nil); err != nil || op != opClose {
					t.Errorf("got %d %q, %v", op, payload, err)
				} else if f[0]&0x0f != opClose {
					g.say(opClose, payload[:2])
				}
				_, _ = io.Copy(io.Discard, g.r) // it is over when the server has closed
			}
		})
		var got []string
		for line := range strings.Lines(log.buf.String()) {
			got = append(got, varying.ReplaceAllStringFunc(strings.TrimSuffix(line, "\n"), func(s string) string {
				switch key, _, _ := strings.Cut(s, "="); key {
				case "remote", "duration":
					return key + "="
				case "{room}":
					return ":room"
				}
				return "" // every server has an error of its own
			}))
		}
		slices.Sort(got) // the end of one may be written after the next has begun
		const refused, ended = `msg="connection refused" route="GET /rooms/:room" remote= `, `msg="connection ended" route="GET /rooms/:room" remote= `
		want := []string{
			"level=INFO " + ended + "code=1000 duration=",
			"level=INFO " + ended + "code=1003 duration=",
			"level=INFO " + refused + "status=401 reason=credentials_required",
			"level=INFO " + refused + "status=401 reason=invalid_token",
			"level=INFO " + refused + "status=422 reason=invalid_parameters",
			"level=WARN " + refused + "status=403 reason=origin_not_allowed",
		}
		if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
			t.Errorf("%s logs\n%s\nwant\n%s", name, a, b)
		}
	}
}
