package bind

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// FuzzQuery compares with net/url, whose rules these are: a name that is read has the values
// that net/url finds, or a query that net/url refuses is refused.
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
		for _, name := range append(slices.Collect(maps.Keys(want)), name) {
			names := Names{}
			names.add(name)
			switch bad := query(raw).check(names); {
			case bad == nil:
				if got := query(raw).values(name, nil); !slices.Equal(got, want[name]) {
					t.Errorf("values(%q, %q) = %q, want %q", raw, name, got, want[name])
				}
			case err == nil:
				t.Errorf("check(%q) for %q: %v", raw, name, bad)
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
		if err := query(raw).check(nil); (err != nil) != refused {
			t.Errorf("%d pairs: %v", pairs, err)
		}
	}
}

// TestOnlyWhatIsReadMustDecode: a pair that no parameter reads may be whatever it is, and one
// that somebody could take for a parameter may not.
func TestOnlyWhatIsReadMustDecode(t *testing.T) {
	names := Names{}
	names.add("room", "token")
	for raw, refused := range map[string]bool{
		"utm=50%": false, "%zz": false, "a=1;b=2": false, "room=1&utm=%zz&%": false, "utm=room%": false, "rooms=%": false,
		"room=%25": false, "room=%3B": false, "room;a": true, "room=50%": true, "token=%": true, "room=1&room=%zz": true,
		"room=1;a": true, "a=1;room=2": true, "%72oom=%": true, "room%zz=1": true, "?room=%": true,
	} {
		if err := query(raw).check(names); (err != nil) != refused {
			t.Errorf("%q: %v", raw, err)
		}
	}
}
