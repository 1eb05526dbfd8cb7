package wsroute_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// permit is the value of a scheme whose credential lists scopes.
type permit struct{ scopes []string }

func (g permit) Scopes() []string { return g.scopes }

// rank depends on it, and is looked up again every minute.
type rank struct{ name string }

func granting(now *atomic.Value) *depends.Graph {
	deps := depends.New()
	scheme := depends.Scheme{Name: "Permit", Challenge: "Bearer", Sources: []depends.Source{{In: "query", Name: "scope"}}}
	provideScheme(deps, scheme, func(ctx context.Context, c depends.Credential) (permit, error) {
		depends.Identify(ctx, depends.Identity{Subject: "ada"})
		return permit{strings.Split(c.Value, ".")}, nil
	})
	depends.Provide(deps, func(context.Context, struct{ Permit permit }) (rank, error) {
		name, _ := now.Load().(string)
		if name == "banned" {
			return rank{}, depends.Forbidden("banned", nil)
		}
		return rank{name}, nil
	}, depends.Revalidate(time.Minute))
	return deps
}

// TestIdentityChangesInTheMiddle: the next message sees fewer scopes, another rank, a revocation,
// and none slips through.
func TestIdentityChangesInTheMiddle(t *testing.T) {
	for i := range 100 {
		synctest.Test(t, func(t *testing.T) { identityChanges(t, i%7) })
	}
}

func identityChanges(t *testing.T, before int) {
	var now atomic.Value
	now.Store("editor")
	var kicks atomic.Int32
	ws := wsroute.New(granting(&now), &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
	c := wsroute.HandleMessages(ws, "/ws", events, wsroute.Renewable, wsroute.Require[rank]())
	wsroute.Answer(c, "kick", func(ctx context.Context, _ nothing, in struct{ Rank rank }) (saidMsg, error) {
		kicks.Add(1)
		select { // others come meanwhile
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
		}
		return saidMsg{in.Rank.name, ""}, nil
	}, wsroute.Scopes("admin"))
	wsroute.Answer(c, "tagged", func(_ context.Context, _ nothing, in struct {
		Permit permit `scopes:"admin"`
		Rank   rank
	},
	) (saidMsg, error) {
		return saidMsg{in.Rank.name, strings.Join(in.Permit.scopes, "")}, nil
	})
	peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/ws?scope=admin.say")
	var script []string
	for ref := range before {
		script = append(script, fmt.Sprintf(`> {"type":"kick","ref":%d}`, ref))
	}
	script = append(script, `> {"type":"renew","ref":"r","token":"say"}`)
	for ref := range 3 {
		script = append(script, fmt.Sprintf(`> {"type":"kick","ref":"%d"}`, ref), fmt.Sprintf(`> {"type":"tagged","ref":"%d"}`, ref))
	}
	wstest.Converse(t, peer, script...)
	// The renewal passes what waits, and its answer may come before theirs.
	answers, renewed := 0, false
	for range before + 1 + 6 {
		switch text := peer.Receive(); {
		case strings.HasPrefix(text, `{"type":"renewed","ref":"r"`):
			renewed = true
		case strings.Contains(text, `"ref":"`):
			if !renewed || !strings.Contains(text, `"insufficient_scope"`) {
				t.Fatalf("behind the renewal: %s", text)
			}
		case strings.HasPrefix(text, `{"type":"said"`):
			answers++
		case !strings.Contains(text, `"insufficient_scope"`): // of one that began later
			t.Fatal(text)
		}
	}
	if n := int(kicks.Load()); n != answers || n > before {
		t.Errorf("%d kicks, %d answers, of %d", n, answers, before)
	}

	wstest.Converse(t, peer, `> {"type":"renew","token":"admin"}`, `< {"type":"renewed","expires":null}`,
		`> {"type":"tagged"}`, `< {"type":"said","from":"editor","text":"admin"}`)
	now.Store("reader")
	peer.NothingSent(2 * time.Minute)
	wstest.Converse(t, peer, `> {"type":"tagged"}`, `< {"type":"said","from":"reader","text":"admin"}`)

	kicks.Store(0)
	for range 5 {
		peer.Send(`{"type":"kick"}`)
	}
	if before%2 == 0 {
		if _, err := ws.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"}); err != nil {
			t.Fatal(err)
		}
		began := kicks.Load()
		if got := peer.Closed(); got.Code != 3000 || got.Reason != "revoked" {
			t.Errorf("closed with %v", got)
		}
		synctest.Wait()
		if n := kicks.Load(); n > began+1 || n > 4 { // one may have been past the last look
			t.Errorf("%d kicks, and %d when it was revoked", n, began)
		}
		return
	}
	now.Store("banned")
	peer.Timeout = 2 * time.Minute
	if got := peer.Closed(); got.Code != 3003 || got.Reason != "banned" {
		t.Errorf("closed with %v", got)
	}
}
