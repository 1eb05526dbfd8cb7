package wsroute

import (
	"bufio"
	"errors"
	"fmt"
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

// writeBuffers are lent to gorilla for what it writes, which is the 101 alone.
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

// hijacker lets gorilla take over the connection by way of a socket.
type hijacker struct {
	http.ResponseWriter
	timeout time.Duration
	socket  *socket
	refused error // what gorilla would answer, which is ours to do
}

// upgrader is what gorilla is told once for all connections.
var upgrader = &websocket.Upgrader{
	ReadBufferSize:    readBufferSize,
	WriteBufferPool:   &writeBuffers,
	EnableCompression: true,                                     // of those that offer it by now
	CheckOrigin:       func(*http.Request) bool { return true }, // checked before any provider ran
	Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
		if h, ok := w.(*hijacker); ok {
			h.refused = fmt.Errorf("%d: %w", status, reason)
		}
	},
}

// Hijack takes the connection over. What net/http had read already, early
// frames, is replayed by the socket, where gorilla would refuse it.
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
	h.socket = &socket{Conn: raw, early: early, wire: newWire(raw, h.timeout)}
	buffered.Reader.Reset(h.socket) // gorilla looks at it, and reads with a buffer of its own
	return h.socket, buffered, nil
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

// plainly returns the handshake as gorilla understands it: it gives up on a list at an item
// that is no token, such as the version in "h2c, foo/2, websocket", and takes any offer
// of deflate. What the request says was checked before any provider ran.
func plainly(r *http.Request, deflate bool) *http.Request {
	out := *r
	out.Header = http.Header{
		"Connection": ofGorilla.connection, "Upgrade": ofGorilla.upgrade,
		"Sec-Websocket-Version": ofGorilla.version, "Sec-Websocket-Key": r.Header["Sec-Websocket-Key"],
	}
	if deflate {
		out.Header["Sec-Websocket-Extensions"] = ofGorilla.extensions
	}
	return &out
}

// ofGorilla are values of those headers, which nobody changes.
var ofGorilla = struct{ connection, upgrade, version, extensions []string }{
	[]string{"Upgrade"}, []string{"websocket"}, []string{version}, []string{deflateName},
}

// upgrade takes the connection over and writes the 101 with a header of ours. It never
// writes a refusal: an error is the caller's to answer if the connection was not taken
// over, which hijacked says.
func upgrade(w http.ResponseWriter, r *http.Request, header http.Header, compress bool, timeout time.Duration) (s *socket, hijacked bool, err error) {
	h := &hijacker{ResponseWriter: w, timeout: timeout}
	deflate := compress && offersDeflate(r.Header["Sec-Websocket-Extensions"])
	ws, err := upgrader.Upgrade(h, plainly(r, deflate), header)
	if err != nil {
		if h.socket != nil {
			_ = h.socket.Close()
		}
		return nil, h.socket != nil, errors.Join(err, h.refused)
	}
	h.socket.ws, h.socket.deflates = ws, deflate
	return h.socket, true, nil
}
