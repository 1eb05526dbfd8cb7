package security_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// own is a scheme of the program's own.
type own[T any] struct {
	value T
	zero  bool
}

func (o own[T]) Describe() depends.Scheme {
	return depends.Scheme{Name: "own", Sources: []depends.Source{security.Header("X-Key")}, Challenge: "Own", AllowZero: o.zero}
}

func (o own[T]) Authenticate(context.Context, depends.Credential) (T, error) { return o.value, nil }

type (
	principal interface{ Who() string }
	label     string
	id        int
	grants    map[string]bool
	pair      [2]int
	none      [0]int
)

func (a account) Who() string { return a.Name }

// TestTheZeroValueIsAMistake. The kind: a function of the program that is asked for the owner
// of a credential answers with an empty one, such as users[id], and without an error.
func TestTheZeroValueIsAMistake(t *testing.T) {
	answers(t, account{}, 500)
	answers(t, account{"ann"}, 101)
	answers(t, label(""), 500)
	answers(t, label("ann"), 101)
	answers(t, id(0), 500)
	answers(t, grants(nil), 500)
	answers(t, grants{}, 101)
	answers(t, pair{}, 500)
	answers(t, (*account)(nil), 500)
	answers(t, &account{}, 101)
	answers(t, principal(nil), 500)
	answers(t, principal(account{}), 500)
	answers(t, principal((*account)(nil)), 500)
	answers(t, principal(account{"ann"}), 101)
	answers(t, helper{}, 101)
	answers(t, none{}, 101)
}

// answers checks what a handshake gets if each scheme's function returns a value.
func answers[T any](t *testing.T, value T, want int) {
	t.Helper()
	key := []depends.Source{security.Header("X-Key")}
	cookie := func(context.Context, string) (T, error) { return value, nil }
	schemes := func(zero bool) map[string]security.Scheme[T] {
		found := map[string]security.Scheme[T]{
			"APIKey":  security.APIKey[T]{Sources: key, AllowZero: zero, Find: func(context.Context, [32]byte) (T, error) { return value, nil }},
			"Opaque":  security.Opaque[T]{Sources: key, AllowZero: zero, Find: cookie},
			"Session": security.Session[T]{Cookie: "sid", AllowZero: zero, Find: cookie},
			"Basic":   security.Basic[T]{Realm: "r", AllowZero: zero, Verify: func(context.Context, string, string) (T, error) { return value, nil }},
			"own":     own[T]{value, zero},
		}
		found["OneOf"] = security.OneOf(found["own"], found["Session"])
		return found
	}
	strict, lenient := schemes(false), schemes(true)
	to := func(context.Context, Claims) (T, error) { return value, nil }
	strict["As"] = security.As(security.Scheme[Claims](config()), to)
	strict["As of what may be zero"] = security.As(security.Scheme[T](own[T]{value, true}), func(_ context.Context, v T) (T, error) { return v, nil })
	strict["As, which asks no more"] = security.As(strict["own"], func(context.Context, T) (T, error) {
		var other T
		return other, nil
	})
	if want == 101 { // its own zero would be one, too
		delete(strict, "As, which asks no more")
	}
	for name, scheme := range strict {
		if got := handshake(t, scheme, fmt.Sprintf("%T, %s", value, name)); got != want {
			t.Errorf("%s returns %T %+v: %d, want %d", name, value, value, got, want)
		}
	}
	for name, scheme := range lenient {
		if v := any(value); v == nil || fmt.Sprint(v) == "<nil>" {
			continue // nil is no value of any provider
		}
		if got := handshake(t, scheme, ""); got != 101 {
			t.Errorf("%s may return %T %+v: %d", name, value, value, got)
		}
	}
}

// handshake returns the status for every credential at once, and checks that the log has the
// cause of a 500.
func handshake[T any](t *testing.T, scheme security.Scheme[T], name string) (status int) {
	t.Helper()
	deps := depends.New()
	security.Use(deps, scheme)
	var log strings.Builder
	ws := wsroute.New(deps, &wsroute.Config{Origins: []string{page}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], struct{ _ T }) error { return nil }, wsroute.Diagnose)
	authorization := "Bearer " + mint(nil, nil)
	if strings.HasPrefix(scheme.Describe().Challenge, "Basic") {
		authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte("a:b"))
	}
	r := wstest.Get(t, wstest.Start(t, ws), "/", wstest.Header("Origin", page), wstest.Header("X-Key", "k"),
		wstest.Cookie("sid", "s"), wstest.Header("Authorization", authorization))
	switch {
	case r.Status == 426:
		return 101
	case r.Status == 500 && r.Problem.Reason != "internal_error", r.Status == 500 && !strings.Contains(log.String(), "without an error"):
		t.Errorf("%s: %+v, and the log has %s", name, r.Problem, log.String())
	}
	return r.Status
}

// TestTheZeroValueInAPlainRequest is a mistake as well.
func TestTheZeroValueInAPlainRequest(t *testing.T) {
	for _, test := range []struct {
		scheme security.Scheme[account]
		fails  bool
	}{
		{own[account]{account{}, false}, true},
		{own[account]{account{}, true}, false},
		{own[account]{account{"ann"}, false}, false},
	} {
		_, err := security.Authenticate(request("X-Key", "k"), test.scheme)
		if (err != nil) != test.fails {
			t.Errorf("%+v: %v", test.scheme, err)
		}
	}
	anybody := config()
	anybody.Issuer, anybody.Audience, anybody.InsecureAnyIssuer, anybody.InsecureAnyAudience, anybody.OptionalSubject, anybody.InsecureNoExpiry = "", "", true, true, true, 1
	empty := seal(jwt.SigningMethodHS256, secret, `{"alg":"HS256"}`, `{}`)
	if _, err := security.Authenticate(request("Authorization", "Bearer "+empty), security.Scheme[Claims](anybody)); err != nil {
		t.Errorf("claims that are empty, and signed: %v", err)
	}
}
