package parity_test

import (
	"context"
	"fmt"
	"strings"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

type (
	name  string
	other string
)

// real is a provider of name that needs a parameter and a dependency.
func realName(w *world) {
	calls[A, none](w, "sub")
	gives(w, func(in struct {
		_ A
		Q int `query:"q"`
	},
	) (name, error) {
		w.event("real")
		return "real", nil
	})
}

type names struct {
	Name  name
	Other other
}

// constant provides a T.
func constant[T any](w *world, value T) { gives(w, func(none) (T, error) { return value, nil }) }

func showsNames(w *world) {
	shows(w, "/ws", func(in names) string { return fmt.Sprint(in.Name, " ", in.Other) })
}

// panics returns the text of f's panic.
func panics(f func()) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	f()
	return ""
}

var overrides = []scenario{
	{
		id: "S125", app: `real(q: int required), also a route dependency, overridden by o(k="dflt"); real2(sub) by a constant; ?k=kk`, fastapi: `["kk","o2"]; o called once; real and sub never; q not required`,
		verdict: matched, want: `101 "kk o2" C(1000); o`,
		run: func(w *world) string {
			realName(w)
			gives(w, func(struct{ _ A }) (other, error) { w.event("real2"); return "real2", nil })
			handle(w, "/ws", func(ctx context.Context, c *conn, in names) error {
				return c.Send(ctx, fmt.Sprint(in.Name, " ", in.Other))
			}, wsroute.Require[name]())
			srv := w.serve(depends.Override(func(_ context.Context, in struct {
				K string `query:"k" default:"dflt"`
			},
			) (name, error) {
				w.event("o")
				return name(in.K), nil
			}), depends.OverrideValue(other("o2")))
			return w.wireOf(srv, "/ws?k=kk") + "; " + w.told()
		},
	},
	{
		id: "S126", app: "a plain dependency overridden by a generator, used twice", fastapi: `["o","o"]; +o h -o`, verdict: matched, want: `101 "o o" C(1000); +o -o`,
		run: func(w *world) string {
			constant(w, name("real"))
			shows(w, "/ws", func(in struct{ One, Two name }) string { return fmt.Sprint(in.One, " ", in.Two) })
			srv := w.serve(depends.Override(func(ctx context.Context, _ none) (name, error) {
				w.event("+o")
				depends.Cleanup(ctx, func(context.Context, error) error { w.event("-o"); return nil })
				return "o", nil
			}))
			return w.wireOf(srv, "/ws") + "; " + w.told()
		},
	},
	{
		id: "S128", app: "overrides a→b and b→c", fastapi: `["b","c"]: not transitive`, verdict: matched, want: `101 "b c" C(1000)`,
		run: func(w *world) string {
			constant(w, name("a"))
			constant(w, other("b"))
			showsNames(w)
			srv := w.serve(depends.OverrideValue(name("b")), depends.OverrideValue(other("c")))
			return w.wireOf(srv, "/ws")
		},
	},
	{
		id: "S129", app: `Security(real, ["x"]) overridden`, fastapi: `the override sees ["x"]`, verdict: different,
		why:  "no function sees the scopes: they are checked against what the value of a scheme grants, and that of an override too, so that a test is refused as the program would be",
		want: `403 insufficient_scope [Bearer error="insufficient_scope", scope="x"]`,
		run: func(w *world) string {
			scoped(w)
			gives(w, func(in struct{ P principal }) (name, error) { return name(in.P.scopes), nil })
			shows(w, "/ws", func(in struct {
				Name name `scopes:"x"`
			},
			) string {
				return string(in.Name)
			})
			return w.wireOf(w.serve(depends.OverrideValue(principal{"o"})), "/ws")
		},
	},
	{
		id: "S130", app: "a→o and x→o, and o itself", fastapi: "[1,2,3]", verdict: matched, want: `101 "1 2 3" C(1000)`,
		run: func(w *world) string {
			constant(w, A{})
			constant(w, B{})
			counts[C](w)
			shows(w, "/ws", func(in struct {
				A A
				B B
				C C
			},
			) string {
				return fmt.Sprint(in.A.N, in.B.N, in.C.N)
			})
			srv := w.serve(depends.Override(func(context.Context, none) (A, error) { return A{w.next()}, nil }),
				depends.Override(func(context.Context, none) (B, error) { return B{w.next()}, nil }))
			return w.wireOf(srv, "/ws")
		},
	},
	{
		id: "S131", app: "an override on the parent; the dependency is in a mounted app", fastapi: `"real"`, verdict: beaten,
		why: "a group's providers are overridden from the same place", want: `101 "o" C(1000)`,
		run: func(w *world) string {
			group := w.ws.Group("/sub")
			depends.Provide(group.Deps(), func(context.Context, none) (name, error) { return "real", nil })
			wsroute.Handle(group, "/ws", func(ctx context.Context, c *conn, in struct{ Name name }) error { return c.Send(ctx, string(in.Name)) }, wsroute.Public)
			return w.wireOf(w.serve(depends.OverrideValue(name("o"))), "/sub/ws")
		},
	},
	{
		id: "S132", app: "override(q from the path, z required); /a/7?z=9, /a/7", fastapi: `"79" / 403∅`, verdict: matched,
		want: `101 "79" C(1000) / 422 invalid_parameters query.z:missing`,
		run: func(w *world) string {
			constant(w, name("real"))
			shows(w, "/a/:q", func(in struct{ Name name }) string { return string(in.Name) })
			srv := w.serve(depends.Override(func(_ context.Context, in struct {
				Q string `path:"q"`
				Z int    `query:"z"`
			},
			) (name, error) {
				return name(fmt.Sprint(in.Q, in.Z)), nil
			}))
			return join(w.wireOf(srv, "/a/7?z=9"), w.wireOf(srv, "/a/7"))
		},
	},
	{
		id: "S133", app: "an override is set while a socket is open",
		fastapi: `the old one keeps "real", a new one gets "o"`, verdict: different,
		why:  "a router is made for each test; no override touches a server that runs",
		want: `"real" / panic: wsroute: Override after Mount / "real"`,
		run: func(w *world) string {
			constant(w, name("real"))
			handle(w, "/ws", func(ctx context.Context, c *conn, in struct{ Name name }) error {
				for {
					if _, err := c.Receive(ctx); err != nil {
						return err
					}
					if err := c.Send(ctx, string(in.Name)); err != nil {
						return err
					}
				}
			})
			old := w.open("/ws")
			first := old.say("x").hear()
			text := panics(func() { w.ws.Override(depends.OverrideValue(name("o"))) })
			text, _, _ = strings.Cut(text, ", at ")
			return join(fmt.Sprintf("%q", first), "panic: "+text, fmt.Sprintf("%q", old.say("x").hear()))
		},
	},
	{
		id: "S-TC1", app: "a validation failure in the test client", fastapi: "WebSocketDisconnect(1008) with a list; the wire says 403∅", verdict: beaten,
		why: "the test kit is a client of a real server", want: "422 invalid_parameters query.q:missing",
		run: func(w *world) string {
			shows(w, "/ws", func(struct {
				Q string `query:"q"`
			},
			) string {
				return ""
			})
			return refused(wstest.Refused(w.T, w.server(), "/ws"))
		},
	},
	{
		id: "S-TC2", app: "HTTPException(401) in the test client", fastapi: "a denial response of 401 with body and headers", verdict: matched,
		want: "401 bad_token [Bearer] bad token",
		run: func(w *world) string {
			rejects(w, unauthorized())
			ends[takesA](w, nil)
			r := wstest.Refused(w.T, w.server(), "/ws")
			return refused(r) + " " + r.Problem.Detail
		},
	},
	{
		id: "S-TC4", app: "ValueError in the handler, in the test client", fastapi: "raised again in the test", verdict: different,
		why: "a client sees what the wire does; a handler's error is had by calling it with wstest.Pipe", want: "C(1011) / ValueError",
		run: func(w *world) string {
			handler := func(ctx context.Context, c *conn, _ none) error {
				if _, err := c.Receive(ctx); err != nil {
					return err
				}
				return errValue
			}
			handle(w, "/ws", handler)
			c, peer := wstest.Pipe[string, string](w.T)
			peer.Send("x")
			err := handler(w.Context(), c, none{})
			return join(w.open("/ws").say("x").rest(), strings.TrimSpace(err.Error()))
		},
	},
}
