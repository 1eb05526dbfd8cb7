package main

import (
	"testing"

	"go.uber.org/goleak"

	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = []byte("a key of at least thirty-two bytes")

func bearer(t *testing.T, subject string) wstest.Option {
	t.Helper()
	signed, err := token(key, subject)
	if err != nil {
		t.Fatal(err)
	}
	return wstest.Header("Authorization", "Bearer "+signed)
}

// TestEachRouteAsksForWhatItNeeds: a suspended account may know that it is.
func TestEachRouteAsksForWhatItNeeds(t *testing.T) {
	srv := wstest.Start(t, newRouter(key))
	for subject, want := range map[string]User{"1": {Name: "ada"}, "2": {Name: "bob", Suspended: true}} {
		c := wstest.Dial[string, User](t, srv, "/me", bearer(t, subject))
		if got := c.Receive(); got != want {
			t.Errorf("%s is %v", subject, got)
		}
		if closed := c.Closed(); closed.Code != 1000 {
			t.Errorf("closed with %v", closed)
		}
	}
	c := wstest.Dial[string, string](t, srv, "/say", bearer(t, "1"))
	c.Send("hi")
	if got := c.Receive(); got != "ada: hi" {
		t.Errorf("got %q", got)
	}
	if got := wstest.Refused(t, srv, "/say", bearer(t, "2")); got.Status != 403 || got.Problem.Reason != "suspended" {
		t.Errorf("a suspended account: %d %s", got.Status, got.Problem.Reason)
	}
	if got := wstest.Refused(t, srv, "/me", bearer(t, "3")); got.Status != 403 || got.Problem.Reason != "unknown_user" {
		t.Errorf("an unknown account: %d %s", got.Status, got.Problem.Reason)
	}
	if got := wstest.Refused(t, srv, "/me"); got.Status != 401 || got.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("nobody: %d %s", got.Status, got.Header.Get("WWW-Authenticate"))
	}
}
