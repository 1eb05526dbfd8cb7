package wsroute_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestClientAddr: a header is believed as far as trusted proxies wrote it.
func TestClientAddr(t *testing.T) {
	show := func(trusted ...string) *wstest.Server {
		config := quiet()
		config.TrustedProxies = trusted
		ws := wsroute.New(depends.New(), config)
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Addr depends.ClientAddr }) error {
			return conn.Send(ctx, in.Addr.String())
		}, wsroute.Public)
		return wstest.Start(t, ws)
	}
	mapped := show("::ffff:127.0.0.1", "::ffff:10.0.0.0/104") // the same addresses, as IPv6 has them
	none, one, many := show(), show("127.0.0.1"), show("127.0.0.0/8", "10.0.0.0/8", "2001:db8::/32")
	for _, test := range []struct {
		srv   *wstest.Server
		lines []string
		want  string
	}{
		{none, nil, "127.0.0.1"},
		{mapped, []string{"6.6.6.6, 10.1.2.3"}, "6.6.6.6"},
		{none, []string{"6.6.6.6"}, "127.0.0.1"},
		{one, nil, "127.0.0.1"},
		{one, []string{"6.6.6.6"}, "6.6.6.6"},
		{one, []string{"1.1.1.1, 6.6.6.6"}, "6.6.6.6"},
		{one, []string{"1.1.1.1", "6.6.6.6"}, "6.6.6.6"},
		{one, []string{"6.6.6.6:4711"}, "6.6.6.6"},
		{one, []string{"[2001:db9::1]:4711"}, "2001:db9::1"},
		{one, []string{"2001:db9::1"}, "2001:db9::1"},
		{one, []string{"::ffff:6.6.6.6"}, "6.6.6.6"},
		{one, []string{"fe80::1%eth0"}, "fe80::1"},
		{one, []string{"unknown"}, "127.0.0.1"},
		{one, []string{"6.6.6.6, _hidden"}, "127.0.0.1"},
		{one, []string{" , "}, "127.0.0.1"},
		{many, []string{"6.6.6.6, 10.1.2.3"}, "6.6.6.6"},
		{many, []string{"1.1.1.1, 6.6.6.6, 10.1.2.3, 2001:db8::7"}, "6.6.6.6"},
		{many, []string{"10.0.0.1, 10.0.0.2"}, "10.0.0.1"},
		{many, []string{"x, 10.0.0.2"}, "10.0.0.2"},
	} {
		var options []wstest.Option
		for _, line := range test.lines {
			options = append(options, wstest.Header("X-Forwarded-For", line))
		}
		if got := wstest.Dial[string, string](t, test.srv, "/", options...).Receive(); got != test.want {
			t.Errorf("%q: got %s, want %s", test.lines, got, test.want)
		}
	}
}

// TestTheLogNamesTheClient that a trusted proxy has named.
func TestTheLogNamesTheClient(t *testing.T) {
	var out safeBuffer
	ws := wsroute.New(depends.New(), &wsroute.Config{Logger: textLogger(&out), TrustedProxies: []string{"127.0.0.1"}})
	wsroute.Handle(ws, "/", echo[string], wsroute.Public)
	srv := wstest.Start(t, ws)
	wstest.Dial[string, string](t, srv, "/", wstest.Header("X-Forwarded-For", "6.6.6.6")).Close(1000, "")
	wstest.Get(t, srv, "/", wstest.Header("X-Forwarded-For", "7.7.7.7"))
	srv.Stop()
	if got := out.String(); !strings.Contains(got, "remote=6.6.6.6 ") || !strings.Contains(got, "remote=7.7.7.7 ") {
		t.Errorf("the log:\n%s", got)
	}
}

