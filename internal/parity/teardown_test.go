package parity_test

import (
	"context"
	"errors"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

var errValue = errors.New("ValueError")

// fails provides a T whose cleanup fails.
func fails[T, In any](w *world, name string, with error) {
	depends.Provide(w.deps, func(ctx context.Context, _ In) (v T, _ error) {
		depends.Cleanup(ctx, func(_ context.Context, err error) error {
			w.event("-%s%s", name, cause(err))
			return with
		})
		return v, nil
	})
}

const noOutcome = "a cleanup is told the cause and changes no outcome: what the peer is told is the handler's, and MapError's, to say"

var teardowns = []scenario{
	{
		id: "S58", app: "r1, f1 of function scope, r2, f2 of function scope; the handler closes", fastapi: "+r1 +f1 +r2 +f2 h, C(1000), -f2 -f1 -r2 -r1", verdict: different,
		why: "Handshake values go when the 101 is written, long before the connection ends", want: "C(1000); +r1 +f1 +r2 +f2 -f2 -f1 h -r2 -r1",
		run: func(w *world) string {
			yields[A, none](w, "r1")
			yields[B, none](w, "f1", depends.Handshake)
			yields[C, none](w, "r2")
			yields[D, none](w, "f2", depends.Handshake)
			handle(w, "/ws", func(_ context.Context, c *conn, _ struct {
				_ A
				_ B
				_ C
				_ D
			},
			) error {
				w.event("h")
				return c.Close(1000, "")
			})
			return w.open("/ws").rest() + "; " + w.told()
		},
	},
	{
		id: "S59", app: "c(b(a), a)", fastapi: "+a +b +c h -c -b -a", verdict: matched, want: "+a +b +c h -c -b -a",
		run: func(w *world) string {
			yields[A, none](w, "a")
			yields[B, struct{ _ A }](w, "b")
			yields[C, struct {
				_ B
				_ A
			}](w, "c")
			handle(w, "/ws", func(context.Context, *conn, struct{ C C }) error { w.event("h"); return nil })
			w.wire("/ws")
			return w.told()
		},
	},
	{
		id: "S61", app: "the handler raises ValueError; a dependency turns it into a close with 4010", fastapi: `C(4010,"translated")`, verdict: matched,
		why: "by Config.MapError, for all routes at once; A is told the cause", want: `101 C(4010,"translated"); +A -A(ValueError)`,
		config: wsroute.Config{MapError: func(err error) *depends.Rejection {
			if errors.Is(err, errValue) {
				return &depends.Rejection{CloseCode: 4010, Reason: "translated"}
			}
			return nil
		}},
		run: func(w *world) string {
			yields[A, none](w, "A")
			handle(w, "/ws", func(context.Context, *conn, takesA) error { return errValue })
			return w.wire("/ws") + "; " + w.told()
		},
	},
	{
		id: "S63", app: "g1 turns ValueError into KeyError, g0 that into a close with 4008", fastapi: `C(4008,"outer")`, verdict: different,
		why: noOutcome, want: "101 C(1011); -g1(ValueError) -g0(ValueError)",
		run: func(w *world) string {
			fails[A, none](w, "g0", &depends.Rejection{CloseCode: 4008, Reason: "outer"})
			fails[B, struct{ _ A }](w, "g1", errors.New("KeyError"))
			handle(w, "/ws", func(context.Context, *conn, takesB) error { return errValue })
			return w.wire("/ws") + "; " + w.told()
		},
	},
	{
		id: "S64", app: "the inner dependency swallows ValueError, before or after the accept", fastapi: "500t / 101 EOF; the outer one sees no error; nothing is logged", verdict: different,
		why: noOutcome + "; it is logged, too", want: "500 internal_error / 101 C(1011); -B(ValueError) -A(ValueError) -B(ValueError) -A(ValueError); logged",
		run: func(w *world) string {
			fails[A, none](w, "A", nil)
			fails[B, struct{ _ A }](w, "B", nil)
			gives(w, func(in struct {
				_    B
				Fail bool `query:"fail"`
			},
			) (C, error) {
				if in.Fail {
					return C{}, errValue
				}
				return C{}, nil
			})
			handle(w, "/ws", func(context.Context, *conn, struct{ C C }) error { return errValue })
			out := w.wire("/ws?fail=true")
			w.told() // the refusal does not wait for the cleanups
			return join(out, w.wire("/ws?fail=false")) + "; " + w.told() + map[bool]string{true: "; logged"}[w.log.has("ValueError")]
		},
	},
	{
		id: "S65", app: "a teardown raises ValueError after close(1000)", fastapi: "C(1000) was sent; the outer dependency sees ValueError; logged", verdict: different,
		why: noOutcome, want: "101 C(1000); -B -A; logged",
		run: func(w *world) string {
			fails[A, none](w, "A", nil)
			fails[B, struct{ _ A }](w, "B", errValue)
			handle(w, "/ws", func(_ context.Context, c *conn, _ takesB) error { return c.Close(1000, "") })
			return w.wire("/ws") + "; " + w.told() + map[bool]string{true: "; logged"}[w.log.has("ValueError")]
		},
	},
	{
		id: "S66", app: "the handler returns; a teardown raises a close with 4009", fastapi: `"hi" C(4009,"late")`, verdict: different,
		why: noOutcome, want: `101 "hi" C(1000); -A`,
		run: func(w *world) string {
			fails[A, none](w, "A", &depends.Rejection{CloseCode: 4009, Reason: "late"})
			shows(w, "/ws", func(takesA) string { return "hi" })
			return w.wire("/ws") + "; " + w.told()
		},
	},
	{
		id: "S68", app: "a teardown of 0.3 s: raise a close with 4001; refuse with 403; close(4000)", fastapi: "after 0.3 s / after 0.3 s / at once", verdict: beaten,
		why: "a peer never waits for cleanups", want: "C(4001) after 0s / 403 after 0s / C(4000) after 0s",
		run: slowTeardown,
	},
	{
		id: "S69", app: "a teardown sends while the socket is open", fastapi: `"hi" "bye from teardown"`, verdict: different,
		why: "a cleanup has no connection: the closing handshake begins when the handler returns", want: `101 "hi" C(1000); -A`,
		run: func(w *world) string {
			fails[A, none](w, "A", nil)
			shows(w, "/ws", func(takesA) string { return "hi" })
			return w.wire("/ws") + "; " + w.told()
		},
	},
	{
		id: "S70", app: "teardown code without finally; the handler raises", fastapi: "the teardown is skipped", verdict: different,
		why: "a cleanup always runs, and is told the cause", want: "-A(ValueError)",
		run: func(w *world) string {
			fails[A, none](w, "A", nil)
			handle(w, "/ws", func(context.Context, *conn, takesA) error { return errValue })
			w.wire("/ws")
			return w.told()
		},
	},
	{
		id: "S71", app: "a database connection that only the auth dependency uses; the handler waits", fastapi: "it is held until the disconnect", verdict: beaten,
		want: "+db -db h",
		run: func(w *world) string {
			yields[D, none](w, "db", depends.Handshake)
			gives(w, func(struct {
				DB D `depends:"handshake-only"`
			},
			) (A, error) {
				return A{}, nil
			})
			handle(w, "/ws", func(ctx context.Context, c *conn, in takesA) error { w.event("h"); return idle(ctx, c, in) })
			w.open("/ws")
			return w.told()
		},
	},
	{
		id: "S72", app: "a generator that yields nothing, or twice", fastapi: "500t / C(1000), then an error in the log", verdict: meaningless,
		why: "a provider returns once",
	},
}

func slowTeardown(w *world) string {
	depends.Provide(w.deps, func(ctx context.Context, _ none) (A, error) {
		depends.Cleanup(ctx, func(context.Context, error) error { <-time.After(300 * time.Millisecond); return nil })
		return A{}, nil
	})
	gives(w, func(in struct {
		_    A
		Fail bool `query:"fail" default:"false"`
	},
	) (B, error) {
		if in.Fail {
			return B{}, depends.Forbidden("", nil)
		}
		return B{}, nil
	})
	handle(w, "/raise", func(context.Context, *conn, takesB) error { return &depends.Rejection{CloseCode: 4001} })
	handle(w, "/close", func(ctx context.Context, c *conn, _ takesB) error {
		_ = c.Close(4000, "")
		<-ctx.Done()
		return wsroute.ErrClosed
	})
	timed := func(fn func() string) string {
		start := time.Now()
		out := fn()
		return out + " after " + time.Since(start).String()
	}
	raised := w.open("/raise")
	one := timed(raised.rest)
	two := timed(func() string { return w.wire("/raise?fail=true") })
	closed := w.open("/close")
	return join(one, two, timed(closed.rest))
}
