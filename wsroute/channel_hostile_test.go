package wsroute_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// level is a type that reads itself.
type level struct{ N int }

func (l *level) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &l.N) }

type item struct {
	Name string `json:"name" validate:"required,max=3"`
}

type deepMsg struct {
	item   `json:",inline"` // its own member
	Item   item             `json:"item"`
	Pair   *item            `json:"pair"`
	List   []item           `json:"list" validate:"dive"`
	ByName map[string]item  `json:"by_name" validate:"dive"`
	Level  level            `json:"level"`
	Count  int              `json:"count" validate:"lt=10"`
	Secret string           `json:"secret" validate:"omitempty,oneof=hunter2 swordfish"`
	GoName string           `json:"other,omitempty" validate:"omitempty,eqfield=Secret"`
}

// TestBadMessages: each has its answer, in which nothing of Go stands and nothing secret, and the
// connection lives on.
func TestBadMessages(t *testing.T) {
	fields := func(list ...string) string { return `,"errors":[` + strings.Join(list, ",") + `]` }
	field := func(loc, code, param string) string {
		if param != "" {
			param = `,"param":"` + param + `"`
		}
		return `{"loc":[` + loc + `],"code":"` + code + `"` + param + `}`
	}
	answer := func(ref, reason string, more ...string) string {
		if ref != "" {
			ref = `,"ref":` + ref
		}
		return `{"type":"error"` + ref + `,"reason":"` + reason + `"` + strings.Join(more, "") + `}`
	}
	const ok = `{"type":"done","ref":1}`
	deep := func(members string) string {
		return `{"type":"deep","ref":1,"item":{"name":"a"},"name":"a"` + members + `}`
	}
	for _, tt := range []struct{ name, text, want string }{
		{"not JSON", `hi`, answer("", "invalid_json")},
		{"empty", ``, answer("", "invalid_json")},
		{"not an object", `"say"`, answer("", "invalid_json")},
		{"a list", `[{"type":"say"}]`, answer("", "invalid_json")},
		{"null", `null`, answer("", "invalid_json")},
		{"cut off", `{"type":"say","ref":1`, answer("", "invalid_json")},
		{"two", `{"type":"done"}{"type":"done"}`, answer("", "invalid_json")},
		{"no type", `{"ref":1,"text":"x"}`, answer("1", "invalid_message")},
		{"unknown", `{"type":"what","ref":1}`, answer("1", "unknown_type")},
		{"unknown and broken", `{"type":"what","ref":1,"x":tru}`, answer("1", "invalid_json")},
		{"a type of usher's", `{"type":"renewed","ref":1}`, answer("1", "unknown_type")},
		{"Type", `{"Type":"done","ref":1}`, answer("1", "invalid_message")},
		{"an escape in the key", `{"\u0074ype":"done","ref":1}`, answer("1", "invalid_message")},
		{"an escape in the type", `{"type":"d\u006fne","ref":1}`, answer("1", "invalid_message")},
		{"an escape in any key", `{"type":"done","ref":1,"\u0061":1}`, answer("1", "invalid_message")},
		{"a type twice", `{"type":"done","type":"done","ref":1}`, answer("1", "invalid_message")},
		{"a type below", `{"x":{"type":"done"},"ref":1}`, answer("1", "invalid_message")},
		{"a type that is a number", `{"type":1,"ref":1}`, answer("1", "invalid_message")},
		{"a ref that is an object", `{"type":"done","ref":{}}`, answer("", "invalid_message")},
		{"a ref that is null", `{"type":"done","ref":null}`, `{"type":"done"}`},
		{"a ref with leading zeros", `{"type":"done","ref":007}`, answer("", "invalid_message")},
		{"a ref that is a fraction", `{"type":"done","ref":1.5}`, answer("", "invalid_message")},
		{"a huge ref", `{"type":"done","ref":1e400}`, answer("", "invalid_message")},
		{"a ref of 19 digits", `{"type":"done","ref":-1234567890123456789}`, `{"type":"done","ref":-1234567890123456789}`},
		{"a ref of 20 digits", `{"type":"done","ref":12345678901234567890}`, answer("", "invalid_message")},
		{"a ref with an escape", `{"type":"done","ref":"a\"b"}`, answer("", "invalid_message")},
		{"a ref twice", `{"type":"done","ref":1,"ref":1}`, answer("1", "invalid_message")},
		{"a ref of 64 bytes", `{"type":"done","ref":"` + strings.Repeat("x", 64) + `"}`, `{"type":"done","ref":"` + strings.Repeat("x", 64) + `"}`},
		{"a ref of 10 kB", `{"type":"done","ref":"` + strings.Repeat("x", 10_000) + `"}`, answer("", "invalid_message")},
		{"more members", `{"type":"done","ref":1,"x":{"y":[1,"}"]}}`, ok},
		{"the last of two members counts", deep(`,"count":99,"count":1`), ok},
		{"10,000 levels", `{"type":"done","ref":1,"x":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `}`, answer("1", "invalid_json")},
		{"no number", deep(`,"count":"x"`), answer("1", "invalid_message", fields(field(`"count"`, "int", "")))},
		{"a number too large", deep(`,"count":1e99`), answer("1", "invalid_message", fields(field(`"count"`, "int", "")))},
		{"an object for a list", deep(`,"list":{}`), answer("1", "invalid_message", fields(field(`"list"`, "array", "")))},
		{"a text for an object", deep(`,"pair":"x"`), answer("1", "invalid_message", fields(field(`"pair"`, "object", "")))},
		{"no number within a list", deep(`,"list":[{"name":1}]`), answer("1", "invalid_message", fields(field(`"list","name"`, "string", "")))},
		{"a type that reads itself", deep(`,"level":"x"`), answer("1", "invalid_message", fields(field(`"level"`, "int", "")))},
		{
			"rules", deep(`,"count":10,"pair":{"name":"long"},"list":[{"name":"a"},{"name":""}],"by_name":{"my key":{"name":"long"}}`),
			answer("1", "invalid_message", fields(field(`"pair","name"`, "max", "3"), field(`"list","1","name"`, "required", ""),
				field(`"by_name"`, "max", "3"), field(`"count"`, "lt", "10"))),
		},
		{
			"rules with secrets", deep(`,"secret":"guess","other":"x"`),
			answer("1", "invalid_message", fields(field(`"secret"`, "oneof", ""), field(`"other"`, "eqfield", ""))),
		},
		{
			"what is embedded", `{"type":"deep","ref":1,"item":{"name":"a"},"name":"long"}`,
			answer("1", "invalid_message", fields(field(`"name"`, "max", "3"))),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) {
					done := doneMsg{}
					wsroute.Answer(c, "done", func(context.Context, nothing, struct{}) (doneMsg, error) { return done, nil })
					wsroute.Answer(c, "deep", func(context.Context, deepMsg, struct{}) (doneMsg, error) { return done, nil })
				})
				peer := wstest.Dial[string, string](t, srv, "/ws")
				converse(t, peer, tt.text, tt.want)
				converse(t, peer, `{"type":"done"}`, `{"type":"done"}`)
			})
		})
	}
}

// TestMessagesThatEndTheConnection, as on every route.
func TestMessagesThatEndTheConnection(t *testing.T) {
	for name, tt := range map[string]struct {
		kind, code int
		data       string
	}{
		"64 KiB and 1": {1, 1009, `{"type":"say","text":"` + strings.Repeat("x", 64<<10-23) + `"}`},
		"no UTF-8":     {1, 1007, "{\"type\":\"\xff\"}"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) { wsroute.Answer(c, "say", sayBack) })
			peer := wstest.Dial[string, string](t, srv, "/ws")
			if err := peer.WebSocket.WriteMessage(tt.kind, []byte(tt.data)); err != nil {
				t.Fatal(err)
			}
			if got := peer.Closed(); got.Code != tt.code {
				t.Errorf("closed with %v", got)
			}
		})
	}
}

// TestBinaryWithoutAHandler is an error answer, and counts as a bad message.
func TestBinaryWithoutAHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) { wsroute.Answer(c, "say", sayBack) })
		peer := wstest.Dial[wsroute.Message, string](t, srv, "/ws")
		for range 20 {
			peer.Send(wsroute.Message{Binary: true, Data: []byte(`{"type":"say","text":"x"}`)})
			if got := peer.Receive(); got != `{"type":"error","reason":"binary_not_accepted"}` {
				t.Fatal(got)
			}
		}
		peer.Send(wsroute.Message{Binary: true})
		if got := peer.Closed(); got.Code != 1008 || got.Reason != "too_many_bad_messages" {
			t.Errorf("closed with %v", got)
		}
	})
}

// TestTooManyBadMessages close the connection: what has no type counts as what breaks its rules.
// Refusals and timeouts do not count.
func TestTooManyBadMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) {
			wsroute.Answer(c, "say", sayBack)
			wsroute.On(c, "no", func(context.Context, nothing, struct{}) error { return depends.Forbidden("no", nil) })
		})
		peer := wstest.Dial[string, string](t, srv, "/ws")
		for range 100 {
			converse(t, peer, `{"type":"no"}`, `{"type":"error","reason":"no"}`)
		}
		for i, text := range slices.Repeat([]string{`{"type":"what"}`, `{"type":"say"}`, `{`, `{"type":"say","text":1}`}, 5) {
			peer.Send(text)
			if got := peer.Receive(); !strings.HasPrefix(got, `{"type":"error"`) {
				t.Fatalf("%d: %s", i, got)
			}
		}
		time.Sleep(3 * time.Second) // for one more
		peer.Send(`{"type":"what"}`)
		peer.Receive()
		peer.Send(`{"type":"what"}`)
		if got := peer.Closed(); got.Code != 1008 || got.Reason != "too_many_bad_messages" {
			t.Errorf("closed with %v", got)
		}
	})
}

// TestUnknownTypesCountInTheRate: the limit of messages stands before the look at what they are.
func TestUnknownTypesCountInTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, text := range []string{`{"type":"what"}`, `{"type":"ping"}`, `{"type":"say","text":"x"}`} {
			srv := talking(t, depends.New(), func(c *wsroute.Channel[event]) { wsroute.Answer(c, "say", sayBack) },
				wsroute.Limits{MessageRate: 1, MessageBurst: 3})
			peer := wstest.Dial[string, string](t, srv, "/ws")
			for range 4 {
				peer.Send(text)
			}
			if got := peer.Closed(); got.Code != 1008 || got.Reason != "too_many_messages" {
				t.Errorf("%s: closed with %v", text, got)
			}
		}
	})
}

// TestAGuardIsAskedForEachMessage, whatever its type and however many there are, and nothing
// behind it runs if it refuses.
func TestAGuardIsAskedForEachMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked, handled atomic.Int64
		deps := depends.New()
		depends.Provide(deps, func(context.Context, struct{}) (guest, error) {
			if n := asked.Add(1); n%2 == 0 {
				return guest{}, depends.Forbidden("not_now", nil)
			}
			return guest{}, nil
		})
		srv := talking(t, deps, func(c *wsroute.Channel[event]) {
			handler := func(context.Context, nothing, struct{}) (doneMsg, error) {
				handled.Add(1)
				return doneMsg{}, nil
			}
			wsroute.Answer(c, "one", handler, wsroute.Require[guest]())
			wsroute.Answer(c, "many", handler, wsroute.Require[guest](), wsroute.Concurrent(1))
			wsroute.Answer(c, "fresh", func(context.Context, nothing, struct {
				Guest guest `depends:"fresh"`
			},
			) (doneMsg, error) {
				handled.Add(1)
				return doneMsg{}, nil
			})
			wsroute.Answer(c, "blank", func(context.Context, nothing, struct{ _ guest }) (doneMsg, error) {
				handled.Add(1)
				return doneMsg{}, nil
			})
		})
		peer := wstest.Dial[string, string](t, srv, "/ws")
		names := []string{"one", "many", "fresh", "blank"}
		for i := range 100 {
			peer.Send(fmt.Sprintf(`{"type":%q,"ref":%d}`, names[i/2%4], i))
		}
		answers := map[string]int{}
		for range 100 {
			var got struct{ Type, Reason string }
			_ = json.Unmarshal([]byte(peer.Receive()), &got)
			answers[got.Type+got.Reason]++
		}
		if asked.Load() != 100 || handled.Load() != 50 || answers["done"] != 50 || answers["errornot_now"] != 50 {
			t.Errorf("asked %d times, handled %d, %v", asked.Load(), handled.Load(), answers)
		}
	})
}

// TestNobodyIsInARoomWhoWasRefused: not by the route, OnOpen, nor a message's guard.
func TestNobodyIsInARoomWhoWasRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var room wsroute.Room[event]
		opened := 0
		deps := depends.New()
		depends.Provide(deps, func(_ context.Context, in struct {
			Name string `query:"name"`
		},
		) (guest, error) {
			if in.Name == "eve" {
				return guest{}, depends.Forbidden("no_eve", nil)
			}
			return guest{in.Name}, nil
		})
		depends.Provide(deps, func(context.Context, struct{}) (note, error) { return note{}, depends.Forbidden("no", nil) }, depends.Message)
		srv := talking(t, deps, func(c *wsroute.Channel[event]) {
			wsroute.OnOpen(c, func(_ context.Context, in struct {
				Guest  guest
				Sender wsroute.Sender[event]
			},
			) error {
				opened++
				if in.Guest.name == "bob" {
					return depends.Forbidden("no_bob", nil)
				}
				return nil
			})
			wsroute.On(c, "join", func(_ context.Context, _ nothing, in struct{ Sender wsroute.Sender[event] }) error {
				room.Join(in.Sender)
				return nil
			}, wsroute.Require[note]())
		})
		if r := wstest.Refused(t, srv, "/ws?name=eve"); r.Problem.Reason != "no_eve" || opened != 0 {
			t.Errorf("%v, opened %d times", r.Problem, opened)
		}
		if got := wstest.Dial[string, string](t, srv, "/ws?name=bob").Closed(); got.Code != 3003 || got.Reason != "no_bob" || opened != 1 {
			t.Errorf("closed with %v, opened %d times", got, opened)
		}
		peer := wstest.Dial[string, string](t, srv, "/ws?name=ada")
		converse(t, peer, `{"type":"join","ref":1}`, `{"type":"error","ref":1,"reason":"no"}`)
		if opened != 2 || room.Len() != 0 {
			t.Errorf("opened %d times, %d in the room", opened, room.Len())
		}
	})
}

// TestErrorsOfMessagesAreMessages: a status, a header, a redirect or a problem document has no
// place on an open socket; a close code of the program's does.
func TestErrorsOfMessagesAreMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ws := wsroute.New(depends.New(), &wsroute.Config{
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			MapError: func(err error) *depends.Rejection {
				if errors.Is(err, context.DeadlineExceeded) {
					return depends.NotFound("mapped", nil)
				}
				return nil
			},
		})
		c := wsroute.HandleMessages(ws, "/ws", events, wsroute.Public)
		for name, err := range map[string]error{
			"redirect": &depends.Rejection{Status: 302, Header: map[string][]string{"Location": {"/login"}}},
			"teapot":   &depends.Rejection{Status: 418, Detail: "short", RetryAfter: 1500 * time.Millisecond},
			"401":      depends.Unauthorized(`Bearer realm="x"`, errors.New("secret")),
			"mapped":   fmt.Errorf("db: %w", context.DeadlineExceeded),
			"absent":   fmt.Errorf("no row: %w", depends.ErrAbsent),
			"plain":    errors.New("secret"),
			"quoted":   depends.Forbidden(`a "b" <c>`, nil),
			"closes":   &depends.Rejection{CloseCode: 4001, Reason: "kicked"},
		} {
			wsroute.On(c, name, func(context.Context, nothing, struct{}) error { return err })
		}
		wsroute.Answer(c, "any", func(context.Context, nothing, struct{}) (event, error) { return nil, nil }) //nolint:nilnil // it is the question
		peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/ws")
		for name, want := range map[string]string{
			"redirect": `"reason":"found"`, "teapot": `"reason":"i'm_a_teapot","detail":"short","retry_after":2`,
			"401": `"reason":"unauthorized"`, "mapped": `"reason":"mapped"`, "absent": `"reason":"internal"`,
			"plain": `"reason":"internal"`, "quoted": `"reason":"a \"b\" <c>"`, "any": `"reason":"internal"`,
		} {
			converse(t, peer, `{"type":"`+name+`"}`, `{"type":"error",`+want+`}`)
		}
		wstest.Converse(t, peer, `> {"type":"plain"}`, `> {"type":"closes"}`, `> {"type":"plain"}`,
			`< {"type":"error","reason":"internal"}`, "x 4001 kicked")
		synctest.Wait()
		if n := strings.Count(log.String(), `msg="message failed"`); n != 4 || strings.Contains(log.String(), "seal") {
			t.Errorf("%d lines\n%s", n, &log)
		}
	})
}
