package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// tiny is a suite that runs everything, and times nothing worth knowing.
func tiny() *suite {
	return &suite{
		rounds: 2, all: trio, otherRounds: 1, handshakes: 20, messages: 160, idle: []int{20}, idleRounds: 1,
		algorithms: []string{"RS256", "ES256"}, receivers: 10, burst: 50, mounts: []int{20}, smallTime: "1x", log: io.Discard,
	}
}

func TestSmoke(t *testing.T) {
	s := tiny()
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.book.rows {
		names := pair
		if strings.HasPrefix(r.name, "trace/") {
			names = traces
		}
		for _, name := range names {
			if (strings.HasPrefix(r.name, "mount/") || strings.HasPrefix(r.name, "resolve/")) && name == "hand" {
				continue
			}
			if len(r.values[name]) == 0 {
				t.Errorf("%s: %s has no value", r.name, name)
			}
		}
	}
	text := document(&s.book)
	for _, want := range []string{
		"| handshake/accepted |", "| handshake/no-token |", "| handshake/bad-token |", "| handshake/bad-parameter |",
		"| handshake/foreign-origin |", "| handshake/accepted-RS256 |", "| handshake/accepted-ES256 |", "| echo/64-B |",
		"| echo/4096-B |", "| messages/64-B |", "| messages/mallocs |", "| messages/memory-20 |", "| trace/mallocs |", "| trace/handshake |", "| trace/echo-64-B |", "| trace/echo-4096-B |", "| broadcast/10 |", "| mallocs/accepted |", "| memory/20 |", "| rss/20 |", "| burst/50 |", "| drain/50 |", "| mount/20-routes |",
		"| resolve/1 |", "| resolve/25 |", "| params/int |", "| params/string |", "| params/alphanum |",
		"| github.com/gorilla/websocket | v", "`make bench`",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the document lacks %q:\n%s", want, text)
		}
	}
	if got := ratios(&s.book); !strings.Contains(got, "\necho/64-B ") || !strings.Contains(got, "\ntrace/handshake ") || strings.Contains(got, "mount") {
		t.Errorf("the ratios are\n%s", got)
	}
}

// A server that answers something else is told of, and nothing is measured.
func TestWrongAnswersAreErrors(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"200":        func(http.ResponseWriter, *http.Request) {},
		"bare 401":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) },
		"plain text": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 403) },
		"other reason": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(422)
			_, _ = io.WriteString(w, `{"status":422,"reason":"no"}`)
		},
		"no accept key": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(101) },
		"hangs up":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		srv := httptest.NewServer(handler)
		for _, a := range asks("xxxxxxxxxx") {
			if err := a.repeat(srv.Listener.Addr().String(), 1); err == nil {
				t.Errorf("%s is taken for %s", name, a.name)
			}
		}
		srv.Close()
	}
}

// One thing is wrong with an answer that is right but for it.
func TestEachFaultOfAnAnswerIsSeen(t *testing.T) {
	const body = `{"type":"about:blank","title":"Unauthorized","status":401,"reason":"credentials_required"}`
	good := "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n" +
		fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body
	upgraded := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptKey + "\r\n\r\n"
	list := asks("xxxxxxxxxx")
	for _, test := range []struct {
		ask           ask
		good          string
		old, new, say string
	}{
		{list[1], good, "", "", ""},
		{list[1], good, "401", "403", "status"},
		{list[1], good, "Bearer", "Basic", "challenge"},
		{list[1], good, "\r\nContent", "\r\nWWW-Authenticate: Bearer\r\nContent", "challenge"},
		{list[1], good, "no-store", "public", "cache control"},
		{list[1], good, "problem+", "", "content type"},
		{list[1], good, `"Unauthorized"`, `"Unauthorised"`, "problem"},
		{list[1], good, "about:blank", "about:Blank", "problem"},
		{list[1], good, `required"}`, `required"}x`, "behind the body"},
		{list[0], upgraded, "", "", ""},
		{list[0], upgraded, "\r\n\r\n", "\r\nSec-WebSocket-Protocol: v1\r\n\r\n", "protocol"},
		{list[0], upgraded, "s3pP", "s3pQ", "accept"},
	} {
		client, server := net.Pipe()
		answer := strings.Replace(test.good, test.old, test.new, 1)
		if answer == test.good && test.say != "" {
			t.Fatalf("%q is not in the answer", test.old)
		}
		go func() {
			_, _ = server.Read(make([]byte, 4<<10))
			_, _ = io.WriteString(server, answer)
			_ = server.Close()
		}()
		err := test.ask.exchange(client, bufio.NewReader(nil))
		if (err == nil) != (test.say == "") || err != nil && !strings.Contains(err.Error(), test.say) {
			t.Errorf("%q for %q: %v, want %q", test.new, test.old, err, test.say)
		}
		_ = client.Close()
	}
}

