package wsroute_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// headers are the header lines of a request.
type headers map[string]string

// opened is the status of a handshake.
func opened(t *testing.T, srv *wstest.Server, path string, h headers) int {
	t.Helper()
	head := strings.TrimSuffix(handshake, "\r\n")
	if h["Host"] != "" {
		head = strings.Replace(head, "Host: localhost:80\r\n", "", 1)
	}
	for name, value := range h {
		head += name + ": " + value + "\r\n"
	}
	status, _, _ := exchange(t, srv, strings.Replace(head, "%s", path, 1)+"\r\n")
	return status
}

// member of a router with one route that authenticates, and one that does not.
func guardedAndOpen(t *testing.T, config *wsroute.Config) *wstest.Server {
	t.Helper()
	deps := depends.New()
	bearer(deps)
	config.Logger = quiet().Logger
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/guarded", func(context.Context, *wsroute.Conn[string, string], struct{ _ who }) error { return nil })
	wsroute.Handle(ws, "/open", func(context.Context, *wsroute.Conn[string, string], none) error { return nil }, wsroute.Public)
	return wstest.Start(t, ws)
}

// TestAPageOfTheSameHostConnects: whose pages may connect by default is decided by the host that
// the client asked for, whatever its name, and by no other word than that of a trusted proxy.
func TestAPageOfTheSameHostConnects(t *testing.T) {
	direct := guardedAndOpen(t, &wsroute.Config{})
	proxied := guardedAndOpen(t, &wsroute.Config{TrustedProxies: []string{"127.0.0.1"}})
	for _, test := range []struct {
		srv  *wstest.Server
		sent headers
		want int
	}{
		{direct, headers{"Host": "admin.example.com", "Origin": "https://admin.example.com"}, 101},
		{direct, headers{"Host": "Admin.example.com:443", "Origin": "https://admin.example.com"}, 101},
		{direct, headers{"Host": "admin.example.com", "Origin": "https://admin.example.com:443"}, 101},
		{direct, headers{"Host": "admin.example.com:80", "Origin": "http://admin.example.com"}, 101},
		{direct, headers{"Host": "intranet:8080", "Origin": "http://intranet:8080"}, 101},
		{direct, headers{"Host": "admin.example.com:8443", "Origin": "https://admin.example.com"}, 403},
		{direct, headers{"Host": "admin.example.com", "Origin": "https://www.admin.example.com"}, 403},
		{direct, headers{"Host": "admin.example.com", "Origin": "https://admin.example.com.evil.example"}, 403},
		{direct, headers{"Host": "admin.example.com", "Origin": "ftp://admin.example.com"}, 403},
		{direct, headers{"Host": "admin.example.com", "Origin": "tauri://admin.example.com"}, 403},
		{direct, headers{"Host": "admin.example.com", "Origin": "https://evil@admin.example.com"}, 403},
		{direct, headers{"Host": "admin.example.com", "Origin": "https://admin.example.com/x"}, 403},
		{direct, headers{"Host": "internal:9000", "Origin": "https://admin.example.com", "X-Forwarded-Host": "admin.example.com"}, 403},
		{proxied, headers{"Host": "internal:9000", "Origin": "https://admin.example.com", "X-Forwarded-Host": "admin.example.com"}, 101},
		{proxied, headers{"Host": "internal:9000", "Origin": "https://admin.example.com", "X-Forwarded-Host": "admin.example.com, inner"}, 101},
		{proxied, headers{
			"Host": "internal:9000", "Origin": "https://admin.example.com", "X-Forwarded-Host": "admin.example.com", "X-Forwarded-Proto": "https",
		}, 101},
		{proxied, headers{
			"Host": "internal:9000", "Origin": "http://admin.example.com", "X-Forwarded-Host": "admin.example.com", "X-Forwarded-Proto": "https",
		}, 403},
		{proxied, headers{"Host": "internal:9000", "Origin": "http://internal:9000", "X-Forwarded-Host": "admin.example.com"}, 403},
		{proxied, headers{"Host": "internal:9000", "Origin": "https://evil.example", "X-Forwarded-Host": "admin.example.com"}, 403},
		{proxied, headers{"Host": "admin.example.com", "Origin": "https://admin.example.com"}, 101},
	} {
		if got := opened(t, test.srv, "/guarded?token=x", test.sent); got != test.want {
			t.Errorf("%v: got %d, want %d", test.sent, got, test.want)
		}
		if got := opened(t, test.srv, "/open", test.sent); got != 403 {
			t.Errorf("%v: a name may be made to point here, and the open route answers %d", test.sent, got)
		}
	}
	for _, host := range []string{"localhost:8080", "192.168.1.7:8080", "[::1]:8080"} {
		if got := opened(t, direct, "/open", headers{"Host": host, "Origin": "http://" + host}); got != 101 {
			t.Errorf("the open route answers %d to a page of %s", got, host)
		}
	}
}

