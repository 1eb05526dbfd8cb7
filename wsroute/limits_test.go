package wsroute_test

import (
	"strings"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestLimitsOfARoute: what a group or a route sets counts there alone, the inner before
// the outer, and a rate brings its burst.
func TestLimitsOfARoute(t *testing.T) {
	config := quiet()
	config.Limits = wsroute.Limits{ReadLimit: 100, MessageRate: 1, MessageBurst: 50}
	ws := wsroute.New(depends.New(), config)
	wsroute.Handle(ws, "/plain", echo[string], wsroute.Public)
	large := ws.Group("/large", wsroute.Limits{ReadLimit: 1000})
	wsroute.Handle(large, "/group", echo[string], wsroute.Public)
	wsroute.Handle(large, "/route", echo[string], wsroute.Limits{ReadLimit: 10_000, MessageRate: 3}, wsroute.Public)
	var explained strings.Builder
	srv := wstest.Start(t, ws)
	if err := ws.Explain(&explained); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path        string
		most, burst int
	}{{"/plain", 100, 50}, {"/large/group", 1000, 50}, {"/large/route", 10_000, 6}} {
		c := wstest.Dial[string, string](t, srv, tt.path)
		for range tt.burst {
			c.Send("x")
			c.Receive()
		}
		c.Send("x")
		if got := c.Closed(); got.Reason != "too_many_messages" {
			t.Errorf("%s: after %d messages: %v", tt.path, tt.burst, got)
		}
		c = wstest.Dial[string, string](t, srv, tt.path)
		c.Send(strings.Repeat("x", tt.most))
		c.Receive()
		c.Send(strings.Repeat("x", tt.most+1))
		if got := c.Closed(); got.Code != 1009 {
			t.Errorf("%s: a message of %d bytes: %v", tt.path, tt.most+1, got)
		}
	}
	if text := explained.String(); !strings.Contains(text, "Limits{ReadLimit: 10000, MessageRate: 3}") {
		t.Errorf("Explain says\n%s", text)
	}
}

// TestLimitsThatCannotBeMeant are told with the route that has them.
func TestLimitsThatCannotBeMeant(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/a", echo[string], wsroute.Limits{PingInterval: time.Minute}, wsroute.Public)
	wsroute.Handle(ws, "/b", echo[string], wsroute.Limits{SendQueue: -1, MessageBurst: 2}, wsroute.Public)
	_, err := ws.Handler()
	for _, want := range []string{
		"GET /a", "Limits.PongTimeout (35s) must exceed PingInterval (1m0s)",
		"GET /b", "Limits.SendQueue is negative: -1", "Limits has a MessageBurst without a MessageRate",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the report does not say %q:\n%v", want, err)
		}
	}
}
