package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gorilla/websocket"
)

// code reads to the end and returns how the connection was closed.
func code(conn *websocket.Conn) string {
	for {
		_, _, err := conn.ReadMessage()
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			return fmt.Sprintf("%d %s", closed.Code, closed.Text)
		}
		if err != nil {
			return err.Error()
		}
	}
}

var remote = regexp.MustCompile(`remote=(\S+)`)

// remotes are the clients' addresses in a log, in order.
func remotes(log string) (addrs []string) {
	for _, m := range remote.FindAllStringSubmatch(log, -1) {
		addrs = append(addrs, m[1])
	}
	return addrs
}

// TestNginx: through the proxy a connection is opened, its client known, a restart told.
func TestNginx(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key, "-trusted-proxies", "127.0.0.1", "-origins", "https://"+site)
	p := front(t, upstreams(s.url))
	c := caller{p, "127.0.0.2"}
	token := c.token()

	const many = 20
	var conns []*websocket.Conn
	for range many {
		conns = append(conns, c.enter(lobby(token), http.Header{"X-Forwarded-For": {"203.0.113.9"}, "Origin": {"https://" + site}}))
	}
	status, body := c.status(lobby(token), http.Header{"Origin": {"https://evil.example"}})
	if status != http.StatusForbidden || !strings.Contains(body, "origin_not_allowed") {
		t.Errorf("a page of elsewhere: %d %s", status, body)
	}
	for _, conn := range conns { // so that there is something on its way in each direction
		for range 10 {
			if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"say","text":"hi"}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for i, conn := range conns {
		if got := code(conn); got != "1012 server_restart" {
			t.Errorf("client %d was closed with %q, not 1012", i, got)
		}
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the server ends with %v\n%s", err, s.log)
	}
	if got := remotes(s.log.String()); len(got) != many+1 || slices.ContainsFunc(got, func(a string) bool { return a != c.from }) {
		t.Errorf("the log has the clients %v, not %d times %s:\n%s", got, many+1, c.from, s.log)
	}
	p.gone(c, token, many)
	if strings.Contains(s.log.String(), token) || strings.Contains(s.log.String(), "token=") {
		t.Errorf("the server's log has the token:\n%s", s.log)
	}
}

// gone: with the server away as well, no log has the token.
func (p *proxy) gone(c caller, token string, upgrades int) {
	p.t.Helper()
	if status, body := c.status(lobby(token), nil); status != http.StatusBadGateway {
		p.t.Errorf("with no server: %d %s", status, body)
	}
	if status, _ := c.status("/elsewhere?token="+token, nil); status != http.StatusBadGateway {
		p.t.Errorf("with no server, beside /ws/: %d", status)
	}
	p.unencrypted(token)
	p.stop()
	access := p.read("access.log")
	if n := strings.Count(access, `"GET /ws/rooms/lobby" 101`); n != upgrades {
		p.t.Errorf("nginx has logged %d upgrades, not %d:\n%s", n, upgrades, access)
	}
	for _, want := range []string{`"GET /ws/rooms/lobby" 403`, `"GET /ws/rooms/lobby" 502`, `"GET /ws/rooms/lobby" 301`, `"POST /token" 200`} {
		if !strings.Contains(access, want) {
			p.t.Errorf("nginx's log has no %s:\n%s", want, access)
		}
	}
	logs, err := filepath.Glob(p.file("*.log"))
	if err != nil || len(logs) < 3 {
		p.t.Errorf("the logs are %v, %v", logs, err)
	}
	for _, name := range logs {
		if log := p.read(filepath.Base(name)); strings.Contains(log, token) || strings.Contains(log, "token=") {
			p.t.Errorf("%s has the token:\n%s", name, log)
		}
	}
}

// unencrypted asks without TLS, and is sent to where no token follows.
func (p *proxy) unencrypted(token string) {
	p.t.Helper()
	client := http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	r, err := client.Get("http://" + p.bare + lobby(token))
	if err != nil {
		p.t.Fatal(err)
	}
	_ = r.Body.Close()
	if got := r.Header.Get("Location"); r.StatusCode != http.StatusMovedPermanently || got != "https://"+site+"/" {
		p.t.Errorf("without TLS: %d to %q", r.StatusCode, got)
	}
}