// TestOriginsThatAreListed: an app's origin is listed as it is sent, and a pattern stands for
// the subdomains of a name; neither for anything else.
func TestOriginsThatAreListed(t *testing.T) {
	const id = "chrome-extension://aaaabbbbccccddddeeeeffffgggghhhh"
	srv := guardedAndOpen(t, &wsroute.Config{Origins: []string{
		"tauri://localhost", "capacitor://localhost", id, "file://", "app://obsidian.md", "https://*.example.com", "http://*.localhost:3000",
	}})
	for origin, want := range map[string]int{
		"tauri://localhost":           101,
		"capacitor://localhost":       101,
		id:                            101,
		"file://":                     101,
		"app://obsidian.md":           101,
		"https://a.example.com":       101,
		"https://a.b.example.com":     101,
		"HTTPS://A.example.com:443":   101,
		"http://acme.localhost:3000":  101,
		"ionic://localhost":           403,
		"tauri://localhost:1":         403,
		"tauri://localhost/":          403,
		"Tauri://localhost":           403,
		"http://localhost":            403,
		"https://localhost":           403,
		id + "x":                      403,
		"null":                        403,
		"file:///srv/evil.html":       403,
		"https://example.com":         403,
		"http://a.example.com":        403,
		"https://a.example.com:8443":  403,
		"https://evilexample.com":     403,
		"https://a.example.com.evil":  403,
		"https://.example.com":        403,
		"https://*.example.com":       403,
		"https://a.example.com/x":     403,
		"https://evil@a.example.com":  403,
		"http://acme.localhost":       403,
		"tauri://localhost, https://": 403,
	} {
		for _, path := range []string{"/guarded?token=x", "/open"} {
			if got := opened(t, srv, path, headers{"Origin": origin}); got != want {
				t.Errorf("%s, %s: got %d, want %d", path, origin, got, want)
			}
		}
	}
}

// TestAnOriginIsDemandedForWhatBrowsersAdd: not a scheme that might take a cookie demands an
// Origin, but a cookie that was found.
func TestAnOriginIsDemandedForWhatBrowsersAdd(t *testing.T) {
	deps := depends.New()
	find := func(context.Context, string) (member, error) { return member{"ada"}, nil }
	security.Use(deps, security.OneOf[member](
		security.APIKey[member]{
			Sources: []depends.Source{security.Header("X-Api-Key")},
			Find:    func(context.Context, [32]byte) (member, error) { return member{"ada"}, nil },
		},
		security.Basic[member]{Realm: "r", Verify: func(_ context.Context, name, _ string) (member, error) { return find(nil, name) }},
		security.Session[member]{Cookie: "sid", Find: find},
	))
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ member }) error { return nil }, wsroute.Diagnose)
	wsroute.HandleHTTP(ws, http.MethodPost, "/plain", func(w http.ResponseWriter, _ *http.Request, _ struct{ _ member }) error {
		_, err := io.WriteString(w, "ok")
		return err
	})
	srv := wstest.Start(t, ws)
	const basic = "Basic YWRhOnB3"
	for _, test := range []struct {
		sent            headers
		socket, get, do int // a handshake, a diagnosing GET, a POST
	}{
		{headers{"X-Api-Key": "k"}, 101, 426, 200},
		{headers{"Authorization": basic}, 101, 426, 200},
		{headers{"X-Api-Key": "k", "Cookie": "sid=1"}, 101, 426, 200}, // the first scheme decides
		{headers{}, 401, 401, 401},
		{headers{"Cookie": "other=1"}, 401, 401, 401},
		{headers{"Cookie": "sid=1"}, 403, 403, 403},
		{headers{"Cookie": "sid=1", "Sec-Fetch-Site": "cross-site"}, 403, 403, 403},
		{headers{"Authorization": basic, "Sec-Fetch-Site": "cross-site"}, 403, 403, 403},
		{headers{"Cookie": "sid=1", "Origin": "https://chat.example", "Host": "chat.example"}, 101, 426, 200},
		{headers{"Cookie": "sid=1", "Origin": "https://evil.example", "Host": "chat.example"}, 403, 403, 403},
		{headers{"X-Api-Key": "k", "Origin": "https://evil.example", "Host": "chat.example"}, 403, 403, 200},
	} {
		if got := opened(t, srv, "/ws", test.sent); got != test.socket {
			t.Errorf("%v: the handshake is answered %d, want %d", test.sent, got, test.socket)
		}
		for method, want := range map[string]int{"GET /ws": test.get, "POST /plain": test.do} {
			verb, path, _ := strings.Cut(method, " ")
			if got := plainStatus(t, srv, verb, path, test.sent); got != want {
				t.Errorf("%v: %s is answered %d, want %d", test.sent, method, got, want)
			}
		}
	}
}

// plainStatus is the status of a plain request.
func plainStatus(t *testing.T, srv *wstest.Server, method, path string, h headers) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+srv.Host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range h {
		r.Header.Set(name, value)
	}
	if h["Host"] != "" {
		r.Host = h["Host"]
	}
	response, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}
