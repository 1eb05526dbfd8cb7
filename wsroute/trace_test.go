package wsroute_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// step is what the contexts of a Trace hold: the functions that they went through.
type step struct{}

func through(ctx context.Context) string {
	text, _ := ctx.Value(step{}).(string)
	return text
}

// journalTrace notes all that it is told, each with the functions before it.
func journalTrace(j *journal) *wsroute.Trace {
	enter := func(ctx context.Context, name string) context.Context {
		return context.WithValue(ctx, step{}, through(ctx)+name)
	}
	return &wsroute.Trace{
		HandshakeStart: func(ctx context.Context, h wsroute.HandshakeInfo) context.Context {
			j.add("%sstart %s", through(ctx), h.Route)
			return enter(ctx, "h")
		},
		HandshakeDone: func(ctx context.Context, _ wsroute.HandshakeInfo, r wsroute.HandshakeResult) {
			j.add("%s: %d %s after %v %v", through(ctx), r.Status, r.Reason, r.Took, r.Err != nil)
		},
		Opened: func(ctx context.Context, c wsroute.ConnInfo) context.Context {
			j.add("%s: opened %s", through(ctx), c.Route)
			return enter(ctx, "o")
		},
		ProviderStart: func(ctx context.Context, p wsroute.ProviderInfo) context.Context {
			return enter(ctx, "p")
		},
		ProviderDone: func(ctx context.Context, p wsroute.ProviderInfo, took time.Duration, err error) {
			j.add("%s: %s (%s) of %s took %v: %v", through(ctx), p.Name, p.Lifetime, p.Route, took, err)
		},
		Received: func(ctx context.Context, r wsroute.ReceivedInfo) { j.add("%s: received %d", through(ctx), r.Bytes) },
		Sent: func(ctx context.Context, s wsroute.SentInfo) {
			j.add("%s: sent %d", through(ctx), s.Bytes)
		},
		Dropped: func(ctx context.Context, d wsroute.DropInfo) {
			j.add("%s: dropped %d of %d bytes: %v", through(ctx), d.Messages, d.Bytes, d.Cause)
		},
		Pong: func(ctx context.Context, _ string, roundTrip time.Duration) {
			j.add("%s: pong after %v", through(ctx), roundTrip)
		},
		Closed: func(ctx context.Context, c wsroute.ClosedInfo) {
			j.add("%s: closed %d %s after %v: %d in %d, %d in %d: %v", through(ctx), c.Code, c.Reason, c.Took,
				c.Received, c.ReceivedBytes, c.Sent, c.SentBytes, c.Cause)
		},
	}
}

// linesOf compares what was noted, line by line.
func linesOf(t *testing.T, j *journal, want ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if got := strings.Join(j.lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	j.lines = nil
}

// TestTraceOfAConnection, from its handshake to its end, and what its contexts are.
func TestTraceOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		deps := depends.New()
		type (
			room  struct{ name string }
			maybe struct{}
		)
		depends.Provide(deps, func(ctx context.Context, _ struct{ From *http.Request }) (room, error) {
			time.Sleep(3 * time.Millisecond)
			return room{through(ctx)}, nil
		})
		depends.Provide(deps, func(ctx context.Context, _ struct{ _ room }) (maybe, error) {
			return maybe{}, depends.ErrAbsent
		})
		config := quiet()
		config.Trace = []*wsroute.Trace{{}, journalTrace(j)}
		ws := wsroute.New(deps, config)
		wsroute.Handle(ws, "/rooms/:room", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct {
			Room  room
			Maybe depends.Optional[maybe]
		},
		) error {
			j.add("handler of %s: %s", in.Room.name, through(ctx))
			return echo(ctx, conn, none{})
		}, wsroute.Public)
		srv := wstest.Start(t, ws)
		peer := wstest.Dial[string, string](t, srv, "/rooms/7?x=secret")
		synctest.Wait()
		peer.Send("hello")
		peer.Receive()
		_ = peer.WebSocket.SetReadDeadline(time.Time{})
		go func() { _, _, _ = peer.WebSocket.ReadMessage() }() // answers pings
		time.Sleep(30 * time.Second)
		frame := websocket.FormatCloseMessage(4000, "enough")
		_ = peer.WebSocket.WriteControl(websocket.CloseMessage, frame, time.Now().Add(time.Second))
		synctest.Wait()
		linesOf(t, j,
			"start GET /rooms/:room",
			"hp: func literal in wsroute_test.TestTraceOfAConnection (Connection) of GET /rooms/:room took 3ms: <nil>",
			"hp: func literal in wsroute_test.TestTraceOfAConnection (Connection) of GET /rooms/:room took 0s: <nil>",
			"h: 101  after 3ms false",
			"h: opened GET /rooms/:room",
			"handler of hp: ho",
			"ho: received 5",
			"ho: sent 5",
			"ho: pong after 0s",
			"ho: closed 4000 enough after 30s: 1 in 5, 1 in 5: wsroute: closed by the peer with 4000 \"enough\"",
		)
	})
}

