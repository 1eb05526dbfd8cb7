package wsroute_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// Message types whose rules are somewhere within.
type (
	piece struct {
		Text string `json:"text" validate:"max=3"`
	}
	pieces     []piece
	selfRead   struct{ piece }
	listOfSelf []selfRead
	nested     struct {
		Parts []piece          `json:"parts" validate:"max=2,dive"`
		By    map[string]piece `json:"by" validate:"dive"`
		One   *piece           `json:"one"`
	}
	node struct {
		Kids []*node `json:"kids" validate:"dive"`
		Text string  `json:"text" validate:"max=3"`
	}
)

// readsItself fills a field that encoding/json would not.
type readsItself struct {
	Parts []piece `json:"-"`
}

// UnmarshalJSON reads the parts alone.
func (r *readsItself) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &r.Parts) }

// UnmarshalJSON reads the text alone.
func (s *selfRead) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &s.Text) }

// receives answers whether messages of a type are taken.
func receives[T any](r *wsroute.Router) {
	wsroute.Handle(r, "/", func(ctx context.Context, conn *wsroute.Conn[T, string], _ none) error {
		if _, err := conn.Receive(ctx); err != nil {
			return err
		}
		return conn.Close(4000, "taken")
	}, wsroute.Public)
}

// TestRulesOfMessagesAreRun, wherever they stand in the type of a message. The kind: a rule
// that is written, and never looked at.
func TestRulesOfMessagesAreRun(t *testing.T) {
	for name, test := range map[string]struct {
		add       func(*wsroute.Router)
		good, bad []string
	}{
		"a slice":                  {receives[[]piece], []string{`[]`, `null`, `[{"text":"abc"}]`}, []string{`[{"text":"long"}]`, `[{"text":"a"},{"text":"long"}]`}},
		"a named slice":            {receives[pieces], []string{`[{"text":"abc"}]`}, []string{`[{"text":"long"}]`}},
		"a pointer to a slice":     {receives[*[]piece], []string{`[{"text":"abc"}]`}, []string{`[{"text":"long"}]`, `null`}},
		"a slice of pointers":      {receives[[]*piece], []string{`[{"text":"abc"}]`}, []string{`[{"text":"long"}]`, `[null]`}},
		"a slice of slices":        {receives[[][]piece], []string{`[[{"text":"abc"}],[]]`}, []string{`[[],[{"text":"long"}]]`}},
		"an array":                 {receives[[2]piece], []string{`[{"text":"abc"}]`}, []string{`[{},{"text":"long"}]`}},
		"a map":                    {receives[map[string]piece], []string{`{}`, `{"a":{"text":"abc"}}`}, []string{`{"a":{"text":"long"}}`}},
		"a map of slices":          {receives[map[string][]*piece], []string{`{"a":[{"text":"abc"}]}`}, []string{`{"a":[{"text":"long"}]}`, `{"a":[null]}`}},
		"UnmarshalJSON":            {receives[selfRead], []string{`"abc"`}, []string{`"long"`}},
		"a pointer to it":          {receives[*selfRead], []string{`"abc"`}, []string{`"long"`, `null`}},
		"a pointer to a pointer":   {receives[**piece], []string{`{"text":"abc"}`}, []string{`{"text":"long"}`, `null`}},
		"a slice of UnmarshalJSON": {receives[listOfSelf], []string{`["abc"]`}, []string{`["long"]`}},
		"within a struct":          {receives[nested], []string{`{}`, `{"parts":[{"text":"abc"}],"one":null}`}, []string{`{"parts":[{"text":"long"}]}`, `{"by":{"a":{"text":"long"}}}`, `{"one":{"text":"long"}}`, `{"parts":[{},{},{}]}`}},
		"a tree":                   {receives[node], []string{`{"kids":[{"kids":[]}]}`}, []string{`{"kids":[{"kids":[{"text":"long"}]}]}`}},
		"a time":                   {receives[time.Time], []string{`"2000-01-01T00:00:00Z"`}, nil},
		"a slice of times":         {receives[[]time.Time], []string{`["2000-01-01T00:00:00Z"]`}, nil},
		"a slice without rules":    {receives[[]*struct{ Text string }], []string{`[null]`, `[{}]`, `null`}, nil},
		"a slice of strings":       {receives[[]string], []string{`["long"]`}, nil},
		"any":                      {receives[any], []string{`null`, `{"text":"long"}`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			ws := wsroute.New(depends.New(), quiet())
			test.add(ws)
			srv := wstest.Start(t, ws)
			says := func(text string, want wsroute.CloseError) {
				peer := wstest.Dial[string, string](t, srv, "/")
				peer.Send(text)
				if got := peer.Closed(); *got != want {
					t.Errorf("%s: got %v, want %v", text, got, &want)
				}
			}
			for _, text := range test.good {
				says(text, wsroute.CloseError{Code: 4000, Reason: "taken"})
			}
			for _, text := range test.bad {
				says(text, wsroute.CloseError{Code: 1008, Reason: "invalid_message"})
			}
		})
	}
}

