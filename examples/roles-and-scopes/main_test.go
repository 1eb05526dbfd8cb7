package main

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestGuards asks for both routes with tokens that grant more and more.
func TestGuards(t *testing.T) {
	key := []byte("a key of at least thirty-two bytes")
	srv := wstest.Start(t, newRouter(key))
	for _, c := range []struct{ path, subject, scope, want string }{
		{"/news", "bob", "news:read", "news for bob"},
		{"/news", "bob", "", "403 insufficient_scope"},
		{"/admin/shut", "ada", "news:read", "403 insufficient_scope"},
		{"/admin/shut", "bob", "news:write", "403 not_an_admin"},
		{"/admin/shut", "ada", "news:write", "shut by ada"},
	} {
		signed, err := token(key, c.subject, c.scope)
		if err != nil {
			t.Fatal(err)
		}
		bearer := wstest.Header("Authorization", "Bearer "+signed)
		if !strings.HasPrefix(c.want, "403 ") {
			peer := wstest.Dial[string, string](t, srv, c.path, bearer)
			if got := peer.Receive(); got != c.want {
				t.Errorf("%v: got %q", c, got)
			}
			peer.Closed()
			continue
		}
		if got := wstest.Refused(t, srv, c.path, bearer); got.Status != 403 || "403 "+got.Problem.Reason != c.want {
			t.Errorf("%v: %d %q", c, got.Status, got.Problem.Reason)
		}
	}
}
