package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/wsroute/wstest"
)

// ticketFor asks for a ticket to a path, as a page does.
func ticketFor(t *testing.T, srv *wstest.Server, path string, headers ...string) string {
	t.Helper()
	got := request(t, srv, http.MethodPost, "/ticket", "path="+path, append(headers, "Content-Type: application/x-www-form-urlencoded")...)
	var body struct {
		Ticket    string `json:"ticket"`
		ExpiresIn int    `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.status != http.StatusOK || body.ExpiresIn != 30 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	return body.Ticket
}

// TestHowATokenComes: in the header, in the subprotocol, in the query, and as a
// ticket for one connection.
func TestHowATokenComes(t *testing.T) {
	srv, _ := start(t)
	token := tokenFor(t, "alice")
	ticket := ticketFor(t, srv, "/ws/rooms/lobby", "Authorization: Bearer "+token)
	const path = "/ws/rooms/lobby"
	for name, dial := range map[string]struct {
		path    string
		options []wstest.Option
	}{
		"header":      {path, []wstest.Option{as(t, "alice")}},
		"subprotocol": {path, []wstest.Option{wstest.Subprotocol("bearer, " + token)}},
		"query":       {path + "?token=" + token, nil},
		"ticket":      {path + "?ticket=" + ticket, nil},
	} {
		peer := wstest.Dial[string, string](t, srv, dial.path, dial.options...)
		if got := wstest.Ask[Said](t, peer, "say", Say{name}); got.From != "alice" || got.Text != name {
			t.Errorf("%s: got %+v", name, got)
		}
		if strings.Contains(strings.Join(peer.Response.Header["Sec-Websocket-Protocol"], ""), token) {
			t.Errorf("%s: the token is echoed", name)
		}
		peer.Close(1000, "")
	}
	for name, target := range map[string]string{
		"again": path + "?ticket=" + ticket, "another room": "/ws/rooms/cellar?ticket=" + ticketFor(t, srv, path, "Authorization: Bearer "+token),
	} {
		if r := wstest.Refused(t, srv, target); r.Status != 401 || r.Problem.Reason != "invalid_ticket" {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
		}
	}
	if got := request(t, srv, http.MethodPost, "/ticket", "path=/ws/rooms/lobby"); got.status != 401 || got.header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("a ticket without a token: %d %v", got.status, got.header)
	}
}

// TestAConnectionEndsWithItsToken, and not before.
func TestAConnectionEndsWithItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := start(t)
		peer := join(t, srv, "lobby", "alice")
		opened := time.Now()
		peer.Timeout = 2 * testSettings.ttl
		got := peer.Closed()
		if d := time.Since(opened); got.Code != 3000 || d > testSettings.ttl+time.Millisecond || d < testSettings.ttl-2*time.Second {
			t.Errorf("after %v: %v", d, got)
		}
	})
}
