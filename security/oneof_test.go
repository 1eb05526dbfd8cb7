package security_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// issuedBy is a JWT of an issuer with a secret of its own, and names the issuer of the token.
func issuedBy(issuers string, own []byte, sources ...depends.Source) security.Scheme[account] {
	return named(issuers, security.JWT[Claims]{
		Keys: []security.Key{security.HS256(own)}, Issuers: strings.Fields(issuers), Audience: audience, Sources: sources,
	})
}

func named(scheme string, j security.JWT[Claims]) security.Scheme[account] {
	return security.As(security.Scheme[Claims](j), func(_ context.Context, c Claims) (account, error) {
		return account{scheme + " let in " + c.Issuer}, nil
	})
}

func mintBy(issuer string, own []byte) string {
	return sign(jwt.SigningMethodHS256, own, nil, object{"iss": issuer})
}

// TestJWTsOfOneSourceAreToldApart by their issuer. The kind: an alternative of OneOf that is
// behind another one of the same source, and never reached.
func TestJWTsOfOneSourceAreToldApart(t *testing.T) {
	a, b, c := []byte("the secret of the issuer a, 32 by"), []byte("the secret of the issuer b, 32 by"), []byte("the secret of the issuer c, 32 by")
	bearer, query, cookie := security.BearerHeader(), security.QueryToken("token"), security.CookieToken("token")
	srv := guarded(t, security.OneOf(
		issuedBy("a", a, bearer, query),
		security.Scheme[account](apiKey(security.Header("X-Key"))),
		issuedBy("b b2", b, bearer),
		issuedBy("c", c, depends.Source{In: "header", Name: "authorization", Prefix: "bearer"}, query, cookie),
	))
	const refused = `401 invalid_token Bearer error="invalid_token"`
	origin := wstest.Header("Origin", page)
	for name, test := range map[string]struct {
		target, header, cookie, want string
	}{
		"the first":                         {"", mintBy("a", a), "", "a let in a"},
		"the second":                        {"", mintBy("b", b), "", "b b2 let in b"},
		"the second's other name":           {"", mintBy("b2", b), "", "b b2 let in b2"},
		"the third":                         {"", mintBy("c", c), "", "c let in c"},
		"the third, elsewhere":              {"?token=" + mintBy("c", c), "", "", "c let in c"},
		"the third, alone":                  {"", "", mintBy("c", c), "c let in c"},
		"the second, not where it stands":   {"?token=" + mintBy("b", b), "", "", refused},
		"the first in the third's place":    {"", "", mintBy("a", a), refused},
		"the second's iss, the first's key": {"", mintBy("b", a), "", refused},
		"the first's iss, the third's key":  {"", mintBy("a", c), "", refused},
		"another issuer":                    {"", mintBy("d", a), "", refused},
		"no issuer":                         {"", sign(jwt.SigningMethodHS256, a, nil, object{"iss": nil}), "", refused},
		"two issuers":                       {"", seal(jwt.SigningMethodHS256, c, `{"alg":"HS256"}`, `{"iss":"a","iss":"c","sub":"x","aud":"chat","exp":99999999999}`), "", refused},
		"an issuer by another case":         {"", seal(jwt.SigningMethodHS256, c, `{"alg":"HS256"}`, `{"ISS":"c","sub":"x","aud":"chat","exp":99999999999}`), "", refused},
		"an escaped issuer":                 {"", seal(jwt.SigningMethodHS256, c, `{"alg":"HS256"}`, `{"iss":"\u0063","sub":"x","aud":"chat","exp":99999999999}`), "", "c let in c"},
		"no token":                          {"", "x", "", refused},
		"no JSON":                           {"", "a." + part(`{"iss":"`) + ".c", "", refused},
		"an issuer that is none":            {"", "a." + part(`{"iss":["c"]}`) + ".c", "", refused},
		"two tokens":                        {"?token=" + mintBy("a", a), mintBy("c", c), "", `400 invalid_request Bearer error="invalid_request"`},
	} {
		options := []wstest.Option{origin}
		if test.header != "" {
			options = append(options, wstest.Header("Authorization", "Bearer "+test.header))
		}
		if test.cookie != "" {
			options = append(options, wstest.Cookie("token", test.cookie))
		}
		if got := outcome(t, srv, "/ws/a"+test.target, options...); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

// TestAlternativesThatCannotBeToldApart do not start, whatever they are.
func TestAlternativesThatCannotBeToldApart(t *testing.T) {
	key := func(s ...depends.Source) security.Scheme[account] { return apiKey(s...) }
	opaque := func(s ...depends.Source) security.Scheme[account] {
		return security.Opaque[account]{Sources: s, InsecureQuery: true, Find: func(context.Context, string) (account, error) { return account{"o"}, nil }}
	}
	anybody := config()
	anybody.Issuer, anybody.InsecureAnyIssuer = "", true
	other := []byte("the secret of another, of 32 byte")
	bearer, lower := security.BearerHeader(), depends.Source{In: "header", Name: "authorization", Prefix: "BEARER"}
	const both, hint = "OneOf cannot tell ", "give one of them another source; JWTs may share it if each names issuers of its own"
	for _, test := range []struct {
		name    string
		schemes []security.Scheme[account]
		want    []string // what is told apart from what, and where
	}{
		{"two stores of keys", []security.Scheme[account]{key(security.Header("X-Key")), key(security.Header("x-key"))}, []string{"APIKey and APIKey apart in the header x-key"}},
		{"a JWT and a key", []security.Scheme[account]{issuedBy("a", secret), key(bearer)}, []string{"JWT and APIKey apart in the header Authorization Bearer"}},
		{"a key and a JWT", []security.Scheme[account]{key(lower), issuedBy("a", secret)}, []string{"APIKey and JWT apart in the header Authorization Bearer"}},
		{"a JWT and an opaque token", []security.Scheme[account]{issuedBy("a", secret, bearer, security.QueryToken("t")), opaque(security.QueryToken("t"), security.Header("X"))}, []string{"JWT and Opaque apart in the query t"}},
		{"one issuer", []security.Scheme[account]{issuedBy("a", secret), issuedBy("a", other)}, []string{"JWT and JWT apart in the header Authorization Bearer"}},
		{"issuers that overlap", []security.Scheme[account]{issuedBy("a b", secret), issuedBy("c a", other)}, []string{"JWT and JWT apart in the header Authorization Bearer"}},
		{"any issuer", []security.Scheme[account]{issuedBy("a", secret), named("any", anybody)}, []string{"JWT and JWT apart in the header Authorization Bearer"}},
		{"any issuer first", []security.Scheme[account]{named("any", anybody), issuedBy("a", secret)}, []string{"JWT and JWT apart in the header Authorization Bearer"}},
		{"the third", []security.Scheme[account]{key(security.Header("A")), issuedBy("a", secret), opaque(bearer, security.Header("A"))}, []string{
			"APIKey and Opaque apart in the header A", "JWT and Opaque apart in the header Authorization Bearer",
		}},
		{"a cookie", []security.Scheme[account]{issuedBy("a", secret, security.CookieToken("c")), opaque(security.CookieToken("c"))}, []string{"JWT and Opaque apart in the cookie c"}},
		{"a subprotocol of any name", []security.Scheme[account]{issuedBy("a", secret, security.SubprotocolToken("a")), opaque(security.SubprotocolToken("b"))}, []string{"JWT and Opaque apart in the subprotocol b"}},
		{"a whole header and a part", []security.Scheme[account]{key(security.Header("X-Key")), opaque(depends.Source{In: "header", Name: "X-Key", Prefix: "Token"})}, []string{"APIKey and Opaque apart in the header X-Key Token"}},
		{"a prefix of a subprotocol", []security.Scheme[account]{issuedBy("a", secret, security.SubprotocolPrefix("access_token.")), opaque(security.SubprotocolPrefix("Access_Token."))}, []string{"JWT and Opaque apart in the subprotocol Access_Token."}},
		{"a prefix of a prefix", []security.Scheme[account]{issuedBy("a", secret, security.SubprotocolPrefix("token.v1.")), opaque(security.SubprotocolPrefix("token."))}, []string{"JWT and Opaque apart in the subprotocol token."}},
		{"a ticket", []security.Scheme[account]{key(security.QueryToken("ticket")), &security.Tickets[account]{}}, []string{"APIKey and Ticket apart in the query ticket"}},

		{"two issuers", []security.Scheme[account]{issuedBy("a", secret), issuedBy("b", secret)}, nil},
		{"two issuers by subprotocols", []security.Scheme[account]{issuedBy("a", secret, security.SubprotocolToken("a")), issuedBy("b", secret, security.SubprotocolToken("b"))}, nil},
		{"forms of subprotocols", []security.Scheme[account]{issuedBy("a", secret, security.SubprotocolToken("a")), opaque(security.SubprotocolPrefix("token.")), key(security.SubprotocolPrefix("key."))}, nil},
		{"another prefix", []security.Scheme[account]{issuedBy("a", secret), basic(), opaque(depends.Source{In: "header", Name: "Authorization", Prefix: "Token"})}, nil},
		{"another name", []security.Scheme[account]{key(security.QueryToken("key")), opaque(security.QueryToken("Key")), key(security.Header("Key"))}, nil},
		{"cookie and header", []security.Scheme[account]{issuedBy("a", secret), issuedBy("a", secret, security.CookieToken("Authorization"))}, nil},
		{"one alone", []security.Scheme[account]{issuedBy("a", secret)}, nil},
	} {
		deps := depends.New()
		security.Use(deps, security.OneOf(test.schemes...))
		ws := wsroute.New(deps, &wsroute.Config{Origins: []string{page}})
		type in struct {
			Who depends.Optional[account]
			_   account
		}
		wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], in) error { return nil })
		_, err := ws.Handler()
		var got []string
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				fault, _ := errors.AsType[*depends.WiringError](e)
				got = append(got, strings.TrimPrefix(fault.Fact, both))
				if fault.Kind != "unsafe" || fault.Hint != hint {
					t.Errorf("%s: %+v", test.name, fault)
				}
			}
		} else if err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
