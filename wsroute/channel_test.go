package wsroute_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// event is what the channels of these tests send.
type event interface{ event() }

type (
	sayMsg struct {
		Text string `json:"text" validate:"required,max=10"`
	}
	saidMsg struct {
		From string `json:"from"`
		Text string `json:"text"`
	}
	nothing struct{}
	doneMsg struct{}
)

func (saidMsg) event() {}
func (doneMsg) event() {}
func (sayMsg) event()  {}

var events = wsroute.Union[event]{"said": saidMsg{}, "done": doneMsg{}}

// talking serves a channel, of which register adds the messages.
func talking(
	t *testing.T, deps *depends.Graph, register func(*wsroute.Channel[event]), options ...wsroute.RouteOption,
) *wstest.Server {
	t.Helper()
	ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
	register(wsroute.HandleMessages(ws, "/ws", events, append(options, wsroute.Public)...))
	return wstest.Start(t, ws)
}

func converse(t *testing.T, peer *wstest.Peer[string, string], send, want string) {
	t.Helper()
	peer.Send(send)
	if got := peer.Receive(); got != want {
		t.Errorf("%s\n got %s\nwant %s", send, got, want)
	}
}

func sayBack(_ context.Context, say sayMsg, _ struct{}) (saidMsg, error) {
	return saidMsg{"you", say.Text}, nil
}

func TestAnswersAndErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) {
			wsroute.Answer(c, "say", sayBack)
			wsroute.Answer(c, "fail", func(context.Context, nothing, struct{}) (doneMsg, error) {
				return doneMsg{}, depends.Forbidden("muted", errors.New("because"))
			})
			wsroute.Answer(c, "none", func(context.Context, nothing, struct{}) (*doneMsg, error) { return &doneMsg{}, nil })
			wsroute.On(c, "panic", func(context.Context, nothing, struct{}) error { panic("no") })
			wsroute.Answer(c, "slow", func(ctx context.Context, _ nothing, _ struct{}) (doneMsg, error) {
				<-ctx.Done()
				return doneMsg{}, ctx.Err()
			}, wsroute.Within(time.Second))
		})
		peer := wstest.Dial[string, string](t, srv, "/ws")
		for _, tt := range [][2]string{
			{`{"type":"say","ref":7,"text":"hi <b>"}`, `{"type":"said","ref":7,"from":"you","text":"hi <b>"}`},
			{`{"type":"say","text":"hi"}`, `{"type":"said","from":"you","text":"hi"}`},
			{`{"type":"none","ref":"a"}`, `{"type":"done","ref":"a"}`},
			{`{"type":"fail","ref":1}`, `{"type":"error","ref":1,"reason":"muted"}`},
			{`{"type":"panic","ref":1}`, `{"type":"error","ref":1,"reason":"internal"}`},
			{`{"type":"slow","ref":1}`, `{"type":"error","ref":1,"reason":"timeout"}`},
			{`{"type":"say","ref":2,"text":"12345678901"}`, `{"type":"error","ref":2,"reason":"invalid_message","errors":[{"loc":["text"],"code":"max","param":"10"}]}`},
			{`{"type":"what","ref":2}`, `{"type":"error","ref":2,"reason":"unknown_type"}`},
			{`{"type":"ping","ref":2}`, `{"type":"pong","ref":2}`},
			{`[]`, `{"type":"error","reason":"invalid_json"}`},
		} {
			converse(t, peer, tt[0], tt[1])
		}
		if got := peer.Close(1000, ""); got.Code != 1000 {
			t.Errorf("closed with %v", got)
		}
	})
}
