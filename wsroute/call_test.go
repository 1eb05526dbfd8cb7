package wsroute_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestCalls: a loop has for its messages what HandleMessages has.
func TestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended []error
		var log bytes.Buffer
		deps := renewable(new(atomic.Int32))
		depends.Provide(deps, func(ctx context.Context, _ struct{}) (*unit, error) {
			depends.Cleanup(ctx, func(_ context.Context, cause error) error {
				ended = append(ended, cause)
				return nil
			})
			return new(unit), nil
		}, depends.Message)
		room := new(wsroute.Room[string])
		say := wsroute.NewCall(func(ctx context.Context, say sayMsg, in struct {
			Tx     *unit
			Pass   pass
			Sender wsroute.Sender[string]
		},
		) (saidMsg, error) {
			if err := errors.Join(room.Send(ctx, "room"), in.Sender.Send(ctx, "sender")); err != nil {
				return saidMsg{}, err
			}
			switch say.Text {
			case "panic":
				panic("oh")
			case "wait":
				<-ctx.Done()
				return saidMsg{}, ctx.Err()
			case "no":
				return saidMsg{}, depends.Forbidden("muted", nil)
			}
			return saidMsg{in.Pass.text, say.Text}, nil
		}, wsroute.Within(time.Second))
		elsewhere := wsroute.NewCall(func(context.Context, int, struct{}) (int, error) { return 0, nil })
		guarded := wsroute.NewCall(func(_ context.Context, n int, _ struct{}) (int, error) { return 2 * n, nil }, wsroute.Require[never]())
		depends.Provide(deps, func(context.Context, struct{}) (never, error) { return never{}, depends.Forbidden("never", nil) }, depends.Message)
		ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		var kept wsroute.Sender[string]
		over := make(chan error, 1)
		loop := func(ctx context.Context, conn *wsroute.Conn[wsroute.Message, string], _ struct{}) error {
			room.Join(conn)
			kept = conn.Sender()
			for {
				m, err := conn.Receive(ctx)
				if err != nil {
					_, err := say.Do(ctx, conn, sayMsg{"late"})
					over <- err
					return err
				}
				told := ""
				switch text := string(m.Data); text {
				case "elsewhere":
					err = attempt(ctx, elsewhere, conn)
				case "guarded":
					err = attempt(ctx, guarded, conn)
				case "background":
					_, err = say.Do(context.Background(), conn, sayMsg{})
				default:
					var what sayMsg
					var said saidMsg
					if what, err = wsroute.Decode[sayMsg](conn, m); err == nil {
						said, err = say.Do(ctx, conn, what)
						told = fmt.Sprint(said)
					}
				}
				if r, ok := errors.AsType[*depends.Rejection](err); ok {
					told = r.Reason
				} else if bad, ok := errors.AsType[*wsroute.MessageError](err); ok {
					told = fmt.Sprint(bad.Reason, bad.Errors)
				} else if err != nil {
					told = err.Error()
				}
				if err := conn.Send(ctx, told); err != nil {
					return err
				}
			}
		}
		wsroute.Handle(ws, "/ws", loop, wsroute.Calls(say, guarded), wsroute.Require[pass]())
		wsroute.Handle(ws, "/other", loop, wsroute.Calls(say, guarded, elsewhere), wsroute.Require[pass]())
		srv := wstest.Start(t, ws)
		peer := wstest.Dial[string, string](t, srv, "/ws?pass=ada/1h/x")
		for _, c := range []struct {
			send string
			want []string
		}{
			{`{"text":"hi"}`, []string{"room", "sender", "{x hi}"}},
			{`{"text":"no"}`, []string{"muted"}},
			{`{"text":"wait"}`, []string{"timeout"}},
			{`{"text":"panic"}`, []string{"panic in func literal in wsroute_test.TestCalls"}},
			{`{"text":""}`, []string{"invalid_message[{[text] required }]"}},
			{`{"text":1}`, []string{"invalid_message[{[text] string }]"}},
			{`{"text":`, []string{"invalid_json[]"}},
			{`guarded`, []string{"never"}},
			{`elsewhere`, []string{"wsroute: Do: GET /ws does not name"}},
			{`background`, []string{"wsroute: Do: the context is not derived"}},
		} {
			peer.Send(c.send)
			for _, want := range c.want {
				if got := peer.Receive(); !strings.HasPrefix(got, want) {
					t.Errorf("%s: %q, want %q", c.send, got, want)
				}
			}
		}
		if got := strings.Count(log.String(), "message failed"); got != 1 {
			t.Errorf("%d messages have failed in the log, want the panic:\n%s", got, log.String())
		}
		if got := fmt.Sprint(len(ended), ended[0], ended[1]); got != "4 <nil> muted" && !strings.HasPrefix(got, "4 <nil> 403") {
			t.Errorf("the transactions ended by %v", ended)
		}
		if got := fmt.Sprint(ended[2]); !strings.Contains(got, "Within") { // and no context.Canceled
			t.Errorf("the handler that returned ctx.Err() ended its transaction by %s", got)
		}
		other := wstest.Dial[string, string](t, srv, "/other?pass=bob/1h/y")
		other.Send("elsewhere")
		if got := other.Receive(); got != "" {
			t.Errorf("a route that names it: %q", got)
		}
		_ = other.WebSocket.NetConn().Close()
		if err := <-over; !errors.Is(err, wsroute.ErrPeerLost) {
			t.Errorf("Do after the end: %v", err)
		}
		kept.Go(func(context.Context) error { t.Error("it is called after the end"); return nil })
	})
}

