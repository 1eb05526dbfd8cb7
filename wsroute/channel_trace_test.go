package wsroute_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestATraceOfMessages: each has a type with few values, and what is handled has a beginning and
// an end, whose context the handler gets.
func TestATraceOfMessages(t *testing.T) {
	type span struct{}
	var log record
	trace := &wsroute.Trace{
		Received: func(_ context.Context, r wsroute.ReceivedInfo) { log.add("received %s", r.Type) },
		Sent:     func(_ context.Context, s wsroute.SentInfo) { log.add("sent %s", s.Type) },
		MessageStart: func(ctx context.Context, m wsroute.HandledInfo) context.Context {
			log.add("start %s of %s", m.Type, m.Route)
			return context.WithValue(ctx, span{}, m)
		},
		MessageDone: func(ctx context.Context, m wsroute.HandledInfo, took time.Duration, reason string, err error) {
			log.add("done %s after %v: %q, %t, %t", m.Type, took, reason, err != nil, ctx.Value(span{}) == m)
		},
	}
	synctest.Test(t, func(t *testing.T) {
		ws := wsroute.New(depends.New(), &wsroute.Config{
			Logger: slog.New(slog.DiscardHandler), Trace: []*wsroute.Trace{trace},
		})
		c := wsroute.HandleMessages(ws, "/ws", events, wsroute.Public)
		wsroute.Answer(c, "say", func(ctx context.Context, say sayMsg, _ struct{}) (saidMsg, error) {
			time.Sleep(time.Second)
			log.add("handler of %v", ctx.Value(span{}))
			return saidMsg{"you", say.Text}, nil
		})
		wsroute.On(c, "fail", func(context.Context, nothing, struct{}) error { return errors.New("no") })
		peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/ws")
		for _, two := range [][]string{
			{`> {"type":"say","text":"hi"}`, `< {"type":"said","from":"you","text":"hi"}`},
			{`> {"type":"say"}`, `< {"type":"error","reason":"invalid_message","errors":"*"}`},
			{`> {"type":"fail"}`, `< {"type":"error","reason":"internal"}`},
			{`> {"type":"<script>"}`, `< {"type":"error","reason":"unknown_type"}`},
			{`> nonsense`, `< {"type":"error","reason":"invalid_json"}`},
			{`> {"type":"ping"}`, `< {"type":"pong"}`},
		} {
			wstest.Converse(t, peer, two...)
			synctest.Wait() // a Trace is told behind the answer
		}
	})
	want := []string{
		"received say", "start say of GET /ws", "handler of {GET /ws say}", "sent said", `done say after 1s: "", false, true`,
		"received say", "start say of GET /ws", "sent error", `done say after 0s: "invalid_message", true, true`,
		"received fail", "start fail of GET /ws", "sent error", `done fail after 0s: "internal", true, true`,
		"received _other", "sent error", "received _other", "sent error", "received ping", "sent pong",
	}
	if got := log.take(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestAnOptionOfRoutesAndMessages: Require stands on either, and refuses the one or the other.
func TestAnOptionOfRoutesAndMessages(t *testing.T) {
	deps := depends.New()
	depends.Provide(deps, func(_ context.Context, in struct {
		Name string `query:"name"`
	},
	) (admin, error) {
		return admin{}, depends.Forbidden("no_admin", nil)
	})
	ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
	guard := []wsroute.Option{wsroute.Require[admin]()}[0]
	options := []wsroute.MessageOption{guard, wsroute.Within(time.Minute)}
	wsroute.HandleMessages(ws, "/guarded", events, wsroute.Public, guard)
	c := wsroute.HandleMessages(ws, "/open", events, wsroute.Public)
	wsroute.Answer(c, "say", sayBack, options...)
	srv := wstest.Start(t, ws)
	if got := wstest.Refused(t, srv, "/guarded?name=a"); got.Status != 403 || got.Problem.Reason != "no_admin" {
		t.Errorf("the route: %d %s", got.Status, got.Problem.Reason)
	}
	peer := wstest.Dial[string, string](t, srv, "/open?name=a")
	if got := wstest.AskFailure(t, peer, "say", sayMsg{"hi"}); got.Reason != "no_admin" {
		t.Errorf("the message: %v", got)
	}
}

// TestAskAnswers: what the error answer has of a rejection.
func TestAskAnswers(t *testing.T) {
	srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) {
		wsroute.Answer(c, "say", sayBack)
		wsroute.On(c, "busy", func(context.Context, nothing, struct{}) error {
			return &depends.Rejection{Status: 503, Detail: "come back later", RetryAfter: 1500 * time.Millisecond}
		})
	})
	peer := wstest.Dial[string, string](t, srv, "/ws")
	if got := wstest.Ask[saidMsg](t, peer, "say", sayMsg{"hi"}); got != (saidMsg{"you", "hi"}) {
		t.Errorf("got %v", got)
	}
	want := wstest.Failure{Type: "error", Reason: "service_unavailable", Detail: "come back later", RetryAfter: 2}
	got := wstest.AskFailure(t, peer, "busy", nothing{})
	if got.Errors != nil || got.Type != want.Type || got.Reason != want.Reason || got.Detail != want.Detail || got.RetryAfter != want.RetryAfter {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