// TestTraceOfDrops: messages that give way to newer ones, and those that an end leaves behind.
func TestTraceOfDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sent, gaveWay, left int
		var cause error
		config := quiet()
		config.Trace = []*wsroute.Trace{{
			Sent: func(context.Context, wsroute.SentInfo) {
				mu.Lock()
				defer mu.Unlock()
				sent++
			},
			Dropped: func(_ context.Context, d wsroute.DropInfo) {
				mu.Lock()
				defer mu.Unlock()
				if d.Bytes < d.Messages*(64<<10) {
					t.Errorf("%d messages of %d bytes", d.Messages, d.Bytes)
				}
				if d.Cause == nil {
					gaveWay += d.Messages
				} else {
					left, cause = left+d.Messages, d.Cause
				}
			},
		}}
		ws := wsroute.New(depends.New(), config)
		const messages, queue = 100, 8
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[wsroute.Discard, string], _ none) error {
			for range messages {
				if err := conn.Send(ctx, strings.Repeat("x", 64<<10)); err != nil {
					return err
				}
			}
			<-ctx.Done()
			return nil
		}, wsroute.Public, wsroute.DropOldest, wsroute.Limits{SendMessages: queue})
		srv := wstest.Start(t, ws)
		peer := wstest.Dial[string, string](t, srv, "/")
		synctest.Wait()
		stats := ws.Stats().Routes[0]
		if stats.Open != 1 || stats.Handlers != 1 || stats.QueuedMessages != queue || stats.QueuedBytes < queue*(64<<10) {
			t.Errorf("with a full queue: %+v", stats)
		}
		_ = peer.WebSocket.Close()
		srv.Stop()
		mu.Lock()
		defer mu.Unlock()
		if sent != messages || left != queue || gaveWay == 0 || gaveWay > messages-queue || !errors.Is(cause, wsroute.ErrPeerLost) {
			t.Errorf("%d sent, %d gave way, %d were left for %v", sent, gaveWay, left, cause)
		}
		if stats := ws.Stats(); stats.Handshakes != 0 || stats.Routes[0] != (wsroute.RouteStats{Route: "GET /"}) {
			t.Errorf("in the end: %+v", stats)
		}
	})
}