// attempt makes a call whose result does not matter.
func attempt(
	ctx context.Context, call *wsroute.Call[int, struct{}, int], conn *wsroute.Conn[wsroute.Message, string],
) error {
	_, err := call.Do(ctx, conn, 1)
	return err
}

// TestMappedErrorsOfCalls: a loop gets the Rejection that MapError makes of an error, as the answers
// of HandleMessages are made of it.
func TestMappedErrorsOfCalls(t *testing.T) {
	errLocked, errPlain := errors.New("locked"), errors.New("plain")
	forbidden := depends.Forbidden("muted", nil)
	given := map[string]error{
		"provider": errLocked, "handler": errLocked, "own": forbidden, "plain": errPlain,
	}
	config := quiet()
	config.MapError = func(err error) *depends.Rejection {
		if errors.Is(err, errLocked) {
			return depends.NotFound("no_such_document", nil)
		}
		return nil
	}
	deps := depends.New()
	depends.Provide(deps, func(_ context.Context, in struct{ Say sayMsg }) (*unit, error) {
		if in.Say.Text == "provider" {
			return nil, fmt.Errorf("the database: %w", errLocked)
		}
		return new(unit), nil
	}, depends.Message)
	call := wsroute.NewCall(func(_ context.Context, say sayMsg, _ struct{ Unit *unit }) (int, error) {
		return 0, given[say.Text]
	})
	got := make(chan error, len(given))
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/ws", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{}) error {
		for {
			text, err := conn.Receive(ctx)
			if err != nil {
				return err
			}
			_, err = call.Do(ctx, conn, sayMsg{text})
			got <- err
		}
	}, wsroute.Calls(call), wsroute.Public)
	peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/ws")
	for _, text := range []string{"provider", "handler", "own", "plain"} {
		peer.Send(text)
		err, reason := <-got, ""
		if r, ok := errors.AsType[*depends.Rejection](err); ok {
			reason = r.Reason
		}
		want := map[string]string{"provider": "no_such_document", "handler": "no_such_document", "own": "muted"}[text]
		if reason != want || !errors.Is(err, given[text]) {
			t.Errorf("%s: %v with the reason %q, want %q", text, err, reason, want)
		}
	}
}

type never struct{}

// unit is of work, done wholly or not at all.
type unit struct{ working atomic.Int64 }

