package bind

import (
	"errors"
	"net/url"
	"strings"
)

// query is a query string that is read where it stands, by the rules of url.ParseQuery:
// most have a pair or two, and a map of them costs more than looking again.
type query string

// maxPairs is how many pairs a query may have, as for url.ParseQuery.
const maxPairs = 10_000

var errPairs = errors.New("a query of too many parameters")

var errSemicolon = errors.New("a semicolon in a query separates nothing, and must be escaped")

// next cuts the first pair off, undecoded.
func (q query) next() (key, value string, rest query) {
	pair, tail, _ := strings.Cut(string(q), "&")
	key, value, _ = strings.Cut(pair, "=")
	return key, value, query(tail)
}

// check says why the query does not decode, if it does not.
func (q query) check() error {
	if strings.Count(string(q), "&") >= maxPairs {
		return errPairs
	}
	if strings.Contains(string(q), ";") {
		return errSemicolon
	}
	if !strings.Contains(string(q), "%") { // nothing else can be wrong
		return nil
	}
	for key, value, rest := q.next(); ; key, value, rest = rest.next() {
		for _, text := range []string{key, value} {
			if _, err := url.QueryUnescape(text); err != nil {
				return err
			}
		}
		if rest == "" {
			return nil
		}
	}
}

// values adds what stands under a name to a list, in order.
func (q query) values(name string, list []string) []string {
	for q != "" {
		pair, tail, _ := strings.Cut(string(q), "&")
		q = query(tail)
		if pair == "" || !mayBeginWith(pair, name) {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		if decoded, err := unescape(key); err != nil || decoded != name {
			continue
		}
		if decoded, err := unescape(value); err == nil {
			list = append(list, decoded)
		}
	}
	return list
}

// mayBeginWith is a look at the first byte, which tells most pairs from the one wanted.
func mayBeginWith(pair, name string) bool {
	c := pair[0]
	return name == "" || c == name[0] || c == '%' || c == '+'
}

// unescape is url.QueryUnescape; few names and values have anything to unescape.
func unescape(text string) (string, error) {
	if strings.IndexByte(text, '%') < 0 && strings.IndexByte(text, '+') < 0 {
		return text, nil
	}
	return url.QueryUnescape(text)
}
