package wsroute

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"example.com/usher/internal/plan"
)

// readBufferSize is what an idle connection holds for reading. Larger reads go
// past the buffer.
const readBufferSize = 512

// writeBuffers are lent to connections while they write a frame.
var writeBuffers sync.Pool

// hijackable says whether the connection behind w can be taken over. gin's
// writer always claims so, and panics when the one behind it cannot.
func hijackable(w http.ResponseWriter) bool {
	for {
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			_, ok := w.(http.Hijacker)
			return ok
		}
		w = inner.Unwrap()
	}
}

// hijacker lets gorilla take over the wire in place of the socket.
type hijacker struct {
	http.ResponseWriter
	timeout time.Duration
	wire    *wire
	refused error // what gorilla would answer, which is ours to do
}

// upgrader is what gorilla is told once for all connections.
func upgrader(compress bool) *websocket.Upgrader {
	return &websocket.Upgrader{
		ReadBufferSize:    readBufferSize,
		WriteBufferPool:   &writeBuffers,
		EnableCompression: compress,
		CheckOrigin:       func(*http.Request) bool { return true }, // checked before any provider ran
		Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
			if h, ok := w.(*hijacker); ok {
				h.refused = fmt.Errorf("%d: %w", status, reason)
			}
		},
	}
}

var plainUpgrader, compressingUpgrader = upgrader(false), upgrader(true)

// Hijack takes the connection over. What net/http had read already, early
// frames, is replayed by the wire, where gorilla would refuse it.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	raw, buffered, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	var early []byte
	if n := buffered.Reader.Buffered(); n > 0 {
		peeked, _ := buffered.Reader.Peek(n)
		early = append(early, peeked...)
	}
	_ = raw.SetDeadline(time.Time{}) // the server's own
	h.wire = newWire(raw, early, h.timeout)
	buffered.Reader.Reset(h.wire) // gorilla looks at it, and reads with a buffer of its own
	return h.wire, buffered, nil
}

// header returns what the 101 says beside the handshake itself: what middleware
// has set, as OnUpgrade has changed it. A panic of OnUpgrade is returned.
func (h *handshake) header(w http.ResponseWriter) (header http.Header, err error) {
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
			err = &plan.Panic{Value: v, Stack: debug.Stack(), In: "OnUpgrade"}
		}
	}()
	change(h.request.Snapshot(h.peer.endpoint.plan), header)
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
	case "Upgrade", "Connection", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Trailer":
		return true
	}
	return strings.HasPrefix(name, "Sec-Websocket-")
}

// legible returns a handshake that gorilla understands: it gives up on a list at an item
// that is no token, such as the version in "h2c, foo/2, websocket" or an empty one
// (RFC 9110 §5.6.1.2, §7.8). What the lists say was checked before any provider ran.
func legible(r *http.Request) *http.Request {
	if tokens(r.Header["Connection"]) && tokens(r.Header["Upgrade"]) {
		return r
	}
	out := *r
	out.Header = maps.Clone(r.Header)
	out.Header["Connection"], out.Header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	return &out
}

// tokens says whether header lines are lists of tokens.
func tokens(lines []string) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if !isToken(strings.Trim(item, " \t")) {
				return false
			}
		}
	}
	return true
}

// upgrade takes the connection over and writes the 101 with a header of
// ours. It never writes a refusal: an error is the caller's to answer if the connection was not taken over, which hijacked says.
func upgrade(w http.ResponseWriter, r *http.Request, header http.Header, compress bool, timeout time.Duration) (ws *websocket.Conn, line *wire, hijacked bool, err error) {
	up := plainUpgrader
	if compress {
		up = compressingUpgrader
	}
	h := &hijacker{ResponseWriter: w, timeout: timeout}
	ws, err = up.Upgrade(h, legible(r), header)
	if err != nil {
		if h.wire != nil {
			_ = h.wire.Close()
		}
		return nil, nil, h.wire != nil, errors.Join(err, h.refused)
	}
	h.wire.mu.Lock()
	h.wire.frames = true
	h.wire.mu.Unlock()
	return ws, h.wire, true, nil
}
