package main

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(m)
}

func TestTheSocketHasWhatMiddlewareKnows(t *testing.T) {
	_, ws, engine, err := program()
	if err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, engine)
	peer := wstest.Dial[string, string](t, srv, "/orgs/acme/rooms/lobby/ws", wstest.Cookie("session", "alice"), wstest.Header("X-Request-Id", "r1"))
	if got := peer.Receive(); got != "welcome to lobby, alice" {
		t.Errorf("got %q", got)
	}
	if h := peer.Response.Header; h.Get("X-Request-Id") != "r1" || h.Get("Set-Cookie") == "" {
		t.Errorf("the 101 has %v", h)
	}
	if r := wstest.Get(t, srv, "/orgs/acme/rooms/lobby"); string(r.Body) != "about lobby" {
		t.Errorf("the plain route answers %d %s", r.Status, r.Body)
	}
}

func TestRefusals(t *testing.T) {
	_, ws, engine, err := program()
	if err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, engine)
	if r := wstest.Refused(t, srv, "/orgs/acme/rooms/lobby/ws"); r.Status != 401 || r.Header.Get("WWW-Authenticate") != "Session" {
		t.Errorf("without a session: %d %v", r.Status, r.Header)
	}
	if r := wstest.Refused(t, srv, "/orgs/acme/rooms/attic/ws", wstest.Cookie("session", "alice")); r.Status != 404 || r.Problem.Reason != "no_such_room" {
		t.Errorf("an unknown room: %d %s", r.Status, r.Body)
	}
}

func TestTheProgramsOwnServerStops(t *testing.T) {
	deps, ws, engine, err := program()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, listener, deps, ws, engine) }()
	for path, want := range map[string]int{"/orgs/acme/rooms/lobby": 200, "/orgs/acme/rooms/lobby/ws": 426, "/orgs/acme/rooms/lobby/ws/": 404} {
		r, err := http.Get("http://" + listener.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, r.StatusCode, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
