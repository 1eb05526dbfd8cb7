package bind

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// Names are names of query parameters, as word has them: whatever a lax reader would take for
// one of them counts.
type Names map[string]bool

func (n Names) add(names ...string) {
	for _, name := range names {
		n[word(url.QueryEscape(name))] = true
	}
}

// in reports whether one of the names stands in a pair of a query. A semicolon or a second
// "?" was meant to part pairs.
func (n Names) in(pair string) bool {
	meant := func(c rune) bool { return c == ';' || c == '?' }
	for part := range strings.FieldsFuncSeq(pair, meant) {
		key, _, _ := strings.Cut(part, "=")
		if n[word(key)] {
			return true
		}
	}
	return false
}

// Strip takes the parameters of the names out of a request's URL and out of its RequestURI,
// which may have a prefix that the URL has lost.
func (n Names) Strip(r *http.Request) {
	r.URL.RawQuery = n.StripQuery(r.URL.RawQuery)
	target, query, found := strings.Cut(r.RequestURI, "?")
	if query = n.StripQuery(query); query != "" || found && r.URL.ForceQuery {
		target += "?" + query
	}
	r.RequestURI = target
}

// StripQuery returns a raw query without the parameters of the names, the others untouched
// and in order.
func (n Names) StripQuery(raw string) string {
	if raw == "" || len(n) == 0 {
		return raw
	}
	return strings.Join(slices.DeleteFunc(strings.Split(raw, "&"), n.in), "&")
}

// word returns the first word of a name, unescaped as far as it can be and in lower case:
// readers differ on case, and on spaces, NUL, brackets and other signs around a name.
func word(escaped string) string {
	name, err := url.QueryUnescape(escaped)
	if bad, ok := errors.AsType[url.EscapeError](err); ok {
		name, _ = url.QueryUnescape(escaped[:strings.LastIndex(escaped, string(bad))])
	}
	other := func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '_' && c != '-' && c != '.'
	}
	name = strings.TrimLeftFunc(name, other)
	if i := strings.IndexFunc(name, other); i >= 0 {
		name = name[:i]
	}
	return strings.ToLower(name)
}