// TestAPanicAfterTheEnd is logged: nothing else tells of it.
func TestAPanicAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ws := wsroute.New(depends.New(), &wsroute.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
			conn.Sender().Go(func(ctx context.Context) error {
				<-ctx.Done()
				panic("too late")
			})
			return nil
		}, wsroute.Public)
		srv := wstest.Start(t, ws)
		if closed := wstest.Dial[string, string](t, srv, "/").Closed(); closed.Code != 1000 {
			t.Errorf("closed with %v", closed)
		}
		srv.Stop()
		if !strings.Contains(log.String(), `level=ERROR msg="work failed"`) || !strings.Contains(log.String(), "too late") {
			t.Errorf("logged\n%s", log.String())
		}
	})
}

// TestCallsThatCannotBe: what Mount says of them.
func TestCallsThatCannotBe(t *testing.T) {
	call := wsroute.NewCall(func(context.Context, sayMsg, struct {
		Admin  admin
		Deltas wsroute.Reply[saidMsg]
		Sender wsroute.Sender[event]
	},
	) (saidMsg, error) {
		return saidMsg{}, nil
	}, wsroute.Concurrent(2), wsroute.Within(-1))
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/ws", echo[string], wsroute.Public, wsroute.Calls(call))
	_, err := ws.Handler()
	for _, want := range []string{
		"a Reply is for HandleMessages", "no provider for wsroute_test.admin",
		"no provider for wsroute.Sender[wsroute_test.event]", "Concurrent is for HandleMessages", "Within(-1ns) leaves no time",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said in\n%v", want, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("NewCall takes a nil handler")
		}
	}()
	wsroute.NewCall[int, struct{}, int](nil)
}

// TestCallsOfNothing: a panic with the place of the mistake.
func TestCallsOfNothing(t *testing.T) {
	for name, register := range map[string]func(*wsroute.Router){
		"nil": func(ws *wsroute.Router) { wsroute.Handle(ws, "/", echo[string], wsroute.Calls(nil)) },
		"nil Call": func(ws *wsroute.Router) {
			wsroute.Handle(ws, "/", echo[string], wsroute.Calls((*wsroute.Call[int, none, int])(nil)))
		},
		"zero Call": func(ws *wsroute.Router) {
			wsroute.Handle(ws, "/", echo[string], wsroute.Calls(new(wsroute.Call[int, none, int])))
		},
	} {
		func() {
			defer func() {
				if said := fmt.Sprint(recover()); !strings.Contains(said, "Calls with a nil Call, at wsroute/call_test.go:") {
					t.Errorf("%s: %s", name, said)
				}
			}()
			register(wsroute.New(depends.New(), quiet()))
		}()
	}
}

// TestBinaryBesideJSON: by OnBinary, with what other messages have.
func TestBinaryBesideJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var chunks [][]byte
		srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) {
			wsroute.Answer(c, "say", sayBack)
			wsroute.OnBinary(c, func(ctx context.Context, data []byte, in struct{ Sender wsroute.Sender[event] }) error {
				chunks = append(chunks, data)
				if len(data) == 0 {
					return depends.Forbidden("silence", nil)
				}
				return in.Sender.Send(ctx, saidMsg{"you", fmt.Sprint(len(data))})
			})
		})
		peer := wstest.Dial[string, string](t, srv, "/ws")
		binary := func(data string) {
			if err := peer.WebSocket.WriteMessage(websocket.BinaryMessage, []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
		binary("abc")
		wstest.Converse(t, peer, `< {"type":"said","from":"you","text":"3"}`, `> {"type":"say","text":"hi"}`, `< {"type":"said","from":"you","text":"hi"}`)
		binary("")
		wstest.Converse(t, peer, `< {"type":"error","reason":"silence"}`, `> {"type":"_binary"}`, `< {"type":"error","reason":"unknown_type"}`)
		binary("longer")
		wstest.Converse(t, peer, `< {"type":"said","from":"you","text":"6"}`)
		if string(chunks[0]) != "abc" {
			t.Errorf("the first chunk is %q now", chunks[0])
		}
	})
}

