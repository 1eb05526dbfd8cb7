package wsroute_test

import (
	"crypto/tls"
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

func TestOriginMatrix(t *testing.T) {
	chat := []string{"https://chat.example.com", "http://[::1]:8080"}
	for _, test := range []struct {
		allowed []string
		origin  string // lines parted by |
		host    string
		want    bool
	}{
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
		{chat, "", "chat.example.com", true},
	} {
		var lines []string
		if test.origin != "" {
			lines = strings.Split(test.origin, "|")
		}
		if got := wsroute.AllowsOrigin(test.allowed, lines, test.host); got != test.want {
			t.Errorf("Origin %q, Host %q, Origins %q: got %v", test.origin, test.host, test.allowed, got)
		}
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
		if got := wsroute.AllowsRequest(nil, test.trusted, r); got != test.want {
			t.Errorf("%+v: got %v", test, got)
		}
	}
}

// TestOriginOnTLS: a page of the plain server on port 80 is not the server's own.
func TestOriginOnTLS(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", echo[string], wsroute.Diagnose)
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
	wsroute.Handle(ws, "/", echo[string])
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

// TestOriginsAreCopied: what becomes of the slice later allows nobody.
func TestOriginsAreCopied(t *testing.T) {
	config := quiet()
	config.Origins = []string{"https://chat.example"}
	ws := wsroute.New(depends.New(), config)
	wsroute.Handle(ws, "/", echo[string])
	config.Origins[0] = "null"
	srv := wstest.Start(t, ws)
	if r := wstest.Refused(t, srv, "/", wstest.Header("Origin", "null")); r.Status != 403 {
		t.Errorf("got %d", r.Status)
	}
	wstest.Dial[string, string](t, srv, "/", wstest.Header("Origin", "https://chat.example")).Close(1000, "")
}