// TestTraceOfRefusals: each of them once, with its status and reason, and nothing is opened.
func TestTraceOfRefusals(t *testing.T) {
	j := &journal{}
	deps := depends.New()
	bearer(deps)
	type gone struct{}
	depends.Provide(deps, func(context.Context, struct{ _ who }) (gone, error) { return gone{}, depends.NotFound("no_room", nil) })
	config := quiet()
	config.Trace = []*wsroute.Trace{{
		HandshakeStart: func(ctx context.Context, h wsroute.HandshakeInfo) context.Context {
			j.add("start")
			return ctx
		},
		HandshakeDone: func(_ context.Context, h wsroute.HandshakeInfo, r wsroute.HandshakeResult) {
			j.add("%d %s", r.Status, r.Reason)
		},
		Opened: func(ctx context.Context, _ wsroute.ConnInfo) context.Context {
			j.add("opened")
			return ctx
		},
		Closed: func(context.Context, wsroute.ClosedInfo) { j.add("closed") },
	}}
	ws := wsroute.New(deps, config)
	type conn = wsroute.Conn[string, string]
	type asked struct {
		_ who
		N int `query:"n" default:"1"`
	}
	handler := func(context.Context, *conn, asked) error { return nil }
	wsroute.Handle(ws, "/ws", handler, wsroute.Diagnose)
	wsroute.Handle(ws, "/page", handler)
	wsroute.HandleHTTP(ws, http.MethodGet, "/page", func(w http.ResponseWriter, _ *http.Request, _ none) error {
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
	wsroute.Handle(ws, "/told", handler, wsroute.AcceptThenClose)
	wsroute.Handle(ws, "/gone", func(context.Context, *conn, struct{ _ gone }) error { return nil })
	srv := wstest.Start(t, ws)
	refused := func(path string, options ...wstest.Option) func() {
		return func() { wstest.Refused(t, srv, path, options...) }
	}
	for name, test := range map[string]struct {
		do   func()
		want string
	}{
		"no token":         {refused("/ws"), "start 401 credentials_required"},
		"a foreign origin": {refused("/ws?token=a", wstest.Header("Origin", "https://evil.example")), "start 403 origin_not_allowed"},
		"a bad parameter":  {refused("/ws?token=a&n=x"), "start 422 invalid_parameters"},
		"a provider":       {refused("/gone?token=a"), "start 404 no_room"},
		"a plain request":  {func() { wstest.Get(t, srv, "/gone") }, "start 426 upgrade_required"},
		"a diagnosis":      {func() { wstest.Get(t, srv, "/ws") }, ""},
		"its page":         {func() { wstest.Get(t, srv, "/page") }, ""},
		"a close frame":    {func() { wstest.Dial[string, string](t, srv, "/told").Closed() }, "start 401 credentials_required"},
		"nothing":          {func() { wstest.Get(t, srv, "/nowhere") }, ""},
	} {
		test.do()
		if got := j.String(); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
		j.mu.Lock()
		j.lines = nil
		j.mu.Unlock()
	}
}

// TestAPanicOfATrace is logged, and neither the connection nor another Trace misses anything.
func TestAPanicOfATrace(t *testing.T) {
	var log safeBuffer
	j := &journal{}
	panics := &wsroute.Trace{}
	for _, field := range reflect.ValueOf(panics).Elem().Fields() {
		field.Set(reflect.MakeFunc(field.Type(), func([]reflect.Value) []reflect.Value { panic("no metrics today") }))
	}
	ws := wsroute.New(depends.New(), &wsroute.Config{Logger: textLogger(&log), Trace: []*wsroute.Trace{panics, journalTrace(j)}})
	wsroute.Handle(ws, "/", echo[string], wsroute.Public)
	srv := wstest.Start(t, ws)
	peer := wstest.Dial[string, string](t, srv, "/")
	peer.Send("a")
	peer.Receive()
	peer.Close(1000, "")
	srv.Stop()
	for _, event := range []string{"start GET /", "h: 101 ", "h: opened GET /", "ho: received 1", "ho: sent 1", "ho: closed 1000 "} {
		if !strings.Contains(j.String(), event) {
			t.Errorf("the other misses %q: %s", event, j)
		}
	}
	if n := strings.Count(log.String(), "panic in a Trace: no metrics today"); n != 6 {
		t.Errorf("%d panics are logged:\n%s", n, log.String())
	}
}

// TestANilTraceDoesNotStart.
func TestANilTraceDoesNotStart(t *testing.T) {
	config := quiet()
	config.Trace = []*wsroute.Trace{{}, nil}
	_, err := wsroute.New(depends.New(), config).Handler()
	if err == nil || !strings.Contains(err.Error(), "Config.Trace[1] is nil") {
		t.Errorf("got %v", err)
	}
}

// counts are what a Trace has counted of each context of a handshake.
type counts struct {
	mu                            sync.Mutex
	started, done, opened, closed map[int]int
}

type numberKey struct{}

// TestEveryHandshakeAndEveryConnectionIsToldOnce: a thousand that are refused, abandoned, killed,
// revoked or drained, whose providers or handlers panic or end their goroutine, or that end well.
func TestEveryHandshakeAndEveryConnectionIsToldOnce(t *testing.T) {
	c := &counts{started: map[int]int{}, done: map[int]int{}, opened: map[int]int{}, closed: map[int]int{}}
	count := func(ctx context.Context, in map[int]int) {
		n, _ := ctx.Value(numberKey{}).(int)
		c.mu.Lock()
		defer c.mu.Unlock()
		in[n]++
	}
	config := quiet()
	config.ResolveTimeout, config.MaxConnections = 200*time.Millisecond, 400
	config.Trace = []*wsroute.Trace{{
		HandshakeStart: func(ctx context.Context, _ wsroute.HandshakeInfo) context.Context {
			c.mu.Lock()
			n := len(c.started) + 1
			c.started[n]++
			c.mu.Unlock()
			return context.WithValue(ctx, numberKey{}, n)
		},
		HandshakeDone: func(ctx context.Context, _ wsroute.HandshakeInfo, r wsroute.HandshakeResult) {
			count(ctx, c.done)
			if (r.Status == 101) != (r.Err == nil && r.Reason == "") && r.Status < 500 && r.Status != 499 {
				t.Errorf("%+v", r)
			}
		},
		Opened: func(ctx context.Context, _ wsroute.ConnInfo) context.Context {
			count(ctx, c.opened)
			return ctx
		},
		Closed: func(ctx context.Context, _ wsroute.ClosedInfo) { count(ctx, c.closed) },
	}}
	deps := depends.New()
	bearer(deps)
	type fate struct{ name string }
	depends.Provide(deps, func(ctx context.Context, in struct {
		Who  who
		Name string `query:"fate"`
	},
	) (fate, error) {
		depends.Identify(ctx, depends.Identity{Subject: "somebody"})
		depends.Cleanup(ctx, func(context.Context, error) error { return nil })
		switch in.Name {
		case "panics early":
			panic("early")
		case "exits early":
			runtime.Goexit()
		case "refused":
			return fate{}, depends.Forbidden("no", nil)
		case "abandoned", "hangs":
			<-ctx.Done()
			return fate{}, ctx.Err()
		}
		return fate{in.Name}, nil
	})
	ws := wsroute.New(deps, config)
	handler := func(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Fate fate }) error {
		switch in.Fate.name {
		case "panics":
			panic("late")
		case "exits":
			runtime.Goexit()
		case "fails":
			return errors.New("late")
		}
		return echo(ctx, conn, none{})
	}
	wsroute.Handle(ws, "/ws", handler)
	wsroute.Handle(ws, "/told", handler, wsroute.AcceptThenClose)
	srv := wstest.StartLoopback(t, ws)
	fates := []string{"", "killed", "panics early", "exits early", "refused", "abandoned", "hangs", "panics", "exits", "fails", "closes", "none", "stays"}
	var all sync.WaitGroup
	slots := make(chan struct{}, 64)
	const total = 1000
	for i := range total {
		random := rand.New(rand.NewPCG(uint64(i), 7))
		name := fates[random.IntN(len(fates))]
		path := []string{"/ws", "/told"}[random.IntN(2)]
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			query := fmt.Sprintf("?token=t%d&fate=%s", i, strings.ReplaceAll(name, " ", "%20"))
			if name == "none" {
				query = ""
			}
			ctx, cancel := context.WithCancel(t.Context())
			if name == "abandoned" {
				time.AfterFunc(20*time.Millisecond, cancel)
			}
			defer cancel()
			d := websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return srv.Connect(ctx) }}
			ws, response, err := d.DialContext(ctx, "ws://"+srv.Host+path+query, nil)
			if response != nil {
				_ = response.Body.Close()
			}
			if err != nil {
				return
			}
			switch name {
			case "killed":
				_ = ws.Close()
			case "closes":
				_ = ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
			case "":
				_ = ws.WriteMessage(websocket.TextMessage, []byte("a"))
				_, _, _ = ws.ReadMessage()
				_ = ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4000, "enough"))
			case "stays": // until it is revoked, or the server stops
				return
			}
			_, _, _ = ws.ReadMessage()
			_ = ws.Close()
		})
		if i%200 == 150 {
			if _, err := ws.Revoke(t.Context(), wsroute.Revocation{Subject: "somebody"}); err != nil {
				t.Error(err)
			}
		}
	}
	all.Wait()
	srv.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.started) < total*9/10 || len(c.done) != len(c.started) { // some are abandoned before they are sent
		t.Errorf("%d were started, %d are done", len(c.started), len(c.done))
	}
	if len(c.opened) < total/10 || len(c.opened) > total*9/10 || len(c.opened) != len(c.closed) {
		t.Errorf("%d were opened, %d closed", len(c.opened), len(c.closed))
	}
	for name, of := range map[string]map[int]int{"started": c.started, "done": c.done, "opened": c.opened, "closed": c.closed} {
		for n, times := range of {
			if times != 1 || n == 0 {
				t.Errorf("handshake %d was %s %d times", n, name, times)
			}
		}
	}
}