// TestAGuestSignsIn: by renew, with a limit of connections of one principal, and then as nobody
// else.
func TestAGuestSignsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := quiet()
		config.MaxPerPrincipal = 1
		ws := wsroute.New(renewable(new(atomic.Int32)), config)
		c := wsroute.HandleMessages(ws, "/", events, wsroute.Renewable, wsroute.Public)
		wsroute.OnOpen(c, func(context.Context, struct{ Pass depends.Optional[pass] }) error { return nil })
		wsroute.Answer(c, "say", func(_ context.Context, say sayMsg, in struct{ Pass pass }) (saidMsg, error) {
			return saidMsg{in.Pass.text, say.Text}, nil
		}, wsroute.Require[pass]())
		srv := wstest.Start(t, ws)
		guest := func() *wstest.Peer[string, string] {
			p := wstest.Dial[string, string](t, srv, "/")
			wstest.Converse(t, p, `> {"type":"say","text":"hi"}`, `< {"type":"error","reason":"unauthorized"}`)
			return p
		}
		p := guest()
		wstest.Converse(t, p,
			`> {"type":"renew","token":"ada/1h/x"}`, `< {"type":"renewed","expires":"*"}`,
			`> {"type":"say","text":"hi"}`, `< {"type":"said","from":"x","text":"hi"}`,
			`> {"type":"renew","token":"ada/2h/y"}`, `< {"type":"renewed","expires":"*"}`,
			`> {"type":"say","text":"hi"}`, `< {"type":"said","from":"y","text":"hi"}`)
		wstest.Converse(t, guest(), `> {"type":"renew","token":"ada/1h/x"}`, `x 1013 too_many_of_principal`)
		wstest.Converse(t, guest(), `> {"type":"renew","token":"bob/soon/x"}`, `x 3000 unauthorized`)
		q := guest()
		wstest.Converse(t, q, `> {"type":"renew","token":"bob/1h/x"}`, `< {"type":"renewed","expires":"*"}`,
			`> {"type":"renew","token":"ada/1h/x"}`, `x 3003 other_principal`)
		wstest.Converse(t, p, `> {"type":"renew","token":"bob/1h/x"}`, `x 3003 other_principal`)
	})
}

type connectionInit struct {
	Type    string `json:"type" validate:"eq=connection_init"`
	Payload struct {
		Token string `json:"token" validate:"required"`
	} `json:"payload"`
}

var errNoInit = &depends.Rejection{CloseCode: 4408, Reason: "initialisation_timeout"}

// signIn waits for the first message, which has the credential.
func signIn(ctx context.Context, conn *wsroute.Conn[wsroute.Message, string]) error {
	first, cancel := context.WithTimeoutCause(ctx, 3*time.Second, errNoInit)
	defer cancel()
	m, err := conn.Receive(first)
	if err != nil {
		return err
	}
	hello, err := wsroute.Decode[connectionInit](conn, m)
	if err != nil {
		return err
	}
	_, err = conn.Renew(hello.Payload.Token)
	return err
}

// TestAGuestOfALoopSignsIn: by a first message of the program's protocol, in time.
func TestAGuestOfALoopSignsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		who := wsroute.NewCall(func(_ context.Context, _ struct{}, in struct{ Pass pass }) (string, error) {
			return in.Pass.text, nil
		}, wsroute.Require[pass]())
		ws := wsroute.New(renewable(new(atomic.Int32)), quiet())
		wsroute.Handle(ws, "/", func(
			ctx context.Context, conn *wsroute.Conn[wsroute.Message, string], _ struct{ Pass depends.Optional[pass] },
		) error {
			if _, err := who.Do(ctx, conn, struct{}{}); err == nil {
				t.Error("a guest is somebody")
			}
			if err := signIn(ctx, conn); err != nil {
				return err
			}
			name, err := who.Do(ctx, conn, struct{}{})
			if err != nil {
				return err
			}
			return conn.Send(ctx, name)
		}, wsroute.Calls(who), wsroute.Renewable, wsroute.Public)
		srv := wstest.Start(t, ws)
		for send, want := range map[string]string{
			`{"type":"connection_init","payload":{"token":"ada/1h/x"}}`:   "x",
			`{"type":"connection_init","payload":{"token":"ada/soon/x"}}`: "3000 unauthorized",
			`{"type":"connection_init"}`:                                  "1008 invalid_message",
			`{"type":"subscribe"}`:                                        "1008 invalid_message",
			``:                                                            "4408 initialisation_timeout",
		} {
			peer := wstest.Dial[string, string](t, srv, "/")
			if send != "" {
				peer.Send(send)
			}
			if want == "x" {
				if got := peer.Receive(); got != want {
					t.Errorf("%s: %q, want %q", send, got, want)
				}
				want = "1000 "
			}
			if closed := peer.Closed(); fmt.Sprint(closed.Code, " ", closed.Reason) != want {
				t.Errorf("%s: closed with %v, want %s", send, closed, want)
			}
		}
	})
}

