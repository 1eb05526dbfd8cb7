package main

import (
	"context"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = []byte("a key of at least thirty-two bytes")

func bearer(t *testing.T, subject, scope string) wstest.Option {
	t.Helper()
	signed, err := token(key, subject, scope)
	if err != nil {
		t.Fatal(err)
	}
	return wstest.Header("Authorization", "Bearer "+signed)
}

func TestMe(t *testing.T) {
	srv := wstest.Start(t, newRouter(key), depends.OverrideValue(User{Name: "eve"}))
	peer := wstest.Dial[string, string](t, srv, "/me")
	if got := peer.Receive(); got != "you are eve" {
		t.Errorf("got %q", got)
	}
	if closed := peer.Closed(); closed.Code != 1000 {
		t.Errorf("closed with %v", closed)
	}
}

func TestRefusals(t *testing.T) {
	srv := wstest.Start(t, newRouter(key))
	for _, c := range []struct {
		path, subject, scope, reason string
		status, code                 int // a code that the program has chosen
	}{
		{"/me", "3", "", "unknown_user", 403, 4003},
		{"/boards/n3ws?since=-1", "1", "", "invalid_parameters", 422, 0},
		{"/admin/shut", "2", "boards:write", "not_staff", 403, 0},
		{"/admin/shut", "1", "", "insufficient_scope", 403, 0},
		{"/boards/news/pin", "2", "", "insufficient_scope", 403, 0},
	} {
		got := wstest.Refused(t, srv, c.path, bearer(t, c.subject, c.scope))
		if got.Status != c.status || got.Problem.Reason != c.reason || got.Problem.Code != c.code {
			t.Errorf("%v: %d %s", c, got.Status, got.Body)
		}
	}
	if got := wstest.Refused(t, srv, "/me"); got.Status != 401 || got.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("nobody: %d %v", got.Status, got.Header)
	}
	peer := wstest.Dial[string, string](t, srv, "/admin/shut", bearer(t, "1", "boards:write"))
	if got := peer.Receive(); got != "shut by ada" {
		t.Errorf("got %q", got)
	}
	peer = wstest.Dial[string, string](t, srv, "/boards/news/pin", bearer(t, "2", "boards:write"))
	if got := peer.Receive(); got != "news pinned by bob" {
		t.Errorf("got %q", got)
	}
}

// TestBoard talks, is refused a note, and looks for a board that is not there.
func TestBoard(t *testing.T) {
	srv := wstest.Start(t, newRouter(key))
	peer := wstest.Dial[Note, Noted](t, srv, "/boards/news?since=1", bearer(t, "2", ""))
	if got := peer.Receive(); got != (Noted{"board", "usher is here"}) {
		t.Errorf("got %v", got)
	}
	peer.Send(Note{"hi"})
	if got := peer.Receive(); got != (Noted{"bob", "hi"}) {
		t.Errorf("got %v", got)
	}
	peer.Send(Note{})
	if closed := peer.Closed(); *closed != (wsroute.CloseError{Code: 1008, Reason: "invalid_message"}) {
		t.Errorf("closed with %v", closed)
	}
	peer = wstest.Dial[Note, Noted](t, srv, "/boards/olds", bearer(t, "2", ""))
	if closed := peer.Closed(); *closed != (wsroute.CloseError{Code: 1008, Reason: "no_such_board"}) {
		t.Errorf("closed with %v", closed)
	}
}

// TestPool: a session is given back, and in the end the pool is closed.
func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := make(chan *Pool, 1)
		srv := wstest.Start(t, newRouter(key), depends.Override(func(ctx context.Context, in struct{}) (*Pool, error) {
			p, err := openPool(ctx, in)
			pool <- p
			return p, err
		}))
		p := <-pool
		peer := wstest.Dial[Note, Noted](t, srv, "/boards/news", bearer(t, "1", ""))
		if lent, open := p.lent.Load(), p.open.Load(); lent != 1 || open != 1 {
			t.Errorf("%d lent, open %d", lent, open)
		}
		peer.Close(1000, "")
		synctest.Wait()
		if lent := p.lent.Load(); lent != 0 {
			t.Errorf("%d lent after the end", lent)
		}
		srv.Stop()
		if p.open.Load() != 0 {
			t.Error("the pool is still open")
		}
	})
}
