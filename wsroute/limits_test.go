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