// TestWorkBesideAConnection: 1,000 ends of all kinds; nothing of it outlives them, and cleanups
// come after it.
func TestWorkBesideAConnection(t *testing.T) {
	var working, cleaned, early, begun atomic.Int64
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, _ struct{}) (*unit, error) {
		mine := new(unit)
		depends.Cleanup(ctx, func(context.Context, error) error {
			cleaned.Add(1)
			early.Add(mine.working.Load())
			return nil
		})
		return mine, nil
	})
	ws := wsroute.New(deps, quiet())
	c := wsroute.HandleMessages(ws, "/ws", events, wsroute.Public, wsroute.Require[*unit]())
	wsroute.On(c, "go", func(_ context.Context, how struct {
		How string `json:"how"`
	}, in struct {
		Tx     *unit
		Sender wsroute.Sender[event]
	},
	) error {
		for i := range 3 {
			in.Sender.Go(func(ctx context.Context) error {
				begun.Add(1)
				working.Add(1)
				in.Tx.working.Add(1)
				defer working.Add(-1)
				defer in.Tx.working.Add(-1)
				switch {
				case i == 0 && how.How == "error":
					return depends.Forbidden("enough", nil)
				case i == 0 && how.How == "panic":
					panic("oh")
				case i == 0 && how.How == "done":
					return nil
				case i == 0 && how.How == "close":
					return in.Sender.Close(4000, "bye")
				}
				<-ctx.Done()
				return ctx.Err()
			})
		}
		return nil
	})
	srv := wstest.Start(t, ws)
	hows := map[string]string{
		"error": "3003 enough", "panic": "1011 ", "close": "4000 bye", "done": "", "kill": "", "leave": "",
	}
	var wg sync.WaitGroup
	gate := make(chan struct{}, 50)
	for i := range 1000 {
		how := []string{"error", "panic", "close", "done", "kill", "leave"}[i%6]
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			peer := wstest.Dial[string, string](t, srv, "/ws")
			defer peer.WebSocket.Close()
			ask, _ := json.Marshal(map[string]string{"type": "go", "how": how})
			peer.Send(string(ask))
			if want := hows[how]; want != "" {
				if closed := peer.Closed(); fmt.Sprint(closed.Code, " ", closed.Reason) != want {
					t.Errorf("%s: closed with %v", how, closed)
				}
				return
			}
			peer.Send(`{"type":"ping"}`)
			peer.Receive()
			if how == "leave" {
				peer.Close(1000, "")
			}
		})
	}
	wg.Wait()
	srv.Stop()
	if working.Load() != 0 || early.Load() != 0 || cleaned.Load() != 1000 || begun.Load() == 0 {
		t.Errorf("%d work still, %d worked after a cleanup, %d were cleaned up, %d had begun",
			working.Load(), early.Load(), cleaned.Load(), begun.Load())
	}
}

