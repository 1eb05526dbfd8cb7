package security_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/security"
)

// coded types say themselves how they are encoded: one way, by pointer, both ways.
type (
	oneWay      struct{ Name string }
	pointerOnly struct{ name string }
	bothWays    struct{ name string }

	// day has methods of its own beside a field of another kind.
	day struct {
		time.Time
		zone string
	}
	// span has them with a type parameter.
	span[V any] struct {
		time.Time
		By V
	}
)

func (d day) MarshalJSON() ([]byte, error) { return json.Marshal(d.Format(time.DateOnly) + d.zone) }

func (d *day) UnmarshalJSON(raw []byte) (err error) {
	d.zone = string(raw[11 : len(raw)-1])
	d.Time, err = time.Parse(time.DateOnly, string(raw[1:11]))
	return err
}

func (oneWay) MarshalText() ([]byte, error)           { return nil, nil }
func (p *pointerOnly) MarshalJSON() ([]byte, error)   { return json.Marshal(p.name) }
func (p *pointerOnly) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, &p.name) }
func (b bothWays) MarshalText() ([]byte, error)       { return []byte(b.name), nil }
func (b *bothWays) UnmarshalText(text []byte) error   { b.name = string(text); return nil }
func (s span[V]) MarshalJSON() ([]byte, error)        { return json.Marshal([]any{s.Time, s.By}) }
func (s *span[V]) UnmarshalJSON(raw []byte) error     { return json.Unmarshal(raw, &[]any{&s.Time, &s.By}) }

// rank has no name for its zero.
type rank int

func (r rank) MarshalText() ([]byte, error) {
	if r == 0 {
		return nil, errors.New("no rank")
	}
	return []byte{'0' + byte(r)}, nil
}
func (r *rank) UnmarshalText(text []byte) error { *r = rank(text[0] - '0'); return nil }

// lenient types decode more than is encoded for them, as those do that read the claims of
// several issuers; level reads what is never encoded.
type (
	flag   bool
	scopes []string
	level  int
	word   string

	Lenient struct {
		Verified flag
		Scopes   scopes `json:"scope"`
	}
	hoarder struct{ limited bool }
)

func (f *flag) UnmarshalJSON(raw []byte) error {
	*f = strings.Trim(string(raw), `"`) == "true"
	return nil
}

func (s *scopes) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*s = strings.Fields(one)
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(s))
}

func (l *Lenient) UnmarshalJSON(raw []byte) error {
	type alias Lenient
	return json.Unmarshal(raw, (*alias)(l))
}

func (l *level) UnmarshalText(text []byte) error { *l = level(len(text)); return nil }
func (w *word) UnmarshalText(text []byte) error  { *w = word(text); return nil }
func (*hoarder) UnmarshalJSON([]byte) error      { return nil }

// embedding types have the methods of what they embed, or its fields.
type (
	Base  struct{ ID string }
	Other struct{ ID string }
	base  struct{ Key string }
	Loop  struct {
		*Loop
		X int
	}
	Ring struct { // its promoted methods lead back to itself
		*Ring `json:"-"`
		Ward
	}
	Nested []Nested

	Ward    struct{ Lenient }
	Stamp   struct{ time.Time }
	Stamped struct{ Stamp }
	Dated   struct{ *Stamp }
	Noted   struct {
		time.Time
		Note string
	}
	// Promised has the decoder of a field that has a name in its JSON.
	Promised struct {
		Lenient `json:"claims"`
	}
)

// TestWhatATicketKeeps: who is let in by a ticket is whom it was given to.
func TestWhatATicketKeeps(t *testing.T) {
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	keeps(t, account{"ann"})
	keeps(t, "ann")
	keeps(t, &account{"ann"})
	keeps(t, Claims{Name: "ann"})
	keeps(t, &Claims{Name: "ann"})
	keeps[any](t, map[string]any{"n": 1.5})
	keeps(t, bothWays{"ann"})
	keeps(t, struct{ A []bothWays }{[]bothWays{{"ann"}}})
	keeps(t, map[bothWays]int{{"ann"}: 1})
	keeps(t, struct{ Of day }{day{noon.Truncate(24 * time.Hour), "Z"}})
	keeps(t, span[string]{noon, "ann"})
	keeps(t, struct {
		base
		At   time.Time
		Big  *big.Int
		Raw  json.RawMessage
		Hash string `json:"-"`
		_    struct{}
	}{base{"k"}, noon, big.NewInt(7), json.RawMessage("{}"), "", struct{}{}})
	keeps(t, Nested{{}, {{}}})
	keeps(t, rank(2))
}

