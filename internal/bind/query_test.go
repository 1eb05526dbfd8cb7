package bind

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

// FuzzQuery compares with net/url, whose rules these are.
func FuzzQuery(f *testing.F) {
	for _, raw := range []string{
		"", "a", "a=", "=", "&", "&&", "=&=", "a=1&a=2", "a=1&&b=2", "a=1;b=2", "a=%", "%zz=1", "a=%41&%61=%42", "a+b=c+d",
		"a=b=c", "&a=1", "a=1&", "%3b=1", "=1", "b=%zz&a=1", "caf%C3%A9=1",
	} {
		f.Add(raw, "a")
		f.Add(raw, "")
	}
	f.Fuzz(func(t *testing.T, raw, name string) {
		want, err := url.ParseQuery(raw)
		if got := query(raw).check(); (got == nil) != (err == nil) {
			t.Fatalf("check(%q) = %v, net/url says %v", raw, got, err)
		}
		if err != nil {
			return // nothing is asked of it
		}
		if got := query(raw).values(name, nil); !slices.Equal(got, want[name]) {
			t.Errorf("values(%q, %q) = %q, want %q", raw, name, got, want[name])
		}
		for key := range want {
			if got := query(raw).values(key, nil); !slices.Equal(got, want[key]) {
				t.Errorf("values(%q, %q) = %q, want %q", raw, key, got, want[key])
			}
		}
	})
}

func TestQueryOfManyPairs(t *testing.T) {
	for pairs, refused := range map[int]bool{maxPairs: false, maxPairs + 1: true} {
		raw := strings.Repeat("a&", pairs-1) + "a"
		if _, err := url.ParseQuery(raw); (err != nil) != refused {
			t.Errorf("net/url of %d pairs: %v", pairs, err)
		}
		if err := query(raw).check(); (err != nil) != refused {
			t.Errorf("%d pairs: %v", pairs, err)
		}
	}
}
