package wsroute

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
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
}

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

// upgrade takes the connection over and writes the 101, in which protocol is
// selected unless it is empty. It never writes a refusal: an error is the
// caller's to answer if the connection was not taken over, which hijacked says.
func upgrade(w http.ResponseWriter, r *http.Request, protocol string, timeout time.Duration) (ws *websocket.Conn, line *wire, hijacked bool, err error) {
	var refused error
	up := websocket.Upgrader{
		ReadBufferSize:  readBufferSize,
		WriteBufferPool: &writeBuffers,
		CheckOrigin:     func(*http.Request) bool { return true }, // checked before any provider ran
		Error: func(_ http.ResponseWriter, _ *http.Request, status int, reason error) {
			refused = fmt.Errorf("%d: %w", status, reason)
		},
	}
	var header http.Header
	if protocol != "" {
		header = http.Header{"Sec-Websocket-Protocol": {protocol}}
	}
	h := &hijacker{ResponseWriter: w, timeout: timeout}
	ws, err = up.Upgrade(h, r, header)
	if err != nil {
		if h.wire != nil {
			_ = h.wire.Close()
		}
		return nil, nil, h.wire != nil, errors.Join(err, refused)
	}
	h.wire.mu.Lock()
	h.wire.frames = true
	h.wire.mu.Unlock()
	return ws, h.wire, true, nil
}