// TestRulesThatTheValidatorWouldNotReachDoNotStart: it enters a list or a map within a struct
// only where a tag says dive.
func TestRulesThatTheValidatorWouldNotReachDoNotStart(t *testing.T) {
	type (
		inSlice struct{ Parts []piece }
		inMap   struct {
			Parts map[string]piece `validate:"max=3"`
		}
		inArray struct{ Parts [2]*piece }
		tooFew  struct {
			Parts [][]piece `validate:"dive"`
		}
		deeper    struct{ In struct{ Parts []piece } }
		indirect  struct{ Of []struct{ One piece } }
		listOf    []inSlice
		recursive struct {
			Kids []*recursive
			Text string `validate:"max=3"`
		}
		excluded struct {
			Parts []piece `validate:"-"`
		}
		hidden  struct{ pieces []piece }
		noRules struct{ Parts []struct{ Text string } }
		times   struct{ At []time.Time }
		unread  struct {
			Parts []piece `json:"-"`
		}
		dives struct {
			Parts [][]piece `validate:"dive,dive"`
		}
	)
	_ = hidden{}.pieces
	for name, test := range map[string]struct {
		add   func(*wsroute.Router)
		field string
	}{
		"a slice":        {receives[inSlice], "field Parts of wsroute_test.inSlice"},
		"a map":          {receives[inMap], "field Parts of wsroute_test.inMap"},
		"an array":       {receives[inArray], "field Parts of wsroute_test.inArray"},
		"a slice of two": {receives[tooFew], "field Parts of wsroute_test.tooFew"},
		"a field within": {receives[deeper], "field Parts of struct{...}"},
		"rules deeper":   {receives[indirect], "field Of of wsroute_test.indirect"},
		"a list of it":   {receives[listOf], "field Parts of wsroute_test.inSlice"},
		"a tree":         {receives[recursive], "field Kids of wsroute_test.recursive"},
		"excluded":       {receives[excluded], ""},
		"not exported":   {receives[hidden], ""},
		"no rules":       {receives[noRules], ""},
		"times":          {receives[times], ""},
		"not of JSON":    {receives[unread], ""},
		"reads itself":   {receives[readsItself], "field Parts of wsroute_test.readsItself"},
		"dives twice":    {receives[dives], ""},
		"is only sent": {func(r *wsroute.Router) {
			wsroute.Handle(r, "/", func(context.Context, *wsroute.Conn[string, inSlice], none) error { return nil }, wsroute.Public)
		}, ""},
	} {
		ws := wsroute.New(depends.New(), quiet())
		test.add(ws)
		_, err := ws.Handler()
		if test.field == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var bad *depends.WiringError
		if !errors.As(err, &bad) || bad.Kind != "bad message" || !strings.Contains(bad.Fact, test.field+": the rules of ") || !strings.Contains(bad.Fact, "dive") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
