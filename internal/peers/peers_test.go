package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
)

const secret = "a secret of the tests, of more than 32 bytes"

// question is a handshake or a plain GET, and perhaps a message. An empty room or origin is good.
type question struct {
	name, want, room, origin, say string
	plain, tooLarge               bool
	token                         func(t *testing.T) string
}

var questions = []question{
	{name: "good token", want: "101 said", token: good, say: `{"type":"say","text":"hi"}`},
	{name: "no token", want: "401", token: func(*testing.T) string { return "" }},
	{name: "expired", want: "401", token: claims(jwt.MapClaims{"sub": "alice", "exp": 1})},
	{name: "wrong signature", want: "401", token: func(t *testing.T) string { return forged(good(t)) }},
	{name: "algorithm none", want: "401", token: unsigned},
	{name: "no exp", want: "401", token: claims(jwt.MapClaims{"sub": "alice"})},
	{name: "bad room", want: "422", token: good, room: "no-such-room"},
	{name: "plain GET", want: "426", token: good, plain: true},
	{name: "foreign origin", want: "403", token: good, origin: "http://evil.example"},
	{name: "bad JSON", want: "101 error", token: good, say: `{"type":`},
	{name: "wrong type", want: "101 error", token: good, say: `{"type":"shout","text":"hi"}`},
	{name: "too large", want: "101 close 1009", token: good, tooLarge: true},
}

// tooLarge begins a message of 70 000 bytes. The rest never comes, as a server that closes with
// some of it unread loses its close frame.
var tooLarge = []byte{0x81, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70, 0, 0, 0, 0}

// different is what servers answer that is not what usher does.
var different = map[string]map[string]string{
	"axum": {"bad room": "400", "plain GET": "400", "foreign origin": "101", "too large": "101 cut"},
	"node": {"foreign origin": "101"},
	"litestar": {
		"no token": "403", "expired": "403", "wrong signature": "403", "algorithm none": "403",
		"no exp": "403", "bad room": "403", "plain GET": "405", "foreign origin": "101",
	},
	"fastapi": {"bad room": "403", "plain GET": "404", "foreign origin": "101"},
}

func good(t *testing.T) string { return claims(goodClaims())(t) }

func claims(c jwt.MapClaims) func(*testing.T) string {
	return func(t *testing.T) string {
		token, err := sign(secret, c)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
}

func unsigned(t *testing.T) string {
	none := jwt.NewWithClaims(jwt.SigningMethodNone, goodClaims())
	token, err := none.SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// ask returns the status, and for an accepted handshake what comes after the message.
func (q question) ask(t *testing.T, addr string) string {
	t.Helper()
	path := "//" + addr + "/ws/rooms/" + q.room
	if q.room == "" {
		path += "lobby"
	}
	path += "?token=" + q.token(t)
	if q.plain {
		answer, err := http.Get("http:" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		return strconv.Itoa(answer.StatusCode)
	}
	origin := "http://" + addr
	if q.origin != "" {
		origin = q.origin
	}
	conn, status, err := dial(t.Context(), "ws:"+path, origin)
	if errors.Is(err, websocket.ErrBadHandshake) {
		return strconv.Itoa(status)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	switch {
	case q.tooLarge:
		_, err = conn.NetConn().Write(tooLarge)
	case q.say != "":
		err = conn.WriteMessage(websocket.TextMessage, []byte(q.say))
	default:
		return "101"
	}
	if err != nil {
		t.Fatal(err)
	}
	var closed *websocket.CloseError
	_, data, err := conn.ReadMessage()
	switch {
	case errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure:
		return fmt.Sprint("101 close ", closed.Code)
	case errors.Is(err, os.ErrDeadlineExceeded):
		t.Fatalf("%s: no answer", q.name)
	case err != nil: // without a close frame
		return "101 cut"
	}
	var got reply
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if want := (reply{"said", "alice", "hi"}); got.Type == "said" && got != want {
		t.Errorf("%s: got %v, want %v", q.name, got, want)
	}
	return "101 " + got.Type
}

// TestAnswers asks usher, gin and the peers that are installed the same.
func TestAnswers(t *testing.T) {
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			i, ready, err := cached(p)
			if p.tools[0] == "go" {
				i, err = install(t.Context(), p)
			} else if !ready {
				t.Skip("is not installed: go run . -short installs it")
			}
			if err != nil {
				t.Fatal(err)
			}
			server, err := start(t.Context(), i, secret)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.stop)
			for _, q := range questions {
				want := q.want
				if other, ok := different[p.name][q.name]; ok {
					want = other
				}
				if got := q.ask(t, server.addr); got != want {
					t.Errorf("%s: got %s, want %s", q.name, got, want)
				}
			}
		})
	}
}

// TestDocumentedAnswers holds docs/peers.md to the answers above.
func TestDocumentedAnswers(t *testing.T) {
	text, err := os.ReadFile("../../docs/peers.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := answers(); !strings.Contains(string(text), want) {
		t.Errorf("docs/peers.md has not this table:\n%s", want)
	}
}

// answers is a table of the questions that some server does not answer as usher does.
func answers() string {
	var out strings.Builder
	out.WriteString("| |")
	for _, p := range peers {
		out.WriteString(" " + p.title + " |")
	}
	out.WriteString("\n|---|" + strings.Repeat("---|", len(peers)) + "\n")
	for _, q := range questions {
		line, same := "| "+q.name+" |", true
		for _, p := range peers {
			if other, ok := different[p.name][q.name]; ok {
				line, same = line+" **"+other+"** |", false
			} else {
				line += " " + q.want + " |"
			}
		}
		if !same {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}
