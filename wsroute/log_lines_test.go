package wsroute_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// masks take from a line of log what differs from run to run.
var masks = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`time=\S+`), "time=2026-03-01T10:00:00.000Z"},
	{regexp.MustCompile(`remote=\S+`), "remote=203.0.113.7:50312"},
	{regexp.MustCompile(`duration=1\.5\d*s`), "duration=1.5s"}, // a drain closes at random moments
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "chat.example"},
	{position, "$1:N"},
	{regexp.MustCompile(`(?: < (?:testing|runtime|internal/synctest)\.[^"]*)`), ""},
}

// TestTheLinesOfLog: message, level and attributes of the main ones, to the letter, in the order
// of docs/operating.md, which shows them.
func TestTheLinesOfLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out safeBuffer
		ws := logged(&out)
		srv := wstest.Start(t, ws)
		dial := func(path string) *wstest.Peer[string, string] {
			peer := wstest.Dial[string, string](t, srv, path)
			synctest.Wait()
			time.Sleep(1500 * time.Millisecond)
			return peer
		}
		for _, line := range []func(){
			func() { dial("/rooms/1?token=a").Close(1000, "") },
			func() { dial("/rooms/1?token=a").Close(4000, "moved on") },
			func() { dial("/ends").Closed() },
			func() { _ = dial("/rooms/1?token=a").WebSocket.NetConn().Close() },
			func() { dial("/fails").Closed() },
			func() { dial("/panics").Closed() },
			func() { wstest.Refused(t, srv, "/rooms/1") },
			func() { wstest.Refused(t, srv, "/rooms/1?token=a&since=x") },
			func() {
				wstest.Refused(t, srv, "/rooms/1?token=a", wstest.Header("Origin", "https://pages.example"))
			},
			func() { wstest.Refused(t, srv, "/store") },
			func() { abandoned(t, srv, "/slow") },
			func() { wstest.Get(t, srv, "/me") },
			func() { abandoned(t, srv, "/export") },
			func() { wstest.Get(t, srv, "/report") },
			func() { dial("/cleans").Closed() },
			func() {
				peer := dial("/rooms/1?token=a")
				go func() { _, _ = ws.Drain(t.Context()) }()
				peer.Closed()
			},
		} {
			before := strings.Count(out.String(), "\n")
			line()
			synctest.Wait()
			if n := strings.Count(out.String(), "\n") - before; n != 1 && !strings.Contains(out.String(), "cleanup failed") {
				t.Errorf("%d lines behind\n%s", n, out.String())
			}
		}
		srv.Stop()
		got := out.String()
		for _, mask := range masks {
			got = mask.pattern.ReplaceAllString(got, mask.by)
		}
		golden(t, "testdata/log.txt", got)
	})
}

// abandoned asks, and leaves before there is an answer.
func abandoned(t *testing.T, srv *wstest.Server, path string) {
	t.Helper()
	conn, err := srv.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, handshake, path); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	_ = conn.Close()
}

type store struct{}

func openStore(context.Context, none) (store, error) {
	return store{}, errors.New("the database does not answer")
}

func panics(context.Context, *wsroute.Conn[string, string], none) error {
	time.Sleep(1500 * time.Millisecond)
	panic("no such room")
}

// logged is a program whose routes end, refuse and fail in each way.
func logged(out io.Writer) *wsroute.Router {
	deps := depends.New()
	bearer(deps)
	type (
		slow    struct{}
		cleaned struct{}
		conn    = wsroute.Conn[string, string]
		joining struct {
			_     who
			Since int `query:"since" default:"0"`
		}
	)
	depends.Provide(deps, openStore)
	depends.Provide(deps, func(ctx context.Context, _ none) (slow, error) {
		<-ctx.Done()
		return slow{}, ctx.Err()
	})
	depends.Provide(deps, func(ctx context.Context, _ none) (cleaned, error) {
		depends.Cleanup(ctx, func(context.Context, error) error { return errors.New("the lock is gone") })
		return cleaned{}, nil
	})
	ws := wsroute.New(deps, &wsroute.Config{Logger: textLogger(out)})
	end := func(how func() error) func(context.Context, *conn, none) error {
		return func(context.Context, *conn, none) error {
			time.Sleep(1500 * time.Millisecond)
			return how()
		}
	}
	wsroute.Handle(ws, "/rooms/:room", func(ctx context.Context, c *conn, _ joining) error { return echo(ctx, c, none{}) })
	wsroute.Handle(ws, "/ends", end(func() error { return nil }), wsroute.Public)
	wsroute.Handle(ws, "/fails", end(func() error { return errors.New("disk full") }), wsroute.Public)
	wsroute.Handle(ws, "/panics", panics, wsroute.Public)
	wsroute.Handle(ws, "/store", func(context.Context, *conn, struct{ _ store }) error { return nil }, wsroute.Public)
	wsroute.Handle(ws, "/slow", func(context.Context, *conn, struct{ _ slow }) error { return nil }, wsroute.Public)
	wsroute.Handle(ws, "/cleans", func(context.Context, *conn, struct{ _ cleaned }) error { return nil }, wsroute.Public)
	wsroute.HandleHTTP(ws, http.MethodGet, "/me", func(http.ResponseWriter, *http.Request, struct{ _ who }) error { return nil })
	wsroute.HandleHTTP(ws, http.MethodGet, "/export", func(http.ResponseWriter, *http.Request, struct{ _ slow }) error { return nil })
	wsroute.HandleHTTP(ws, http.MethodGet, "/report", func(w http.ResponseWriter, _ *http.Request, _ none) error {
		_, _ = io.WriteString(w, "the first half")
		return errors.New("the second half is missing")
	})
	return ws
}
