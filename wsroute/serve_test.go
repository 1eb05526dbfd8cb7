package wsroute_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/internal/memconn"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// safeBuffer collects what several goroutines print.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestServeStopsCleanlyAndReleasesTheApp(t *testing.T) {
	j := &journal{}
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, _ none) (gate, error) {
		depends.Cleanup(ctx, func(context.Context, error) error { j.add("released"); return nil })
		return gate{}, nil
	}, depends.App)
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, c *wsroute.Conn[string, string], _ struct{ Gate gate }) error {
		err := echo(ctx, c, none{})
		j.add("handler")
		return err
	}, wsroute.Public)
	engine := gin.New()
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- wsroute.ServeListener(ctx, l, ws, engine) }()
	c, r, err := websocket.DefaultDialer.Dial("ws://"+l.Addr().String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = r.Body.Close()
	if r, err := http.Post("http://"+l.Addr().String()+"/", "", nil); err != nil || r.StatusCode != 405 || r.Header.Get("Allow") != "GET" {
		t.Errorf("POST: %v %v", r, err)
	} else {
		_ = r.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	if err := c.WriteMessage(websocket.TextMessage, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadMessage(); err != nil { // the handler runs
		t.Fatal(err)
	}
	cancel()
	_, _, err = c.ReadMessage()
	if !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
		t.Errorf("got %v", err)
	}
	_ = c.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	j.want(t, "handler released")
	if err := wsroute.Serve(t.Context(), "127.0.0.1:-1", ws, engine); err == nil {
		t.Error("an impossible address is served")
	}
}

// TestServeStopsWithUnusedConnectionsOpen: one connection asks nothing, one never ends
// its request.
func TestServeStopsWithUnusedConnectionsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := gin.New()
		engine.POST("/plain", func(c *gin.Context) { _, _ = io.Copy(io.Discard, c.Request.Body) })
		ws := wsroute.New(depends.New(), quiet())
		wsroute.Handle(ws, "/", echo[string], wsroute.Public)
		if err := ws.Mount(engine); err != nil {
			t.Fatal(err)
		}
		srv := wstest.StartHandler(t, ws, engine)
		for i, request := range []string{"", "POST /plain HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"} {
			conn, err := srv.Connect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if i > 0 {
				_, _ = io.WriteString(conn, request)
			}
		}
		synctest.Wait()
		start := time.Now()
		srv.Stop() // fails the test if it is not clean
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// TestAnIdleConnectionHoldsTwoGoroutines, and none of net/http's.
func TestAnIdleConnectionHoldsTwoGoroutines(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", echo[string], wsroute.Public)
	srv := wstest.StartLoopback(t, ws)
	const n = 50
	connect := func() *wstest.Peer[string, string] {
		peer := wstest.Dial[string, string](t, srv, "/")
		peer.Send("x")
		peer.Receive()
		return peer
	}
	connect().Close(1000, "") // everything that the server needs once is there
	before := runtime.NumGoroutine()
	for range n {
		connect()
	}
	eventually(t, func() bool { return runtime.NumGoroutine() <= before+2*n })
	var stacks bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&stacks, 2)
	for stack := range strings.SplitSeq(stacks.String(), "\n\n") {
		if strings.Contains(stack, "net/http.(*conn).serve") {
			t.Errorf("net/http still serves:\n%s", stack)
		}
	}
}

// TestNothingIsLeftBehind: a thousand connections of each fate.
func TestNothingIsLeftBehind(t *testing.T) {
	deps := depends.New()
	bearer(deps)
	depends.Provide(deps, func(ctx context.Context, _ none) (gate, error) {
		<-ctx.Done()
		return gate{}, ctx.Err()
	})
	ws := wsroute.New(deps, quiet())
	config := quiet()
	config.ResolveTimeout = time.Millisecond
	hasty := wsroute.New(deps, config)
	type conn = wsroute.Conn[string, string]
	wsroute.Handle(ws, "/echo", echo[string], wsroute.Public)
	wsroute.Handle(ws, "/refused", func(context.Context, *conn, struct{ Who who }) error { return nil })
	wsroute.Handle(hasty, "/slow", func(context.Context, *conn, struct{ _ gate }) error { return nil }, wsroute.Public)
	wsroute.Handle(ws, "/panic", func(context.Context, *conn, none) error { panic("oh") }, wsroute.Public)
	srv, slow := wstest.StartLoopback(t, ws), wstest.StartLoopback(t, hasty)
	once := func() {
		abrupt := wstest.Dial[string, string](t, srv, "/echo")
		_ = abrupt.WebSocket.NetConn().(*net.TCPConn).SetLinger(0)
		_ = abrupt.WebSocket.NetConn().Close()
		if r := wstest.Refused(t, srv, "/refused"); r.Status != http.StatusUnauthorized {
			t.Fatalf("got %d", r.Status)
		}
		if r := wstest.Refused(t, slow, "/slow"); r.Status != http.StatusServiceUnavailable {
			t.Fatalf("got %d", r.Status)
		}
		panicked := wstest.Dial[string, string](t, srv, "/panic")
		if got := panicked.Closed(); got.Code != 1011 {
			t.Fatalf("got %v", got)
		}
		_ = panicked.WebSocket.Close()
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for range 20 {
		once()
	}
	goroutines, bytes, sockets := runtime.NumGoroutine(), heap(), descriptors()
	for range 1000 {
		once()
	}
	eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+2 })
	eventually(t, func() bool { return descriptors() <= sockets+2 })
	// The test's own clean-ups hold two client connections a round.
	eventually(t, func() bool { return heap() < bytes+24<<20 })
}

