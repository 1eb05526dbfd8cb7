package parity_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

type (
	none = struct{}
	conn = wsroute.Conn[string, string]
)

// A and the others are dependencies; what they are of does not matter.
type (
	A struct{ N int }
	B struct{ N int }
	C struct{ N int }
	D struct{ N int }
	E struct{ N int }
	F struct{ N int }
	G struct{ N int }
)

// world is where one scenario runs: a router, served by gin or by net/http in
// the memory of a synctest bubble.
type world struct {
	*testing.T

	on      string
	deps    *depends.Graph
	ws      *wsroute.Router
	started *wstest.Server
	log     buffer

	mu     sync.Mutex
	events []string
	count  int
}

func newWorld(t *testing.T, on string, config wsroute.Config) *world {
	w := &world{T: t, on: on, deps: depends.New()}
	config.Logger = slog.New(slog.NewTextHandler(&w.log, nil))
	w.ws = wsroute.New(w.deps, &config)
	return w
}

// buffer is written by several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) has(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Contains(b.b.String(), text)
}

// event records that something happened, and returns how often something did.
func (w *world) event(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, fmt.Sprintf(format, args...))
}

// next counts calls.
func (w *world) next() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
	return w.count
}

// told returns the events once nothing happens any more.
func (w *world) told() string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.events, " ")
}

// mount returns what serves the routes, or why nothing does.
func (w *world) mount(overrides ...depends.Replacement) (http.Handler, error) {
	w.ws.Override(overrides...)
	if w.on == "gin" {
		engine := gin.New()
		return engine, w.ws.Mount(engine)
	}
	mux := http.NewServeMux()
	handler, err := w.ws.Handler()
	if err == nil {
		mux.Handle("/", handler)
	}
	return mux, err
}

// server starts the routes once.
func (w *world) server() *wstest.Server {
	if w.started == nil {
		w.started = w.serve()
	}
	return w.started
}

func (w *world) serve(overrides ...depends.Replacement) *wstest.Server {
	w.Helper()
	handler, err := w.mount(overrides...)
	if err != nil {
		w.Fatal(err)
	}
	return wstest.StartHandler(w.T, w.ws, handler)
}

var fact = regexp.MustCompile(`(?m)^  (\w[\w ]*: .*)$`)

// faults returns what the wiring report says.
func (w *world) faults() string {
	_, err := w.mount()
	if err == nil {
		return "it mounts"
	}
	var all []string
	for _, m := range fact.FindAllStringSubmatch(err.Error(), -1) {
		all = append(all, strings.ReplaceAll(m[1], "parity_test.", ""))
	}
	return "not mounted: " + strings.Join(all, "; ")
}

// client is the client's end of a connection.
type client struct {
	*websocket.Conn
	w        *world
	response *http.Response
}

// dial connects with header lines "Name: value", and returns the refusal otherwise.
func (w *world) dial(srv *wstest.Server, target string, headers ...string) (*client, *wstest.Refusal) {
	w.Helper()
	header := http.Header{}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		header.Add(name, value)
	}
	dialer := websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return srv.Connect(ctx) }}
	ws, response, err := dialer.Dial("ws://"+srv.Host+target, header) //nolint:bodyclose // gorilla has read it into memory
	if err != nil {
		if response == nil {
			w.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		r := &wstest.Refusal{Status: response.StatusCode, Header: response.Header, Body: body}
		_ = json.Unmarshal(body, &r.Problem) // gin's own 404 is text
		return nil, r
	}
	w.Cleanup(func() { _ = ws.Close() })
	return &client{ws, w, response}, nil
}

// open connects; a refusal fails.
func (w *world) open(target string, headers ...string) *client {
	w.Helper()
	c, refusal := w.dial(w.server(), target, headers...)
	if c == nil {
		w.Fatalf("%s was refused: %+v", target, refusal)
	}
	return c
}

// wire connects and tells what comes back, in the manner of the scenarios:
// 101 "hi" C(4001,"bye").
func (w *world) wire(target string, headers ...string) string {
	w.Helper()
	return w.wireOf(w.server(), target, headers...)
}

func (w *world) wireOf(srv *wstest.Server, target string, headers ...string) string {
	w.Helper()
	c, refusal := w.dial(srv, target, headers...)
	if c == nil {
		return refused(refusal)
	}
	return "101 " + c.rest()
}

