package main

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/wsroute/wstest"
)

// signedIn returns a token that the server has signed for alice.
func signedIn(t *testing.T, srv *wstest.Server) string {
	t.Helper()
	return issued(t, request(t, srv, http.MethodPost, "/token", "username=alice&password=wonderland", form))
}

func issued(t *testing.T, response answer) string {
	t.Helper()
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(response.body), &got); err != nil || response.status != http.StatusOK {
		t.Fatalf("%d %s: %v", response.status, response.body, err)
	}
	return got.AccessToken
}

// TestLogout ends the account's sockets before it answers, and refuses the tokens of
// before from then on; the next sign-in counts.
func TestLogout(t *testing.T) {
	srv, _ := start(t)
	token := signedIn(t, srv)
	authorization := "Authorization: Bearer " + token
	first := wstest.Dial[string, string](t, srv, "/ws/rooms/lobby", wstest.Header("Authorization", "Bearer "+token))
	second := join(t, srv, "cellar", "alice")
	bob := join(t, srv, "lobby", "bob")
	if r := request(t, srv, http.MethodPost, "/logout", ""); r.status != http.StatusUnauthorized {
		t.Errorf("without a token it is %d", r.status)
	}
	if r := request(t, srv, http.MethodPost, "/logout", "", authorization); r.status != http.StatusNoContent {
		t.Fatalf("%d %s", r.status, r.body)
	}
	for _, peer := range []*peer{first, second} {
		if got := peer.Closed(); got.Code != 3000 || got.Reason != "revoked" {
			t.Errorf("got %v", got)
		}
	}
	for _, r := range []answer{
		request(t, srv, http.MethodGet, "/rooms", "", authorization),
		request(t, srv, http.MethodPost, "/renew", "", authorization),
		request(t, srv, http.MethodPost, "/ticket", "", authorization),
	} {
		if r.status != http.StatusUnauthorized {
			t.Errorf("a token of before is answered %d %s", r.status, r.body)
		}
	}
	if r := wstest.Refused(t, srv, "/ws/rooms/lobby", wstest.Header("Authorization", "Bearer "+token)); r.Status != http.StatusUnauthorized {
		t.Errorf("a token of before connects: %d", r.Status)
	}
	wstest.Ask[Said](t, bob, "say", Say{"still here"})
	wstest.Dial[string, string](t, srv, "/ws/rooms/lobby", wstest.Header("Authorization", "Bearer "+signedIn(t, srv))).Close(1000, "")
}

// TestRenew: a token that was renewed keeps the connection open when the first one
// has ended, and one that was not does not.
func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := start(t)
		token := signedIn(t, srv)
		dial := func() *peer {
			return wstest.Dial[string, string](t, srv, "/ws/rooms/lobby", wstest.Header("Authorization", "Bearer "+token))
		}
		renews, ends := dial(), dial()
		start := time.Now()
		time.Sleep(30 * time.Second)
		next := issued(t, request(t, srv, http.MethodPost, "/renew", "", "Authorization: Bearer "+token))
		wstest.Converse(t, renews,
			`< {"type":"members","users":["alice"]}`,
			`> {"type":"renew","ref":1,"token":"`+next+`"}`,
			`< {"type":"renewed","ref":1,"expires":"2000-01-01T00:01:30Z"}`,
			`> {"type":"say","ref":2,"text":"hi"}`,
			`< {"type":"said","ref":2,"id":"*","from":"alice","text":"hi","at":"2000-01-01T00:00:30Z"}`,
		)
		var both sync.WaitGroup // each answers pings meanwhile
		for peer, after := range map[*peer]time.Duration{ends: time.Minute, renews: 90 * time.Second} {
			both.Go(func() {
				peer.Timeout = 2 * after
				got := peer.Closed()
				if d := time.Since(start); got.Code != 3000 || d > after+time.Millisecond || d < after-2*time.Second {
					t.Errorf("after %v: %v", d, got)
				}
			})
		}
		both.Wait()
	})
}
