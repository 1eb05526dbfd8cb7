package wsroute

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"example.com/usher/internal/graph"
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

// header returns what the 101 says beside the handshake itself: what middleware
// has set, as OnUpgrade has changed it. A panic of OnUpgrade is returned.
func (h *resolution) header(w http.ResponseWriter) (header http.Header, err error) {
	change := h.peer.endpoint.shared.config.OnUpgrade
	set := w.Header()
	if len(set) == 0 && change == nil {
		return nil, nil //nolint:nilnil // no header is what most have
	}
	header = http.Header{}
	for name, values := range set {
		if !ofHandshake(name) {
			header[name] = values
		}
	}
	if change == nil {
		return header, nil
	}
	defer func() {
		if v := recover(); v != nil {
			err = &graph.Panic{Value: v, Stack: debug.Stack(), In: "OnUpgrade"}
		}
	}()
	change(h.request.Snapshot(), header)
	for name := range header {
		if ofHandshake(name) || !isToken(name) {
			return nil, fmt.Errorf("wsroute: OnUpgrade must not set the header %q", name)
		}
	}
	return header, nil
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
