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

var errManyPairs = errors.New("the query has too many parameters")

// check says why a pair of one of the names does not decode, if one does not. Nobody reads
// the others.
func (q query) check(names Names) error {
	if strings.Count(string(q), "&") >= maxPairs {
		return errManyPairs
	}
	if !strings.ContainsAny(string(q), "%;") {
		return nil // most have nothing that could be wrong
	}
	for pair := range strings.SplitSeq(string(q), "&") {
		if _, err := url.ParseQuery(pair); err != nil && names.in(pair) {
			return err
		}
	}
	return nil
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

// mayBeginWith compares the first byte alone, by which most pairs differ from the wanted one.
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
