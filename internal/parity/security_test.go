package parity_test

import (
	"context"
	"errors"
	"time"

	"example.com/usher/depends"
	"example.com/usher/security"
)

// token is what a bearer scheme provides.
type token string

// bearer takes any bearer token.
func bearer(w *world) {
	depends.ProvideScheme(w.deps, depends.Scheme{Name: "Bearer", Challenge: "Bearer", Sources: []depends.Source{security.BearerHeader()}},
		func(_ context.Context, c depends.Credential) (token, error) { return token(c.Value), nil })
}

func showsToken(w *world) {
	bearer(w)
	shows(w, "/ws", func(in struct{ Token token }) string { return string(in.Token) })
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
		id: "S117", app: "HTTPBasic: none, bad base64, no colon, john:a:b", fastapi: `401 with realm / 401 / 401 / john, "a:b"`, verdict: notYet,
		why: "a Basic scheme",
	},
	{
		id: "S119", app: `items(scope items) of active(scope me); tokens me, "me items", bad`, fastapi: `401 scope="items me" / ok / 401`, verdict: notYet,
		why: "OAuth2 scopes",
	},
	{
		id: "S120", app: "SecurityScopes along six paths", fastapi: "each path's scopes; user called 5 times", verdict: different,
		why: "a dependency is one value: it runs once however many ask, and scopes will be checked against what it was granted", want: `101 "user called 1 time" C(1000)`,
		run: func(w *world) string {
			gives(w, func(none) (A, error) { w.next(); return A{}, nil })
			calls[B, struct{ A A }](w, "active")
			calls[C, struct{ A A }](w, "other")
			shows(w, "/ws", func(in struct {
				A A
				B B
				C C
			},
			) string {
				return map[bool]string{true: "user called 1 time"}[w.count == 1]
			})
			return w.wire("/ws")
		},
	},
	{
		id: "S122", app: `db used plainly and below Security(user, ["read"])`, fastapi: "db called once", verdict: notYet,
		why: "OAuth2 scopes",
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
		id: "S124", app: "a JWT that expires in 1 s; stay for 3 s", fastapi: "nothing happens", verdict: notYet,
		why: "the end of a connection whose token expires",
	},
}
