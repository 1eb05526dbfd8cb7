package main

import (
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const origin = "http://app.example.com"

// post sends a form as the page would, with the session's cookie if there is one, and
// returns the cookies that are set.
func post(t *testing.T, srv *wstest.Server, path, form string, session *http.Cookie) []*http.Cookie {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+srv.Host+path, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if session != nil {
		request.AddCookie(session)
	}
	response, err := srv.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.Cookies()
}

// TestSession: in with the cookie from the right page, and not otherwise.
func TestSession(t *testing.T) {
	ws, engine, err := newApp(&Sessions{}, origin)
	if err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, engine)
	session := post(t, srv, "/login", "name=ada", nil)[0]
	signedIn, fromPage := wstest.Cookie(session.Name, session.Value), wstest.Header("Origin", origin)
	c := wstest.Dial[string, string](t, srv, "/inbox", signedIn, fromPage)
	if got := c.Receive(); got != "nothing new, ada" {
		t.Errorf("got %q", got)
	}
	c.Closed()
	refused := func(name string, status int, reason string, options ...wstest.Option) {
		t.Helper()
		if got := wstest.Refused(t, srv, "/inbox", options...); got.Status != status || got.Problem.Reason != reason {
			t.Errorf("%s: %d %q", name, got.Status, got.Problem.Reason)
		}
	}
	refused("nobody", 401, "credentials_required", fromPage)
	refused("a made-up session", 401, "invalid_session", wstest.Cookie(cookie, "mine"), fromPage)
	refused("another page", 403, "origin_not_allowed", signedIn, wstest.Header("Origin", "https://evil.example"))
	refused("no page", 403, "origin_not_allowed", signedIn)
	post(t, srv, "/logout", "", session)
	refused("who has signed out", 401, "invalid_session", signedIn, fromPage)
}
