package main

import (
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func start(t *testing.T) *wstest.Server {
	t.Helper()
	ws, engine, err := newApp(key, &Accounts{})
	if err != nil {
		t.Fatal(err)
	}
	return wstest.StartHandler(t, ws, engine)
}

// TestHTTPClient asks as curl does, without a handshake: wsroute.Diagnose answers.
func TestHTTPClient(t *testing.T) {
	srv := start(t)
	response, err := srv.Client().Get("http://" + srv.Host + "/after")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	response.Header.Del("Date")
	got, err := httputil.DumpResponse(response, true)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/refused.txt", strings.ReplaceAll(string(got), "\r\n", "\n"))
}

// TestPage connects as a browser does, with a subprotocol in place of a header.
func TestPage(t *testing.T) {
	srv := start(t)
	page := func(token string) *wstest.Peer[string, string] {
		return wstest.Dial[string, string](t, srv, "/page/after", wstest.Header("Origin", "http://"+srv.Host), wstest.Subprotocol("bearer, "+token))
	}
	if closed := page("forged").Closed(); *closed != (wsroute.CloseError{Code: 3000, Reason: "invalid_token"}) {
		t.Errorf("closed with %v", closed)
	}
	signed, err := token(key, "ada", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	peer := page(signed)
	peer.Send("hi")
	if got := peer.Receive(); got != "ada: hi" {
		t.Errorf("got %q", got)
	}
}

// TestABanReachesTheNextMessage, and not one that comes ten seconds later.
func TestABanReachesTheNextMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := start(t)
		ada := wstest.Dial[string, string](t, srv, "/actions", bearer(t, "ada", time.Hour))
		wstest.Converse(t, ada, `> {"type":"act"}`, `< {"type":"acted","by":"ada"}`)
		response, err := srv.Client().Post("http://"+srv.Host+"/ban/ada", "", nil)
		if err != nil || response.Body.Close() != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response, err)
		}
		wstest.Converse(t, ada, `> {"type":"act"}`, `< {"type":"error","reason":"banned"}`)
	})
}

// TestRefused: strangers are, and everything else is tested with a user that is put in place.
func TestRefused(t *testing.T) {
	srv := wstest.Start(t, newRouter(key, &Accounts{}))
	if got := wstest.Refused(t, srv, "/after"); got.Status != 401 || got.Problem.Reason != "credentials_required" {
		t.Errorf("nobody: %d %s", got.Status, got.Problem.Reason)
	}
	srv = wstest.Start(t, newRouter(key, &Accounts{}), depends.OverrideValue(User{Name: "bob"}))
	peer := wstest.Dial[string, string](t, srv, "/after")
	peer.Send("hi")
	if got := peer.Receive(); got != "bob: hi" {
		t.Errorf("got %q", got)
	}
}
