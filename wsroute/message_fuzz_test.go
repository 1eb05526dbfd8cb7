package wsroute_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"
	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

type fuzzedMessage struct {
	Text  string         `json:"text" validate:"max=8"`
	Count *int           `json:"count" validate:"omitempty,gte=0"`
	More  map[string]any `json:"more"`
}

// FuzzMessage: a message is what encoding/json and the validator make of it, and a connection
// ends only for text that is not UTF-8.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"text":"hi"}`, `{"text":"too long it is"}`, `{"text":7}`, `{"count":-1}`,
		`{"count":null}`, `{"TEXT":"hi"}`, `{"text":"a","text":"b"}`, `null`, `[]`, `"x"`, ``, `{`,
		`{}x`, " {} ", `{"more":{"a":[1,{}]}}`,
		"{\"text\":\"\xff\"}", `{"text":"\ud800"}`, `{"text":"é"}`, `{"count":1e2}`,
		`{"count":1.0}`, `{"$renew":"x"}`, strings.Repeat("[", 300),
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[fuzzedMessage, string], _ none) error {
		m, err := conn.Receive(ctx)
		if bad, ok := errors.AsType[*wsroute.MessageError](err); ok {
			return conn.Send(ctx, bad.Reason)
		}
		if err != nil {
			return err
		}
		text, err := json.Marshal(m)
		if err != nil {
			return err
		}
		return conn.Send(ctx, string(text))
	}, wsroute.Public)
	srv, rules := wstest.Start(f, ws), validator.New()
	f.Fuzz(func(t *testing.T, text string, binary bool) {
		if len(text) > 60_000 {
			t.Skip("longer than the limit")
		}
		var m fuzzedMessage
		want := ""
		switch {
		case binary:
			want = "binary_not_accepted"
		case !utf8.ValidString(text):
		case json.Unmarshal([]byte(text), &m) != nil:
			want = "invalid_json"
		case rules.Struct(m) != nil:
			want = "invalid_message"
		default:
			decoded, _ := json.Marshal(m)
			want = string(decoded)
		}
		peer, kind := wstest.Dial[string, string](t, srv, "/"), websocket.TextMessage
		if binary {
			kind = websocket.BinaryMessage
		}
		if err := peer.WebSocket.WriteMessage(kind, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if want == "" {
			if closed := peer.Closed(); closed.Code != 1007 {
				t.Errorf("%q: closed with %v", text, closed)
			}
			return
		}
		if got := peer.Receive(); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	})
}

// FuzzRenewal: on a Renewable route a message is a credential or is delivered as it is.
func FuzzRenewal(f *testing.F) {
	for _, seed := range []string{
		`{"$renew":"good"}`, `{"$renew":"bad"}`, `{"$renew":""}`, `{"$renew":"g\u006fod"}`,
		`{"$renew":"good"} `, `{"$renew":"good"`, `{"$renew":7}`, `{"$renew":null}`, `{"$renew":}`,
		`{"renew":"good"}`, `"$renew"`, `good`, ``, `[{"$renew":"good"}]`,
		`{"x":{"$renew":"good"}}`,
		`{ "$renew": "good" }`, `{"$renew":"good","x":1}`, `{"x":1,"$renew":"good"}`,
		`{"$renew":"good","$renew":"good"}`, `{"\u0024renew":"good"}`,
	} {
		f.Add(seed)
	}
	type user string
	deps := depends.New()
	security.Use(deps, security.Session[user]{Cookie: "sid", Find: func(ctx context.Context, id string) (user, error) {
		if id != "good" {
			return "", depends.ErrAbsent
		}
		depends.Identify(ctx, depends.Identity{Subject: "ann"})
		return "ann", nil
	}})
	config := quiet()
	config.Origins = []string{"https://page.example"}
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{ User user }) error {
		text, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		return conn.Send(ctx, "delivered "+text)
	}, wsroute.Renewable)
	srv := wstest.Start(f, ws)
	f.Fuzz(func(t *testing.T, text string) {
		var object map[string]any
		if json.Unmarshal([]byte(text), &object) != nil {
			object = nil
		}
		if !utf8.ValidString(text) || len(text) > 60_000 {
			t.Skip("no message")
		}
		credential, plain := object["$renew"].(string)
		plain = plain && strings.HasPrefix(text, `{"$renew":`) && len(object) == 1
		if !plain && isDeliveredCredential(object) {
			t.Skip("a credential is delivered")
		}
		peer := wstest.Dial[string, string](t, srv, "/",
			wstest.Cookie("sid", "good"), wstest.Header("Origin", "https://page.example"))
		peer.Send(text)
		switch {
		case !plain:
			if got := peer.Receive(); got != "delivered "+text {
				t.Errorf("%q: got %q", text, got)
			}
		case credential == "good":
			if got := peer.Receive(); got != `{"$renewed":null}` {
				t.Errorf("%q: got %q", text, got)
			}
		default:
			if closed := peer.Closed(); closed.Code != 3000 && closed.Code != 1008 {
				t.Errorf("%q: closed with %v", text, closed)
			}
		}
	})
}

// isDeliveredCredential names the messages that are delivered although they have a member
// $renew, written in another way than the usual one: none of them should be.
func isDeliveredCredential(object map[string]any) bool {
	_, has := object["$renew"]
	return has
}
