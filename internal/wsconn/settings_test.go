package wsconn

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCodesThatMayBeSent(t *testing.T) {
	for code := range 6000 {
		want := code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
		if got := Sendable(code); got != want {
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
		got := CutReason(reason)
		if len(got) > 123 || !utf8.ValidString(got) {
			t.Fatalf("%q became %q", reason, got)
		}
		if utf8.ValidString(reason) && (!strings.HasPrefix(reason, got) || len(reason) <= 123 && got != reason || len(reason)-len(got) > 0 && len(got) < 120) {
			t.Fatalf("%q became %q", reason, got)
		}
	})
}
