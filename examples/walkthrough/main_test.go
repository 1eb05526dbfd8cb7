package main

import (
	"testing"

	"go.uber.org/goleak"

	"example.com/usher/depends"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = []byte("a key of at least thirty-two bytes")

func TestGreet(t *testing.T) {
	srv := wstest.Start(t, router(key))
	peer := wstest.Dial[string, string](t, srv, "/greet/ada?times=2")
	for range 2 {
		if got := peer.Receive(); got != "hello, ada" {
			t.Errorf("got %q", got)
		}
	}
	r := wstest.Refused(t, srv, "/greet/ada?times=9")
	if r.Status != 422 || r.Problem.Errors[0].Code != "lte" {
		t.Errorf("got %d %s", r.Status, r.Body)
	}
}

func TestReadAsSomebody(t *testing.T) {
	srv := wstest.Start(t, router(key), depends.OverrideValue(Reader{Name: "ada"}))
	peer := wstest.Dial[string, string](t, srv, "/read")
	peer.Send("a line")
	if got := peer.Receive(); got != "ada: a line" {
		t.Errorf("got %q", got)
	}
}

func TestReadIsGuarded(t *testing.T) {
	srv := wstest.Start(t, router(key))
	if r := wstest.Refused(t, srv, "/read"); r.Status != 401 {
		t.Errorf("without a token: got %d", r.Status)
	}
	if r := wstest.Refused(t, srv, "/read", bearer(t, "mallory")); r.Status != 403 {
		t.Errorf("banned: got %d", r.Status)
	}
	wstest.Dial[string, string](t, srv, "/read", bearer(t, "ada"))
}

func bearer(t *testing.T, name string) wstest.Option {
	t.Helper()
	signed, err := token(key, name)
	if err != nil {
		t.Fatal(err)
	}
	return wstest.Header("Authorization", "Bearer "+signed)
}