// BenchmarkDo: what a message costs by a call of a loop, to what it costs by HandleMessages; in
// turns, and with the same values, guard and answer.
func BenchmarkDo(b *testing.B) {
	type bench struct{}
	type both struct {
		Guest guest
		Desk  bench
	}
	deps := depends.New()
	depends.Provide(deps, aGuest)
	depends.Provide(deps, func(context.Context, struct{}) (bench, error) { return bench{}, nil })
	depends.Provide(deps, func(context.Context, both) (unit, error) { return unit{}, nil }, depends.Message)
	speak := func(_ context.Context, say sayMsg, in both) (saidMsg, error) {
		return saidMsg{in.Guest.name, say.Text}, nil
	}
	ws := wsroute.New(deps, quiet())
	demands := wsroute.RouteOption(wsroute.Require[guest]())
	c := wsroute.HandleMessages(ws, "/messages", events, wsroute.Public, demands, wsroute.Require[bench]())
	wsroute.Answer(c, "say", speak, wsroute.Require[unit]())
	call := wsroute.NewCall(speak, wsroute.Require[unit]())
	wsroute.Handle(ws, "/loop", func(ctx context.Context, conn *wsroute.Conn[event, event], _ none) error {
		for {
			m, err := conn.Receive(ctx)
			if err != nil {
				return err
			}
			said, err := call.Do(ctx, conn, m.(sayMsg))
			if err != nil {
				return err
			}
			if err := conn.Send(ctx, said); err != nil {
				return err
			}
		}
	}, wsroute.Public, demands, wsroute.Require[bench](), wsroute.Calls(call),
		wsroute.Receives(wsroute.Union[event]{"say": sayMsg{}}), wsroute.Sends(events))
	srv := wstest.Start(b, ws)
	const batch = 100
	peers := [2]*wstest.Peer[string, string]{}
	for i, path := range []string{"/messages", "/loop"} {
		peers[i] = wstest.Dial[string, string](b, srv, path+"?name=ada")
	}
	var took [2]time.Duration
	for b.Loop() {
		for i, p := range peers {
			begun := time.Now()
			for range batch {
				p.Send(`{"type":"say","text":"hello"}`)
				p.Receive()
			}
			took[i] += time.Since(begun)
		}
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), "do/messages")
}

// TestAPanicBehindACloseFrame is logged, too: the peer's close is why the connection ends.
func TestAPanicBehindACloseFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ws := wsroute.New(depends.New(), &wsroute.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		c := wsroute.HandleMessages(ws, "/", events, wsroute.Public)
		wsroute.On(c, "go", func(_ context.Context, _ nothing, in struct{ Sender wsroute.Sender[event] }) error {
			in.Sender.Go(func(context.Context) error {
				time.Sleep(time.Second)
				panic("too late")
			})
			time.Sleep(2 * time.Second)
			return nil
		})
		srv := wstest.Start(t, ws)
		peer := wstest.Dial[string, string](t, srv, "/")
		peer.Send(`{"type":"go"}`)
		time.Sleep(time.Millisecond)
		peer.Close(1000, "")
		srv.Stop()
		if !strings.Contains(log.String(), `level=ERROR msg="work failed"`) || !strings.Contains(log.String(), "too late") {
			t.Errorf("logged\n%s", log.String())
		}
	})
}

// TestARejectionOfACall is what the handler has made, also with a reason that usher has, too.
func TestARejectionOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := []*depends.Rejection{
			{Status: 401, CloseCode: 4401, Reason: "unauthorized", Detail: "mine"},
			{Status: 408, CloseCode: 4408, Reason: "timeout", Detail: "mine"},
		}
		call := wsroute.NewCall(func(_ context.Context, n int, _ struct{}) (int, error) { return 0, want[n] })
		ws := wsroute.New(depends.New(), quiet())
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
			for i := range want {
				if _, err := call.Do(ctx, conn, i); err != error(want[i]) { //nolint:errorlint // the same
					t.Errorf("got %v, want %v", err, want[i])
				}
			}
			return nil
		}, wsroute.Public, wsroute.Calls(call))
		wstest.Dial[string, string](t, wstest.Start(t, ws), "/").Closed()
	})
}