// TestNginxIsNotTrusted unless it is named: then all come from the proxy, and what
// they say of themselves counts for nothing.
func TestNginxIsNotTrusted(t *testing.T) {
	s := serve(t, "127.0.0.1:0", key, "-origins", "https://"+site)
	p := front(t, upstreams(s.url))
	c := caller{p, "127.0.0.2"}
	conn := c.enter(lobby(c.token()), http.Header{"X-Forwarded-For": {"203.0.113.9"}})
	s.end(t, syscall.SIGTERM)
	if got := code(conn); !strings.HasPrefix(got, "1012 ") {
		t.Errorf("closed with %q, not 1012", got)
	}
	if got := remotes(s.log.String()); len(got) != 1 || !strings.HasPrefix(got[0], "127.0.0.1:") {
		t.Errorf("the log has the clients %v, not nginx at 127.0.0.1", got)
	}
}

// TestAroundNginx: who comes to the server's port by another way is no proxy, and its
// word counts for nothing.
func TestAroundNginx(t *testing.T) {
	s := start(t, deploying, "127.0.0.1:0", key, "-trusted-proxies", "127.0.0.1")
	d := websocket.Dialer{HandshakeTimeout: patience, NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		own := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.2")}}
		return own.DialContext(ctx, network, addr)
	}}
	_, r, err := d.Dial("ws"+strings.TrimPrefix(s.url, "http")+"/ws/address", http.Header{
		"X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Proto": {"https"},
	})
	if r == nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusForbidden {
		t.Errorf("TLS by a stranger's word: %s", r.Status)
	}
	s.end(t, syscall.SIGTERM)
	if got := remotes(s.log.String()); len(got) != 1 || !strings.HasPrefix(got[0], "127.0.0.2:") {
		t.Errorf("the log has the clients %v, not 127.0.0.2", got)
	}
}

// TestBehindNginx: the example of that name knows of TLS and of its clients through the
// proxy, whatever they say themselves, and limits each.
func TestBehindNginx(t *testing.T) {
	s := start(t, deploying, "127.0.0.1:0", key, "-trusted-proxies", "127.0.0.1", "-origins", "https://"+site)
	p := front(t, upstreams(s.url))
	c := caller{p, "127.0.0.2"}
	forged := http.Header{"X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Proto": {"http"}}
	const most = 20
	for range most {
		if _, got, err := c.enter("/ws/address", forged).ReadMessage(); err != nil || string(got) != c.from {
			t.Errorf("the client is %s, %v, want %s", got, err, c.from)
		}
	}
	if status, body := c.status("/ws/address", forged); status != http.StatusTooManyRequests {
		t.Errorf("one more: %d %s", status, body)
	}
	if _, got, err := (caller{p, "127.0.0.3"}).enter("/ws/address", nil).ReadMessage(); err != nil || string(got) != "127.0.0.3" {
		t.Errorf("somebody else is %s, %v", got, err)
	}
	old := c.trust()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if conn, err := tls.Dial("tcp", p.at, old); err == nil {
		_ = conn.Close()
		t.Error("nginx speaks TLS 1.1")
	}
}

// TestNginxGoesOn to the next server when one does not listen.
func TestNginxGoesOn(t *testing.T) {
	s := start(t, deploying, "127.0.0.1:0", key, "-trusted-proxies", "127.0.0.1")
	c := caller{front(t, upstreams("http://"+free(t), s.url)), "127.0.0.2"}
	for range 4 {
		c.enter("/ws/address", nil)
	}
}

// TestNginxAndADrainingServer: its 503 goes to the client, and to the next server if
// nginx is told so.
func TestNginxAndADrainingServer(t *testing.T) {
	s := start(t, deploying, "127.0.0.1:0", key, "-trusted-proxies", "127.0.0.1")
	var asked atomic.Int32
	draining := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(draining.Close)
	c := caller{front(t, upstreams(draining.URL, s.url)), "127.0.0.2"}
	var got []int
	for range 2 { // nginx takes turns
		status, _ := c.status("/ws/address", nil)
		got = append(got, status)
	}
	if slices.Sort(got); !slices.Equal(got, []int{101, 503}) {
		t.Errorf("by default the answers are %v", got)
	}
	told := setting{"proxy_read_timeout 75s;", "proxy_read_timeout 75s; proxy_next_upstream error timeout http_503;"}
	c = caller{front(t, upstreams(draining.URL, s.url), told), "127.0.0.2"}
	asked.Store(0)
	for range 4 {
		c.enter("/ws/address", nil)
	}
	if asked.Load() == 0 {
		t.Error("the draining server was never asked")
	}
}