// TestTheLogNamesAClientThatLooksLikeItsProxy: one address is how the other begins.
func TestTheLogNamesAClientThatLooksLikeItsProxy(t *testing.T) {
	var out safeBuffer
	ws := wsroute.New(depends.New(), &wsroute.Config{Logger: textLogger(&out), TrustedProxies: []string{"127.0.0.12", "2001:db8::12"}})
	wsroute.Handle(ws, "/", echo[string], wsroute.Public)
	handler, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ proxy, client, want string }{
		{"127.0.0.12:999", "127.0.0.1", "127.0.0.1"},
		{"127.0.0.12:999", "127.0.0.12", "127.0.0.12:999"},
		{"127.0.0.12:999", "", "127.0.0.12:999"},
		{"[::ffff:127.0.0.12]:999", "127.0.0.1", "127.0.0.1"},
		{"[2001:db8::12]:999", "2001:db8::1", "2001:db8::1"},
		{"[2001:db8::12]:999", "", "[2001:db8::12]:999"},
		{"[2001:db8::13]:999", "2001:db8::1", "[2001:db8::13]:999"}, // nobody trusts it
	} {
		before := len(out.String())
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = test.proxy
		if test.client != "" {
			r.Header.Set("X-Forwarded-For", test.client)
		}
		handler.ServeHTTP(httptest.NewRecorder(), r)
		if line := out.String()[before:]; !strings.Contains(strings.ReplaceAll(line, `"`, "")+" ", "remote="+test.want+" ") {
			t.Errorf("%+v: %s", test, line)
		}
	}
}

