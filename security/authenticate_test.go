package security_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// asked is what comes of a scheme that a plain HTTP handler asks: a name, a
// refusal, or 500.
func asked(r *http.Request, scheme security.Scheme[account]) string {
	who, err := security.Authenticate(r, scheme)
	if refused, ok := errors.AsType[*depends.Rejection](err); ok {
		return fmt.Sprint(refused.Status, " ", refused.Reason)
	} else if err != nil {
		return "500"
	}
	return who.Name
}

// TestASchemeThatMustNotStartLetsNobodyIn, also where there is no Mount to say so.
func TestASchemeThatMustNotStartLetsNobodyIn(t *testing.T) {
	open := apiKey(security.QueryToken("key"))
	open.InsecureQuery = false
	lax := config()
	lax.Issuer = ""
	claims := func(_ context.Context, c Claims) (account, error) { return account{c.Subject}, nil }
	for name, scheme := range map[string]security.Scheme[account]{
		"APIKey": open,
		"JWT":    security.As(security.Scheme[Claims](lax), claims),
		"OneOf":  security.OneOf(security.Scheme[account](basic()), security.Scheme[account](open)),
		"Cookie": apiKey(security.Header("Cookie")),
	} {
		r := httptest.NewRequest(http.MethodGet, "/?key=k-alice", nil)
		r.Header.Set("Authorization", "Bearer "+mint(nil, nil))
		r.Header.Set("Cookie", "k-alice")
		if got := asked(r, scheme); got != "500" {
			t.Errorf("%s: got %s", name, got)
		}
	}
	_, err := security.Authenticate(httptest.NewRequest(http.MethodGet, "/?key=k-alice", nil), security.Scheme[account](open))
	if err == nil || !strings.Contains(err.Error(), "APIKey takes a key that does not expire") {
		t.Errorf("the log is told %v", err)
	}
}

// TestACookieOfAnotherSite changes nothing: a browser adds it to any form that
// somebody else's page sends. Origins are compared as in a handshake.
func TestACookieOfAnotherSite(t *testing.T) {
	const foreign = "403 origin_not_allowed"
	scheme := security.OneOf[account](apiKey(security.Header("X-API-Key")), security.Session[account]{
		Cookie: "sid", Find: func(_ context.Context, id string) (account, error) { return account{id}, nil },
	})
	for _, test := range []struct {
		method, origin, site, host, want string
	}{
		{"POST", "http://app.example", "", "app.example", "alice"},
		{"POST", "https://APP.example:8443", "", "app.example:8443", "alice"},
		{"POST", "https://app.example", "same-origin", "internal:8080", "alice"}, // behind a proxy that has a name of its own
		{"POST", "", "same-origin", "app.example", "alice"},
		{"POST", "https://evil.example", "cross-site", "app.example", foreign},
		{"POST", "https://evil.example", "", "app.example", foreign},
		{"POST", "https://app.example:8443", "", "app.example", foreign},
		{"POST", "https://blog.app.example", "same-site", "app.example", foreign},
		{"POST", "http://app.example", "cross-site", "app.example", foreign}, // another program's page, of another port
		{"POST", "null", "", "app.example", foreign},
		{"POST", "null", "", "", foreign},
		{"POST", "", "none", "app.example", foreign},
		{"POST", "", "", "app.example", foreign},
		// A default port may be written on either side, and an Origin has nothing but a host and a port.
		{"POST", "http://192.168.1.7", "", "192.168.1.7:80", "alice"},
		{"POST", "http://app.example:80", "", "app.example", "alice"},
		{"POST", "https://app.example", "", "app.example:443", "alice"},
		{"POST", "https://app.example", "", "app.example:80", foreign},
		{"POST", "http://192.168.1.7:8080", "", "192.168.1.7", foreign},
		{"POST", "ftp://app.example", "", "app.example", foreign},
		{"POST", "tauri://app.example", "", "app.example", foreign},
		{"POST", "https://app.example/x", "", "app.example", foreign},
		{"POST", "https://app.example/", "", "app.example", foreign},
		{"POST", "https://app.example?x", "", "app.example", foreign},
		{"POST", "https://evil@app.example", "", "app.example", foreign},
		{"POST", "//app.example", "", "app.example", foreign},
		{"POST", "https://app.example https://evil.example", "", "app.example", foreign},
		{"DELETE", "https://evil.example", "", "app.example", foreign},
		{"GET", "https://evil.example", "cross-site", "app.example", "alice"},
		{"HEAD", "", "", "app.example", "alice"},
		{"OPTIONS", "", "", "app.example", "alice"},
	} {
		r := httptest.NewRequest(test.method, "/ticket", nil)
		r.Host = test.host
		r.Header.Set("Cookie", "sid=alice")
		for name, value := range map[string]string{"Origin": test.origin, "Sec-Fetch-Site": test.site} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if got := asked(r, scheme); got != test.want {
			t.Errorf("%+v: got %s", test, got)
		}
		r.Header.Set("X-Api-Key", "k-alice") // which no browser adds by itself
		if got := asked(r, scheme); got != "alice" {
			t.Errorf("%+v, with a key: got %s", test, got)
		}
	}
	plain := httptest.NewRequest(http.MethodPost, "https://app.example/", nil)
	plain.Header = http.Header{"Cookie": {"sid=alice"}, "Origin": {"http://app.example"}}
	if got := asked(plain, scheme); got != foreign {
		t.Errorf("from without TLS: %s", got)
	}
	twice := httptest.NewRequest(http.MethodPost, "http://app.example/", nil)
	twice.Header = http.Header{"Cookie": {"sid=alice"}, "Origin": {"http://app.example", "http://evil.example"}}
	if got := asked(twice, scheme); got != foreign {
		t.Errorf("two Origins: %s", got)
	}
}