// TestACallAtTheEnd: the connection's values are not released while one works, and none begins
// after that.
func TestACallAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deps := depends.New()
		depends.Provide(deps, func(ctx context.Context, _ struct{}) (*unit, error) {
			u := new(unit)
			depends.Cleanup(ctx, func(context.Context, error) error { u.working.Store(-1); return nil })
			return u, nil
		})
		call := wsroute.NewCall(func(ctx context.Context, wait time.Duration, in struct{ Tx *unit }) (int64, error) {
			<-ctx.Done()
			time.Sleep(wait)
			return in.Tx.working.Load(), nil
		})
		type late struct{ call func(context.Context) }
		depends.Provide(deps, func(ctx context.Context, _ struct{ _ *unit }) (*late, error) {
			l := new(late)
			depends.Cleanup(ctx, func(ctx context.Context, _ error) error { l.call(ctx); return nil })
			return l, nil
		})
		ws := wsroute.New(deps, quiet())
		var calls atomic.Int32
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct {
			Tx   *unit
			Late *late
		},
		) error {
			go func() {
				if released, err := call.Do(ctx, conn, time.Second); err != nil || released != 0 {
					t.Errorf("it has worked with a value that was released: %v, %v", released, err)
				}
				calls.Add(1)
			}()
			in.Late.call = func(ctx context.Context) {
				if _, err := call.Do(ctx, conn, 0); !errors.Is(err, wsroute.ErrClosed) {
					t.Errorf("in a cleanup: %v", err)
				}
				calls.Add(1)
			}
			time.Sleep(time.Second)
			return nil
		}, wsroute.Public, wsroute.Calls(call))
		srv := wstest.Start(t, ws)
		wstest.Dial[string, string](t, srv, "/").Closed()
		srv.Stop()
		if got := calls.Load(); got != 2 {
			t.Errorf("%d calls", got)
		}
	})
}

// TestACallWithinACall: what the inner one sends waits for the outer one's cleanups.
func TestACallWithinACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deps := depends.New()
		commits := errors.New("no commit")
		depends.Provide(deps, func(ctx context.Context, _ struct{}) (*unit, error) {
			depends.Cleanup(ctx, func(context.Context, error) error { return commits })
			return new(unit), nil
		}, depends.Message)
		type own struct{}
		depends.Provide(deps, func(ctx context.Context, _ struct{}) (own, error) {
			depends.Cleanup(ctx, func(context.Context, error) error { return nil })
			return own{}, nil
		}, depends.Message)
		room := new(wsroute.Room[string])
		inner := wsroute.NewCall(func(ctx context.Context, text string, in struct{ Sender wsroute.Sender[string] }) (int, error) {
			return 0, errors.Join(in.Sender.Send(ctx, text), room.Send(ctx, text+" to all"))
		})
		cleaning := wsroute.NewCall(func(ctx context.Context, text string, in struct {
			Sender wsroute.Sender[string]
			_      own
		},
		) (int, error) {
			return 0, in.Sender.Send(ctx, text)
		})
		outer := wsroute.NewCall(func(ctx context.Context, _ int, in struct {
			_      *unit
			Sender wsroute.Sender[string]
		},
		) (int, error) {
			_, first := inner.Do(ctx, in.Sender, "inner")
			_, second := cleaning.Do(ctx, in.Sender, "with a cleanup")
			return 0, errors.Join(first, second)
		})
		ws := wsroute.New(deps, quiet())
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
			room.Join(conn)
			for commits != nil {
				_, err := outer.Do(ctx, conn, 1)
				if err := conn.Send(ctx, fmt.Sprint(err)); err != nil {
					return err
				}
				commits = nil
			}
			_, err := outer.Do(ctx, conn, 1)
			return errors.Join(err, conn.Send(ctx, fmt.Sprint(err)))
		}, wsroute.Public, wsroute.Calls(inner, cleaning, outer))
		peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
		for _, want := range []string{"cleanup: no commit", "inner", "inner to all", "with a cleanup", "<nil>"} {
			if got := peer.Receive(); got != want {
				t.Errorf("heard %q, want %q", got, want)
			}
		}
	})
}

