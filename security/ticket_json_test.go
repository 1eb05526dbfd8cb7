package security_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math"
	"math/big"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
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
	sealed  struct{ name string }
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
func (sealed) MarshalJSON() ([]byte, error)      { return []byte("{}"), nil }

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
	Noted   struct {
		time.Time
		Note string
	}
	// Promised has the decoder of a field that has a name in its JSON.
	Promised struct {
		Lenient `json:"claims"`
	}
)

// mapStore is a Store of the program's.
type mapStore struct{ tickets sync.Map }

func (s *mapStore) Put(_ context.Context, hash string, ticket []byte, _ time.Time) error {
	s.tickets.Store(hash, ticket)
	return nil
}

func (s *mapStore) Take(_ context.Context, hash string, spend bool) ([]byte, error) {
	take := s.tickets.Load
	if spend {
		take = s.tickets.LoadAndDelete
	}
	if ticket, ok := take(hash); ok {
		return ticket.([]byte), nil
	}
	return nil, depends.ErrAbsent
}

// stores are the two ways to keep a ticket: this process's memory, and a Store.
func stores() map[string]security.TicketStore {
	return map[string]security.TicketStore{"memory": nil, "a Store": &mapStore{}}
}

// issue asks for a ticket for v, and returns the answer.
func issue[T any](scheme *security.Tickets[T], v T) (*httptest.ResponseRecorder, string) {
	answer := httptest.NewRecorder()
	desk := scheme.Handler(func(*http.Request) (T, error) { return v, nil })
	r := httptest.NewRequest(http.MethodPost, "/ticket", strings.NewReader("path=/"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	desk.ServeHTTP(answer, r)
	var body struct{ Ticket string }
	_ = json.Unmarshal(answer.Body.Bytes(), &body)
	return answer, body.Ticket
}

// admit returns what a ticket for v is provided as.
func admit[T any](t *testing.T, scheme *security.Tickets[T], v T) T {
	t.Helper()
	if faults := scheme.Describe().Faults; faults != nil {
		t.Errorf("%T: %q", scheme, faults)
	}
	answer, ticket := issue(scheme, v)
	if answer.Code != http.StatusOK || ticket == "" {
		t.Fatalf("%T: %d %s", scheme, answer.Code, answer.Body)
	}
	r := httptest.NewRequest(http.MethodGet, "/?ticket="+ticket, http.NoBody)
	got, err := security.Authenticate(r, scheme)
	if err != nil {
		t.Errorf("%T: %v", scheme, err)
	}
	return got
}

// TestATicketWithoutAStore is for the value itself, of any type.
func TestATicketWithoutAStore(t *testing.T) {
	private := struct{ limited bool }{true}
	if got := admit(t, &security.Tickets[struct{ limited bool }]{}, private); got != private {
		t.Errorf("an unexported field: %+v", got)
	}
	now := time.Now()
	if got := admit(t, &security.Tickets[time.Time]{}, now); got.String() != now.String() {
		t.Errorf("a monotonic clock: %v, want %v", got, now)
	}
	var stringer fmt.Stringer = now
	if got := admit(t, &security.Tickets[fmt.Stringer]{}, stringer); got != stringer {
		t.Errorf("an interface: %v", got)
	}
	name := func() string { return "ann" }
	if got := admit(t, &security.Tickets[func() string]{}, name); got() != "ann" {
		t.Errorf("a function: %v", got())
	}
	ann := &account{"ann"}
	if got := admit(t, &security.Tickets[*account]{}, ann); got != ann {
		t.Errorf("a pointer: %p, want %p", got, ann)
	}
	noted := Noted{now, "banned"}
	if got := admit(t, &security.Tickets[Noted]{}, noted); got != noted {
		t.Errorf("an embedded field with methods: %v", got)
	}
}

// TestAStoreKeepsTheInstant of a time, but not its monotonic clock.
func TestAStoreKeepsTheInstant(t *testing.T) {
	now := time.Now()
	if got := admit(t, &security.Tickets[time.Time]{Store: &mapStore{}}, now); !got.Equal(now) {
		t.Errorf("%v, want %v", got, now)
	}
}

// TestStoredValues: a ticket lets in the principal that it was given to.
func TestStoredValues(t *testing.T) {
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

// TestStoredValuesWithMethods: methods of pointers, where JSON calls them, and decoders without encoders.
func TestStoredValuesWithMethods(t *testing.T) {
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

// TestStoredValuesWithEmbeddedFields: they encode by their methods, or field by field.
func TestStoredValuesWithEmbeddedFields(t *testing.T) {
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

// keeps checks that a ticket for v lets it in as it was, wherever the ticket is kept.
func keeps[T any](t *testing.T, v T) {
	t.Helper()
	for name, store := range stores() {
		got := admit(t, &security.Tickets[T]{Store: store}, v)
		if !reflect.DeepEqual(got, v) {
			t.Errorf("in %s: %+v, want %+v", name, got, v)
		}
	}
}

// TestTypesThatAStoreRefuses do not start with one, since their fields would be lost.
func TestTypesThatAStoreRefuses(t *testing.T) {
	type inner struct{ limited bool }
	type node struct {
		Next *node
		name string
	}
	type mutual struct {
		Other map[string]*[]mutual
		Inner [1]inner
	}
	_, _ = node{name: fmt.Sprint(inner{limited: true})}, hoarder{limited: true}
	refused[inner](t, "limited of security_test.inner")
	refused[*inner](t, "limited of security_test.inner")
	refused[struct{ A map[string][]*inner }](t, "limited of security_test.inner")
	refused[node](t, "name of security_test.node")
	refused[mutual](t, "limited of security_test.inner")
	refused[hoarder](t, "limited of security_test.hoarder") // it only decodes itself
	refused[struct{ *base }](t, "base of struct { *security_test.base }")
	refused[struct{ sealed }](t, "name of security_test.sealed")

	// Whether the methods are those of the embedded field, nobody can see.
	type noted struct {
		time.Time
		Banned bool
	}
	refused[noted](t, "Banned of security_test.noted")
	refused[[]*noted](t, "Banned of security_test.noted")
	refused[struct{ Of day }](t, "zone of security_test.day")
	refused[span[string]](t, "By of security_test.span[string]")
}

// refused checks that Tickets for T start in memory, and with a Store do not.
func refused[T any](t *testing.T, field string) {
	t.Helper()
	if !starts[T](&security.Tickets[T]{}) {
		t.Errorf("%v does not start without a Store", reflect.TypeFor[T]())
	}
	deps := depends.New()
	security.Use(deps, security.Scheme[T](&security.Tickets[T]{Store: &mapStore{}}))
	_, err := wsroute.New(deps, nil).Handler()
	fault, ok := errors.AsType[*depends.WiringError](err)
	want := "Tickets has a Store, and JSON would leave out the field " + field
	if !ok || fault.Kind != "unsafe" || fault.Fact != want || fault.Hint == "" {
		t.Errorf("%v: %v, want %s", reflect.TypeFor[T](), err, want)
	}
}

// TestValuesThatAStoreRefuses: their types start, and no ticket is issued for them.
func TestValuesThatAStoreRefuses(t *testing.T) {
	const differs = "a value differs after it was encoded and decoded"
	notIssued(t, struct{ A fmt.Stringer }{time.Now()}, "fmt.Stringer")
	notIssued(t, func() {}, "unsupported type: func()")
	notIssued(t, struct{ A []complex128 }{make([]complex128, 1)}, "unsupported type: complex128")
	notIssued(t, []map[account]int{{}}, "unsupported type: map[security_test.account]int")
	notIssued(t, math.NaN(), "unsupported value: NaN")
	notIssued[any](t, int64(1<<53+1), differs)
	notIssued[any](t, struct{ B, A int }{1, 2}, differs)
	notIssued(t, "\xff", differs)
	notIssued(t, rank(0), "no rank")

	notIssued(t, oneWay{"ann"}, "cannot unmarshal string")
	notIssued(t, map[oneWay]int{{"ann"}: 1}, "cannot unmarshal object")
	notIssued(t, level(2), "cannot unmarshal number")
	notIssued(t, Promised{Lenient{Verified: true}}, differs)
	notIssued(t, struct{ time.Time }{time.Now()}, "cannot unmarshal string")
	notIssued(t, map[string]big.Int{"n": *big.NewInt(7)}, "cannot unmarshal")
	notIssued(t, map[string][1]pointerOnly{"a": {{"ann"}}}, "cannot unmarshal object")
}

// notIssued checks that no ticket is issued for v with a Store, and that the log says why.
func notIssued[T any](t *testing.T, v T, why string) {
	t.Helper()
	admit(t, &security.Tickets[T]{AllowZero: true}, v)
	var logged bytes.Buffer
	defer func(l *slog.Logger, out io.Writer, flags int) {
		slog.SetDefault(l)
		log.SetOutput(out)
		log.SetFlags(flags)
	}(slog.Default(), log.Writer(), log.Flags())
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))

	store := &mapStore{}
	scheme := &security.Tickets[T]{Store: store}
	if faults := scheme.Describe().Faults; faults != nil {
		t.Errorf("%T: %q", scheme, faults)
	}
	answer, ticket := issue(scheme, v)
	told := answer.Body.String()
	if answer.Code != 500 || ticket != "" || strings.Contains(told, "JSON") {
		t.Errorf("%T: %d %s", scheme, answer.Code, told)
	}
	store.tickets.Range(func(_, ticket any) bool {
		t.Errorf("%T: the Store has %s", scheme, ticket)
		return true
	})
	for _, want := range []string{reflect.TypeFor[T]().String() + " does not survive JSON", why} {
		if got, _ := strconv.Unquote(errorText(logged.String())); !strings.Contains(got, want) {
			t.Errorf("%T: the log has %s, want %s", scheme, logged.String(), want)
		}
	}
}

// errorText is the quoted error of a line of log.
func errorText(line string) string {
	_, text, _ := strings.Cut(strings.TrimSpace(line), " error=")
	return text
}
