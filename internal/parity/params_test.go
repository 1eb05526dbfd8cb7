package parity_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// S74's program: two bad parameters, and a dependency.
type val struct {
	A    A
	Item int `path:"item_id"`
	Q    int `query:"q"`
}

// text renders strings and whether optional ones are there.
func text[T any](v *T) string {
	if v == nil {
		return "null"
	}
	return fmt.Sprint(*v)
}

var params = []scenario{
	{
		id: "S73", app: "/val/{item_id:int}, q: int, A; /val/3?q=4", fastapi: "[3,4]; +A h -A", verdict: matched, want: `101 "3 4" C(1000); +A -A`,
		run: func(w *world) string {
			yields[A, none](w, "A")
			shows(w, "/val/:item_id", func(in val) string { return fmt.Sprint(in.Item, in.Q) })
			return w.wire("/val/3?q=4") + "; " + w.told()
		},
	},
	{
		id: "S74", app: "the same; /val/x?q=y", fastapi: "+A !A:ValidationError -A; 403∅; two errors that nobody is told", verdict: beaten,
		want: "422 invalid_parameters path.item_id:int query.q:int; +A -A(422)",
		run: func(w *world) string {
			yields[A, none](w, "A")
			shows(w, "/val/:item_id", func(in val) string { return "" })
			return w.wire("/val/x?q=y") + "; " + w.told()
		},
	},
	{
		id: "S76", app: "bad(n) refuses; z: int; ?n=1&z=bad", fastapi: "it stops at bad, without a validation error: 403∅", verdict: matched, want: "403 bad",
		run: func(w *world) string {
			gives(w, func(struct {
				N int `query:"n"`
			},
			) (A, error) {
				return A{}, depends.Forbidden("bad", nil)
			})
			shows(w, "/ws", func(struct {
				_ A
				Z int `query:"z"`
			},
			) string {
				return ""
			})
			return w.wire("/ws?n=1&z=bad")
		},
	},
	{
		id: "S77", app: "p(q: int), used by the handler and by s(p); ?q=x", fastapi: "q is told twice", verdict: beaten, want: "422 invalid_parameters query.q:int",
		run: func(w *world) string {
			type q struct {
				Q int `query:"q"`
			}
			gives(w, func(q) (A, error) { return A{}, nil })
			gives(w, func(struct {
				_ A
				Q int `query:"q"`
			},
			) (B, error) {
				return B{}, nil
			})
			shows(w, "/ws", func(struct {
				A A
				B B
			},
			) string {
				return ""
			})
			return w.wire("/ws?q=x")
		},
	},
	{
		id: "S78", app: "q: str, n: int = 5, o: int?, b: bool = False; ?q=a&b=yes, ?q=, ?q, ?q=a&q=b&n=1&n=2", fastapi: `["a",5,null,true] / ["",…] / ["",…] / ["b",2,…]`,
		verdict: different, why: "a scalar that is there twice is 422: two readers of the request could take different ones",
		want: `101 "\"a\" 5 null true" C(1000) / 101 "\"\" 5 null false" C(1000) / 101 "\"\" 5 null false" C(1000) / 422 invalid_parameters query.q:repeated query.n:repeated`,
		run: func(w *world) string {
			shows(w, "/ws", func(in struct {
				Q string `query:"q"`
				N int    `query:"n" default:"5"`
				O *int   `query:"o"`
				B bool   `query:"b" default:"false"`
			},
			) string {
				return fmt.Sprintf("%q %d %s %v", in.Q, in.N, text(in.O), in.B)
			})
			return join(w.wire("/ws?q=a&b=yes"), w.wire("/ws?q="), w.wire("/ws?q"), w.wire("/ws?q=a&q=b&n=1&n=2"))
		},
	},
	{
		id: "S80", app: "q: list[int]; ?q=1&q=2, ?q=1&q=x, none", fastapi: "[1,2] / query.q.1 / missing", verdict: matched,
		why: "a slice may be empty unless it is validated", want: `101 "[1 2]" C(1000) / 422 invalid_parameters query.q.1:int / 422 invalid_parameters query.q:min`,
		run: func(w *world) string {
			shows(w, "/ws", func(in struct {
				Q []int `query:"q" validate:"min=1"`
			},
			) string {
				return fmt.Sprint(in.Q)
			})
			return join(w.wire("/ws?q=1&q=2"), w.wire("/ws?q=1&q=x"), w.wire("/ws"))
		},
	},
	{
		id: "S81", app: `q: list[str] = ["d"]; none, ?q=a,b`, fastapi: `["d"] / ["a,b"]`, verdict: matched, want: `["d"] / ["a,b"]`,
		run: func(w *world) string {
			shows(w, "/ws", func(in struct {
				Q []string `query:"q" default:"d"`
			},
			) string {
				return fmt.Sprintf("%q", in.Q)
			})
			return join(w.open("/ws").hear(), w.open("/ws?q=a,b").hear())
		},
	},
	{
		id: "S82", app: "alias item-query, 3 to 5 characters, ^a; abc, ab, xyz, ?q=abc", fastapi: "ok / string_too_short / string_pattern_mismatch / missing", verdict: matched,
		want: `101 "abc" C(1000) / 422 invalid_parameters query.item-query:min / 422 invalid_parameters query.item-query:startswith / 422 invalid_parameters query.item-query:missing`,
		run: func(w *world) string {
			shows(w, "/ws", func(in struct {
				Q string `query:"item-query" validate:"min=3,max=5,startswith=a"`
			},
			) string {
				return in.Q
			})
			return join(w.wire("/ws?item-query=abc"), w.wire("/ws?item-query=ab"), w.wire("/ws?item-query=xyz"), w.wire("/ws?q=abc"))
		},
	},
	{
		id: "S83", app: "a model: limit ≤ 100, tags[], extra forbidden; ?limit=5&tags=a&tags=b, ?zz=1, ?limit=1000", fastapi: "ok / extra_forbidden / less_than_equal", verdict: different,
		why:  "a query that nobody declared is ignored, for links gain parameters on their way",
		want: `101 "5 [a b]" C(1000) / 101 "10 []" C(1000) / 422 invalid_parameters query.limit:lte`,
		run: func(w *world) string {
			type Filter struct {
				Limit int      `query:"limit" default:"10" validate:"lte=100"`
				Tags  []string `query:"tags"`
			}
			shows(w, "/ws", func(in struct{ Filter }) string { return fmt.Sprint(in.Limit, " ", in.Tags) })
			return join(w.wire("/ws?limit=5&tags=a&tags=b"), w.wire("/ws?zz=1"), w.wire("/ws?limit=1000"))
		},
	},
	{
		id: "S85", app: "x_token: int of a header; 1 and 2 sent; none", fastapi: "1 / header.x-token", verdict: matched,
		want: `101 "1" C(1000) / 422 invalid_parameters header.X-Token:missing`,
		run: func(w *world) string {
			shows(w, "/ws", func(in struct {
				Token int `header:"X-Token"`
			},
			) string {
				return fmt.Sprint(in.Token)
			})
			return join(w.wire("/ws", "X-Token: 1", "X-Token: 2"), w.wire("/ws"))
		},
	},
	{
		id: "S86", app: "cookies session?, ad_id: int = 0; session=abc; ad_id=4, session=1; session=2, ad_id=x", fastapi: `["abc",4] / "2" / 403∅`, verdict: different,
		why:  "a scalar that is there twice is 422: two readers of the request could take different ones",
		want: `101 "abc 4" C(1000) / 422 invalid_parameters cookie.session:repeated / 422 invalid_parameters cookie.ad_id:int`,
		run: func(w *world) string {
			shows(w, "/ws", func(in struct {
				Session *string `cookie:"session"`
				AdID    int     `cookie:"ad_id" default:"0"`
			},
			) string {
				return fmt.Sprint(text(in.Session), " ", in.AdID)
			})
			return join(w.wire("/ws", "Cookie: session=abc; ad_id=4"), w.wire("/ws", "Cookie: session=1; session=2"), w.wire("/ws", "Cookie: ad_id=x"))
		},
	},
	{
		id: "S87", app: "/i/{item_id}/ws; /i/a%2Fb/ws, /i/caf%C3%A9/ws, /i//ws", fastapi: "no route / café / no route", verdict: matched,
		want: `no route / 101 "café" C(1000) / no route`,
		run: func(w *world) string {
			shows(w, "/i/:item_id/ws", func(in struct {
				Item string `path:"item_id"`
			},
			) string {
				return in.Item
			})
			return join(noRoute(w, "/i/a%2Fb/ws"), w.wire("/i/caf%C3%A9/ws"), noRoute(w, "/i//ws"))
		},
	},
	{
		id: "S89", app: "/n/{n:int}; /n/x, /n/7", fastapi: "no route / 7", verdict: different,
		why: "gin has no convertors; 422 says which parameter is wrong", want: `422 invalid_parameters path.n:int / 101 "7" C(1000)`,
		run: func(w *world) string {
			shows(w, "/n/:n", func(in struct {
				N int `path:"n"`
			},
			) string {
				return fmt.Sprint(in.N)
			})
			return join(w.wire("/n/x"), w.wire("/n/7"))
		},
	},
	{
		id: "S90", app: "e: enum a|b, l: int? > 0; e=z, l=0", fastapi: "enum; greater_than: 403∅", verdict: matched,
		want: `422 invalid_parameters query.e:oneof query.l:gt / 101 "a null" C(1000)`,
		run: func(w *world) string {
			shows(w, "/ws", func(in struct {
				E string `query:"e" validate:"oneof=a b"`
				L *int   `query:"l" validate:"gt=0"`
			},
			) string {
				return in.E + " " + text(in.L)
			})
			return join(w.wire("/ws?e=z&l=0"), w.wire("/ws?e=a"))
		},
	},
	{
		id: "S91", app: "a datetime and a UUID, valid and bad", fastapi: "parsed / two errors", verdict: matched,
		want: `101 "2026 0b7e1d9e-9d3c-4a58-8d0a-2f6c6f1f0a11" C(1000) / 422 invalid_parameters query.at:time query.id:uuid`,
		run: func(w *world) string {
			shows(w, "/ws", func(in struct {
				At time.Time `query:"at"`
				ID string    `query:"id" validate:"uuid"`
			},
			) string {
				return fmt.Sprint(in.At.Year(), " ", in.ID)
			})
			return join(w.wire("/ws?at=2026-08-01T00:00:00Z&id=0b7e1d9e-9d3c-4a58-8d0a-2f6c6f1f0a11"), w.wire("/ws?at=x&id=y"))
		},
	},
	{
		id: "S92", app: "a path parameter that only a dependency uses; /x/5", fastapi: `"5"`, verdict: matched, want: `101 "5" C(1000)`,
		run: func(w *world) string {
			gives(w, func(in struct {
				N int `path:"n"`
			},
			) (A, error) {
				return A{in.N}, nil
			})
			shows(w, "/x/:n", func(in takesA) string { return fmt.Sprint(in.A.N) })
			return w.wire("/x/5")
		},
	},
	{
		id: "S93", app: "a body, and a form parameter with a default", fastapi: "403∅ on each connection / the default", verdict: beaten,
		why: "a handshake has no body, and the program does not start", want: "not mounted: bad tag: field Form of struct{...}: `form:\"f\"`: unknown tag \"form\"; missing: no provider for struct{...}",
		run: func(w *world) string {
			shows(w, "/ws", func(struct {
				Body struct{ X int } `json:"body"`
				Form string          `form:"f"`
			},
			) string {
				return ""
			})
			return w.faults()
		},
	},
	{
		id: "S94", app: "Request, BackgroundTasks and Response on a WebSocket route", fastapi: "500t / never run / ignored", verdict: beaten,
		why: "the request works; what cannot work does not start", want: `101 "/request" C(1000) / not mounted: missing: no provider for http.ResponseWriter`,
		run: func(w *world) string {
			handle(w, "/request", func(ctx context.Context, c *conn, in struct{ R *http.Request }) error {
				return c.Send(ctx, in.R.URL.Path)
			})
			out := w.wire("/request")
			other := newWorld(w.T, w.on, wsroute.Config{})
			shows(other, "/response", func(struct{ W http.ResponseWriter }) string { return "" })
			return join(out, other.faults())
		},
	},
}

// noRoute says whether a path leads nowhere: to 404, or to the redirect of a
// ServeMux, which no WebSocket client follows.
func noRoute(w *world, target string) string {
	_, r := w.dial(w.server(), target)
	if r != nil && (r.Status == http.StatusNotFound || r.Status == http.StatusTemporaryRedirect) {
		return "no route"
	}
	return fmt.Sprintf("%+v", r)
}
