package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"example.com/usher/wsroute/wstest"
)

const form = "Content-Type: application/x-www-form-urlencoded"

func TestToken(t *testing.T) {
	srv, _ := start(t)
	for _, body := range []string{
		"username=alice&password=wonderland",
		"grant_type=password&username=alice&password=wonderland&scope=",
	} {
		response := request(t, srv, http.MethodPost, "/token", body, form)
		var got struct {
			AccessToken string `json:"access_token"`
			TokenType   string `json:"token_type"`
			ExpiresIn   int    `json:"expires_in"`
		}
		if err := json.Unmarshal([]byte(response.body), &got); err != nil {
			t.Fatalf("%s: %q: %v", body, response.body, err)
		}
		if response.status != http.StatusOK || got.TokenType != "bearer" || got.ExpiresIn != 60 {
			t.Errorf("%s: got %d %+v, want 200, a bearer token for 60 s", body, response.status, got)
		}
		if got := response.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control is %q, want no-store", body, got)
		}
		peer := wstest.Dial[string, string](t, srv, "/ws/rooms/lobby", wstest.Header("Authorization", "Bearer "+got.AccessToken))
		peer.Close(1000, "")
	}
}

func TestTokenRefusals(t *testing.T) {
	srv, _ := start(t)
	for _, tt := range []struct{ name, path, body, contentType, want string }{
		{"wrong password", "/token", "username=alice&password=x", form, "invalid_grant"},
		{"unknown user", "/token", "username=ghost&password=wonderland", form, "invalid_grant"},
		{"no password", "/token", "username=alice", form, "invalid_request"},
		{"empty password", "/token", "username=alice&password=", form, "invalid_request"},
		{"no user", "/token", "password=x", form, "invalid_request"},
		{"nothing", "/token", "", form, "invalid_request"},
		{"twice", "/token", "username=alice&username=bob&password=wonderland", form, "invalid_request"},
		{"other grant", "/token", "grant_type=client_credentials&username=alice&password=wonderland", form, "unsupported_grant_type"},
		{"in the query", "/token?username=alice&password=wonderland", "", form, "invalid_request"},
		{"JSON", "/token", `{"username":"alice","password":"wonderland"}`, "Content-Type: application/json", "invalid_request"},
		{"too much", "/token", "username=alice&password=wonderland&x=" + strings.Repeat("x", maxForm), form, "invalid_request"},
		{"broken", "/token", "username=%zz&password=x", form, "invalid_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			response := request(t, srv, http.MethodPost, tt.path, tt.body, tt.contentType)
			if want := `{"error":"` + tt.want + `"}`; response.status != http.StatusBadRequest || response.body != want {
				t.Errorf("got %d %s, want 400 %s", response.status, response.body, want)
			}
			if got := response.header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control is %q, want no-store", got)
			}
		})
	}
	if response := request(t, srv, http.MethodGet, "/token", ""); response.status != http.StatusMethodNotAllowed {
		t.Errorf("GET /token is %d, want 405", response.status)
	}
}
