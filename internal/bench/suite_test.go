package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// tiny is a suite that runs everything, and times nothing worth knowing.
func tiny() *suite {
	return &suite{
		rounds: 2, otherRounds: 1, handshakes: 20, messages: 160, idle: []int{20}, idleRounds: 1,
		algorithms: []string{"RS256", "ES256"}, receivers: 10, burst: 50, mounts: []int{20}, smallTime: "1x", log: io.Discard,
	}
}

func TestSmoke(t *testing.T) {
	s := tiny()
	if err := s.all(); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.book.rows {
		for _, name := range pair {
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
		"| echo/4096-B |", "| broadcast/10 |", "| memory/20 |", "| rss/20 |", "| burst/50 |", "| drain/50 |", "| mount/20-routes |",
		"| resolve/1 |", "| resolve/25 |", "| params/int |", "| params/string |", "| params/alphanum |",
		"| github.com/gorilla/websocket | v", "`make bench`",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the document lacks %q:\n%s", want, text)
		}
	}
	if got := ratios(&s.book); !strings.Contains(got, "\necho/64-B ") || strings.Contains(got, "mount") {
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
		{[]float64{3, 1, 2}, "2.00 (1.00 to 3.00)"},
		{[]float64{4, 1, 2, 3}, "2.50 (1.00 to 4.00)"},
		{[]float64{1}, "1.00 (1.00 to 1.00)"},
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
	r := b.row("a", "µs", 1.1)
	for _, v := range []float64{1, 30, 2} {
		r.add("hand", v)
	}
	for _, v := range []float64{1, 33, 3} {
		r.add("usher", v)
	}
	if got, _ := r.ratio("usher"); got.String() != "1.10 (1.00 to 1.50)" || r.holds() != "yes" {
		t.Errorf("got %v, %q", got, r.holds())
	}
	if b.row("a", "", 0) != r || len(b.rows) != 1 {
		t.Error("the same name is another row")
	}
	r.goal = 1
	if r.holds() != "no" {
		t.Error("1.1 holds to 1")
	}
}

func TestNamesTakeTurns(t *testing.T) {
	s := suite{otherRounds: 1}
	if got := s.names(1); !slices.Equal(got, []string{"hand", "usher"}) {
		t.Errorf("round 1 is %v", got)
	}
	if got := fmt.Sprint(s.names(0), s.names(2)); got != "[usher hand coder gws melody lean] [usher hand]" {
		t.Errorf("rounds 0 and 2 are %v", got)
	}
}
