package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"example.com/usher/wsroute/wstest"
)

// Each test here is a row of the table of docs/from-gorilla.md: what the libraries do, at
// the versions of go.mod, with a program that does not know. One that fails after an update
// says that its row is no longer true.

// old is the hand-written room alone, on an engine as gin makes it.
func old() http.HandlerFunc {
	engine := gin.New()
	newByHand(secret).mount(engine)
	return engine.ServeHTTP
}

// upgraded is a server that upgrades whoever comes and calls talk.
func upgraded(t *testing.T, upgrader websocket.Upgrader, talk func(*gin.Context, *websocket.Conn)) *wstest.Server {
	t.Helper()
	engine := gin.New()
	engine.GET("/", gin.Recovery(), func(c *gin.Context) {
		conn, err := upgrader.Upgrade(c.Writer, c.Request, nil)
		if err != nil {
			return
		}
		talk(c, conn)
	})
	return alone(t, engine.ServeHTTP)
}

func dial(t *testing.T, srv *wstest.Server, options ...wstest.Option) *websocket.Conn {
	t.Helper()
	return wstest.Dial[string, string](t, srv, "/", options...).WebSocket
}

// frame is a frame as a client sends it, with a mask of zeros (RFC 6455 §5.2).
func frame(first byte, payload string) []byte {
	return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

func TestByHandRecovery(t *testing.T) {
	engine := gin.New()
	engine.Use(gin.Recovery())
	engine.GET("/", func(*gin.Context) { panic(&net.OpError{Op: "write", Err: syscall.EPIPE}) }) // as of a database's connection
	if got := wstest.Get(t, alone(t, engine.ServeHTTP), "/"); got.Status != http.StatusOK {
		t.Errorf("got %d", got.Status)
	}
}

func TestByHandStatus(t *testing.T) {
	engine := gin.New()
	engine.Use(func(c *gin.Context) { c.Status(http.StatusUnauthorized) }) // and no Abort
	newByHand(secret).mount(engine)
	talks(t, "after a 401", wstest.Dial[Say, Said](t, alone(t, engine.ServeHTTP), "/rooms/lobby", bearer(token(secret, nil))))
}

func TestByHandPanic(t *testing.T) {
	var kept *websocket.Conn
	over := make(chan struct{})
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) { defer close(over); c.Next() }, gin.Recovery(), func(c *gin.Context) {
		kept, _ = (&websocket.Upgrader{}).Upgrade(c.Writer, c.Request, nil)
		panic("a bug")
	})
	conn := dial(t, alone(t, engine.ServeHTTP))
	<-over
	// Nobody has closed the socket: it can still be written to.
	if err := kept.WriteMessage(websocket.TextMessage, []byte("still here")); err != nil {
		t.Error(err)
	}
	if _, got, err := conn.ReadMessage(); err != nil || string(got) != "still here" {
		t.Errorf("got %s, %v", got, err)
	}
	_ = kept.Close()
}

func TestByHandContext(t *testing.T) {
	ended := make(chan error, 1)
	srv := upgraded(t, websocket.Upgrader{}, func(c *gin.Context, conn *websocket.Conn) {
		defer func() { _ = conn.Close() }()
		if c.Done() != nil {
			t.Error("a gin.Context can be done")
		}
		_, _, err := conn.ReadMessage() // the peer has gone
		if err == nil {
			t.Error("the peer has not gone")
		}
		ended <- c.Request.Context().Err()
	})
	_ = dial(t, srv).NetConn().Close()
	if err := <-ended; err != nil {
		t.Errorf("the request's context has ended: %v", err)
	}
}

func TestByHandExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		soon := bearer(token(secret, func(c jwt.MapClaims) { c["exp"] = time.Now().Add(time.Minute).Unix() }))
		peer := wstest.Dial[Say, Said](t, alone(t, old()), "/rooms/lobby", soon)
		go func() { // gorilla answers pings while it reads
			for range 4 {
				time.Sleep(20 * time.Second)
				_ = peer.WebSocket.WriteControl(websocket.PongMessage, nil, time.Time{})
			}
		}()
		time.Sleep(90 * time.Second)
		talks(t, "30 s after the end of its token", peer)
	})
}

