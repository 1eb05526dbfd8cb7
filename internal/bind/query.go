package bind

import (
	"errors"
	"net/url"
	"strings"
)

// maxPairs is how many pairs a query may have, as for url.ParseQuery.
const maxPairs = 10_000

// parseQuery returns the pairs of a query that decode. An error is a pair of one of the names
// that does not decode; nobody reads the others.
func parseQuery(raw string, names Names) (url.Values, error) {
	if strings.Count(raw, "&") >= maxPairs {
		return nil, errors.New("the query has too many parameters")
	}
	values, err := url.ParseQuery(raw)
	if err == nil {
		return values, nil
	}
	for pair := range strings.SplitSeq(raw, "&") {
		if _, err := url.ParseQuery(pair); err != nil && names.in(pair) {
			return values, err
		}
	}
	return values, nil
}
