package wsconn

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

// version is the only WebSocket version there is (RFC 6455 §4.1).
const version = "13"

// readBufferSize is what an idle connection holds for reading. Larger reads go
// past the buffer.
const readBufferSize = 512

// writeBuffers are lent to gorilla for what it writes, which is the 101 alone.
var writeBuffers sync.Pool

// hijacker lets gorilla take over the connection by way of a socket.
type hijacker struct {
	http.ResponseWriter
	timeout time.Duration
	socket  *Socket
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
	h.socket = &Socket{socket{Conn: raw, early: early, wire: newWire(raw, h.timeout)}}
	buffered.Reader.Reset(&h.socket.inner) // gorilla looks at it, and reads with a buffer of its own
	return &h.socket.inner, buffered, nil
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

// Upgrade takes the connection over and writes the 101 with a header of the caller's. What
// the handshake says was checked before. Upgrade never writes a refusal: an error is the
// caller's to answer if the connection was not taken over, which hijacked says. compress
// accepts an offer of permessage-deflate; timeout bounds each write without progress.
func Upgrade(
	w http.ResponseWriter, r *http.Request, header http.Header, compress bool, timeout time.Duration,
) (s *Socket, hijacked bool, err error) {
	h := &hijacker{ResponseWriter: w, timeout: timeout}
	deflate := compress && offersDeflate(r.Header["Sec-Websocket-Extensions"])
	ws, err := upgrader.Upgrade(h, plainly(r, deflate), header)
	if err != nil {
		if h.socket != nil {
			_ = h.socket.inner.Close()
		}
		return nil, h.socket != nil, errors.Join(err, h.refused)
	}
	h.socket.inner.ws, h.socket.inner.deflates = ws, deflate
	return h.socket, true, nil
}
