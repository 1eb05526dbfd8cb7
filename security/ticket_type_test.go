package security_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"example.com/usher/security"
)

// coded types say themselves how they are encoded or decoded.
type (
	oneWay      struct{ Name string }
	pointerOnly struct{ name string }
	bothWays    struct{ name string }
	lenient     []string // "a" is ["a"], as claims of many issuers have it
	yes         bool     // so is "true"

	// day has methods of its own beside a field of another kind.
	day struct {
		time.Time
		zone string
	}
	// stamped has, and is generic.
	stamped[V any] struct {
		time.Time
		Value V
	}
	moment struct{ time.Time }
	Base   struct{ ID string } // embedded by pointer
	Looped struct {
		*Looped
		ID int
	}
)

func (d day) MarshalJSON() ([]byte, error) { return json.Marshal(d.Format(time.DateOnly) + d.zone) }
func (d *day) UnmarshalJSON(raw []byte) (err error) {
	d.zone = string(raw[len(raw)-4 : len(raw)-1])
	d.Time, err = time.Parse(time.DateOnly, string(raw[1:len(raw)-4]))
	return err
}

func (s stamped[V]) MarshalJSON() ([]byte, error) { return json.Marshal([]any{s.Time, s.Value}) }
func (s *stamped[V]) UnmarshalJSON(raw []byte) error {
	return json.Unmarshal(raw, &[]any{&s.Time, &s.Value})
}

func (oneWay) MarshalText() ([]byte, error)           { return nil, nil }
func (p *pointerOnly) MarshalJSON() ([]byte, error)   { return json.Marshal(p.name) }
func (p *pointerOnly) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, &p.name) }
func (b bothWays) MarshalText() ([]byte, error)       { return []byte(b.name), nil }
func (b *bothWays) UnmarshalText(text []byte) error   { b.name = string(text); return nil }
func (y *yes) UnmarshalJSON(raw []byte) error {
	*y = string(raw) == "true" || string(raw) == `"true"`
	return nil
}

func (l *lenient) UnmarshalJSON(raw []byte) error {
	if raw[0] == '[' {
		return json.Unmarshal(raw, (*[]string)(l))
	}
	*l = make(lenient, 1)
	return json.Unmarshal(raw, &(*l)[0])
}

// kept says what is wrong with a ticket for a value, which is to be kept.
func kept[T any](value T) string {
	if faults := (&security.Tickets[T]{}).Describe().Faults; faults != nil {
		return fmt.Sprint(faults)
	}
	var back struct{ For T }
	raw, err := json.Marshal(&struct{ For T }{value})
	if err == nil {
		err = json.Unmarshal(raw, &back)
	}
	if err != nil || !reflect.DeepEqual(back.For, value) {
		return fmt.Sprintf("it is %+v in the end, %v", back.For, err)
	}
	return ""
}

// TestWhatATicketKeeps: who is let in by a ticket is whom it was given to.
func TestWhatATicketKeeps(t *testing.T) {
	type base struct{ ID string }
	type other struct{ ID string }
	at := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	for name, lost := range map[string]string{
		"a struct":            kept(account{"ann"}),
		"a string":            kept("ann"),
		"a pointer":           kept(&account{"ann"}),
		"claims":              kept(Claims{Name: "ann"}),
		"a pointer to claims": kept(&Claims{Name: "ann"}),
		"anything":            kept(any("ann")),
		"its own form":        kept(bothWays{"ann"}),
		"its pointer's form":  kept(pointerOnly{"ann"}),
		"elements":            kept(struct{ A []bothWays }{[]bothWays{{"ann"}}}),
		"pointers' elements":  kept([]pointerOnly{{"ann"}}),
		"keys":                kept(map[bothWays]int{{"ann"}: 1}),
		"a big number":        kept(struct{ Big big.Int }{*big.NewInt(1)}),
		"an embedded time":    kept(moment{at}),
		"a pointer to one":    kept(&struct{ time.Time }{at}),
		"what has its own":    kept(struct{ Of day }{day{at, "CET"}}),
		"what is generic":     kept(stamped[string]{at, "x"}),
		"an embedded pointer": kept(struct{ *Base }{&Base{"1"}}),
		"a lenient claim":     kept(struct{ Scope lenient }{lenient{"a", "b"}}),
		"another":             kept(struct{ Verified yes }{true}),
		"one with a name": kept(struct {
			base `json:"base"`
		}{base{"1"}}),
		"fields further out": kept(struct {
			base
			ID int
		}{ID: 1}),
		"one further out than two": kept(struct {
			base
			other
			ID int
		}{ID: 1}),
		"many": kept(struct {
			base
			At   time.Time
			Big  *big.Int
			Raw  json.RawMessage
			Hash string `json:"-"`
			_    struct{}
		}{base{"1"}, at, big.NewInt(1), json.RawMessage("1"), "", struct{}{}}),
	} {
		if lost != "" {
			t.Errorf("%s: %s", name, lost)
		}
	}
}

