package faults

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/usher/depends"
	"example.com/usher/internal/conformance"
	"example.com/usher/internal/memconn"
	"example.com/usher/wsroute"
)

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		serveAlone()
		return
	}
	goleak.VerifyTestMain(m)
}

// asServer is the variable that makes the test binary a server.
const asServer = "USHER_FAULTS_AS_SERVER"

// The pings of that server.
const (
	pausePing = 500 * time.Millisecond
	pausePong = 2 * time.Second
)

// serveAlone prints its address and serves until its standard input ends.
func serveAlone() {
	ws := wsroute.New(depends.New(), &wsroute.Config{Limits: wsroute.Limits{PingInterval: pausePing, PongTimeout: pausePong}})
	wsroute.Handle(ws, "/", echo, wsroute.Public)
	handler, err := ws.Handler()
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is the server's to close
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	if err := wsroute.ServeListener(ctx, l, ws, handler); err != nil {
		panic(err)
	}
}

type (
	none    = struct{}
	message = wsroute.Message
	conn    = wsroute.Conn[message, message]
)

// world is a server that serves one handler at /, in memory.
type world struct {
	t    *testing.T
	ws   *wsroute.Router
	l    *memconn.Listener
	log  *bytes.Buffer
	halt func()     // begins to stop
	stop func()     // returns when all has stopped
	ends chan error // the causes of connections that have ended
}

// begin starts a server with In as the handler's dependencies.
func begin[In any](t *testing.T, deps *depends.Graph, config *wsroute.Config, handler func(context.Context, *conn, In) error, options ...wsroute.RouteOption) *world {
	t.Helper()
	w := &world{t: t, l: memconn.Listen(), log: new(bytes.Buffer), ends: make(chan error, 10_000)}
	if config == nil {
		config = &wsroute.Config{}
	}
	var mu sync.Mutex
	if config.Logger == nil {
		config.Logger = slog.New(slog.NewTextHandler(locked{&mu, w.log}, nil))
	}
	w.ws = wsroute.New(deps, config)
	wsroute.Handle(w.ws, "/", func(ctx context.Context, c *conn, in In) error {
		defer func() {
			select {
			case w.ends <- context.Cause(ctx):
			default: // a test that counts so many does not ask why
			}
		}()
		return handler(ctx, c, in)
	}, append(options, wsroute.Public)...)
	routes, err := w.ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- wsroute.ServeListener(ctx, w.l, w.ws, routes) }()
	w.halt = cancel
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.stop)
	return w
}

type locked struct {
	mu *sync.Mutex
	to io.Writer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(b)
}

// dial connects without a word.
func (w *world) dial() *memconn.Conn {
	w.t.Helper()
	c, err := w.l.Dial(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

// open connects as a WebSocket.
func (w *world) open() *conformance.Peer {
	w.t.Helper()
	p, err := conformance.Open(w.dial(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// refused asks for a WebSocket that must not be had, and returns the answer.
func (w *world) refused() (status int, header http.Header, body string) {
	w.t.Helper()
	answer, err := w.ask(w.dial())
	if err != nil {
		w.t.Error(err)
		return 0, nil, ""
	}
	return answer.StatusCode, answer.Header, read(answer)
}

func (w *world) ask(c net.Conn) (*http.Response, error) {
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }, DisableKeepAlives: true}
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://localhost/", nil)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		request.Header.Set(name, value)
	}
	return transport.RoundTrip(request)
}

func read(answer *http.Response) string {
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return "a WebSocket"
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

// say sends a frame.
func say(p *conformance.Peer, f conformance.Frame) error {
	_, err := p.Conn.Write(f.Encode())
	return err
}

func text(s string) conformance.Frame {
	return conformance.Frame{Opcode: conformance.Text, Payload: []byte(s)}
}

// closed reads until the server's close frame, answers it, and returns what it says.
func closed(p *conformance.Peer) string {
	for {
		e, err := p.Read()
		if err != nil {
			return err.Error()
		}
		if e.Opcode != conformance.Close {
			continue
		}
		_ = say(p, conformance.Frame{Opcode: conformance.Close, Payload: e.Payload})
		if len(e.Payload) < 2 {
			return ""
		}
		return fmt.Sprintf("%d %s", binary.BigEndian.Uint16(e.Payload), e.Payload[2:])
	}
}

// echo returns every message.
func echo(ctx context.Context, c *conn, _ none) error {
	for {
		m, err := c.Receive(ctx)
		if err != nil {
			return err
		}
		if err := c.Send(ctx, m); err != nil {
			return err
		}
	}
}

// took fails unless the time since start is what it must be.
func took(t *testing.T, start time.Time, least, most time.Duration) {
	t.Helper()
	if d := time.Since(start); d < least || d > most {
		t.Errorf("it took %v, which is not between %v and %v", d, least, most)
	}
}

// caused fails unless the next connection ends for a reason, and within a minute.
func (w *world) caused(why error) {
	w.t.Helper()
	select {
	case err := <-w.ends:
		if !errors.Is(err, why) {
			w.t.Errorf("it ended because of %v, not %v", err, why)
		}
	case <-time.After(time.Minute):
		w.t.Fatalf("none ended within a minute because of %v", why)
	}
}

// inFakeTime runs a test on a clock that jumps.
func inFakeTime(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}
