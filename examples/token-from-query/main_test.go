package main

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// TestOrder: the token opens the connection, and nobody writes it down.
func TestOrder(t *testing.T) {
	key := []byte("a key of at least thirty-two bytes")
	var log page
	ws, engine, err := newApp(key, &wsroute.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, gin.LoggerWithWriter(&log))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := token(key)
	if err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, engine)
	for query, want := range map[string]Order{"": {"ada", "tea", 1}, "count=2&": {"ada", "tea", 2}} {
		c := wstest.Dial[string, Order](t, srv, "/items/tea?"+query+"token="+signed)
		if got := c.Receive(); got != want {
			t.Errorf("%q: %v", query, got)
		}
		c.Closed()
	}
	for query, want := range map[string]struct {
		status int
		reason string
	}{
		"":                                      {401, "credentials_required"},
		"?token=forged":                         {401, "invalid_token"},
		"?token=" + signed + "&token=" + signed: {400, "invalid_request"},
		"?count=none&token=" + signed:           {422, "invalid_parameters"},
		"?count=0&token=" + signed:              {422, "invalid_parameters"},
	} {
		if got := wstest.Refused(t, srv, "/items/tea"+query); got.Status != want.status || got.Problem.Reason != want.reason {
			t.Errorf("%.20s: %d %q", query, got.Status, got.Problem.Reason)
		}
	}
	srv.Stop()
	if text := log.String(); strings.Contains(text, signed) || strings.Contains(text, "forged") || !strings.Contains(text, "/items/tea") {
		t.Errorf("the log says:\n%s", text)
	}
}

// TestWhatAStrangerSees gets one step further with each try. The peer learns little, and the log
// has the cause.
func TestWhatAStrangerSees(t *testing.T) {
	var told strings.Builder
	var log page
	var host string
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "remote" || a.Key == "connection" {
			return slog.Attr{}
		}
		return a
	}}))
	synctest.Test(t, func(t *testing.T) {
		key := []byte("a key of at least thirty-two bytes")
		ws, engine, err := newApp(key, &wsroute.Config{Logger: logger})
		if err != nil {
			t.Fatal(err)
		}
		srv := wstest.StartHandler(t, ws, engine)
		host = srv.Host
		old, err := token(key)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Minute)
		fresh, err := token(key)
		if err != nil {
			t.Fatal(err)
		}
		tell := func(who string, r *wstest.Refusal) {
			fmt.Fprintf(&told, "%-40s %d %s\n", who, r.Status, r.Problem.Reason)
		}
		evil := wstest.Header("Origin", "https://evil.example")
		tell("a plain GET with a good token", wstest.Get(t, srv, "/items/tea?token="+fresh))
		tell("a page of another site, a good token", wstest.Refused(t, srv, "/items/tea?token="+fresh, evil))
		tell("no token, and a bad count", wstest.Refused(t, srv, "/items/tea?count=none"))
		tell("a forged token", wstest.Refused(t, srv, "/items/tea?token=forged"))
		tell("a token that has expired", wstest.Refused(t, srv, "/items/tea?token="+old))
		tell("two good tokens", wstest.Refused(t, srv, "/items/tea?token="+fresh+"&token="+fresh))
		tell("a good token, and a bad count", wstest.Refused(t, srv, "/items/tea?count=none&token="+fresh))
		peer := wstest.Dial[string, Order](t, srv, "/items/tea?token="+fresh)
		fmt.Fprintf(&told, "%-40s %d\n", "a good token", peer.Response.StatusCode)
		peer.Closed()
		srv.Stop()
	})
	golden(t, "testdata/told.txt", told.String())
	golden(t, "testdata/log.txt", strings.ReplaceAll(log.String(), host, "127.0.0.1:8080"))
}

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
