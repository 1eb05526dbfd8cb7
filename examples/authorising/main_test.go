package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = []byte("a key of at least thirty-two bytes")

func signed(t *testing.T, subject, scope string) string {
	t.Helper()
	text, err := token(key, subject, scope)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func bearer(t *testing.T, subject, scope string) wstest.Option {
	t.Helper()
	return wstest.Header("Authorization", "Bearer "+signed(t, subject, scope))
}

// TestEachRouteAsksForWhatItNeeds: a suspended account may know that it is.
func TestEachRouteAsksForWhatItNeeds(t *testing.T) {
	srv := wstest.Start(t, newRouter(key, nil))
	for subject, want := range map[string]User{"1": {Name: "ada", Role: "admin"}, "2": {Name: "bob", Suspended: true}} {
		c := wstest.Dial[string, User](t, srv, "/me", bearer(t, subject, ""))
		if got := c.Receive(); got != want {
			t.Errorf("%s is %v", subject, got)
		}
		if closed := c.Closed(); closed.Code != 1000 {
			t.Errorf("closed with %v", closed)
		}
	}
	for query, want := range map[string]int{"": 1, "?times=2": 2} {
		c := wstest.Dial[string, string](t, srv, "/say"+query, bearer(t, "1", ""))
		c.Send("hi")
		for range want {
			if got := c.Receive(); got != "ada: hi" {
				t.Errorf("got %q", got)
			}
		}
	}
	if got := wstest.Refused(t, srv, "/me"); got.Status != 401 || got.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("nobody: %d %s", got.Status, got.Header.Get("WWW-Authenticate"))
	}
	for _, c := range []struct{ path, subject, scope, reason string }{
		{"/me", "4", "", "unknown_user"},
		{"/say", "2", "", "suspended"},
		{"/news", "1", "", "insufficient_scope"},
		{"/news", "2", "", "insufficient_scope"}, // scopes come first
		{"/news", "2", "news:read", "suspended"},
	} {
		if got := wstest.Refused(t, srv, c.path, bearer(t, c.subject, c.scope)); got.Status != 403 || got.Problem.Reason != c.reason {
			t.Errorf("%v: %d %q", c, got.Status, got.Problem.Reason)
		}
	}
}

// post makes a plain request.
func post(t *testing.T, srv *wstest.Server, token, body string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+srv.Host+"/admin/news", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := srv.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(text))
}

// TestOneUserForBoth: readers get what is posted, and sockets and plain requests refuse alike.
func TestOneUserForBoth(t *testing.T) { synctest.Test(t, oneUserForBoth) }

func oneUserForBoth(t *testing.T) {
	srv := wstest.Start(t, newRouter(key, nil))
	reader := wstest.Dial[string, Item](t, srv, "/news", bearer(t, "3", "news:read"))
	synctest.Wait() // it has joined
	if status, answer := post(t, srv, signed(t, "1", "news:write"), `{"from":"eve","text":"hi"}`); status != 200 || answer != `{"from":"ada","text":"hi"}` {
		t.Errorf("%d %s", status, answer)
	}
	if got := reader.Receive(); got != (Item{"ada", "hi"}) {
		t.Errorf("the reader got %v", got)
	}
	for _, c := range []struct{ subject, scope, body, want string }{
		{"1", "news:write", `{`, `"status":400,"reason":"invalid_json"`},
		{"1", "news:read", `{}`, `"status":403,"reason":"insufficient_scope"`},
		{"3", "news:write", `{}`, `"status":403,"reason":"not_an_admin"`},
	} {
		if _, answer := post(t, srv, signed(t, c.subject, c.scope), c.body); !strings.Contains(answer, c.want) {
			t.Errorf("%v: %s", c, answer)
		}
	}
	for _, token := range []string{"", "forged"} {
		var header []wstest.Option
		if token != "" {
			header = append(header, wstest.Header("Authorization", "Bearer "+token))
		}
		refused := wstest.Refused(t, srv, "/me", header...)
		if status, answer := post(t, srv, token, `{}`); status != 401 || refused.Status != 401 || answer != strings.TrimSpace(string(refused.Body)) {
			t.Errorf("%q: the request is answered %d %s, the handshake %d %s", token, status, answer, refused.Status, refused.Body)
		}
	}
}
