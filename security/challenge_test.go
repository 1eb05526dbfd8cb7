package security_test

import (
	"context"
	"encoding/base64"
	"log/slog"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// helper is somebody who may do nothing.
type helper struct{}

func (helper) Scopes() []string { return nil }

// TestTheChallengeOfTheSchemeThatRefused, and its parameters belong to it.
func TestTheChallengeOfTheSchemeThatRefused(t *testing.T) {
	bearer := func(realm string) security.Scheme[helper] {
		j := config()
		j.Realm = realm
		j.Sources = []depends.Source{security.BearerHeader(), security.SubprotocolToken("chat")}
		return security.As(security.Scheme[Claims](j), func(context.Context, Claims) (helper, error) { return helper{}, nil })
	}
	key := security.Scheme[helper](security.APIKey[helper]{
		Sources: []depends.Source{security.Header("X-API-Key")}, Find: func(context.Context, [32]byte) (helper, error) { return helper{}, nil },
	})
	password := security.Scheme[helper](security.Basic[helper]{
		Realm: `a, "b"`, Verify: func(context.Context, string, string) (helper, error) { return helper{}, nil },
	})
	const insufficient, invalid = `error="insufficient_scope", scope="rooms:read"`, `error="invalid_request"`
	token := wstest.Header("Authorization", "Bearer "+mint(nil, nil))
	keyed := wstest.Header("X-API-Key", "k")
	named := wstest.Header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("a:b")))
	malformed := wstest.Subprotocol("v1, base64url.bearer.authorization.chat.###")
	for name, test := range map[string]struct {
		scheme  security.Scheme[helper]
		options []wstest.Option
		want    string
	}{
		"alone":                   {bearer(""), []wstest.Option{token}, "Bearer " + insufficient},
		"a realm":                 {bearer("r"), []wstest.Option{token}, `Bearer realm="r", ` + insufficient},
		"a realm with a comma":    {bearer("a, b"), []wstest.Option{token}, `Bearer realm="a, b", ` + insufficient},
		"a realm with a sign":     {bearer("a=b, c"), []wstest.Option{token, token}, `Bearer realm="a=b, c", ` + invalid},
		"an escaped quote":        {password, []wstest.Option{named}, `Basic realm="a, \"b\"", charset="UTF-8", ` + insufficient},
		"the first of two":        {security.OneOf(bearer(""), key), []wstest.Option{token}, "Bearer " + insufficient},
		"the second of two":       {security.OneOf(bearer("a, b"), key), []wstest.Option{keyed}, "ApiKey " + insufficient},
		"the last of three":       {security.OneOf(bearer(""), key, password), []wstest.Option{named}, `Basic realm="a, \"b\"", charset="UTF-8", ` + insufficient},
		"two of the second":       {security.OneOf(password, key), []wstest.Option{keyed, keyed}, "ApiKey " + invalid},
		"a malformed one":         {security.OneOf(key, bearer("")), []wstest.Option{malformed}, "Bearer " + invalid},
		"none, so that all do":    {security.OneOf(key, bearer("a, b")), nil, `ApiKey, Bearer realm="a, b"`},
		"behind another's type":   {security.As(security.OneOf(bearer(""), key), same), []wstest.Option{token}, "Bearer " + insufficient},
		"a ticket, named by none": {security.OneOf[helper](key, &security.Tickets[helper]{}), nil, "ApiKey"},
	} {
		deps := depends.New()
		security.Use(deps, test.scheme)
		ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
		wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ helper }) error { return nil }, wsroute.Scopes("rooms:read"))
		r := wstest.Refused(t, wstest.Start(t, ws), "/ws", test.options...)
		if got := r.Header.Values("Www-Authenticate"); len(got) != 1 || got[0] != test.want {
			t.Errorf("%s: got %q, want %s", name, got, test.want)
		}
	}
}

func same(_ context.Context, h helper) (helper, error) { return h, nil }
