package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/usher/wsroute/wstest"
)

// look asks for a room, as alice.
func look(t *testing.T, srv *wstest.Server, name string) (got Room) {
	t.Helper()
	response := request(t, srv, http.MethodGet, "/rooms/"+name, "", "Authorization: Bearer "+tokenFor(t, "alice"))
	if err := json.Unmarshal([]byte(response.body), &got); err != nil || response.status != http.StatusOK {
		t.Fatalf("%s is %d %q: %v", name, response.status, response.body, err)
	}
	return got
}

func TestMembers(t *testing.T) {
	srv, _ := start(t)
	if diff := cmp.Diff(Room{"lobby", []string{}, 0}, look(t, srv, "lobby")); diff != "" {
		t.Errorf("a room that nobody is in (-want +got):\n%s", diff)
	}
	bob := wstest.Dial[Say, Said](t, srv, "/ws/rooms/lobby", as(t, "bob"))
	again := wstest.Dial[Say, Said](t, srv, "/ws/rooms/lobby", as(t, "bob"))
	alice := wstest.Dial[Say, Said](t, srv, "/ws/rooms/lobby", as(t, "alice"))
	cellar := wstest.Dial[Say, Said](t, srv, "/ws/rooms/cellar", as(t, "bob"))
	for _, peer := range []*wstest.Peer[Say, Said]{bob, again, alice, cellar} {
		peer.Send(Say{"hi"})
		peer.Receive() // the first thing that comes is what somebody says
	}
	bob.Receive()
	bob.Receive() // all three have spoken in the lobby
	if diff := cmp.Diff(Room{"lobby", []string{"alice", "bob"}, 3}, look(t, srv, "lobby")); diff != "" {
		t.Errorf("the lobby (-want +got):\n%s", diff)
	}
	list := request(t, srv, http.MethodGet, "/rooms", "", "Authorization: bearer "+tokenFor(t, "bob"))
	want := `{"rooms":[{"name":"cellar","members":["bob"],"said":1},{"name":"lobby","members":["alice","bob"],"said":3}]}`
	if list.body != want || list.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the list is %v %s, want %s, not stored", list.header, list.body, want)
	}

	alice.Close(1000, "")
	for deadline := time.Now().Add(5 * time.Second); len(look(t, srv, "lobby").Members) > 1; {
		if time.Now().After(deadline) {
			t.Fatal("who left is still a member")
		}
	}
}

func TestGuideRefusals(t *testing.T) {
	srv, _ := start(t)
	token := tokenFor(t, "alice")
	for _, tt := range []struct{ name, header, reason, challenge string }{
		{"nothing", "", "credentials_required", "Bearer"},
		{"another scheme", "Authorization: Basic " + token, "credentials_required", "Bearer"},
		{"no token", "Authorization: Bearer", "credentials_required", "Bearer"},
		{"empty token", "Authorization: Bearer ", "credentials_required", "Bearer"},
		{"broken token", "Authorization: Bearer x.y.z", "invalid_token", `Bearer error="invalid_token"`},
		{"no account any more", "Authorization: Bearer " + tokenFor(t, "ghost"), "unauthorized", `Bearer error="invalid_token"`},
	} {
		for _, path := range []string{"/rooms", "/rooms/lobby", "/rooms?token=" + token} {
			headers := []string{tt.header}
			if tt.header == "" {
				headers = nil
			}
			got := request(t, srv, http.MethodGet, path, "", headers...)
			if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") != tt.challenge ||
				got.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(got.body, `"reason":"`+tt.reason+`"`) {
				t.Errorf("%s: %.12s is %d %v %s, want 401 %s", tt.name, path, got.status, got.header, got.body, tt.reason)
			}
		}
	}
}
