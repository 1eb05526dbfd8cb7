package bind

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FuzzCookies: what is stripped of a name's cookies has none, the others are as before, and no
// cookie that net/http would find is overlooked.
func FuzzCookies(f *testing.F) {
	for _, seed := range []string{
		"", "v=a", "v=a; w=b", "w=b;v=a;v=c", "v=a\nv=b\nw=c", "v", "v=", "=v", ";;v=a;",
		`v="a"; w="b"`, `w="v=a; v=b"`, "v =a", " v=a ", "\u00a0v=a", "v\u00a0=a", "V=a",
		"v=é; w={}", "vv=a; v=b",
	} {
		f.Add(seed, "v", "w")
	}
	f.Fuzz(func(t *testing.T, text, name, other string) {
		if name == "" || other == "" || strings.ContainsAny(name+other, " ,;=\t\n\u00a0") {
			t.Skip("no cookie has such a name")
		}
		lines := strings.Split(text, "\n")
		sent := len(cookies(lines, name))
		parsed := (&http.Request{Header: http.Header{"Cookie": lines}}).CookiesNamed(name)
		if len(parsed) > sent {
			t.Fatalf("%q: %d cookies %q, net/http finds %d", lines, sent, name, len(parsed))
		}
		rest := stripCookies(lines, []string{name})
		parsed = (&http.Request{Header: http.Header{"Cookie": rest}}).CookiesNamed(name)
		if len(cookies(rest, name)) > 0 || len(parsed) > 0 {
			t.Fatalf("%q became %q, which has a %q", lines, rest, name)
		}
		if other != name && !slices.Equal(cookies(lines, other), cookies(rest, other)) {
			t.Fatalf("%q became %q, in which %q differs", lines, rest, other)
		}
	})
}
