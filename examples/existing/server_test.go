package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/internal/memconn"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

var update = flag.Bool("update", false, "rewrite the golden files")

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

// take returns the path in the only line, which gin's logger quotes.
func (p *page) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.text.Reset()
	_, path, _ := strings.Cut(p.text.String(), `"`)
	path, _, _ = strings.Cut(path, `"`)
	return path
}

type pool struct{}

// served is a program behind one kind of server.
type served struct {
	t        *testing.T
	deps     *depends.Graph
	ws       *wsroute.Router
	engine   *gin.Engine
	log      page
	released atomic.Bool
	listener *memconn.Listener
}

func newServed(t *testing.T, logs gin.LoggerConfig) *served {
	s := &served{t: t, deps: depends.New(), engine: gin.New(), listener: memconn.Listen()}
	logs.Output = &s.log
	s.engine.Use(gin.LoggerWithConfig(logs))
	s.engine.GET("/slow", func(c *gin.Context) {
		time.Sleep(61 * time.Second)
		c.String(http.StatusOK, "here it is")
	})
	depends.Provide(s.deps, func(ctx context.Context, _ struct{}) (*pool, error) {
		depends.Cleanup(ctx, func(context.Context, error) error { s.released.Store(true); return nil })
		return &pool{}, nil
	}, depends.App)
	security.Use(s.deps, security.Opaque[Session]{
		Sources: []depends.Source{security.QueryToken("token")}, InsecureQuery: true,
		Find: func(_ context.Context, token string) (Session, error) { return Session{token}, nil },
	})
	s.ws = wsroute.New(s.deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
	wsroute.Handle(s.ws, "/ws", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct {
		_    Session
		Pool *pool
	},
	) error {
		_, err := conn.Receive(ctx)
		return err
	})
	if err := s.ws.Mount(s.engine); err != nil {
		t.Fatal(err)
	}
	return s
}

const patience = time.Hour

func (s *served) connect() net.Conn {
	s.t.Helper()
	conn, err := s.listener.Dial(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// ask returns the status of the answer to a request, and where that redirects to; and how long it
// took until the server closed the connection.
func (s *served) ask(request string) (status, closed string) {
	s.t.Helper()
	conn := s.connect()
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		s.t.Fatal(err)
	}
	reader, begin := bufio.NewReader(conn), time.Now()
	status = "cut off"
	r, err := http.ReadResponse(reader, nil)
	if err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
		begin = time.Now()
		status = strings.TrimSpace(fmt.Sprint(r.StatusCode, " ", r.Header.Get("Location")))
	}
	if _, err := io.Copy(io.Discard, reader); errors.Is(err, os.ErrDeadlineExceeded) {
		return status, "never"
	}
	return status, time.Since(begin).String()
}

func (s *served) status(request string) string {
	s.t.Helper()
	status, _ := s.ask(request)
	return status
}

const end = " HTTP/1.1\nHost: localhost\nConnection: close\n\n"

func (s *served) logged() string {
	s.log.take()
	s.ask("GET /ws?token=secret" + end)
	return s.log.take()
}

// stopped stops the server under an open connection.
func (s *served) stopped(stop func()) string {
	s.t.Helper()
	dialer := &websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.listener.Dial(ctx) }}
	conn, response, err := dialer.Dial("ws://localhost/ws?token=secret", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = response.Body.Close()
	stop()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, _, err = conn.ReadMessage()
	if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
		return fmt.Sprint(closed.Code, " ", closed.Text)
	}
	return "still open"
}

// TestWhatServeDoes compares wsroute.Serve, a bare http.Server, and the server of this program.
func TestWhatServeDoes(t *testing.T) {
	servers := []struct {
		name  string
		logs  gin.LoggerConfig
		serve func(context.Context, *served) error
	}{
		{"wsroute.Serve", gin.LoggerConfig{}, func(ctx context.Context, s *served) error {
			return wsroute.ServeListener(ctx, s.listener, s.ws, s.engine)
		}},
		{"http.Server alone", gin.LoggerConfig{}, func(ctx context.Context, s *served) error {
			server := &http.Server{Handler: s.engine}
			stop := context.AfterFunc(ctx, func() { _ = server.Shutdown(context.Background()) })
			defer stop()
			_ = server.Serve(s.listener)
			return nil
		}},
		{"the one below", gin.LoggerConfig{SkipQueryString: true}, func(ctx context.Context, s *served) error {
			return serve(ctx, s.listener, s.deps, s.ws, s.engine)
		}},
	}
	titles := []string{
		"gin's log of /ws?token=secret", "GET /ws/?token=secret", "POST /ws", "GET / with headers of 20 KiB",
		"headers that do not end", "an answer after 61 s", "an idle connection ends after",
		"at the stop, a socket is", "App values are released",
	}
	rows := [][]string{{""}}
	for _, title := range titles {
		rows = append(rows, []string{title})
	}
	for _, server := range servers {
		synctest.Test(t, func(t *testing.T) {
			s := newServed(t, server.logs)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- server.serve(ctx, s) }()
			_, header := s.ask("GET /ws HTTP/1.1\nHost: localhost\n")
			_, idle := s.ask("GET /nothing HTTP/1.1\nHost: localhost\n\n")
			column := []string{
				server.name,
				s.logged(), s.status("GET /ws/?token=secret" + end), s.status("POST /ws" + end),
				s.status("GET / HTTP/1.1\nX-Long: " + strings.Repeat("x", 20<<10) + "\nHost: localhost\nConnection: close\n\n"),
				strings.ReplaceAll("cut off after "+header, "cut off after never", "waited for"),
				s.status("GET /slow" + end), idle,
				s.stopped(func() {
					cancel()
					synctest.Wait()
				}),
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			synctest.Wait()
			column = append(column, map[bool]string{true: "yes", false: "no"}[s.released.Load()])
			for i, cell := range column {
				rows[i] = append(rows[i], cell)
			}
		})
	}
	var b strings.Builder
	for _, row := range rows {
		fmt.Fprintf(&b, "%s\n", strings.TrimRight(fmt.Sprintf("%-31s %-20s %-24s %s", row[0], row[1], row[2], row[3]), " "))
	}
	if *update {
		if err := os.WriteFile("testdata/servers.txt", []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/servers.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("testdata/servers.txt (-want +got):\n%s", diff)
	}
}
