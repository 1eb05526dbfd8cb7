package wsroute_test

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
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
		`{"count":1.0}`, `{"type":"renew","token":"x"}`, strings.Repeat("[", 300),
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

// FuzzRenewal: on a Renewable route a message of the type renew is a credential if it has one, and
// is answered like any other that cannot be read if it has none. No other message is.
func FuzzRenewal(f *testing.F) {
	for _, seed := range []string{
		`{"type":"renew","token":"good"}`, `{"type":"renew","ref":8,"token":"bad"}`,
		`{"type":"renew","token":""}`, `{"type":"renew","token":"g\u006fod"}`, `{"token":"good","type":"renew"} `,
		`{"type":"renew","token":"good"`, `{"type":"renew","token":7}`, `{"type":"renew","token":null}`,
		`{"type":"renew","token":}`, `{"type":"renew"}`, `{"type":"rene\u0077","token":"good"}`,
		`{"typ\u0065":"renew","token":"good"}`, `{"type":"renew","type":"say","token":"good"}`,
		`{"type":"renew","Token":"good"}`, `{"type":"renew","token":"bad","token":"good"}`,
		`{"type":"renew","ref":"a","x":tru,"token":"good"}`, `{"type":"renew","ref":1.5,"token":"good"}`,
		`{"type":"say","text":"renew"}`, `{"type":"say","x":{"type":"renew","token":"bad"}}`,
		`{"type":"say","ref":8,"text":7}`, `[{"type":"renew","token":"good"}]`, `"renew"`, `good`, ``,
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
	c := wsroute.HandleMessages(ws, "/", events, wsroute.Renewable, wsroute.Require[user]())
	wsroute.Answer(c, "say", func(_ context.Context, m struct {
		Text string `json:"text"`
	}, _ struct{},
	) (saidMsg, error) {
		return saidMsg{Text: m.Text}, nil
	})
	srv := wstest.Start(f, ws)
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || len(text) > 60_000 {
			t.Skip("no message")
		}
		peer := wstest.Dial[string, string](t, srv, "/",
			wstest.Cookie("sid", "good"), wstest.Header("Origin", "https://page.example"))
		peer.Send(text)
		kind, token := renewalIn(text)
		if kind == "renew" && token != "" && token != "good" {
			if closed := peer.Closed(); closed.Code != 3000 && closed.Code != 1008 {
				t.Errorf("%q: closed with %v", text, closed)
			}
			return
		}
		want := []string{"error"}
		switch {
		case kind == "renew" && token == "good":
			want = []string{"renewed"}
		case kind == "say":
			want = []string{"said", "error"}
		case kind == "ping":
			want = []string{"pong"}
		}
		var answer struct{ Type string }
		got := peer.Receive()
		if err := json.Unmarshal([]byte(got), &answer); err != nil || !slices.Contains(want, answer.Type) {
			t.Errorf("%q: got %q, want one of %q", text, got, want)
		}
	})
}

// renewalIn returns the type of a message, "" if it is not valid or written with an escape, and
// the token in it.
func renewalIn(text string) (kind, token string) {
	var e struct {
		kind string
		bad  bool
	}
	d := json.NewDecoder(strings.NewReader(text))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return "", ""
	}
	seen := map[string]bool{}
	for d.More() {
		begin := d.InputOffset()
		key, err := d.Token()
		if err != nil {
			return "", ""
		}
		name, _ := key.(string)
		plain := !strings.Contains(text[begin:d.InputOffset()], `\`)
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return "", ""
		}
		envelope := name == "type" || name == "ref"
		e.bad = e.bad || !plain || envelope && (seen[name] || !isEnvelope(name, value))
		seen[name] = true
		if name == "type" {
			_ = json.Unmarshal(value, &e.kind)
		}
	}
	var message struct{ Token string }
	if !json.Valid([]byte(text)) || e.bad || json.Unmarshal([]byte(text), &message) != nil {
		return "", ""
	}
	return e.kind, message.Token
}

var (
	plainText = regexp.MustCompile(`^"[^"\\]*"$`)
	plainRef  = regexp.MustCompile(`^(null|"[^"\\]{0,64}"|-?[1-9][0-9]{0,18}|0)$`)
)

// isEnvelope says whether a value may be that of a member of the envelope.
func isEnvelope(name string, value json.RawMessage) bool {
	if name == "type" {
		return plainText.Match(value)
	}
	return plainRef.Match(value) && len(value) <= 66
}
