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
		stripped := tokens.StripQuery(raw)
		after, _ := url.ParseQuery(stripped)
		if _, left := after["token"]; left {
			t.Fatalf("%q became %q", raw, stripped)
		}
		kept := strings.Split(stripped, "&")
		for pair := range strings.SplitSeq(raw, "&") {
			if len(kept) > 0 && pair == kept[0] {
				kept = kept[1:]
			} else if !strings.Contains(strings.ToLower(unescaped.Replace(pair)), "token") {
				t.Fatalf("%q became %q, without %q", raw, stripped, pair)
			}
		}
		if len(kept) > 0 && stripped != "" {
			t.Fatalf("%q became %q", raw, stripped)
		}
	})
}

// unescaped undoes escapes of the letters of "token".
var unescaped = strings.NewReplacer("%54", "t", "%74", "t", "%4f", "o", "%4F", "o", "%6f", "o", "%6F", "o",
	"%4b", "k", "%4B", "k", "%6b", "k", "%6B", "k", "%45", "e", "%65", "e", "%4e", "n", "%4E", "n", "%6e", "n", "%6E", "n")

var tokens = Names{"token": true}

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
		if got := tokens.StripQuery(raw); got != want {
			t.Errorf("%q became %q, want %q", raw, got, want)
		}
	}
}

// TestStripQueryOfNamesThatMeanOne: somebody wrote a separator too many, or a form that only
// some readers know.
func TestStripQueryOfNamesThatMeanOne(t *testing.T) {
	for raw, want := range map[string]string{
		"?token=x&b=2":            "b=2",
		"b=2&+?+token=x":          "b=2",
		"%3f%20token=x&b=2":       "b=2",
		"token%00=x&b=2":          "b=2",
		"token%00%zz=x&b=2":       "b=2",
		"a=1&b=2?token=x":         "a=1", // a URL that had a query already
		"a?token=x":               "",
		"Token=x&TOKEN=x&b":       "b",
		"token[]=x&token[0]=x":    "",
		"token%5B%5D=x&token+=x":  "",
		"%09token=x&%00token=x":   "",
		"%EF%BB%BFtoken=x":        "",
		"token%2500=x&token%=x":   "",
		"%22token%22=x":           "",
		"tokens=x&_token=x&b=%":   "tokens=x&_token=x&b=%",
		"b=token&to%00ken=x&to=1": "b=token&to%00ken=x&to=1",
		"token.id=x&token-id=1":   "token.id=x&token-id=1",
	} {
		if got := tokens.StripQuery(raw); got != want {
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