func TestByHandUTF8(t *testing.T) {
	peer := wstest.Dial[Say, Said](t, alone(t, old()), "/rooms/lobby", bearer(token(secret, nil)))
	if err := peer.WebSocket.WriteMessage(websocket.TextMessage, []byte("{\"text\":\"\xff\"}")); err != nil {
		t.Fatal(err)
	}
	if got := peer.Receive(); got.Text != "\ufffd" {
		t.Errorf("got %+v", got)
	}
}

func TestByHandClose(t *testing.T) {
	got := make(chan string, 1)
	srv := upgraded(t, websocket.Upgrader{}, func(_ *gin.Context, conn *websocket.Conn) {
		defer func() { _ = conn.Close() }()
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(3000, "token_expired"), time.Time{})
		_, data, _ := conn.ReadMessage()
		got <- string(data)
	})
	conn := dial(t, srv)
	_ = conn.WriteMessage(websocket.TextMessage, []byte("transfer 1000"))
	if data := <-got; data != "transfer 1000" {
		t.Errorf("behind our close frame came %q", data)
	}
}

func TestByHandReason(t *testing.T) {
	failed := make(chan error, 1)
	srv := upgraded(t, websocket.Upgrader{}, func(_ *gin.Context, conn *websocket.Conn) {
		defer func() { _ = conn.Close() }()
		failed <- conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4000, strings.Repeat("x", 124)), time.Time{})
	})
	_, _, err := dial(t, srv).ReadMessage()
	if failure := <-failed; failure == nil || !websocket.IsCloseError(err, websocket.CloseAbnormalClosure) {
		t.Errorf("a reason that is too long: %v, and the client sees %v", failure, err)
	}
}

func TestByHandFragments(t *testing.T) {
	const many, limit = 10_000, 1024
	got := make(chan int, 1)
	srv := upgraded(t, websocket.Upgrader{}, func(_ *gin.Context, conn *websocket.Conn) {
		defer func() { _ = conn.Close() }()
		conn.SetReadLimit(limit)
		_, data, err := conn.ReadMessage()
		if err != nil {
			t.Error(err)
		}
		got <- len(data)
	})
	flood := frame(0x01, "")
	for range many {
		flood = append(flood, frame(0x00, "")...)
	}
	flood = append(flood, frame(0x80, "x")...)
	if _, err := dial(t, srv).NetConn().Write(flood); err != nil {
		t.Fatal(err)
	}
	if n := <-got; n != 1 {
		t.Errorf("got %d bytes", n)
	}
}

func TestByHandCompression(t *testing.T) {
	const inflated = 8 << 20
	got := make(chan int, 1)
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) {
		conn, err := (&websocket.Upgrader{EnableCompression: true}).Upgrade(c.Writer, c.Request, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		conn.SetReadLimit(readLimit)
		_, data, err := conn.ReadMessage()
		if err != nil {
			t.Error(err)
		}
		got <- len(data)
	})
	srv := alone(t, engine.ServeHTTP)
	dialer := websocket.Dialer{EnableCompression: true, NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return srv.Connect(ctx) }}
	conn, answer, err := dialer.Dial("ws://"+srv.Host+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	defer func() { _ = conn.Close() }()
	if err := conn.WriteMessage(websocket.BinaryMessage, make([]byte, inflated)); err != nil {
		t.Fatal(err)
	}
	if n := <-got; n != inflated {
		t.Errorf("got %d bytes", n)
	}
}

func TestByHandOrigin(t *testing.T) {
	srv := upgraded(t, websocket.Upgrader{}, func(_ *gin.Context, conn *websocket.Conn) { _ = conn.Close() })
	dialer := websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return srv.Connect(ctx) }}
	// A name of somebody else's that points here: Host and Origin are theirs, and agree.
	conn, answer, err := dialer.Dial("ws://evil.example/", http.Header{"Origin": {"http://evil.example"}})
	if err != nil {
		t.Fatalf("%v %v", answer, err)
	}
	_ = answer.Body.Close()
	_ = conn.Close()
}