// TestWhatATicketWouldLose does not start.
func TestWhatATicketWouldLose(t *testing.T) {
	type inner struct{ limited bool }
	type base struct{ ID string }
	type other struct{ ID int }
	type node struct {
		Next *node
		name string
	}
	_ = node{name: fmt.Sprint(inner{limited: true})}
	for _, test := range []struct {
		scheme described
		want   string
	}{
		{&security.Tickets[inner]{}, "the field limited of security_test.inner is not exported"},
		{&security.Tickets[struct{ A map[string][]*inner }]{}, "the field limited of security_test.inner is not exported"},
		{&security.Tickets[node]{}, "the field name of security_test.node is not exported"},
		{&security.Tickets[struct{ *base }]{}, "the field base of struct { *security_test.base } is not exported"},
		{&security.Tickets[oneWay]{}, "security_test.oneWay encodes itself, and does not decode"},
		{&security.Tickets[map[oneWay]int]{}, "security_test.oneWay encodes itself, and does not decode"},
		{&security.Tickets[map[string]pointerOnly]{}, "security_test.pointerOnly encodes itself by its pointer alone, which the element of a map has not"},
		{&security.Tickets[map[string]big.Int]{}, "big.Int encodes itself by its pointer alone, which the element of a map has not"},
		{&security.Tickets[struct{ A fmt.Stringer }]{}, "fmt.Stringer says not what to decode"},
		{&security.Tickets[struct{ time.Time }]{}, "struct { time.Time } encodes itself, and does not decode"},
		{&security.Tickets[*struct {
			time.Time
			Banned bool
		}]{}, "the field Banned of struct { time.Time; Banned bool } has no place in the MarshalJSON of its embedded Time"},
		{&security.Tickets[*struct {
			time.Time
			netip.Addr
		}]{}, "the field Addr of struct { time.Time; netip.Addr } has no place in the MarshalJSON of its embedded Time"},
		{&security.Tickets[*struct {
			yes
			Banned bool
		}]{}, "the field Banned of struct { security_test.yes; Banned bool } has no place in the UnmarshalJSON of its embedded yes"},
		{&security.Tickets[struct {
			time.Time
			big.Int
		}]{}, "the field wall of time.Time is not exported"},
		{&security.Tickets[struct {
			base
			other
		}]{}, "two fields are called ID in its JSON"},
		{&security.Tickets[struct {
			*Base
			other
		}]{}, "two fields are called ID in its JSON"},
		{&security.Tickets[Looped]{}, "security_test.Looped is embedded in itself"},
		{&security.Tickets[[]chan int]{}, "chan int has no form in JSON"},
		{&security.Tickets[func()]{}, "json: unsupported type: func()"},
	} {
		faults := test.scheme.Describe().Faults
		if want := "Tickets cannot keep its type: " + test.want; len(faults) != 1 || faults[0].Fact != want {
			t.Errorf("%T: %q, want %q", test.scheme, faults, want)
		}
	}
}
