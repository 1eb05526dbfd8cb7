package wsroute_test

import (
	"crypto/tls"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

type originCase struct {
	allowed []string
	origin  string // lines parted by |
	host    string
	want    bool
}

func (c originCase) check(t *testing.T) {
	t.Helper()
	var lines []string
	if c.origin != "" {
		lines = strings.Split(c.origin, "|")
	}
	if got := wsroute.AllowsOrigin(c.allowed, lines, c.host); got != c.want {
		t.Errorf("Origin %q, Host %q, Origins %q: got %v", c.origin, c.host, c.allowed, got)
	}
}

func TestOriginMatrix(t *testing.T) {
	chat := []string{"https://chat.example.com", "http://[::1]:8080", "https://kat.example", "https://xn--mnchen-3ya.example"}
	for _, test := range []originCase{
		{nil, "", "anything.example", true}, // no browser
		{nil, "http://localhost:8080", "localhost:8080", true},
		{nil, "http://LOCALHOST:8080", "localhost:8080", true},
		{nil, "http://127.0.0.1:8080", "127.0.0.1:8080", true},
		{nil, "http://[::1]:8080", "[::1]:8080", true},
		{nil, "http://[::1]", "[::1]", true},
		{nil, "http://127.0.0.1", "127.0.0.1", true},
		{nil, "http://127.0.0.1:80", "127.0.0.1", true},
		{nil, "https://127.0.0.1", "127.0.0.1:443", true},
		{nil, "http://127.0.0.1:8081", "127.0.0.1:8080", false},
		{nil, "http://localhost:8080", "127.0.0.1:8080", false},
		{nil, "http://evil.example", "evil.example", false}, // DNS rebinding
		{nil, "http://localhost.evil.example", "localhost.evil.example", false},
		{nil, "http://localhost.", "localhost.", false},
		{[]string{}, "http://localhost", "localhost", false}, // nobody
		{chat, "https://chat.example.com", "chat.example.com", true},
		{chat, "https://CHAT.example.com:443", "internal:9000", true},
		{chat, "http://[::1]:8080", "x", true},
		{chat, "http://chat.example.com", "chat.example.com", false},
		{chat, "https://chat.example.com:8443", "chat.example.com", false},
		{chat, "https://chat.example.com.evil.example", "chat.example.com", false},
		{chat, "https://chat.example.com@evil.example", "chat.example.com", false},
		{chat, "http://localhost", "localhost", false},
		{chat, "null", "chat.example.com", false},
		{chat, "https://xn--mnchen-3ya.example", "x", true},
		{chat, "https://XN--MNCHEN-3YA.example", "x", true},
		{chat, "https://m\u00fcnchen.example", "x", false},
		{chat, "https://\u212Aat.example", "x", false}, // the Kelvin sign is a k in lower case
		{chat, "https://chat.example.com.", "x", false},
		{chat, "https://*.example.com", "x", false},
		{chat, "", "chat.example.com", true},
	} {
		test.check(t)
	}
}

// TestOriginForms: what a browser does not write is no origin, also where the hosts agree.
func TestOriginForms(t *testing.T) {
	for _, test := range []originCase{
		{nil, "null", "localhost", false},
		{nil, "http://localhost|http://localhost", "localhost", false},
		{nil, "http://localhost/", "localhost", false},
		{nil, "http://user@localhost", "localhost", false},
		{nil, "//localhost", "localhost", false},
		{nil, "ftp://localhost", "localhost", false},
		{nil, "http://localhost:", "localhost", false},
		{nil, "http://localhost:x", "localhost", false},
		{nil, "http://localhost http://localhost", "localhost", false},
		{nil, " http://localhost", "localhost", false},
		{nil, "http://", "", false},
		{nil, "http://[::1", "[::1", false},
		{nil, "http://[::1]x", "[::1]x", false},
		{nil, "http://[127.0.0.1]", "[127.0.0.1]", false},
		{nil, "http://[127.0.0.1]:80", "127.0.0.1", false},
		{nil, "http://[localhost]:80", "localhost", false},
		{nil, "http://[::1%eth0]", "[::1%eth0]", false},
		{nil, "http://[::1%25eth0]", "[::1%25eth0]", false},
		{nil, "http://127.0.0.1:65535", "127.0.0.1:65535", true},
		{nil, "http://127.0.0.1:65536", "127.0.0.1:65536", false},
		{nil, "http://127.0.0.1:0", "127.0.0.1:0", false},
		{nil, "http://127.0.0.1:080", "127.0.0.1", false},
		{nil, "http://127.0.0.1\x00", "127.0.0.1\x00", false},
	} {
		test.check(t)
	}
}

// TestOriginOfAHostWithoutAPort: the port is that of the scheme by which the request
// came, and nobody else's page may say which that was.
func TestOriginOfAHostWithoutAPort(t *testing.T) {
	over, said := &tls.ConnectionState{}, func(name, value string) http.Header { return http.Header{name: {value}} }
	for _, test := range []struct {
		tls     *tls.ConnectionState
		trusted []string
		headers http.Header
		origin  string
		want    bool
	}{
		{over, nil, nil, "https://127.0.0.1", true},
		{over, nil, nil, "http://127.0.0.1", false},
		{over, nil, nil, "http://127.0.0.1:80", false},
		{over, nil, nil, "http://127.0.0.1:443", true},
		{nil, nil, nil, "http://127.0.0.1", true},
		{nil, nil, nil, "https://127.0.0.1:80", true},
		{nil, nil, nil, "https://127.0.0.1", false},
		// A proxy has said https, and is trusted.
		{nil, []string{"10.0.0.7"}, said("X-Forwarded-Proto", "https"), "https://127.0.0.1", true},
		{nil, []string{"10.0.0.7"}, said("X-Forwarded-Proto", "https"), "http://127.0.0.1", false},
		// There may be TLS in front of a proxy.
		{nil, []string{"10.0.0.7"}, nil, "https://127.0.0.1", true},
		{nil, []string{"10.0.0.7"}, nil, "http://127.0.0.1", true},
		{nil, nil, said("X-Forwarded-For", "6.6.6.6"), "https://127.0.0.1", true},
		{nil, nil, said("X-Forwarded-Proto", "https"), "https://127.0.0.1", true},
		{nil, nil, said("Forwarded", "proto=https"), "https://127.0.0.1", true},
		{nil, nil, said("Via", "1.1 proxy"), "https://127.0.0.1", true},
		{over, nil, said("X-Forwarded-Proto", "http"), "http://127.0.0.1", false},
	} {
		r := &http.Request{Host: "127.0.0.1", TLS: test.tls, RemoteAddr: "10.0.0.7:4711", Header: http.Header{"Origin": {test.origin}}}
		maps.Copy(r.Header, test.headers)
		if got := wsroute.AllowsRequest(nil, test.trusted, true, r); got != test.want {
			t.Errorf("%+v: got %v", test, got)
		}
	}
}

// TestOriginOnTLS: a page of the plain server on port 80 is not the server's own.
func TestOriginOnTLS(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", echo[string], wsroute.Diagnose, wsroute.Public)
	handler, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(handler)
	defer server.Close()
	for origin, want := range map[string]int{"http://127.0.0.1": 403, "https://127.0.0.1": 426} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "127.0.0.1" // as if the port were 443
		r.Header.Set("Origin", origin)
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: got %d", origin, response.StatusCode)
		}
	}
}