// TestWhatATicketKeepsByMethods: of pointers, where JSON calls them, and of decoders alone.
func TestWhatATicketKeepsByMethods(t *testing.T) {
	keeps(t, pointerOnly{"ann"})
	keeps(t, struct{ Big big.Int }{*big.NewInt(7)})
	keeps(t, [1]pointerOnly{{"ann"}})
	keeps(t, []pointerOnly{{"ann"}})
	keeps(t, map[string]*pointerOnly{"a": {"ann"}})
	keeps(t, map[string][]pointerOnly{"a": {{"ann"}}})

	keeps(t, flag(true))
	keeps(t, word("w"))
	keeps(t, map[word]int{"w": 1})
	keeps(t, Lenient{true, scopes{"a", "b"}})
	keeps(t, []*Lenient{{true, scopes{"a", "b"}}})
	keeps(t, map[string]Lenient{"a": {true, scopes{"a", "b"}}})
	keeps(t, Ward{Lenient{true, scopes{"a", "b"}}})
}

// TestWhatATicketKeepsOfEmbeddedFields: their methods, or their fields.
func TestWhatATicketKeepsOfEmbeddedFields(t *testing.T) {
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	keeps(t, Stamp{noon})
	keeps(t, Stamped{Stamp{noon}})
	keeps(t, struct{ *Base }{&Base{"i"}})
	keeps(t, struct {
		base `json:"base"`
	}{base{"k"}})
	keeps(t, struct {
		time.Time `json:"at"`
		big.Int   `json:"n"`
	}{noon, *big.NewInt(7)})
	keeps(t, Loop{X: 1})
	keeps(t, Ring{Ward: Ward{Lenient{true, scopes{"a"}}}})
	keeps(t, struct { // whatever the order, the one further out is meant
		ID int
		Base
		Other
	}{ID: 1})
	keeps(t, struct {
		Base
		Other
		ID int
	}{ID: 1})
}

// keeps checks that a ticket for v lets it in as it was.
func keeps[T any](t *testing.T, v T) {
	t.Helper()
	scheme := &security.Tickets[T]{}
	if faults := scheme.Describe().Faults; faults != nil {
		t.Errorf("%T: %q", scheme, faults)
		return
	}
	w := httptest.NewRecorder()
	desk := scheme.Handler(func(*http.Request) (T, error) { return v, nil })
	r := httptest.NewRequest(http.MethodPost, "/ticket", strings.NewReader("path=/"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	desk.ServeHTTP(w, r)
	var body struct{ Ticket string }
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%T: %d %s", scheme, w.Code, w.Body)
	}
	got, err := security.Authenticate(httptest.NewRequest(http.MethodGet, "/?ticket="+body.Ticket, http.NoBody), scheme)
	if err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("%T: %+v, %v, want %+v", scheme, got, err, v)
	}
}

