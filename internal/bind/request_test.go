package bind

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzStripQuery: no stripped parameter is left, and the others are untouched.
func FuzzStripQuery(f *testing.F) {
	for _, seed := range []string{
		"token=a&b=c", "%74oken=a", "b=c&token", "a=%zz&token=x", "&&token=&", "a=1;token=2&b=3",
		"?+token=a&token%00b=c&b?",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if strings.Contains(raw, "\x00") {
			return // net/http takes no such request
		}
		stripped := StripQuery(raw, []string{"token"})
		before, _ := url.ParseQuery(raw)
		after, _ := url.ParseQuery(stripped)
		if _, left := after["token"]; left {
			t.Fatalf("%q became %q", raw, stripped)
		}
		for name := range before {
			meant, _, _ := strings.Cut(name, "\x00")
			if strings.TrimLeft(meant, "?+ ") == "token" {
				delete(before, name)
			}
		}
		if before.Encode() != after.Encode() {
			t.Fatalf("%q became %q", raw, stripped)
		}
	})
}

// TestStripQueryOfSemicolons: they separate nothing, and who wrote them meant that
// they do.
func TestStripQueryOfSemicolons(t *testing.T) {
	for raw, want := range map[string]string{
		"a=1;token=x&b=2": "b=2",
		"token=x;a=1":     "",
		"a=1&amp;%74oken": "a=1",
		";token=x":        "",
		"a=1;b=token&c":   "a=1;b=token&c",
		"a=1%3Btoken=x":   "a=1%3Btoken=x", // one value
	} {
		if got := StripQuery(raw, []string{"token"}); got != want {
			t.Errorf("%q became %q, want %q", raw, got, want)
		}
	}
}

// TestStripQueryOfNamesThatMeanOne: somebody wrote a separator too many.
func TestStripQueryOfNamesThatMeanOne(t *testing.T) {
	for raw, want := range map[string]string{
		"?token=x&b=2":            "b=2",
		"b=2&+?+token=x":          "b=2",
		"%3f%20token=x&b=2":       "b=2",
		"token%00=x&b=2":          "b=2",
		"token%00%zz=x&b=2":       "b=2",
		"b=?token=x":              "b=?token=x",
		"tokens=x&a?token=x":      "tokens=x&a?token=x",
		"token%2500=x&to%00ken=x": "token%2500=x&to%00ken=x",
	} {
		if got := StripQuery(raw, []string{"token"}); got != want {
			t.Errorf("%q became %q, want %q", raw, got, want)
		}
	}
}

// TestOffersAreBounded, over however many lines they come.
func TestOffersAreBounded(t *testing.T) {
	lines := []string{strings.Repeat("a, ,", MaxOffers-1) + "b", "c,d", strings.Repeat("e,", 7000)}
	for n, want := range []int{0, MaxOffers, MaxOffers + 1, MaxOffers + 1} {
		if got := len(Offers(lines[:n])); got != want {
			t.Errorf("%d lines: %d offers, want %d", n, got, want)
		}
	}
	if rest, found := StripOffers(lines, []string{"chat."}, nil); rest != nil || !found {
		t.Errorf("too many became %q, %t", rest, found)
	}
	if rest, found := StripOffers(lines, nil, nil); len(rest) != len(lines) || found {
		t.Errorf("without a name they became %q, %t", rest, found)
	}
}
