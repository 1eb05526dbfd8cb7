package wsroute_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"example.com/usher/wsroute"
)

func TestCodesThatMayBeSent(t *testing.T) {
	for code := range 6000 {
		want := code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
		if got := wsroute.Sendable(code); got != want {
			t.Errorf("%d: got %v", code, got)
		}
	}
}

// FuzzCloseReason: a reason always fits, and is cut between runes.
func FuzzCloseReason(f *testing.F) {
	for _, seed := range []string{"", "bye", strings.Repeat("x", 123), strings.Repeat("x", 124), strings.Repeat("é", 62), "\xff\xfe", strings.Repeat("\xff", 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, reason string) {
		got := wsroute.CutReason(reason)
		if len(got) > 123 || !utf8.ValidString(got) {
			t.Fatalf("%q became %q", reason, got)
		}
		if utf8.ValidString(reason) && (!strings.HasPrefix(reason, got) || len(reason) <= 123 && got != reason || len(reason)-len(got) > 0 && len(got) < 120) {
			t.Fatalf("%q became %q", reason, got)
		}
	})
}

func TestPathsOfRoutes(t *testing.T) {
	for _, test := range []struct {
		pattern, path string
		want          bool
	}{
		{"/", "/", true},
		{"/", "/a", false},
		{"/a", "/a", true},
		{"/a", "/a/", false},
		{"/a/", "/a/", true},
		{"/a/:x", "/a/b", true},
		{"/a/:x", "/a/", false},
		{"/a/:x", "/a/b/c", false},
		{"/a/:x/c", "/a/b/c", true},
		{"/a/*rest", "/a/", true},
		{"/a/*rest", "/a/b/c", true},
		{"/a/*rest", "/a", false},
		{"/a", "", false},
	} {
		if got := wsroute.Matches(test.pattern, test.path); got != test.want {
			t.Errorf("%s matches %q: %v", test.pattern, test.path, got)
		}
	}
}