// TestWhatATicketWouldLose does not start.
func TestWhatATicketWouldLose(t *testing.T) {
	type inner struct{ limited bool }
	type node struct {
		Next *node
		name string
	}
	_, _ = node{name: fmt.Sprint(inner{limited: true})}, hoarder{limited: true}
	lose(t, []loss{
		{&security.Tickets[inner]{}, "the field limited of security_test.inner is not exported"},
		{&security.Tickets[struct{ A map[string][]*inner }]{}, "the field limited of security_test.inner is not exported"},
		{&security.Tickets[node]{}, "the field name of security_test.node is not exported"},
		{&security.Tickets[hoarder]{}, "the field limited of security_test.hoarder is not exported"},
		{&security.Tickets[struct{ *base }]{}, "the field base of struct { *security_test.base } is not exported"},
		{&security.Tickets[struct{ A fmt.Stringer }]{}, "fmt.Stringer says not what to decode"},
		{&security.Tickets[func()]{}, "JSON has nothing for func()"},
		{&security.Tickets[struct{ A []complex128 }]{}, "JSON has nothing for complex128"},
		{&security.Tickets[[]map[account]int]{}, "JSON has no key for security_test.account"},

		{&security.Tickets[oneWay]{}, "security_test.oneWay either encodes or decodes itself, and should do both"},
		{&security.Tickets[map[oneWay]int]{}, "security_test.oneWay either encodes or decodes itself, and should do both"},
		{&security.Tickets[level]{}, "security_test.level either encodes or decodes itself, and should do both"},
		{&security.Tickets[Promised]{}, "security_test.Promised either encodes or decodes itself, and should do both"},
		{&security.Tickets[struct{ time.Time }]{}, "struct { time.Time } either encodes or decodes itself, and should do both"},
		{&security.Tickets[map[string]big.Int]{}, "big.Int has its MarshalJSON by pointer, which JSON does not call in a map"},
		{&security.Tickets[struct {
			A []pointerOnly
			B map[string][1]pointerOnly
		}]{}, "security_test.pointerOnly has its MarshalJSON by pointer, which JSON does not call in a map"},
	})
}

// TestWhatATicketWouldLoseOfEmbeddedFields does not start either.
func TestWhatATicketWouldLoseOfEmbeddedFields(t *testing.T) {
	lose(t, []loss{
		{&security.Tickets[*Noted]{}, "the field Note of security_test.Noted has no place in the encoding of its embedded Time"},
		{&security.Tickets[map[Noted]int]{}, "the field Note of security_test.Noted has no place in the encoding of its embedded Time"},
		{&security.Tickets[struct{ *Noted }]{}, "the field Note of security_test.Noted has no place in the encoding of its embedded Time"},
		{&security.Tickets[struct {
			time.Time
			Banned bool
		}]{}, "the field Banned of struct { time.Time; Banned bool } has no place in the encoding of its embedded Time"},
		{&security.Tickets[struct {
			Lenient
			Banned bool
		}]{}, "the field Banned of struct { security_test.Lenient; Banned bool } has no place in the encoding of its embedded Lenient"},
		{&security.Tickets[struct {
			time.Time
			netip.Addr
		}]{}, "the field Addr of struct { time.Time; netip.Addr } has no place in the encoding of its embedded Time"},
		{&security.Tickets[struct {
			Stamp
			pointerOnly
		}]{}, "the field Stamp of struct { security_test.Stamp; security_test.pointerOnly } has no place in the encoding of its embedded pointerOnly"},
		{&security.Tickets[Dated]{}, "security_test.Dated decodes itself as its embedded Stamp, which is nil by then"},
		{&security.Tickets[struct { // has neither's methods
			time.Time
			big.Int
		}]{}, "the field wall of time.Time is not exported"},
		{&security.Tickets[struct {
			pointerOnly     `json:"p"`
			json.RawMessage `json:"raw"`
		}]{}, `the field pointerOnly of struct { security_test.pointerOnly "json:\"p\""; json.RawMessage "json:\"raw\"" } is not exported`},

		{&security.Tickets[struct {
			Base
			Other
		}]{}, "two fields are called ID in its JSON"},
		{&security.Tickets[struct {
			*Base
			Other
		}]{}, "two fields are called ID in its JSON"},
		{&security.Tickets[struct { // v.ID is the one that is lost
			Base
			Name string `json:"ID"`
		}]{}, "two fields are called ID in its JSON"},
		{&security.Tickets[struct {
			Name string `json:"ID"`
			Base
		}]{}, "two fields are called ID in its JSON"},
	})
}

type loss struct {
	scheme described
	want   string
}

func lose(t *testing.T, tests []loss) {
	t.Helper()
	for _, test := range tests {
		faults := test.scheme.Describe().Faults
		if want := "Tickets cannot keep its type: " + test.want; len(faults) != 1 || faults[0].Fact != want {
			t.Errorf("%T: %q, want %q", test.scheme, faults, want)
		}
	}
}

type described interface{ Describe() depends.Scheme }
