package wsroute_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/memconn"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

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

// elsewhere is a listener that seems to listen on more than loopback.
type elsewhere struct{ net.Listener }

func (elsewhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero, Port: 80} }

func TestAnOpenAddressWithoutOriginsIsWarnedOf(t *testing.T) {
	for _, test := range []struct {
		origins  []string
		listener net.Listener
		want     bool
	}{
		{nil, elsewhere{memconn.Listen()}, true},
		{[]string{"https://chat.example.com"}, elsewhere{memconn.Listen()}, false},
		{nil, memconn.Listen(), false},
	} {
		var out safeBuffer
		ws := wsroute.New(depends.New(), &wsroute.Config{Logger: textLogger(&out), Origins: test.origins})
		handler, err := ws.Handler()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := wsroute.ServeListener(ctx, test.listener, ws, handler); err != nil {
			t.Error(err)
		}
		if got := strings.Contains(out.String(), "without Config.Origins"); got != test.want {
			t.Errorf("%v: got %q", test.origins, out.String())
		}
	}
}

// TestLimitsOfARoute: what a group or a route sets counts there alone, the inner before
// the outer, and a rate brings its burst.
func TestLimitsOfARoute(t *testing.T) {
	config := quiet()
	config.Limits = wsroute.Limits{ReadLimit: 100, MessageRate: 1, MessageBurst: 50}
	ws := wsroute.New(depends.New(), config)
	wsroute.Handle(ws, "/plain", echo[string])
	large := ws.Group("/large", wsroute.Limits{ReadLimit: 1000})
	wsroute.Handle(large, "/group", echo[string])
	wsroute.Handle(large, "/route", echo[string], wsroute.Limits{ReadLimit: 10_000, MessageRate: 3})
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
	wsroute.Handle(ws, "/a", echo[string], wsroute.Limits{PingInterval: time.Minute})
	wsroute.Handle(ws, "/b", echo[string], wsroute.Limits{SendQueue: -1, MessageBurst: 2})
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
