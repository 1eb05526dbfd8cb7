package main

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = []byte("a key of at least thirty-two bytes")

func start(t *testing.T) *wstest.Server {
	t.Helper()
	ws, engine, err := newApp(key, &Banned{})
	if err != nil {
		t.Fatal(err)
	}
	return wstest.StartHandler(t, ws, engine)
}

func bearer(t *testing.T, name string) wstest.Option {
	t.Helper()
	signed, err := token(key, name)
	if err != nil {
		t.Fatal(err)
	}
	return wstest.Header("Authorization", "Bearer "+signed)
}

// TestABanReachesTheOpenSocket: of the one that middleware guarded, only the next.
func TestABanReachesTheOpenSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := start(t)
		byHand := wstest.Dial[string, string](t, srv, "/by-hand", bearer(t, "ada"))
		peer := wstest.Dial[string, string](t, srv, "/echo", bearer(t, "ada"))
		peer.Send("hi")
		if got := peer.Receive(); got != "ada: hi" {
			t.Errorf("got %q", got)
		}
		actor := wstest.Dial[string, string](t, srv, "/actions", bearer(t, "ada"))
		wstest.Converse(t, actor, `> {"type":"act"}`, `< {"type":"acted","by":"ada"}`)
		response, err := srv.Client().Post("http://"+srv.Host+"/ban/ada", "", nil)
		if err != nil || response.Body.Close() != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response, err)
		}
		wstest.Converse(t, actor, `> {"type":"act"}`, `< {"type":"error","reason":"banned"}`)
		time.Sleep(11 * time.Second)
		if closed := peer.Closed(); *closed != (wsroute.CloseError{Code: 3003, Reason: "banned"}) {
			t.Errorf("closed with %v", closed)
		}
		byHand.Send("still here")
		if got := byHand.Receive(); got != "still here" {
			t.Errorf("got %q", got)
		}
		for path, want := range map[string]int{"/echo": 403, "/by-hand": 401} {
			if got := wstest.Refused(t, srv, path, bearer(t, "ada")); got.Status != want {
				t.Errorf("%s again: %d", path, got.Status)
			}
		}
	})
}

func TestRefused(t *testing.T) {
	srv := wstest.Start(t, newRouter(key, &Banned{}))
	if got := wstest.Refused(t, srv, "/echo"); got.Status != 401 || got.Problem.Reason != "credentials_required" {
		t.Errorf("nobody: %d %s", got.Status, got.Problem.Reason)
	}
	srv = wstest.Start(t, newRouter(key, &Banned{}), depends.OverrideValue(User{Name: "bob"}))
	peer := wstest.Dial[string, string](t, srv, "/echo")
	peer.Send("hi")
	if got := peer.Receive(); got != "bob: hi" {
		t.Errorf("got %q", got)
	}
}
