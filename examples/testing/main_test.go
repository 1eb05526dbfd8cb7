package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestHandler calls the handler as the function that it is: a pipe stands for the
// connection, and nothing is resolved.
func TestHandler(t *testing.T) {
	conn, peer := wstest.Pipe[string, string](t)
	end := make(chan error, 1)
	go func() { end <- quote(t.Context(), conn, input{User: User{"bob"}, Prices: list{"jam": 1}}) }()
	peer.Send("jam")
	if got := peer.Receive(); got != "bob, 1 cents for jam" {
		t.Errorf("got %q", got)
	}
	peer.Send("gold")
	if err := <-end; !errors.Is(err, ErrUnknown) {
		t.Errorf("the handler returned %v", err)
	}
}

// TestRoute replaces the user and what answers, and leaves everything else: the
// handshake, the limits and the frames are real.
func TestRoute(t *testing.T) {
	srv := wstest.Start(t, newRouter(),
		depends.OverrideValue(User{"eve"}),
		depends.OverrideValue[Prices](list{"tea": 1}),
	)
	peer := wstest.Dial[string, string](t, srv, "/quote")
	peer.Send("tea")
	if got := peer.Receive(); got != "eve, 1 cents for tea" {
		t.Errorf("got %q", got)
	}
	peer.Send("gold")
	if closed := peer.Closed(); *closed != (wsroute.CloseError{Code: 4404, Reason: "unknown_item"}) {
		t.Errorf("closed with %v", closed)
	}
}

// TestProviderFails stands in for a store that is down.
func TestProviderFails(t *testing.T) {
	down := func(context.Context, struct{}) (User, error) {
		return User{}, depends.Unavailable(3*time.Second, errors.New("no route to host"))
	}
	srv := wstest.Start(t, newRouter(), depends.Override(down))
	if got := wstest.Refused(t, srv, "/quote"); got.Status != 503 || got.Header.Get("Retry-After") != "3" {
		t.Errorf("%d, after %s", got.Status, got.Header.Get("Retry-After"))
	}
}

// TestRefused replaces nothing.
func TestRefused(t *testing.T) {
	t.Setenv("ADA_KEY", "k")
	srv := wstest.Start(t, newRouter())
	if got := wstest.Refused(t, srv, "/quote"); got.Status != 401 || got.Problem.Reason != "credentials_required" {
		t.Errorf("no key: %d %q", got.Status, got.Problem.Reason)
	}
	if got := wstest.Refused(t, srv, "/quote", wstest.Header("X-API-Key", "x")); got.Status != 401 || got.Problem.Reason != "invalid_key" {
		t.Errorf("another key: %d %q", got.Status, got.Problem.Reason)
	}
	wstest.Dial[string, string](t, srv, "/quote", wstest.Header("X-API-Key", "k")).Close(1000, "")
}

// TestAnHour takes none: in a bubble of testing/synctest, time passes when everybody waits.
func TestAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := wstest.Start(t, newRouter(), depends.OverrideValue(User{"eve"}))
		peer := wstest.Dial[string, string](t, srv, "/quote")
		start := time.Now()
		_ = peer.WebSocket.SetReadDeadline(time.Time{}) // Closed waits for seconds only
		_, _, err := peer.WebSocket.ReadMessage()
		if time.Since(start) != time.Hour || err == nil || err.Error() != "websocket: close 3000: token_expired" {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}