// TestRequireTLS: a header is believed of a trusted proxy alone.
func TestRequireTLS(t *testing.T) {
	serve := func(trusted ...string) *wstest.Server {
		config := quiet()
		config.RequireTLS, config.TrustedProxies = true, trusted
		ws := wsroute.New(depends.New(), config)
		wsroute.Handle(ws, "/", echo[string], wsroute.Public)
		return wstest.Start(t, ws)
	}
	trusting := serve("127.0.0.1")
	for _, scheme := range []string{"https", "wss"} {
		wstest.Dial[string, string](t, trusting, "/", wstest.Header("X-Forwarded-Proto", scheme)).Close(1000, "")
	}
	two := []wstest.Option{wstest.Header("X-Forwarded-Proto", "https"), wstest.Header("X-Forwarded-Proto", "http")}
	for name, refused := range map[string]*wstest.Refusal{
		"plain":            wstest.Refused(t, trusting, "/"),
		"plain by a proxy": wstest.Refused(t, trusting, "/", wstest.Header("X-Forwarded-Proto", "http")),
		"two words":        wstest.Refused(t, trusting, "/", two...),
		"an own word":      wstest.Refused(t, serve(), "/", wstest.Header("X-Forwarded-Proto", "https")),
	} {
		if refused.Status != 403 || refused.Problem.Reason != "tls_required" {
			t.Errorf("%s: %d %s", name, refused.Status, refused.Body)
		}
	}
	config := quiet()
	config.RequireTLS = true
	ws := wsroute.New(depends.New(), config)
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], none) error { return nil }, wsroute.Public)
	handler, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(handler)
	defer server.Close()
	dialer := websocket.Dialer{TLSClientConfig: server.Client().Transport.(*http.Transport).TLSClientConfig}
	conn, response, err := dialer.Dial("wss"+strings.TrimPrefix(server.URL, "https"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, 1000) {
		t.Errorf("over TLS: %v", err)
	}
	_ = conn.Close()
	if _, err := ws.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestForwardedProtoOfSeveralProxies: each proxy may add what it saw, in a line or a list. All
// must have seen TLS, and the log says what they saw.
func TestForwardedProtoOfSeveralProxies(t *testing.T) {
	var out safeBuffer
	ws := wsroute.New(depends.New(), &wsroute.Config{Logger: textLogger(&out), RequireTLS: true, TrustedProxies: []string{"127.0.0.1"}})
	wsroute.Handle(ws, "/", echo[string], wsroute.Public)
	wsroute.HandleHTTP(ws, http.MethodGet, "/page", says("page"))
	srv := wstest.Start(t, ws)
	long := strings.Repeat("x", 5000)
	for _, test := range []struct {
		lines []string
		want  string // "" for a connection, else what the log says
	}{
		{[]string{"https"}, ""},
		{[]string{"https,https"}, ""},
		{[]string{"https, https"}, ""},
		{[]string{"https", "wss"}, ""},
		{[]string{"HTTPS,,WSS"}, ""},
		{nil, `X-Forwarded-Proto is \"\", from 127.0.0.1`},
		{[]string{","}, `X-Forwarded-Proto is \",\"`},
		{[]string{"https,http"}, `X-Forwarded-Proto is \"https,http\"`},
		{[]string{"http,https"}, `X-Forwarded-Proto is \"http,https\"`},
		{[]string{"https", "http"}, `X-Forwarded-Proto is \"https, http\"`},
		{[]string{"https;https"}, `X-Forwarded-Proto is \"https;https\"`},
		{[]string{long}, `is in Config.TrustedProxies: true`},
	} {
		var options []wstest.Option
		for _, line := range test.lines {
			options = append(options, wstest.Header("X-Forwarded-Proto", line))
		}
		if test.want == "" {
			wstest.Dial[string, string](t, srv, "/", options...).Close(1000, "")
			continue
		}
		before := len(out.String())
		if r := wstest.Refused(t, srv, "/", options...); r.Status != 403 || r.Problem.Reason != "tls_required" {
			t.Errorf("%.99q: %d %s", test.lines, r.Status, r.Body)
		}
		if r := wstest.Get(t, srv, "/page", options...); r.Status != 403 {
			t.Errorf("%.99q: a page is answered %d", test.lines, r.Status)
		}
		if line := out.String()[before:]; strings.Count(line, test.want) != 2 || len(line) > 1200 {
			t.Errorf("%.99q: the log says %s", test.lines, line)
		}
	}
}

// TestTheLogSaysWhatAHandshakeLacks: a proxy that drops a header, or speaks HTTP/1.0, is found
// by the log. A request that is no handshake is told of no proxy.
func TestTheLogSaysWhatAHandshakeLacks(t *testing.T) {
	var out safeBuffer
	ws := wsroute.New(depends.New(), &wsroute.Config{Logger: textLogger(&out)})
	wsroute.Handle(ws, "/", echo[string], wsroute.Public)
	srv := wstest.Start(t, ws)
	good := fmt.Sprintf(handshake, "/")
	for _, test := range []struct{ old, new, reason, want string }{
		{"Upgrade: websocket\r\n", "", "upgrade_required", `HTTP/1.1, Upgrade [], Connection [\"keep-alive, Upgrade\"]`},
		{"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n", "", "upgrade_required", `Upgrade [], Connection []`},
		{"Upgrade: websocket\r\nConnection: keep-alive, Upgrade", "Connection: close", "upgrade_required", `Upgrade [], Connection [\"close\"]`},
		{"Upgrade: websocket", "Upgrade: " + strings.Repeat("x", 5000), "upgrade_required", `Upgrade [\"xxxx`},
		{"Connection: keep-alive, Upgrade\r\n", "", "connection_header", `Upgrade [\"websocket\"], Connection []`},
		{"HTTP/1.1", "HTTP/1.0", "http_version", `the handshake has HTTP/1.0`},
		{"Sec-WebSocket-Version: 13\r\n", "", "websocket_version", `Sec-WebSocket-Version []`},
		{"Version: 13", "Version: 8", "websocket_version", `Sec-WebSocket-Version [\"8\"]`},
		{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", "websocket_key", `0 Sec-WebSocket-Key`},
	} {
		before := len(out.String())
		exchange(t, srv, strings.Replace(good, test.old, test.new, 1))
		line := out.String()[before:]
		if !strings.Contains(line, "reason="+test.reason) || !strings.Contains(line, test.want) || !strings.Contains(line, "a proxy drops") || len(line) > 1000 {
			t.Errorf("%.99q: the log says %s", test.old, line)
		}
		if strings.Contains(line, "dGhlIHNhbXBsZSBub25jZQ") {
			t.Errorf("the log has the key: %s", line)
		}
	}
	before := len(out.String())
	exchange(t, srv, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if line := out.String()[before:]; strings.Contains(line, "error=") {
		t.Errorf("a plain request: %s", line)
	}
}
