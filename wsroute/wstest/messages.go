package wstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"example.com/usher/depends"
)

// Failure is an error that answers a message of wsroute.HandleMessages.
type Failure struct {
	Type       string               `json:"type"`
	Reason     string               `json:"reason"`
	Detail     string               `json:"detail"`
	RetryAfter int                  `json:"retry_after"` // in seconds
	Errors     []depends.ParamError `json:"errors"`
}

// Ask sends a message of a type to a route of wsroute.HandleMessages and returns its answer. An
// error that answers it fails the test. What else comes before the answer is there for Receive
// and later calls.
func Ask[Answer, Recv, Send any](t testing.TB, p *Peer[Recv, Send], name string, message any) Answer {
	t.Helper()
	var answer Answer
	data, failed := p.ask(t, name, message)
	if failed.Type == "error" {
		t.Fatalf("wstest: %s was answered %s", name, data)
	}
	must(t, "Ask", json.Unmarshal(data, &answer))
	return answer
}

// AskFailure sends a message as [Ask] does, and returns the error that answers it. Any other
// answer fails the test.
func AskFailure[Recv, Send any](t testing.TB, p *Peer[Recv, Send], name string, message any) Failure {
	t.Helper()
	data, failed := p.ask(t, name, message)
	if failed.Type != "error" {
		t.Fatalf("wstest: %s was answered %s, and not by an error", name, data)
	}
	return failed
}

func (p *Peer[Recv, Send]) ask(t testing.TB, name string, message any) (answer []byte, says Failure) {
	t.Helper()
	data, err := json.Marshal(message)
	must(t, "Ask", err)
	p.asked++
	head := fmt.Sprintf(`{"type":%q,"ref":%d`, name, p.asked)
	if len(data) > len("{}") {
		head += ","
	}
	p.write(websocket.TextMessage, []byte(head+string(bytes.TrimPrefix(data, []byte("{")))))
	before := p.unread
	p.unread = nil
	defer func() { p.unread = append(before, p.unread...) }()
	for {
		f := p.receive("Ask " + name + ", which wsroute.On answers by errors alone")
		var envelope struct{ Ref any }
		if json.Unmarshal(f.data, &envelope) == nil && envelope.Ref == float64(p.asked) {
			must(t, "Ask", json.Unmarshal(f.data, &says))
			return f.data, says
		}
		before = append(before, f)
	}
}

// Converse exchanges messages with the server, a line for each: "> " and the text that is sent,
// "< " and the JSON that must come next, in which "*" stands for any value, or "x 4001 kicked":
// the code and the reason with which the server closes. What does not come as it says fails the
// test.
func Converse[Recv, Send any](t testing.TB, p *Peer[Recv, Send], lines ...string) {
	t.Helper()
	for i, line := range lines {
		mark, text, _ := strings.Cut(line, " ")
		switch mark {
		case ">":
			p.write(websocket.TextMessage, []byte(text))
		case "<":
			f := p.receive(line)
			var got, want any
			must(t, line, json.Unmarshal([]byte(text), &want))
			if json.Unmarshal(f.data, &got) != nil || !matches(want, got) {
				t.Fatalf("wstest: line %d: %s\ncame %s", i+1, line, f.data)
			}
		case "x":
			closed := p.Closed()
			if got := strings.TrimSpace(fmt.Sprint(closed.Code, " ", closed.Reason)); got != text {
				t.Fatalf("wstest: line %d: %s\nclosed with %s", i+1, line, got)
			}
		default:
			t.Fatalf("wstest: line %d begins with neither >, < nor x: %s", i+1, line)
		}
	}
}

// matches says whether JSON is what is wanted.
func matches(want, got any) bool {
	if want == "*" {
		return true
	}
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		for name := range want {
			value, there := got[name]
			ok = ok && there && matches(want[name], value)
		}
		return ok && len(want) == len(got)
	case []any:
		got, ok := got.([]any)
		for i := range want {
			ok = ok && i < len(got) && matches(want[i], got[i])
		}
		return ok && len(want) == len(got)
	}
	return reflect.DeepEqual(want, got)
}
