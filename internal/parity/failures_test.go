package parity_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// myErr and its subclass, as Go has them: one wraps the other.
var (
	errMine = errors.New("MyErr")
	errSub  = fmt.Errorf("SubErr: %w", errMine)
)

// mapMine closes with 4100 for the program's own error.
func mapMine(err error) *depends.Rejection {
	if errors.Is(err, errMine) {
		return &depends.Rejection{Status: http.StatusForbidden, CloseCode: 4100, Reason: "mine"}
	}
	return nil
}

// unauthorized is HTTPException(401, "bad token", …).
func unauthorized() *depends.Rejection {
	return &depends.Rejection{
		Status: 401, Reason: "bad_token", Detail: "bad token",
		Header: http.Header{"Www-Authenticate": {"Bearer"}, "X-H": {"1"}},
	}
}

// ends registers a handler that ends with err.
func ends[In any](w *world, err error) {
	handle(w, "/ws", func(context.Context, *conn, In) error { return err })
}

var failures = []scenario{
	{
		id: "S95", app: `raise a close with (1008, "nope") before the accept, under A`, fastapi: "!A -A, 403∅", verdict: matched,
		why: "and the reason is told", want: "403 nope code 1008; +A -A(403)",
		run: func(w *world) string {
			yields[A, none](w, "A")
			gives(w, func(struct{ _ A }) (B, error) {
				return B{}, &depends.Rejection{Status: 403, CloseCode: 1008, Reason: "nope"}
			})
			ends[takesB](w, nil)
			_, r := w.dial(w.server(), "/ws")
			return fmt.Sprint(refused(r), " code ", r.Problem.Code) + "; " + w.told()
		},
	},
	{
		id: "S96", app: `the same with (4003, "nope") after it, under A and B`, fastapi: `!B -B !A -A, then C(4003,"nope")`, verdict: matched,
		want: `101 C(4003,"nope"); +A +B -B(0) -A(0)`,
		run: func(w *world) string {
			yields[A, none](w, "A")
			yields[B, struct{ _ A }](w, "B")
			ends[takesB](w, &depends.Rejection{CloseCode: 4003, Reason: "nope"})
			return w.wire("/ws") + "; " + w.told()
		},
	},
	{
		id: "S97", app: `HTTPException(401, "bad token", WWW-Authenticate: Bearer, X-H: 1) before the accept`, fastapi: `401, both headers, {"detail":"bad token"}`, verdict: matched,
		want: "401 bad_token [Bearer], X-H: 1, bad token",
		run: func(w *world) string {
			rejects(w, unauthorized())
			ends[takesA](w, nil)
			_, r := w.dial(w.server(), "/ws")
			return fmt.Sprintf("%s, X-H: %s, %s", refused(r), r.Header.Get("X-H"), r.Problem.Detail)
		},
	},
	{
		id: "S98", app: "the same after it", fastapi: "101 EOF", verdict: beaten, want: `101 C(3000,"bad_token")`,
		run: func(w *world) string {
			ends[none](w, unauthorized())
			return w.wire("/ws")
		},
	},
	{
		id: "S100", app: "ValueError before and after the accept", fastapi: "500t / 101 EOF", verdict: beaten,
		want: "500 internal_error / 101 C(1011); nothing of it is told",
		run: func(w *world) string {
			gives(w, func(in struct {
				Fail bool `query:"fail"`
			},
			) (A, error) {
				if in.Fail {
					return A{}, errValue
				}
				return A{}, nil
			})
			ends[takesA](w, errValue)
			_, r := w.dial(w.server(), "/ws?fail=1")
			secret := map[bool]string{false: "; nothing of it is told"}[strings.Contains(string(r.Body), "ValueError")]
			return join(refused(r), w.wire("/ws?fail=0")) + secret
		},
	},
	{
		id: "S101", app: "a handler for MyErr closes with 4100; a subclass is raised after the accept, under g", fastapi: `g is torn down first, C(4100,"mine")`, verdict: matched,
		why: "Config.MapError", want: `101 C(4100,"mine"); +g -g(SubErr: MyErr)`, config: wsroute.Config{MapError: mapMine},
		run: func(w *world) string {
			yields[A, none](w, "g")
			ends[takesA](w, errSub)
			return w.wire("/ws") + "; " + w.told()
		},
	},
	{
		id: "S102", app: "the same before the accept", fastapi: "403∅", verdict: matched, want: "403 mine", config: wsroute.Config{MapError: mapMine},
		run: func(w *world) string {
			gives(w, func(none) (A, error) { return A{}, errSub })
			ends[takesA](w, nil)
			return w.wire("/ws")
		},
	},
	{
		id: "S104", app: "a handler for status 401 answers 418", fastapi: `418 "custom"`, verdict: matched, want: `418 "custom"`,
		config: wsroute.Config{WriteRefusal: writesDetail, MapError: func(err error) *depends.Rejection {
			var r *depends.Rejection
			if errors.As(err, &r) && r.Status == 401 {
				return &depends.Rejection{Status: 418, Detail: "custom"}
			}
			return nil
		}},
		run: func(w *world) string {
			rejects(w, unauthorized())
			ends[takesA](w, nil)
			_, r := w.dial(w.server(), "/ws")
			return fmt.Sprintf("%d %q", r.Status, r.Body)
		},
	},
	{
		id: "S105", app: "a validation handler answers 422 JSON; q is missing", fastapi: "the handler's 422", verdict: matched,
		why: "without a handler", want: "422 invalid_parameters query.q:missing",
		run: func(w *world) string {
			shows(w, "/ws", func(struct {
				Q string `query:"q"`
			},
			) string {
				return ""
			})
			return w.wire("/ws")
		},
	},
	{
		id: "S106", app: "a dependency accepts; then q is missing", fastapi: "101 EOF", verdict: meaningless,
		why: "no dependency accepts: q is looked at before the first one runs",
	},
	{
		id: "S107", app: "close(1000), then raise a close", fastapi: "C(1000); RuntimeError in the log", verdict: beaten,
		want: "101 C(1000); no error in the log",
		run: func(w *world) string {
			handle(w, "/ws", func(_ context.Context, c *conn, _ none) error {
				_ = c.Close(1000, "")
				return &depends.Rejection{CloseCode: 4003}
			})
			out := w.wire("/ws")
			w.told()
			return out + map[bool]string{false: "; no error in the log"}[w.log.has("level=ERROR")]
		},
	},
	{
		id: "S108", app: "raise a close inside a task group", fastapi: "ExceptionGroup, 101 EOF", verdict: beaten,
		want: `101 C(4003,"nope")`,
		run: func(w *world) string {
			ends[none](w, errors.Join(errors.New("another task"), fmt.Errorf("task: %w", &depends.Rejection{CloseCode: 4003, Reason: "nope"})))
			return w.wire("/ws")
		},
	},
	{
		id: "S110", app: `TrustedHost ["good"]; Host: testserver`, fastapi: `400 "Invalid host header"`, verdict: matched,
		why: "a guard of the program's own", want: `400 invalid_host / 101 C(1000)`,
		run: func(w *world) string {
			gives(w, func(in struct {
				Host string `header:"Host"`
			},
			) (A, error) {
				if in.Host != "good" {
					return A{}, &depends.Rejection{Status: 400, Reason: "invalid_host"}
				}
				return A{}, nil
			})
			handle(w, "/ws", func(context.Context, *conn, none) error { return nil }, wsroute.Require[A]())
			return join(w.wire("/ws", "Host: testserver"), w.wire("/ws", "Host: good"))
		},
	},
	{
		id: "S111", app: `CORS ["https://ok"]; Origin: https://evil`, fastapi: "accepted", verdict: beaten,
		want: "403 origin_not_allowed / 101 C(1000)", config: wsroute.Config{Origins: []string{"https://ok"}},
		run: func(w *world) string {
			ends[none](w, nil)
			return join(w.wire("/ws", "Origin: https://evil"), w.wire("/ws", "Origin: https://ok"))
		},
	},
}

// writesDetail answers with a refusal's detail alone.
func writesDetail(w http.ResponseWriter, _ *http.Request, refusal *depends.Rejection) {
	w.WriteHeader(refusal.Status)
	_, _ = io.WriteString(w, refusal.Detail)
}
