package parity_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// token is what a bearer scheme provides.
type token string

// scheme authenticates by a function.
type scheme[T any] struct {
	depends.Scheme
	authenticate func(context.Context, depends.Credential) (T, error)
}

func (s scheme[T]) Describe() depends.Scheme { return s.Scheme }

func (s scheme[T]) Authenticate(ctx context.Context, c depends.Credential) (T, error) {
	return s.authenticate(ctx, c)
}

// bearer takes any bearer token.
func bearer(w *world) {
	security.Use(w.deps, scheme[token]{
		depends.Scheme{Name: "Bearer", Challenge: "Bearer", Sources: []depends.Source{security.BearerHeader()}},
		func(_ context.Context, c depends.Credential) (token, error) { return token(c.Value), nil },
	})
}

func showsToken(w *world) {
	bearer(w)
	shows(w, "/ws", func(in struct{ Token token }) string { return string(in.Token) })
}

// principal is whom a token names by the scopes that it grants.
type principal struct{ scopes string }

// Scopes implements what usher looks for.
func (p principal) Scopes() []string { return strings.Fields(p.scopes) }

// scoped takes any token but "bad", and its words for scopes.
func scoped(w *world) {
	security.Use(w.deps, scheme[principal]{
		depends.Scheme{Name: "Bearer", Challenge: "Bearer", Sources: []depends.Source{security.QueryToken("token")}},
		func(_ context.Context, c depends.Credential) (principal, error) {
			if c.Value == "bad" {
				return principal{}, depends.Unauthorized("Bearer", nil)
			}
			return principal{c.Value}, nil
		},
	})
}

// firstMessage is S123's authentication by the first message, in the handler.
func firstMessage(ctx context.Context, c *conn, _ none) error {
	wait, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	said, err := c.Receive(wait)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return c.Close(1008, "auth timeout")
	case err != nil:
		return err
	case said != "ok":
		return c.Close(4401, "bad token")
	}
	return c.Send(ctx, "hi "+said)
}

