package wstest_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

type (
	declaredSay   struct{ Text string }
	declaredEvent interface{ declared() }
	declaredSaid  struct{ Text string }
	declaredGate  struct{}
)

func (declaredSaid) declared() {}

// declaring has a route whose program does what it is told to.
func declaring(options ...wsroute.RouteOption) *wsroute.Router {
	deps := depends.New()
	depends.Provide(deps, func(_ context.Context, in struct {
		Gate string `query:"gate" default:""`
	},
	) (declaredGate, error) {
		if in.Gate != "" {
			return declaredGate{}, depends.Forbidden(in.Gate, nil)
		}
		return declaredGate{}, nil
	}, depends.Refuses(403, "banned", ""))
	ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	chat := wsroute.HandleMessages(ws, "/chat", wsroute.Union[declaredEvent]{"said": declaredSaid{}},
		append(options, wsroute.Public, wsroute.Require[declaredGate]())...)
	wsroute.Answer(chat, "say", func(_ context.Context, m declaredSay, _ struct{}) (declaredSaid, error) {
		code := 0
		if _, err := fmt.Sscanf(m.Text, "close %d", &code); err == nil {
			return declaredSaid{}, &depends.Rejection{CloseCode: code, Reason: "told"}
		}
		return declaredSaid{}, depends.Forbidden(m.Text, nil)
	}, wsroute.Fails("muted", ""))
	wsroute.OnBinary(chat, func(_ context.Context, data []byte, _ struct{}) error {
		return depends.Forbidden(string(data), nil)
	}, wsroute.Fails("noise", ""))
	return ws
}

// TestWhatIsNotDeclaredFails: of a route that declares anything.
func TestWhatIsNotDeclaredFails(t *testing.T) {
	say := func(text string) func(*testing.T, *wstest.Server) {
		return func(t *testing.T, srv *wstest.Server) {
			p := wstest.Dial[any, any](t, srv, "/chat")
			if strings.HasPrefix(text, "close") {
				p.Send(map[string]string{"type": "say", "Text": text})
				p.Closed()
				return
			}
			wstest.AskFailure(t, p, "say", declaredSay{text})
			p.Close(1000, "")
		}
	}
	binary := func(text string) func(*testing.T, *wstest.Server) {
		return func(t *testing.T, srv *wstest.Server) {
			p := wstest.Dial[[]byte, any](t, srv, "/chat")
			p.Send([]byte(text))
			p.Receive()
			p.Close(1000, "")
		}
	}
	refused := func(gate string) func(*testing.T, *wstest.Server) {
		return func(t *testing.T, srv *wstest.Server) { wstest.Refused(t, srv, "/chat?gate="+gate) }
	}
	kicks := wsroute.Closes(4001, "told", wsroute.ReconnectNever, "")
	for name, test := range map[string]struct {
		does func(*testing.T, *wstest.Server)
		want bool
	}{
		"declared refusal": {refused("banned"), false},
		"another refusal":  {refused("other"), true},
		"declared reason":  {say("muted"), false},
		"another reason":   {say("other"), true},
		"declared, binary": {binary("noise"), false},
		"another, binary":  {binary("other"), true},
		"declared close":   {say("close 4001"), false},
		"another close":    {say("close 4002"), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fails(t, func(tb testing.TB) { test.does(t, wstest.Start(tb, declaring(kicks))) }); got != test.want {
				t.Errorf("it fails the test: %t", got)
			}
		})
	}
}
