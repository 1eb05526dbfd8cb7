package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/wsroute/wstest"
)

const secret = "a secret of thirty-two bytes, or more"

func TestSay(t *testing.T) {
	srv := wstest.Start(t, newRouter(secret), depends.OverrideValue(User{Name: "eve"}))
	wstest.Converse(t, wstest.Dial[string, string](t, srv, "/rooms/lobby"),
		`> {"type":"say","text":"hi"}`, `< {"type":"said","from":"eve","text":"hi"}`,
		`> {"type":"end"}`, `< {"type":"error","reason":"not_a_moderator"}`)
}

func TestNoToken(t *testing.T) {
	srv := wstest.Start(t, newRouter(secret))
	if got := wstest.Refused(t, srv, "/rooms/lobby"); got.Status != http.StatusUnauthorized {
		t.Errorf("a stranger got %d", got.Status)
	}
}

func TestEnd(t *testing.T) {
	srv := wstest.Start(t, newRouter(secret))
	alice := wstest.Dial[string, string](t, srv, "/rooms/lobby", bearer(t, "1"))
	bob := wstest.Dial[string, string](t, srv, "/rooms/lobby", bearer(t, "2"))
	wstest.Converse(t, bob, `> {"type":"say","text":"hi"}`, `< {"type":"said","from":"bob","text":"hi"}`)
	alice.Send(`{"type":"end"}`)
	if closed := bob.Closed(); closed.Code != 4000 || closed.Reason != "ended by alice" {
		t.Errorf("closed with %v", closed)
	}
	if got := wstest.Refused(t, srv, "/rooms/lobby", bearer(t, "3")); got.Status != 403 || got.Problem.Reason != "unknown_user" {
		t.Errorf("an unknown user got %d %q", got.Status, got.Problem.Reason)
	}
}

func TestNoSecret(t *testing.T) {
	if _, err := newRouter("").Handler(); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("without a secret, Mount returns %v", err)
	}
}

// bearer is the header with a token for a user, as the issuer would sign it.
func bearer(t *testing.T, subject string) wstest.Option {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer: "https://login.example", Audience: jwt.ClaimStrings{"rooms"}, Subject: subject,
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Minute)),
	}).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return wstest.Header("Authorization", "Bearer "+token)
}
