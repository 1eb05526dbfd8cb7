package main

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// TestRooms: a room is listed while somebody is in it, each user once.
func TestRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := start(t)
		list := func(want string) {
			t.Helper()
			synctest.Wait()
			got := request(t, srv, http.MethodGet, "/rooms", "", "Authorization: bearer "+tokenFor(t, "bob"))
			if got.body != want || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("the list is %v %s, want %s, not stored", got.header, got.body, want)
			}
		}
		list(`{"rooms":[]}`)
		bob, again := join(t, srv, "lobby", "bob"), join(t, srv, "lobby", "bob")
		alice, cellar := join(t, srv, "lobby", "alice"), join(t, srv, "cellar", "bob")
		list(`{"rooms":[{"name":"cellar","members":["bob"]},{"name":"lobby","members":["alice","bob"]}]}`)
		cellar.Close(1000, "")
		bob.Close(1000, "")
		list(`{"rooms":[{"name":"lobby","members":["alice","bob"]}]}`)
		again.Close(1000, "")
		list(`{"rooms":[{"name":"lobby","members":["alice"]}]}`)
		alice.Close(1000, "")
		list(`{"rooms":[]}`)
	})
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
		for _, path := range []string{"/rooms", "/rooms?token=" + token} {
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