// refused renders a refusal: 401 unauthorized [Bearer] query.q:missing.
func refused(r *wstest.Refusal) string {
	text := strings.TrimSpace(fmt.Sprint(r.Status, " ", r.Problem.Reason))
	if challenge := r.Header.Get("Www-Authenticate"); challenge != "" {
		text += " [" + challenge + "]"
	}
	for _, e := range r.Problem.Errors {
		text += " " + strings.Join(e.Loc, ".") + ":" + e.Code
	}
	return text
}

func (c *client) say(texts ...string) *client {
	for _, text := range texts {
		if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			c.w.Fatal(err)
		}
	}
	return c
}

// raw writes bytes below the frames.
func (c *client) raw(b ...byte) *client {
	if _, err := c.NetConn().Write(b); err != nil {
		c.w.Fatal(err)
	}
	return c
}

// leave sends a close frame; code 0 sends none of it but the frame.
func (c *client) leave(code int, reason string) *client {
	var payload []byte
	if code != 0 {
		payload = websocket.FormatCloseMessage(code, reason)
	}
	if err := c.WriteControl(websocket.CloseMessage, payload, time.Time{}); err != nil {
		c.w.Fatal(err)
	}
	return c
}

// hear returns the next message.
func (c *client) hear() string {
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	_, data, err := c.ReadMessage()
	if err != nil {
		c.w.Fatal(err)
	}
	return string(data)
}

// rest returns all that still comes, and how it ends.
func (c *client) rest() string {
	var parts []string
	for {
		_ = c.SetReadDeadline(time.Now().Add(time.Hour))
		_, data, err := c.ReadMessage()
		var closed *websocket.CloseError
		switch {
		case err == nil:
			parts = append(parts, fmt.Sprintf("%q", data))
			continue
		case errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure:
			parts = append(parts, closing(closed.Code, closed.Text))
		case closed != nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			parts = append(parts, "EOF")
		default:
			parts = append(parts, err.Error())
		}
		return strings.Join(parts, " ")
	}
}

func closing(code int, reason string) string {
	if reason == "" {
		return fmt.Sprintf("C(%d)", code)
	}
	return fmt.Sprintf("C(%d,%q)", code, reason)
}

// cause renders why something ended.
func cause(err error) string {
	var closed *wsroute.CloseError
	var r *depends.Rejection
	switch {
	case err == nil:
		return ""
	case errors.As(err, &closed):
		return strings.TrimPrefix(closing(closed.Code, closed.Reason), "C")
	case errors.As(err, &r):
		return fmt.Sprintf("(%d)", r.Status)
	case errors.Is(err, wsroute.ErrPeerLost):
		return "(lost)"
	case errors.Is(err, wsroute.ErrDraining):
		return "(draining)"
	case errors.Is(err, errValue):
		return "(ValueError)"
	}
	return "(" + strings.TrimPrefix(err.Error(), "wsroute: ") + ")"
}

// yields provides a T that is told of: +name when it is made, -name with the
// cause when it is released.
func yields[T, In any](w *world, name string, options ...depends.ProvideOption) {
	depends.Provide(w.deps, func(ctx context.Context, _ In) (v T, _ error) {
		w.event("+%s", name)
		depends.Cleanup(ctx, func(_ context.Context, err error) error {
			w.event("-%s%s", name, cause(err))
			return nil
		})
		return v, nil
	}, options...)
}

// gives provides a T that fn makes of In.
func gives[T, In any](w *world, fn func(In) (T, error)) {
	depends.Provide(w.deps, func(_ context.Context, in In) (T, error) { return fn(in) })
}

// calls provides a T whose making is an event.
func calls[T, In any](w *world, name string) {
	gives(w, func(In) (v T, _ error) {
		w.event("%s", name)
		return v, nil
	})
}

// handle registers a handler of text messages.
func handle[In any](w *world, path string, fn func(context.Context, *conn, In) error, options ...wsroute.RouteOption) {
	wsroute.Handle(w.ws, path, fn, append(options, wsroute.Public)...)
}

// shows registers a handler that sends what fn makes of its input.
func shows[In any](w *world, path string, fn func(In) string) {
	handle(w, path, func(ctx context.Context, c *conn, in In) error { return c.Send(ctx, fn(in)) })
}

// echo answers each message until the connection ends.
func echo[In any](ctx context.Context, c *conn, _ In) error {
	for {
		text, err := c.Receive(ctx)
		if err != nil {
			return err
		}
		if err := c.Send(ctx, "got "+text); err != nil {
			return err
		}
	}
}