func TestByHandJWT(t *testing.T) {
	parse := func(key []byte, change func(jwt.MapClaims)) error {
		_, err := jwt.Parse(token(key, change), func(*jwt.Token) (any, error) { return key, nil })
		return err
	}
	for what, err := range map[string]error{
		"no exp":         parse(secret, func(c jwt.MapClaims) { delete(c, "exp") }),
		"for another":    parse(secret, func(c jwt.MapClaims) { c["aud"] = "mail" }),
		"by another":     parse(secret, func(c jwt.MapClaims) { c["iss"] = "https://evil.example" }),
		"with no secret": parse([]byte{}, nil), // of a variable that is not set
	} {
		if err != nil {
			t.Errorf("a token %s: %v", what, err)
		}
	}
}

func TestByHandLogger(t *testing.T) {
	var log bytes.Buffer
	engine := gin.New()
	engine.Use(gin.LoggerWithWriter(&log)) // as of gin.Default
	newByHand(secret).mount(engine)
	wstest.Refused(t, alone(t, engine.ServeHTTP), "/rooms/lobby?token=canary")
	if !strings.Contains(log.String(), "token=canary") {
		t.Errorf("the log has %s", log.String())
	}
}

func TestByHandRedirect(t *testing.T) {
	got := wstest.Refused(t, alone(t, old()), "/rooms/lobby/?token=canary")
	if location := got.Header.Get("Location"); got.Status != http.StatusMovedPermanently || !strings.Contains(location, "token=canary") {
		t.Errorf("got %d %s", got.Status, location)
	}
}

func TestByHandClientIP(t *testing.T) {
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) { c.String(http.StatusOK, c.ClientIP()) })
	if got := wstest.Get(t, alone(t, engine.ServeHTTP), "/", wstest.Header("X-Forwarded-For", "203.0.113.9")); string(got.Body) != "203.0.113.9" {
		t.Errorf("the client is %s", got.Body)
	}
}

func TestByHandShutdown(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: old(), ReadHeaderTimeout: time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, answer, err := websocket.DefaultDialer.Dial("ws://"+listener.Addr().String()+"/rooms/lobby?token="+token(secret, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	defer func() { _ = conn.Close() }()
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	var got Said // of a server that is shut down
	if err := errors.Join(conn.WriteJSON(Say{"hi"}), conn.ReadJSON(&got)); err != nil || got.Text != "hi" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestByHandSlowHeaders(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var server atomic.Pointer[http.Server]
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) {
		server.Store(c.Request.Context().Value(http.ServerContextKey).(*http.Server))
		c.Status(http.StatusNoContent)
	})
	go func() { _ = engine.RunListener(listener) }()
	answer, err := http.Get("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	_ = listener.Close()
	if s := server.Load(); s.ReadHeaderTimeout != 0 || s.ReadTimeout != 0 || s.IdleTimeout != 0 || s.MaxHeaderBytes != 0 {
		t.Errorf("gin's server has the limits %v, %v, %v, %d", s.ReadHeaderTimeout, s.ReadTimeout, s.IdleTimeout, s.MaxHeaderBytes)
	}
}

// TestEachRowHasATest: the table and the tests above are the same list.
func TestEachRowHasATest(t *testing.T) {
	page, err := os.ReadFile("../../docs/from-gorilla.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("pitfalls_test.go")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	versions := regexp.MustCompile(`(gin|gorilla/websocket|golang-jwt) (\d[\d.]*\d)`).FindAllStringSubmatch(strings.Join(strings.Fields(string(page)), " "), -1)
	for _, v := range versions {
		if !regexp.MustCompile(v[1] + `\S* v` + regexp.QuoteMeta(v[2]) + `\n`).Match(mod) {
			t.Errorf("the page was tried with %s, which go.mod does not name", v[0])
		}
	}
	if len(versions) != 3 {
		t.Errorf("the page names the versions %v", versions)
	}
	rows := regexp.MustCompile("`(TestByHand\\w+)` \\|").FindAllSubmatch(page, -1)
	tests := regexp.MustCompile(`(?m)^func (TestByHand\w+)\(`).FindAllSubmatch(source, -1)
	names := func(found [][][]byte) (names []string) {
		for _, m := range found {
			names = append(names, string(m[1]))
		}
		slices.Sort(names)
		return names
	}
	if got, want := names(rows), names(tests); !slices.Equal(got, want) || len(got) == 0 {
		t.Errorf("the table has %v, the tests are %v", got, want)
	}
}