func TestOriginOnTheWire(t *testing.T) {
	ws := wsroute.New(depends.New(), &wsroute.Config{Logger: quiet().Logger, Origins: []string{"https://chat.example.com"}})
	wsroute.Handle(ws, "/", echo[string], wsroute.Public)
	srv := wstest.Start(t, ws)
	wstest.Dial[string, string](t, srv, "/", wstest.Header("Origin", "https://chat.example.com"))
	for _, origin := range []string{"http://" + srv.Host, "null", "https://chat.example.com/"} {
		if r := wstest.Refused(t, srv, "/", wstest.Header("Origin", origin)); r.Status != 403 || r.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("%q: got %+v", origin, r)
		}
	}
}

// FuzzOrigin: what is allowed by default is a plain origin of the same host.
func FuzzOrigin(f *testing.F) {
	for _, seed := range [][2]string{
		{"http://localhost:80", "localhost"}, {"https://[::1]", "[::1]:443"}, {"null", "localhost"}, {"http://a@127.0.0.1", "127.0.0.1"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, origin, host string) {
		if !wsroute.AllowsOrigin(nil, []string{origin}, host) {
			return
		}
		u, err := url.Parse(origin)
		if err != nil || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https" {
			t.Fatalf("allowed %q: %v", origin, err)
		}
		h := &url.URL{Host: host}
		if !strings.EqualFold(u.Hostname(), h.Hostname()) {
			t.Fatalf("allowed %q for %q", origin, host)
		}
	})
}