// Messages have numbers, so that one too many is seen, also behind the last.
func TestEachFaultOfATalkIsSeen(t *testing.T) {
	for _, size := range []int{64, 4 << 10} {
		want, err := newScript(size)
		if err != nil {
			t.Fatal(err)
		}
		said := func(number int) []byte {
			want.turn(number)
			f := frame(opText, want.said)
			head := len(f) - len(want.said) // a server does not mask
			return append(append([]byte{f[0], f[1] &^ 0x80}, f[2:head-4]...), want.said...)
		}
		for name, test := range map[string]struct {
			numbers []int
			wrong   string
		}{
			"all":       {[]int{0, 1, 2}, ""},
			"one twice": {[]int{0, 0, 1}, "heard"},
			"one less":  {[]int{0, 2, 3}, "heard"},
			"one more":  {[]int{0, 1, 2, 3}, "more bytes"},
		} {
			client, server := net.Pipe()
			member := talker{conn: client, r: bufio.NewReaderSize(client, 64<<10)}
			member.says, _ = newScript(size)
			member.hears, _ = newScript(size)
			go func() { _, _ = io.Copy(io.Discard, server) }()
			go func() {
				var all []byte
				for _, number := range test.numbers {
					all = append(all, said(number)...)
				}
				_, _ = server.Write(all)
			}()
			err := member.echo(3)
			if err == nil && member.r.Buffered() > 0 {
				err = content(&process{}, []*talker{&member})
			}
			if (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%s: %v, want %q", name, err, test.wrong)
			}
			_, _ = client.Close(), server.Close()
		}
	}
}

func TestFailedRunPrintsNothing(t *testing.T) {
	defer func(before []string) { pair = before }(pair)
	pair = []string{"usher", "nobody"}
	var out bytes.Buffer
	if err := run([]string{"quick"}, nil, &out, io.Discard); err == nil || out.Len() > 0 {
		t.Errorf("got %v and %q, want an error and no ratio", err, out.String())
	}
}

func TestSummarise(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   string
	}{
		{[]float64{3, 1, 2}, "2.000 (1.00 to 3.00)"},
		{[]float64{4, 1, 2, 3}, "2.500 (1.00 to 4.00)"},
		{[]float64{1}, "1.000 (1.00 to 1.00)"},
	} {
		if got, ok := summarise(tt.values); !ok || got.String() != tt.want {
			t.Errorf("summarise(%v) = %v, want %s", tt.values, got, tt.want)
		}
	}
	if _, ok := summarise(nil); ok {
		t.Error("nothing has a summary")
	}
}

// Rounds are compared one by one: the second was slow for both.
func TestRatio(t *testing.T) {
	var b book
	r := b.row("a", "µs", byRatio(1.1))
	for _, v := range []float64{1, 30, 2} {
		r.add("hand", v)
	}
	for _, v := range []float64{1, 33, 3} {
		r.add("usher", v)
	}
	if got, _ := r.ratio("usher", "hand"); got.String() != "1.100 (1.00 to 1.50)" || r.holds() != "yes" {
		t.Errorf("got %v, %q", got, r.holds())
	}
	if b.row("a", "", noGoal) != r || len(b.rows) != 1 {
		t.Error("the same name is another row")
	}
	for want, goals := range map[string][]goal{"no": {byRatio(1), byMore(0), byValue(2, "µs")}, "yes": {byMore(1), byValue(3, "µs")}, "": {noGoal}} {
		for _, goal := range goals {
			if r.goal = goal; r.holds() != want {
				t.Errorf("%s: %q, want %q", goal.text, r.holds(), want)
			}
		}
	}
}

func TestNamesTakeTurns(t *testing.T) {
	s := suite{all: trio, otherRounds: 1}
	if got := s.names(1); !slices.Equal(got, []string{"lean", "hand", "usher"}) {
		t.Errorf("round 1 is %v", got)
	}
	if got := fmt.Sprint(s.names(0), s.names(2)); got != "[usher hand lean coder gws melody] [usher hand lean]" {
		t.Errorf("rounds 0 and 2 are %v", got)
	}
}
