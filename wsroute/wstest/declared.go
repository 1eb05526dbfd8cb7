package wstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// hold fails the test on a refusal, a close or an error of a message that a route has not
// declared, of those routes that have declared any: see [depends.Refuses], [wsroute.Closes] and
// [wsroute.Fails]. What usher itself and the schemes do is declared by them.
func hold(t testing.TB, r *wsroute.Router) {
	t.Helper()
	routes := map[string]wsroute.Route{}
	for _, route := range r.Routes() {
		if declares(route) {
			routes[route.Method+" "+route.Path] = route
		}
	}
	if len(routes) == 0 {
		return
	}
	fail := func(route, did, add string) {
		t.Errorf("wstest: %s %s, which nothing declares: add %s", route, did, add)
	}
	r.Watch(&wsroute.Trace{
		HandshakeDone: func(
			_ context.Context, h wsroute.HandshakeInfo, result wsroute.HandshakeResult,
		) {
			route, held := routes[h.Route]
			told := slices.ContainsFunc(route.Refusals, func(r wsroute.Refusal) bool {
				return r.Status == result.Status && r.Reason == result.Reason
			})
			if held && !told && result.Reason != "" {
				outcome := fmt.Sprintf("%d, %q", result.Status, result.Reason)
				fail(h.Route, "refused with "+outcome,
					"depends.Refuses("+outcome+", …) to the provider")
			}
		},
		Closed: func(_ context.Context, c wsroute.ClosedInfo) {
			route, held := routes[c.Route]
			told := slices.ContainsFunc(route.Closes, func(end wsroute.Close) bool {
				return end.Code == c.Code && (end.Reason == c.Reason || end.Reason == "")
			})
			if byPeer := errors.As(c.Cause, new(*wsroute.CloseError)); held && !told && !byPeer {
				outcome := fmt.Sprintf("%d, %q", c.Code, c.Reason)
				fail(c.Route, "closed with "+outcome,
					"wsroute.Closes("+outcome+", …) to the route")
			}
		},
		MessageDone: func(
			_ context.Context, m wsroute.HandledInfo, _ time.Duration, reason string, err error,
		) {
			if r, ok := errors.AsType[*depends.Rejection](err); ok && r.CloseCode != 0 {
				return // Closed is told
			}
			route, held := routes[m.Route]
			i := slices.IndexFunc(route.Receives, func(info wsroute.MessageInfo) bool {
				return info.Name == m.Type || info.Frame == "binary" && m.Type == "_binary"
			})
			if !held || i < 0 || reason == "" {
				return
			}
			same := func(r wsroute.Reason) bool { return r.Reason == reason }
			if !slices.ContainsFunc(route.Receives[i].Reasons, same) {
				fail(m.Route, fmt.Sprintf("answered %q with the error %q", m.Type, reason),
					fmt.Sprintf("wsroute.Fails(%q, …) to the message, ", reason)+
						"or depends.Refuses to its provider")
			}
		},
	})
}

// declares says whether anything of a route's own is declared.
func declares(r wsroute.Route) bool {
	schemes := []string{"usher"}
	for _, c := range r.Credentials {
		schemes = append(schemes, c.Scheme)
	}
	own := func(by string) bool { return !slices.Contains(schemes, by) }
	return slices.ContainsFunc(r.Refusals, func(r wsroute.Refusal) bool { return own(r.By) }) ||
		slices.ContainsFunc(r.Closes, func(c wsroute.Close) bool { return own(c.By) }) ||
		slices.ContainsFunc(r.Receives, func(m wsroute.MessageInfo) bool {
			return slices.ContainsFunc(m.Reasons, func(r wsroute.Reason) bool { return own(r.By) })
		})
}
