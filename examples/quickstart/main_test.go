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

func TestJoin(t *testing.T) {
	srv := wstest.Start(t, newRouter(secret), depends.OverrideValue(User{Name: "alice"}))
	peer := wstest.Dial[Say, Said](t, srv, "/rooms/lobby")
	peer.Send(Say{Text: "hi"})
	if got, want := peer.Receive(), (Said{From: "alice", Text: "hi"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestNoToken(t *testing.T) {
	srv := wstest.Start(t, newRouter(secret))
	refusal := wstest.Refused(t, srv, "/rooms/lobby")
	if refusal.Status != http.StatusUnauthorized || refusal.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("got %d %v, want 401 with the challenge Bearer", refusal.Status, refusal.Header)
	}
}

func TestToken(t *testing.T) {
	srv := wstest.Start(t, newRouter(secret))
	peer := wstest.Dial[Say, Said](t, srv, "/rooms/lobby", bearer(t, "1"))
	peer.Send(Say{Text: "hi"})
	if got := peer.Receive(); got.From != "alice" {
		t.Errorf("got %+v, want it from alice", got)
	}
	refusal := wstest.Refused(t, srv, "/rooms/lobby", bearer(t, "2"))
	if refusal.Status != http.StatusForbidden || refusal.Problem.Reason != "unknown_user" {
		t.Errorf("an unknown user got %d %q, want 403 unknown_user", refusal.Status, refusal.Problem.Reason)
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