// TestAGuestWithANameSignsIn: it counts as one principal's connection, and not as two.
func TestAGuestWithANameSignsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := quiet()
		config.MaxPerPrincipal = 1
		deps := renewable(new(atomic.Int32))
		depends.Provide(deps, func(ctx context.Context, in struct {
			Pass depends.Optional[pass]
			Name string `query:"name"`
		},
		) (guest, error) {
			if !in.Pass.OK {
				depends.Identify(ctx, depends.Identity{Subject: in.Name})
			}
			return guest{in.Name}, nil
		})
		ws := wsroute.New(deps, config)
		wsroute.HandleMessages(ws, "/", events, wsroute.Renewable, wsroute.Public, wsroute.Require[guest]())
		srv := wstest.Start(t, ws)
		for _, token := range []string{"ada/1h/x", "zoe/1h/x", "ada/1h/x"} {
			peer := wstest.Dial[string, string](t, srv, "/?name=zoe")
			wstest.Converse(t, peer, `> {"type":"renew","token":"`+token+`"}`, `< {"type":"renewed","expires":"*"}`)
			if token == "ada/1h/x" { // and zoe may come again
				wstest.Dial[string, string](t, srv, "/?name=zoe").Close(1000, "")
			}
			peer.Close(1000, "")
			time.Sleep(time.Second)
		}
	})
}

// TestDecodeOfAPointer names the members that are wrong, as that of a struct does.
func TestDecodeOfAPointer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws := wsroute.New(depends.New(), quiet())
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[wsroute.Message, string], _ none) error {
			m, err := conn.Receive(ctx)
			if err != nil {
				return err
			}
			_, err = wsroute.Decode[*sayMsg](conn, m)
			if bad, ok := errors.AsType[*wsroute.MessageError](err); !ok || fmt.Sprint(bad.Errors) != "[{[text] max 10}]" {
				t.Errorf("got %v of %v", bad.Errors, err)
			}
			return nil
		}, wsroute.Public)
		peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
		peer.Send(`{"text":"too long a text"}`)
		peer.Closed()
	})
}

// TestAMountWhileCallsAreMade: a program may mount its routes at several places, and while it
// serves.
func TestAMountWhileCallsAreMade(t *testing.T) {
	call := wsroute.NewCall(func(ctx context.Context, n int, in struct {
		Name   string `query:"name"`
		Sender wsroute.Sender[event]
	},
	) (string, error) {
		return in.Name, in.Sender.Send(ctx, saidMsg{in.Name, "hi"})
	})
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/loop", func(ctx context.Context, conn *wsroute.Conn[string, event], _ none) error {
		for range 100 {
			if name, err := call.Do(ctx, conn, 1); err != nil || name != "ada" {
				return fmt.Errorf("%q, %w", name, err)
			}
		}
		return nil
	}, wsroute.Public, wsroute.Calls(call), wsroute.Sends(events), wsroute.TypeMember("kind"))
	c := wsroute.HandleMessages(ws, "/messages", events, wsroute.Public)
	var made atomic.Int32
	wsroute.Answer(c, "ask", generate(&made))
	srv := wstest.Start(t, ws)
	loop := wstest.Dial[string, string](t, srv, "/loop?name=ada")
	messages := wstest.Dial[string, string](t, srv, "/messages")
	var mounts sync.WaitGroup
	mounts.Go(func() {
		for range 20 {
			if _, err := ws.Handler(); err != nil {
				t.Error(err)
			}
		}
	})
	for range 100 {
		converse(t, messages, `{"type":"ask","tokens":0}`, `{"type":"done"}`)
		if got := loop.Receive(); got != `{"kind":"said","from":"ada","text":"hi"}` {
			t.Errorf("heard %s", got)
		}
	}
	mounts.Wait()
	if closed := loop.Closed(); closed.Code != 1000 {
		t.Errorf("closed with %v", closed)
	}
}
