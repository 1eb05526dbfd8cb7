package main

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

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
