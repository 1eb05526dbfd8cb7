package wsroute_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestAGuestsMessages: where the credential is optional, what needs it answers a guest
// "unauthorized", and Optional fields are empty.
func TestAGuestsMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws := wsroute.New(granting(new(atomic.Value)), &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
		c := wsroute.HandleMessages(ws, "/ws", events, wsroute.Public)
		wsroute.OnOpen(c, func(context.Context, struct{ Permit depends.Optional[permit] }) error { return nil })
		done := func(context.Context, nothing, struct{}) (doneMsg, error) { return doneMsg{}, nil }
		wsroute.Answer(c, "scoped", done, wsroute.Scopes("admin"))
		wsroute.Answer(c, "required", done, wsroute.Require[permit]())
		wsroute.Answer(c, "optional", func(_ context.Context, _ nothing, in struct{ Permit depends.Optional[permit] }) (saidMsg, error) {
			return saidMsg{strings.Join(in.Permit.Value.scopes, " "), map[bool]string{true: "there", false: "none"}[in.Permit.OK]}, nil
		})
		srv := wstest.Start(t, ws)
		wstest.Converse(t, wstest.Dial[string, string](t, srv, "/ws"),
			`> {"type":"scoped"}`, `< {"type":"error","reason":"unauthorized"}`,
			`> {"type":"required"}`, `< {"type":"error","reason":"unauthorized"}`,
			`> {"type":"optional"}`, `< {"type":"said","from":"","text":"none"}`)
		wstest.Converse(t, wstest.Dial[string, string](t, srv, "/ws?scope=say"),
			`> {"type":"scoped"}`, `< {"type":"error","reason":"insufficient_scope"}`,
			`> {"type":"required"}`, `< {"type":"done"}`,
			`> {"type":"optional"}`, `< {"type":"said","from":"say","text":"there"}`)
	})
}