// signed is a scheme that reads the body, as those of webhooks do.
type signed struct{}

func (signed) Describe() depends.Scheme {
	return depends.Scheme{Name: "Signature", Challenge: "Signature", Sources: []depends.Source{{In: "header", Name: "X-Signature"}}}
}

func (signed) Authenticate(_ context.Context, c depends.Credential) (account, error) {
	body, err := io.ReadAll(c.Request().Body)
	if err != nil || "of "+string(body) != c.Value {
		return account{}, fmt.Errorf("signed %q: %w", body, depends.ErrAbsent)
	}
	return account{"hook"}, nil
}

// TestARouteReadsTheBodyAfterItsScheme, from its input or from the request.
func TestARouteReadsTheBodyAfterItsScheme(t *testing.T) {
	deps := depends.New()
	security.Use[account](deps, signed{})
	ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
	say := func(w http.ResponseWriter, r *http.Request) error {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(string(body))
	}
	type input struct {
		Who     account
		Request *http.Request
	}
	wsroute.HandleHTTP(ws, http.MethodPost, "/input", func(w http.ResponseWriter, _ *http.Request, in input) error { return say(w, in.Request) })
	wsroute.HandleHTTP(ws, http.MethodPost, "/handler", func(w http.ResponseWriter, r *http.Request, _ input) error { return say(w, r) })
	routes, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/input", "/handler"} {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("pay 1"))
		r.Header.Set("X-Signature", "of pay 1")
		w := httptest.NewRecorder()
		if routes.ServeHTTP(w, r); w.Code != http.StatusOK || w.Body.String() != "\"pay 1\"\n" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// TestASchemeThatReadsTheBody, and what it calls absent is no absence.
func TestASchemeThatReadsTheBody(t *testing.T) {
	for signature, want := range map[string]string{"of pay 1": "hook", "of ": "401 invalid_credentials", "": "401 credentials_required"} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("pay 1"))
		r.Header.Set("X-Signature", signature)
		if got := asked(r, signed{}); got != want {
			t.Errorf("%q: %s, want %s", signature, got, want)
		}
		if body, err := io.ReadAll(r.Body); string(body) != "pay 1" || err != nil || r.Body.Close() != nil {
			t.Errorf("%q: the handler reads %q, %v", signature, body, err)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("X-Signature", "of x")
	if _, err := security.Authenticate(r, security.Scheme[account](signed{})); errors.Is(err, depends.ErrAbsent) {
		t.Errorf("%v is an absence", err)
	}
}

// TestAPasswordThatABrowserAdds: it does so for a form of any page, once it was told one.
// A program sends no header of a page's.
func TestAPasswordThatABrowserAdds(t *testing.T) {
	for _, test := range []struct{ method, origin, site, want string }{
		{"POST", "", "", "john"},
		{"POST", "http://app.example", "same-origin", "john"},
		{"POST", "http://app.example", "", "john"},
		{"POST", "https://evil.example", "cross-site", "403 origin_not_allowed"},
		{"POST", "https://evil.example", "", "403 origin_not_allowed"},
		{"POST", "", "cross-site", "403 origin_not_allowed"},
		{"POST", "null", "", "403 origin_not_allowed"},
		{"GET", "https://evil.example", "cross-site", "john"},
	} {
		r := httptest.NewRequest(test.method, "http://app.example/ticket", nil)
		r.SetBasicAuth("john", "a:b")
		for name, value := range map[string]string{"Origin": test.origin, "Sec-Fetch-Site": test.site} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if got := asked(r, security.Scheme[account](basic())); got != test.want {
			t.Errorf("%+v: got %s", test, got)
		}
	}
}
