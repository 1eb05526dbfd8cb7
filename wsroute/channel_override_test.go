package wsroute_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestOverridesOfMessageProviders: a test replaces what a message is given, and the user of a
// Renewable route, whose scheme nobody needs then.
func TestOverridesOfMessageProviders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deps := renewable(nil)
		depends.Provide(deps, func(context.Context, struct{ Owner owner }) (note, error) {
			return note{}, depends.NotFound("no_note", nil)
		}, depends.Message)
		ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
		c := wsroute.HandleMessages(ws, "/ws", events, wsroute.Renewable, wsroute.Require[owner](), wsroute.Public)
		wsroute.Answer(c, "edit", func(_ context.Context, e editMsg, in struct {
			Note  note
			Owner owner
		},
		) (saidMsg, error) {
			return saidMsg{in.Owner.name, in.Note.owner + e.Text}, nil
		})
		type input struct{ Target Target }
		srv := wstest.Start(t, ws, depends.OverrideValue(owner{name: "ada"}),
			depends.Override(func(_ context.Context, in input) (note, error) {
				if in.Target.ID != 7 {
					return note{}, depends.Forbidden("not_seven", nil)
				}
				return note{"bob"}, nil
			}))
		peer := wstest.Dial[string, string](t, srv, "/ws")
		if got := wstest.Ask[saidMsg](t, peer, "edit", editMsg{Target{7}, "!"}); got != (saidMsg{"ada", "bob!"}) {
			t.Errorf("got %v", got)
		}
		if got := wstest.AskFailure(t, peer, "edit", editMsg{Target{8}, "!"}); got.Reason != "not_seven" {
			t.Errorf("got %v", got)
		}
		wstest.Converse(t, peer, `> {"type":"renew","token":"ada/1h/x"}`, "x 1008 nothing_to_renew")
	})
}
