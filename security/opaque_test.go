package security_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute/wstest"
)

func request(header, value string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set(header, value)
	return r
}

// introspected knows two tokens: one that is active, and one that only its issuer could tell.
func introspected(ctx context.Context, token string) (account, error) {
	switch sha256.Sum256([]byte(token)) {
	case sha256.Sum256([]byte("t-alice")):
		depends.Identify(ctx, depends.Identity{Subject: "alice"})
		return account{"alice"}, nil
	case sha256.Sum256([]byte("t-later")):
		return account{}, depends.Unavailable(0, errors.New("the issuer is away"))
	}
	return account{}, fmt.Errorf("inactive: %w", depends.ErrAbsent)
}

func TestOpaque(t *testing.T) {
	srv := guarded(t, security.Opaque[account]{Find: introspected, InsecureQuery: true, Sources: []depends.Source{
		security.BearerHeader(), security.QueryToken("token"), security.CookieToken("token"), security.SubprotocolToken("chat"),
	}})
	origin := wstest.Header("Origin", page)
	bearer := func(token string) wstest.Option { return wstest.Header("Authorization", "Bearer "+token) }
	const invalid = `401 invalid_token Bearer error="invalid_token"`
	for _, test := range []struct {
		target  string
		options []wstest.Option
		want    string
	}{
		{"", []wstest.Option{bearer("t-alice")}, "alice"},
		{"?token=t-alice", nil, "alice"},
		{"", []wstest.Option{wstest.Cookie("token", "t-alice")}, "alice"},
		{"", []wstest.Option{wstest.Subprotocol("bearer, t-alice")}, "alice"},
		{"", []wstest.Option{bearer("t-bob")}, invalid},
		{"", []wstest.Option{bearer("t-later")}, "503 unavailable"},
		{"", nil, "401 credentials_required Bearer"},
		{"?token=t-alice", []wstest.Option{bearer("t-alice")}, `400 invalid_request Bearer error="invalid_request"`},
	} {
		if got := outcome(t, srv, "/ws/a"+test.target, append(test.options, origin)...); got != test.want {
			t.Errorf("%s: got %s, want %s", test.target, got, test.want)
		}
	}
}

// A token that the program has issued and stored by its hash.
func ExampleOpaque() {
	active := map[[sha256.Size]byte]Robot{sha256.Sum256([]byte("a token from the sign-in")): {"mower"}}
	scheme := security.Opaque[Robot]{
		Sources: []depends.Source{security.BearerHeader(), security.SubprotocolToken("robots")},
		Find: func(ctx context.Context, token string) (Robot, error) {
			robot, ok := active[sha256.Sum256([]byte(token))]
			if !ok {
				return Robot{}, depends.ErrAbsent
			}
			depends.Identify(ctx, depends.Identity{Subject: robot.Name})
			return robot, nil
		},
	}
	security.Use(depends.New(), scheme)

	for _, token := range []string{"a token from the sign-in", "a guess"} {
		robot, err := scheme.Authenticate(context.Background(), depends.Credential{Value: token})
		fmt.Printf("%q %v\n", robot.Name, err)
	}
	// Output:
	// "mower" <nil>
	// "" 401 invalid_token: absent
}
