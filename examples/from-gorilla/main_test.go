package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute/wstest"
)

// TestTheSameAnswers asks both rooms for what both have.
func TestTheSameAnswers(t *testing.T) {
	srv, good := start(t), bearer(token(secret, nil))
	without := func(name string) wstest.Option {
		return bearer(token(secret, func(c jwt.MapClaims) { delete(c, name) }))
	}
	other := func(name, value string) wstest.Option {
		return bearer(token(secret, func(c jwt.MapClaims) { c[name] = value }))
	}
	for what, ask := range map[string]struct {
		path    string
		options []wstest.Option
		status  int
	}{
		"a token in the header":  {"/rooms/lobby", []wstest.Option{good}, 101},
		"a token in the query":   {"/rooms/lobby?token=" + token(secret, nil), nil, 101},
		"a page of the origin":   {"/rooms/lobby?since=7", []wstest.Option{good, wstest.Header("Origin", origin)}, 101},
		"no token":               {"/rooms/lobby", nil, 401},
		"no JWT":                 {"/rooms/lobby", []wstest.Option{bearer("x")}, 401},
		"another key":            {"/rooms/lobby", []wstest.Option{bearer(token([]byte("a key of somebody else, 32 bytes or more"), nil))}, 401},
		"expired":                {"/rooms/lobby", []wstest.Option{bearer(token(secret, func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Hour).Unix() }))}, 401},
		"no expiry":              {"/rooms/lobby", []wstest.Option{without("exp")}, 401},
		"another issuer":         {"/rooms/lobby", []wstest.Option{other("iss", "https://evil.example")}, 401},
		"another audience":       {"/rooms/lobby", []wstest.Option{other("aud", "mail")}, 401},
		"an unknown user":        {"/rooms/lobby", []wstest.Option{other("sub", "2")}, 403},
		"a foreign page":         {"/rooms/lobby", []wstest.Option{good, wstest.Header("Origin", "https://evil.example")}, 403},
		"a room with a dash":     {"/rooms/lob-by", []wstest.Option{good}, 422},
		"a room that is long":    {"/rooms/" + strings.Repeat("x", 65), []wstest.Option{good}, 422},
		"since is no number":     {"/rooms/lobby?since=x", []wstest.Option{good}, 422},
		"since is negative":      {"/rooms/lobby?since=-1", []wstest.Option{good}, 422},
		"no token, bad since":    {"/rooms/lobby?since=x", nil, 401},
		"no room of this prefix": {"/halls/lobby", []wstest.Option{good}, 404},
	} {
		for half, prefix := range both {
			if ask.status == http.StatusSwitchingProtocols {
				talks(t, half+": "+what, wstest.Dial[Say, Said](t, srv, prefix+ask.path, ask.options...))
				continue
			}
			got := wstest.Refused(t, srv, prefix+ask.path, ask.options...)
			if got.Status != ask.status {
				t.Errorf("%s: %s: got %d %s, want %d", half, what, got.Status, got.Body, ask.status)
			}
			if challenge := got.Header.Get("WWW-Authenticate"); strings.HasPrefix(challenge, "Bearer") != (ask.status == http.StatusUnauthorized) {
				t.Errorf("%s: %s: the challenge is %q", half, what, challenge)
			}
		}
	}
}

// talks is a message and its answer, and the end.
func talks(t *testing.T, what string, peer *wstest.Peer[Say, Said]) {
	t.Helper()
	peer.Send(Say{"hi"})
	if got := peer.Receive(); got != (Said{"alice", "hi"}) {
		t.Errorf("%s: got %+v", what, got)
	}
	if got := peer.Close(websocket.CloseNormalClosure, ""); got.Code != websocket.CloseNormalClosure {
		t.Errorf("%s: the close is answered with %v", what, got)
	}
}

// TestTheSameCloses sends both rooms what they close for.
func TestTheSameCloses(t *testing.T) {
	srv := start(t)
	for text, want := range map[string]int{
		`{"text":""}`: websocket.ClosePolicyViolation,
		fmt.Sprintf(`{"text":%q}`, strings.Repeat("x", 501)):       websocket.ClosePolicyViolation,
		fmt.Sprintf(`{"text":%q}`, strings.Repeat("x", readLimit)): websocket.CloseMessageTooBig,
	} {
		for half, prefix := range both {
			peer := wstest.Dial[Say, Said](t, srv, prefix+"/rooms/lobby", bearer(token(secret, nil)))
			if err := peer.WebSocket.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
				t.Fatal(err)
			}
			if got := peer.Closed(); got.Code != want {
				t.Errorf("%s: %.20s… closes with %v, want %d", half, text, got, want)
			}
		}
	}
}

// TestJoin is the test of the new half that step 5 of docs/from-gorilla.md adds.
func TestJoin(t *testing.T) {
	srv := wstest.Start(t, newRouter(secret), depends.OverrideValue(User{Name: "bob"}))
	peer := wstest.Dial[Say, Said](t, srv, "/rooms/lobby")
	peer.Send(Say{"hi"})
	if got := peer.Receive(); got != (Said{"bob", "hi"}) {
		t.Errorf("got %+v", got)
	}
}

// TestAWeakSecret: the program does not start, for which the hand-written half alone has
// no reason.
func TestAWeakSecret(t *testing.T) {
	_, _, err := newProgram(nil)
	if err == nil || !strings.Contains(err.Error(), "HS256 key, is empty") {
		t.Errorf("newProgram: %v", err)
	}
}

// TestNoRedirect: under wsroute.Serve a slash too many is not answered with a copy of the
// token.
func TestNoRedirect(t *testing.T) {
	got := wstest.Refused(t, start(t), "/rooms/lobby/?token=canary")
	if location, there := got.Header["Location"]; got.Status != http.StatusNotFound || there || strings.Contains(string(got.Body), "canary") {
		t.Errorf("got %d %v %s", got.Status, location, got.Body)
	}
}
