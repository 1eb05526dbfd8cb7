package graph

import (
	"reflect"
	"testing"
	"time"

	"github.com/go-playground/validator/v10"
)

// FuzzRule: a rule that starts panics for no value, and holds for those for which the
// validator says so.
func FuzzRule(f *testing.F) {
	types := []reflect.Type{
		reflect.TypeFor[string](), reflect.TypeFor[int](), reflect.TypeFor[uint8](), reflect.TypeFor[float64](), reflect.TypeFor[bool](),
		reflect.TypeFor[time.Duration](), reflect.TypeFor[[]string](), reflect.TypeFor[[]int](), reflect.TypeFor[*string](), reflect.TypeFor[*int](),
	}
	for i := range types {
		for _, seed := range [][2]string{
			{"", "a"},
			{"required", "1"},
			{"min=2,max=4", "3"},
			{"omitempty,gte=3", "2"},
			{"oneof=a b", "b"},
			{"email|ip", "::1"},
			{"dive,gte=0", "-1"},
			{"max=2,dive,min=1", "a"},
			{"gtefield=Other", "1"},
			{"len=x", "1"},
			{"gt", "1"},
			{"|", ""},
			{",", ""},
			{"=", ""},
			{"nosuch", ""},
			{"dive", "a"},
			{"eq=1|ne=1", "1"},
			{"unique", "a"},
			{"keys,endkeys", "a"},
			{"-", "a"},
			{"structonly", "a"},
			{"isdefault", "0"},
			{"ne=q|gt=x", "q"},
			{"ne=5|len=x", "5"},
			{"uuid,len=x", "123e4567-e89b-12d3-a456-426614174000"},
		} {
			f.Add(uint8(i), seed[0], seed[1])
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, rule, text string) {
		g, typ := New(validator.New()), types[int(which)%len(types)]
		p, fact, _ := newParam(g, typ, tag{in: "query", name: "v", validate: rule})
		if fact != "" {
			return
		}
		dst := reflect.New(typ).Elem()
		got, panicked := p.read(dst, []string{text})
		if panicked != nil {
			t.Errorf("%v, %q, %q: %v", typ, rule, text, panicked)
			return
		}
		if got.code == p.code || got.code == "utf8" {
			return // it does not parse
		}
		if want := rule == "" || g.Validate().Var(dst.Interface(), rule) == nil; want != (got.code == "") {
			t.Errorf("%v, %q, %q: %+v, the validator says %t", typ, rule, text, got, want)
		}
	})
}
