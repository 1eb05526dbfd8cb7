package main

import (
	"context"
	"errors"
	"flag"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// TestHTTPClient asks as curl does, without a handshake: wsroute.Diagnose answers.
func TestHTTPClient(t *testing.T) {
	srv := start(t)
	response, err := srv.Client().Get("http://" + srv.Host + "/echo")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	response.Header.Del("Date")
	got, err := httputil.DumpResponse(response, true)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(got), "\r\n", "\n")
	const golden = "testdata/refused.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(text), 0o644); err != nil { //nolint:gosec // shown in docs
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("run go test ./examples/cheatsheet -update\n%s", diff)
	}
}

// connect is a Go client that says why it was refused.
func connect(ctx context.Context, dialer *websocket.Dialer, url, token string) (*websocket.Conn, string, error) {
	header := http.Header{"Authorization": {"Bearer " + token}}
	conn, response, err := dialer.DialContext(ctx, url, header)
	if errors.Is(err, websocket.ErrBadHandshake) { // the server has answered, and not with 101
		defer response.Body.Close()
		return nil, response.Status + ", " + response.Header.Get("WWW-Authenticate"), err
	}
	return conn, "", err
}

// TestGoClient reads the refusal of its handshake.
func TestGoClient(t *testing.T) {
	srv := start(t)
	dialer := &websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return srv.Connect(ctx) }}
	_, why, err := connect(t.Context(), dialer, "ws://"+srv.Host+"/echo", "forged")
	if want := `401 Unauthorized, Bearer error="invalid_token"`; err == nil || why != want {
		t.Errorf("got %q, %v", why, err)
	}
}

// TestPage connects as a browser does, with a subprotocol in place of a header.
func TestPage(t *testing.T) {
	srv := start(t)
	page := func(token string) *wstest.Peer[string, string] {
		return wstest.Dial[string, string](t, srv, "/page/echo", wstest.Header("Origin", "http://"+srv.Host), wstest.Subprotocol("bearer, "+token))
	}
	if closed := page("forged").Closed(); *closed != (wsroute.CloseError{Code: 3000, Reason: "invalid_token"}) {
		t.Errorf("closed with %v", closed)
	}
	signed, err := token(key, "ada")
	if err != nil {
		t.Fatal(err)
	}
	peer := page(signed)
	peer.Send("hi")
	if got := peer.Receive(); got != "ada: hi" {
		t.Errorf("got %q", got)
	}
}