var securities = []scenario{
	{
		id: "S112", app: "the bearer scheme as shipped; Authorization: Bearer abc", fastapi: "500t", verdict: beaten, want: `101 "abc" C(1000)`,
		run: func(w *world) string {
			showsToken(w)
			return w.wire("/ws", "Authorization: Bearer abc")
		},
	},
	{
		id: "S113", app: "a bearer scheme; none, `Bearer abc`, `bEARER   abc `, `Basic x`", fastapi: `401 / "abc" / "abc" / 401`, verdict: matched,
		want: `401 credentials_required [Bearer] / 101 "abc" C(1000) / 101 "abc" C(1000) / 401 credentials_required [Bearer]`,
		run: func(w *world) string {
			showsToken(w)
			return join(w.wire("/ws"), w.wire("/ws", "Authorization: Bearer abc"), w.wire("/ws", "Authorization: bEARER   abc "), w.wire("/ws", "Authorization: Basic x"))
		},
	},
	{
		id: "S114", app: "auto_error=False; none, `Basic x`", fastapi: "null / null", verdict: matched, want: `101 "false" C(1000) / 101 "false" C(1000)`,
		run: func(w *world) string {
			bearer(w)
			shows(w, "/ws", func(in struct{ Token depends.Optional[token] }) string {
				return map[bool]string{true: "true", false: "false"}[in.Token.OK]
			})
			return join(w.wire("/ws"), w.wire("/ws", "Authorization: Basic x"))
		},
	},
	{
		id: "S116", app: "HTTPBearer; `Bearer `, `bearer z`", fastapi: `401 / "z"`, verdict: matched, want: `401 credentials_required [Bearer] / 101 "z" C(1000)`,
		run: func(w *world) string {
			showsToken(w)
			return join(w.wire("/ws", "Authorization: Bearer "), w.wire("/ws", "Authorization: bearer z"))
		},
	},
	{
		id: "S117", app: "HTTPBasic: none, bad base64, no colon, john:a:b", fastapi: `401 with realm / 401 / 401 / john, "a:b"`, verdict: matched,
		want: `401 credentials_required [Basic realm="simple", charset="UTF-8"] / 401 invalid_credentials [Basic realm="simple", charset="UTF-8"] / 401 invalid_credentials [Basic realm="simple", charset="UTF-8"] / 101 "john a:b" C(1000)`,
		run: func(w *world) string {
			security.Use(w.deps, security.Basic[token]{Realm: "simple", Verify: func(_ context.Context, name, password string) (token, error) {
				return token(name + " " + password), nil
			}})
			shows(w, "/ws", func(in struct{ Token token }) string { return string(in.Token) })
			encode := base64.StdEncoding.EncodeToString
			return join(w.wire("/ws"), w.wire("/ws", "Authorization: Basic ###"), w.wire("/ws", "Authorization: Basic "+encode([]byte("john"))),
				w.wire("/ws", "Authorization: Basic "+encode([]byte("john:a:b"))))
		},
	},
	{
		id: "S119", app: `items(scope items) of active(scope me); tokens me, "me items", bad`, fastapi: `401 "Not enough permissions", scope="items me" / ok / 401`, verdict: matched,
		why:  "but with 403, as RFC 6750 §3.1 has it for a good token that is not enough",
		want: `403 insufficient_scope [Bearer error="insufficient_scope", scope="items me"] / 101 C(1000) / 401 unauthorized [Bearer]`,
		run: func(w *world) string {
			scoped(w)
			gives(w, func(struct {
				User principal `scopes:"me"`
			},
			) (A, error) {
				return A{}, nil
			})
			handle(w, "/ws", func(context.Context, *conn, struct {
				Active A `scopes:"items"`
			},
			) error {
				return nil
			})
			return join(w.wire("/ws?token=me"), w.wire("/ws?token=me+items"), w.wire("/ws?token=bad"))
		},
	},
	{
		id: "S120", app: "SecurityScopes along six paths", fastapi: "each path's scopes; user called 5 times", verdict: different,
		why:  "a dependency is one value: it runs once however many ask, and the scopes of all ways to a scheme are united",
		want: `403 insufficient_scope [Bearer error="insufficient_scope", scope="route items me x"] / 101 "user called 1 time" C(1000)`,
		run: func(w *world) string {
			scoped(w)
			gives(w, func(struct{ P principal }) (A, error) { w.next(); return A{}, nil })
			calls[B, struct {
				A A `scopes:"me"`
			}](w, "active")
			calls[C, struct{ A A }](w, "other")
			handle(w, "/ws", func(ctx context.Context, c *conn, _ struct {
				Items B `scopes:"items me"`
				Plain B
				Other C `scopes:"x"`
				A     A
			},
			) error {
				return c.Send(ctx, map[bool]string{true: "user called 1 time"}[w.count == 1])
			}, wsroute.Scopes("route"))
			return join(w.wire("/ws?token=route+items+me"), w.wire("/ws?token=route+items+me+x"))
		},
	},
	{
		id: "S122", app: `db used plainly and below Security(user, ["read"])`, fastapi: "db called once", verdict: matched, want: "101 C(1000); db",
		run: func(w *world) string {
			scoped(w)
			calls[D, none](w, "db")
			gives(w, func(struct {
				_ principal
				_ D
			},
			) (A, error) {
				return A{}, nil
			})
			handle(w, "/ws", func(context.Context, *conn, struct {
				User A `scopes:"read"`
				DB   D
			},
			) error {
				return nil
			})
			return w.wire("/ws?token=read") + "; " + w.told()
		},
	},
	{
		id: "S123", app: "a dependency accepts and reads the first message within 0.3 s; ok, x, silence", fastapi: `"hi ok" C(1000) / C(4401,"bad token") / C(1008,"auth timeout")`, verdict: different,
		why: "a provider runs before the upgrade and reads no message; the handler does it, and the outcome is the same", want: `"hi ok" C(1000) / C(4401,"bad token") / C(1008,"auth timeout")`,
		run: func(w *world) string {
			handle(w, "/ws", firstMessage)
			return join(w.open("/ws").say("ok").rest(), w.open("/ws").say("x").rest(), w.open("/ws").rest())
		},
	},
	{
		id: "S124", app: "a JWT that expires in 1 s; stay for 3 s", fastapi: "nothing happens", verdict: beaten,
		why:  "or the peer renews it on the open connection, on a route that is Renewable",
		want: `C(3000,"token_expired") after 1s / renewed: C(3000,"token_expired") after 3s`,
		run: func(w *world) string {
			key := []byte("a secret of thirty-two bytes, or so")
			security.Use(w.deps, security.JWT[jwt.RegisteredClaims]{
				Keys: []security.Key{security.HS256(key)}, Issuer: "i", Audience: "a", Leeway: time.Nanosecond,
			})
			wsroute.HandleMessages(w.ws, "/ws", wsroute.Union[error]{}, wsroute.Renewable,
				wsroute.Require[jwt.RegisteredClaims]())
			now := time.Now()
			token := func(life time.Duration) string {
				signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
					Issuer: "i", Audience: jwt.ClaimStrings{"a"}, Subject: "s", ExpiresAt: jwt.NewNumericDate(now.Add(life)),
				}).SignedString(key)
				if err != nil {
					w.Fatal(err)
				}
				return signed
			}
			stays, leaves := w.open("/ws", "Authorization: Bearer "+token(time.Second)), w.open("/ws", "Authorization: Bearer "+token(time.Second))
			stays.say(`{"type":"renew","token":"` + token(3*time.Second) + `"}`).hear()
			var all []string
			for _, c := range []*client{leaves, stays} {
				out := c.rest()
				all = append(all, out+" after "+time.Since(now).Round(time.Millisecond).String())
			}
			return join(all[0], "renewed: "+all[1])
		},
	},
}