// TestOriginsThatNoBrowserSends do not start: they would allow nobody, in silence.
func TestOriginsThatNoBrowserSends(t *testing.T) {
	for text, hint := range map[string]string{
		"*":                            "there is no allowing all",
		"null":                         "serve the page by HTTP",
		"https://*":                    "no other wildcard",
		"https://*.com":                "no other wildcard",
		"https://*.0.0.1":              "no other wildcard",
		"https://*example.com":         "no other wildcard",
		"https://a.*.example.com":      "no other wildcard",
		"https://*.*.example.com":      "no other wildcard",
		"https://*.example.com:*":      "no other wildcard",
		"*://chat.example.com":         "no other wildcard",
		"chrome-extension://*":         "no other wildcard",
		"wss://chat.example.com":       "write the page's own scheme",
		"ftp://chat.example.com":       "write scheme://host",
		"tauri://localhost/":           "write scheme://host",
		"tauri://me@localhost":         "write scheme://host",
		"Tauri://localhost":            "write scheme://host",
		"tauri://":                     "write scheme://host",
		"file:///home":                 "write scheme://host",
		"https://.example.com":         "write scheme://host",
		"https://chat.example.com.":    "write scheme://host",
		"https://chat..example.com":    "write scheme://host",
		"https://m\u00fcnchen.example": "write the name in punycode, xn--",
		"https://chat.example:99999":   "write scheme://host",
		"https://chat.example:0443":    "write scheme://host",
		"http://[::1":                  "write scheme://host",
		"http://[fe80::1%eth0]":        "write scheme://host",
		"http://[127.0.0.1]":           "write scheme://host",
		"https://a b":                  "write scheme://host",
	} {
		config := quiet()
		config.Origins = []string{text}
		ws := wsroute.New(depends.New(), config)
		wsroute.Handle(ws, "/", echo[string], wsroute.Public)
		_, err := ws.Handler()
		fault, ok := errors.AsType[*depends.WiringError](err)
		if !ok || fault.Kind != "bad config" || !strings.Contains(fault.Fact, hint) {
			t.Errorf("%q: got %v", text, err)
		}
	}
	for _, text := range []string{"https://chat_1.example-2.com", "http://127.0.0.1:8080", "http://[fe80::1]:1", "HTTPS://Chat.Example", "http://intranet", "https://*.example.com", "http://*.localhost:3000"} {
		if !wsroute.ParseOrigin(text) {
			t.Errorf("%q is refused", text)
		}
	}
}

// TestOriginsAreCopied: what becomes of the slice later allows nobody.
func TestOriginsAreCopied(t *testing.T) {
	config := quiet()
	config.Origins = []string{"https://chat.example"}
	ws := wsroute.New(depends.New(), config)
	wsroute.Handle(ws, "/", echo[string], wsroute.Public)
	config.Origins[0] = "null"
	srv := wstest.Start(t, ws)
	if r := wstest.Refused(t, srv, "/", wstest.Header("Origin", "null")); r.Status != 403 {
		t.Errorf("got %d", r.Status)
	}
	wstest.Dial[string, string](t, srv, "/", wstest.Header("Origin", "https://chat.example")).Close(1000, "")
}