// descriptors counts the open files of the process, where the system tells.
func descriptors() int {
	files, _ := os.ReadDir("/proc/self/fd")
	return len(files)
}

// eventually waits for what other goroutines are about to do.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			var stacks bytes.Buffer
			_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
			t.Fatalf("it did not happen:\n%s", stacks.String())
		}
	}
}

// TestServeOfSeveralRouters: all that are mounted in the handler are drained before any
// App value is released, and their credentials are hidden; one that Serve was not told of
// is warned about.
func TestServeOfSeveralRouters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		var log safeBuffer
		engine := gin.New()
		engine.Use(gin.LoggerWithWriter(&log))
		router := func(path, token string) *wsroute.Router {
			deps := depends.New()
			provideScheme(deps, depends.Scheme{
				Name: "test", Challenge: "Bearer", Sources: []depends.Source{{In: "query", Name: token}},
			}, func(context.Context, depends.Credential) (who, error) { return who{"x"}, nil })
			depends.Provide(deps, func(ctx context.Context, _ none) (*safeBuffer, error) {
				depends.Cleanup(ctx, func(context.Context, error) error { j.add("released"); return nil })
				return &safeBuffer{}, nil
			}, depends.App)
			ws := wsroute.New(deps, &wsroute.Config{Logger: textLogger(&log)})
			wsroute.Handle(ws, path, func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct {
				_      who
				Buffer *safeBuffer
			},
			) error {
				_, err := conn.Receive(ctx)
				time.Sleep(time.Second)
				j.add("ended")
				return err
			})
			if err := ws.Mount(engine); err != nil {
				t.Fatal(err)
			}
			return ws
		}
		one, two, three := router("/one", "a"), router("/two", "b"), router("/three", "c")
		l := memconn.Listen()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- wsroute.ServeListener(ctx, l, one, engine, two) }()
		dialer := websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.Dial(ctx) }}
		var all []*websocket.Conn
		for _, target := range []string{"/one?a=canary", "/two?b=canary"} {
			c, response, err := dialer.Dial("ws://localhost"+target, nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			all = append(all, c)
		}
		synctest.Wait() // both are in their handler
		if strings.Contains(log.String(), "does not know") {
			t.Errorf("the log says\n%s", log.String())
		}
		stop()
		for _, c := range all {
			if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, 1012) {
				t.Errorf("closed with %v", err)
			}
			_ = c.Close()
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		j.want(t, "ended ended released released")
		if strings.Contains(log.String(), "canary") {
			t.Errorf("the log says\n%s", log.String())
		}

		srv := wstest.StartHandler(t, one, engine) // it is drained, and refuses
		if r := wstest.Refused(t, srv, "/one?a=x"); r.Status != 503 {
			t.Errorf("a drained router answers %d", r.Status)
		}
		c := wstest.Dial[string, string](t, srv, "/three?c=x")
		if !strings.Contains(log.String(), "Serve does not know a router") {
			t.Errorf("the log says\n%s", log.String())
		}
		c.Close(1000, "")
		if _, err := three.Drain(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestASlowHandshakeIsClosed: a client that drips its headers has 5 s for them.
func TestASlowHandshakeIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, err := serveEcho[string](t).Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for _, c := range fmt.Sprintf(handshake, "/") {
			if _, err = io.WriteString(conn, string(c)); err != nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if d := time.Since(start); err == nil || d < 5*time.Second || d > 6*time.Second {
			t.Errorf("after %v: %v", d, err)
		}
	})
}

func TestOverlongRequestsAreRefused(t *testing.T) {
	srv := serveEcho[string](t)
	for name, request := range map[string]string{
		"query":  fmt.Sprintf(handshake, "/?q="+strings.Repeat("x", 32<<10)),
		"header": strings.Replace(fmt.Sprintf(handshake, "/"), "\r\n\r\n", "\r\nX-Long: "+strings.Repeat("x", 32<<10)+"\r\n\r\n", 1),
	} {
		if status, _, _ := exchange(t, srv, request); status != 431 {
			t.Errorf("%s: got %d", name, status)
		}
	}
}
