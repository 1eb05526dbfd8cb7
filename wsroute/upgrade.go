package wsroute

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// hijackable says whether the connection behind w can be taken over. gin's
// writer always claims so, and panics when the one behind it cannot.
func hijackable(w http.ResponseWriter) bool {
	_, ok := innermost(w).(http.Hijacker)
	return ok
}

// innermost returns what middleware has wrapped.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = inner.Unwrap()
	}
}

// settable returns what of a header providers may change.
func settable(set http.Header) http.Header {
	header := set.Clone()
	maps.DeleteFunc(header, func(name string, _ []string) bool { return ofHandshake(name) })
	return header
}

// checkHeader refuses a header that providers must not set.
func (h *resolution) checkHeader() error {
	for name := range h.header {
		if ofHandshake(name) || !isToken(name) {
			return fmt.Errorf("wsroute: depends.ResponseHeader must not set the header %q", name)
		}
	}
	return nil
}

// ofHandshake says whether a header of the 101 is the protocol's own, or makes
// no sense in a response that has no body.
func ofHandshake(name string) bool {
	name = http.CanonicalHeaderKey(name)
	switch name {
	case "Upgrade", "Connection",
		"Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Trailer":
		return true
	}
	return strings.HasPrefix(name, "Sec-Websocket-")
}
