package parity_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// place is S53's dependency: where the request goes.
type place string

type (
	left  struct{ N int }
	right struct{ N int }
)

// pooled is S56's and S57's graph: a Connection value behind a Handshake one.
func pooled(w *world) {
	yields[F, none](w, "f", depends.Handshake)
}

// counts provides a T whose N is the how manieth call it is of.
func counts[T ~struct{ N int }](w *world) {
	gives(w, func(none) (T, error) { return T(struct{ N int }{w.next()}), nil })
}

var graphs = []scenario{
	{
		id: "S37", app: "guards p1, p2; left(mid(leaf)), right(mid, r2)", fastapi: "p1 p2 leaf mid left r2 right h", verdict: matched,
		want: "p1 p2 leaf mid left r2 right h",
		run: func(w *world) string {
			calls[A, none](w, "p1")
			calls[B, none](w, "p2")
			calls[C, none](w, "leaf")
			calls[D, struct{ _ C }](w, "mid")
			calls[E, none](w, "r2")
			calls[left, struct{ _ D }](w, "left")
			calls[right, struct {
				_ D
				_ E
			}](w, "right")
			handle(w, "/ws", func(context.Context, *conn, struct {
				Left  left
				Right right
			},
			) error {
				w.event("h")
				return nil
			}, wsroute.Require[A](), wsroute.Require[B]())
			w.wire("/ws")
			return w.told()
		},
	},
	{
		id: "S38", app: "a counter c: a guard, s1(c), s2(c), c, c uncached, c, c uncached", fastapi: "[1,1,1,2,1,3]", verdict: matched,
		why: "`depends:\"fresh\"` is use_cache=False", want: `"[1 1 1 2 1 3]"`,
		run: func(w *world) string {
			counts[C](w)
			gives(w, func(in struct{ C C }) (A, error) { return A(in.C), nil })
			gives(w, func(in struct{ C C }) (B, error) { return B(in.C), nil })
			handle(w, "/ws", func(ctx context.Context, c *conn, in struct {
				S1    A
				S2    B
				C     C
				Fresh C `depends:"fresh"`
				Again C
				Third C `depends:"fresh"`
			},
			) error {
				return c.Send(ctx, fmt.Sprint([]int{in.S1.N, in.S2.N, in.C.N, in.Fresh.N, in.Again.N, in.Third.N}))
			}, wsroute.Require[C]())
			return fmt.Sprintf("%q", w.open("/ws").hear())
		},
	},
	{
		id: "S40", app: "s(c), and s uncached", fastapi: "s is 1 and 2, c called once", verdict: matched, want: `"s 1 2, c 1 1"`,
		run: func(w *world) string {
			type s struct{ N, C int }
			calledC, calledS := 0, 0
			gives(w, func(none) (C, error) { calledC++; return C{calledC}, nil })
			gives(w, func(in struct{ C C }) (s, error) { calledS++; return s{calledS, in.C.N}, nil })
			shows(w, "/ws", func(in struct {
				S     s
				Fresh s `depends:"fresh"`
			},
			) string {
				return fmt.Sprintf("s %d %d, c %d %d", in.S.N, in.Fresh.N, in.S.C, in.Fresh.C)
			})
			return fmt.Sprintf("%q", w.open("/ws").hear())
		},
	},
	{
		id: "S41", app: "p returns None; p and q(p)", fastapi: "p called once; [null,null]", verdict: matched,
		why: "None is depends.ErrAbsent for an Optional; a nil without an error is a mistake, and a 500", want: `"p 1 time, false false"`,
		run: func(w *world) string {
			gives(w, func(none) (A, error) { w.next(); return A{}, depends.ErrAbsent })
			gives(w, func(in struct{ A depends.Optional[A] }) (B, error) { return B{map[bool]int{true: 1}[in.A.OK]}, nil })
			shows(w, "/ws", func(in struct {
				P depends.Optional[A]
				Q B
			},
			) string {
				return fmt.Sprintf("p %d time, %v %v", w.count, in.P.OK, in.Q.N == 1)
			})
			return fmt.Sprintf("%q", w.open("/ws").hear())
		},
	},
	{
		id: "S42", app: "a generator g: default, function scope, request scope, uncached", fastapi: "[1,2,1,3]; +1 +2 +3 ret -2 -3 -1", verdict: different,
		why: "a lifetime belongs to the provider, not to the place that uses it, so g is made twice only for `fresh`", want: "+1 +2 h -2 -1",
		run: func(w *world) string {
			depends.Provide(w.deps, func(ctx context.Context, _ none) (G, error) {
				n := w.next()
				w.event("+%d", n)
				depends.Cleanup(ctx, func(context.Context, error) error { w.event("-%d", n); return nil })
				return G{n}, nil
			})
			handle(w, "/ws", func(context.Context, *conn, struct {
				G     G
				Again G
				Fresh G `depends:"fresh"`
			},
			) error {
				w.event("h")
				return nil
			})
			w.wire("/ws")
			return w.told()
		},
	},
	{
		id: "S44", app: "two connections, a counter, one message each", fastapi: "1 and 2, unchanged by messages", verdict: matched,
		want: `"1" "1" / "2" "2"`,
		run: func(w *world) string {
			counts[A](w)
			handle(w, "/ws", func(ctx context.Context, c *conn, in takesA) error {
				for {
					if err := c.Send(ctx, fmt.Sprint(in.A.N)); err != nil {
						return err
					}
					if _, err := c.Receive(ctx); err != nil {
						return err
					}
				}
			})
			one, two := w.open("/ws"), ""
			first := fmt.Sprintf("%q %q", one.hear(), one.say("x").hear())
			c := w.open("/ws")
			two = fmt.Sprintf("%q %q", c.hear(), c.say("x").hear())
			return join(first, two)
		},
	},
	{
		id: "S45", app: "dependencies of app, include, router, include, router, route and parameters; /api/r/i/n/ws", fastapi: "exactly that order; the path is joined",
		verdict: matched, want: "1 2 3 4 5 6 h",
		run: func(w *world) string {
			calls[A, none](w, "1")
			calls[B, none](w, "2")
			calls[C, none](w, "3")
			calls[D, none](w, "4")
			calls[E, none](w, "5")
			calls[F, none](w, "6")
			group := w.ws.Group("/api", wsroute.Require[A]()).Group("/r", wsroute.Require[B]()).Group("/i", wsroute.Require[C]()).Group("/n", wsroute.Require[D]())
			wsroute.Handle(group, "/ws", func(context.Context, *conn, struct{ F F }) error { w.event("h"); return nil }, wsroute.Require[E](), wsroute.Public)
			w.wire("/api/r/i/n/ws")
			return w.told()
		},
	},
	{
		id: "S46", app: "the same dependency twice on the router, and as a parameter", fastapi: "called once", verdict: matched, want: "A h",
		run: func(w *world) string {
			calls[A, none](w, "A")
			group := w.ws.Group("/r", wsroute.Require[A](), wsroute.Require[A]())
			wsroute.Handle(group, "/ws", func(context.Context, *conn, takesA) error { w.event("h"); return nil }, wsroute.Public)
			w.wire("/r/ws")
			return w.told()
		},
	},
	{
		id: "S47", app: "an app-level dependency, and a handler registered by websocket_route", fastapi: "the dependency does not run", verdict: beaten,
		why: "there is one way to register a route, and a group's guards are part of it", want: "401 unauthorized [Bearer]",
		run: func(w *world) string {
			rejects(w, depends.Unauthorized("Bearer", nil))
			wsroute.Handle(w.ws.Group("", wsroute.Require[A]()), "/ws", idle[none], wsroute.Public)
			return w.wire("/ws")
		},
	},
	{
		id: "S49", app: "/x/{a} with an int, then /x/me; connect to /x/me", fastapi: "the first route wins: 403∅", verdict: different,
		why: "the more exact path wins in any order, as in gin and in net/http", want: `101 "me" C(1000)`,
		run: func(w *world) string {
			shows(w, "/x/:a", func(in struct {
				A int `path:"a"`
			},
			) string {
				return fmt.Sprint(in.A)
			})
			shows(w, "/x/me", func(none) string { return "me" })
			return w.wire("/x/me")
		},
	},
	{
		id: "S50", app: "a class with parameters q and skip=0; ?q=z&skip=3", fastapi: `["z",3]`, verdict: matched,
		why: "a struct of parameters is embedded", want: `101 "z 3" C(1000)`,
		run: func(w *world) string {
			type Page struct {
				Q    string `query:"q"`
				Skip int    `query:"skip" default:"0"`
			}
			shows(w, "/ws", func(in struct{ Page }) string { return fmt.Sprint(in.Q, " ", in.Skip) })
			return w.wire("/ws?q=z&skip=3")
		},
	},
	{
		id: "S51", app: "two callable instances with different state; ?q=foobar", fastapi: "[true,false], nothing shared", verdict: matched,
		why: "two variants are two types", want: `101 "true false" C(1000)`,
		run: func(w *world) string {
			type hasFoo bool
			type hasBaz bool
			type in struct {
				Q string `query:"q"`
			}
			gives(w, func(in in) (hasFoo, error) { return in.Q[:3] == "foo", nil })
			gives(w, func(in in) (hasBaz, error) { return in.Q[:3] == "baz", nil })
			shows(w, "/ws", func(in struct {
				Foo hasFoo
				Baz hasBaz
			},
			) string {
				return fmt.Sprint(in.Foo, " ", in.Baz)
			})
			return w.wire("/ws?q=foobar")
		},
	},
	{
		id: "S52", app: `partial(base, suffix="!"); ?q=a&suffix=ZZ`, fastapi: `"aZZ": the client sets it`, verdict: beaten,
		why: "what a closure holds is no parameter", want: `101 "a!" C(1000)`,
		run: func(w *world) string {
			type word string
			suffixed := func(suffix string) func(context.Context, struct {
				Q string `query:"q"`
			}) (word, error) {
				return func(_ context.Context, in struct {
					Q string `query:"q"`
				},
				) (word, error) {
					return word(in.Q + suffix), nil
				}
			}
			depends.Provide(w.deps, suffixed("!"))
			shows(w, "/ws", func(in struct{ Word word }) string { return string(in.Word) })
			return w.wire("/ws?q=a&suffix=ZZ")
		},
	},
	{
		id: "S53", app: "a dependency that takes HTTPConnection, used by a WebSocket route and a GET", fastapi: "it gets the WebSocket; the Request", verdict: matched,
		want: "the socket: /ws; the request: /plain",
		run: func(w *world) string {
			gives(w, func(in struct{ Request *http.Request }) (place, error) { return place(in.Request.URL.Path), nil })
			shows(w, "/ws", func(in struct{ Place place }) string { return "the socket: " + string(in.Place) })
			wsroute.HandleHTTP(w.ws, http.MethodGet, "/plain", func(out http.ResponseWriter, _ *http.Request, in struct{ Place place }) error {
				_, err := io.WriteString(out, "the request: "+string(in.Place))
				return err
			})
			srv := w.server()
			return w.open("/ws").hear() + "; " + string(wstest.Get(w, srv, "/plain").Body)
		},
	},
	{
		id: "S55", app: "two independent dependencies of 0.2 s", fastapi: "0.4 s", verdict: matched, want: "400ms",
		run: func(w *world) string {
			gives(w, func(none) (A, error) { <-time.After(200 * time.Millisecond); return A{}, nil })
			gives(w, func(none) (B, error) { <-time.After(200 * time.Millisecond); return B{}, nil })
			handle(w, "/ws", idle[takesB])
			start := time.Now()
			w.open("/ws")
			return time.Since(start).String()
		},
	},
	{
		id: "S56", app: "a request-scoped generator needs a plain function that needs a function-scoped one", fastapi: "it registers; the outer teardown meets a closed value",
		verdict: beaten, want: "not mounted: captive: func literal in gives (Connection) would keep F (Handshake)",
		run: func(w *world) string {
			pooled(w)
			gives(w, func(in struct{ F F }) (D, error) { return D(in.F), nil })
			yields[E, struct{ D D }](w, "r")
			handle(w, "/ws", idle[struct{ E E }])
			return w.faults()
		},
	},
	{
		id: "S57", app: "a request-scoped generator needs a function-scoped one", fastapi: "an error at registration that names it", verdict: matched,
		want: "not mounted: captive: func literal in yields (Connection) would keep F (Handshake)",
		run: func(w *world) string {
			pooled(w)
			yields[E, struct{ F F }](w, "r")
			handle(w, "/ws", idle[struct{ E E }])
			return w.faults()
		},
	},
}
