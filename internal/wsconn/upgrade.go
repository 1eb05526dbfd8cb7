package wsconn

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // as RFC 6455 §4.2.2 says
	"encoding/base64"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// hijacker lets gorilla take over the connection by way of a socket.
type hijacker struct {
	http.ResponseWriter
	timeout time.Duration
	socket  *Socket
}

// upgrader is what gorilla is told once for all connections.
var upgrader = &websocket.Upgrader{
	ReadBufferSize:    512,            // which an idle connection holds; larger reads go past it
	WriteBufferPool:   new(sync.Pool), // for what gorilla would write
	EnableCompression: true,           // of those that offer it by now

	// The origin was checked before any provider ran; an error is the caller's to answer.
	CheckOrigin: func(*http.Request) bool { return true },
	Error:       func(http.ResponseWriter, *http.Request, int, error) {},
}

// Hijack takes the connection over. What net/http had read already, early
// frames, is replayed by the socket, where gorilla would refuse it.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	raw, buffered, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.socket = &Socket{socket{Conn: raw, wire: newWire(raw, h.timeout)}}
	early, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	h.socket.inner.early = bytes.Clone(early)
	buffered.Reader.Reset(&h.socket.inner) // gorilla looks at it, and reads with a buffer of its own
	return &h.socket.inner, buffered, nil
}

// ofGorilla is what gorilla is given in place of a request, which was checked before any
// provider ran, and is answered by us; true has the deflating one.
var ofGorilla = map[bool]*http.Request{false: handshake(), true: handshake(deflateName)}

func handshake(extensions ...string) *http.Request {
	return &http.Request{Method: http.MethodGet, Header: http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
		"Sec-Websocket-Extensions": extensions,
	}}
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
	ws, err := upgrader.Upgrade(h, ofGorilla[deflate], nil)
	if err != nil { // gorilla has closed what it took over
		return nil, h.socket != nil, err
	}
	k := &h.socket.inner
	k.ws, k.deflates = ws, deflate
	err = k.wire.control(opNone, answer(r.Header.Get("Sec-Websocket-Key"), deflate, header))
	return h.socket, true, err
}

// acceptGUID is what an answer shows with that its request was understood (RFC 6455 §1.3).
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// answer is the 101 (RFC 6455 §4.2.2).
func answer(key string, deflate bool, header http.Header) []byte {
	accept := sha1.Sum([]byte(key + acceptGUID)) //nolint:gosec // as the RFC says
	b := append(make([]byte, 0, 256), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b = base64.StdEncoding.AppendEncode(b, accept[:])
	b = append(b, "\r\n"...)
	if deflate {
		b = append(b, "Sec-WebSocket-Extensions: "+deflateAnswer+"\r\n"...)
	}
	if len(header) > 0 {
		more := bytes.NewBuffer(b)
		_ = header.Write(more) // a buffer takes all
		b = more.Bytes()
	}
	return append(b, "\r\n"...)
}
