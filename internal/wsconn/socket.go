package wsconn

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// Socket is an upgraded connection, to be opened.
type Socket struct{ inner socket }

// socket is the net.Conn that gorilla is given. gorilla reads from it, and what it would
// write goes nowhere.
type socket struct {
	net.Conn
	ws       *websocket.Conn // nil during the handshake
	wire     *wire
	deflates bool
	early    []byte       // read by net/http before the hijack
	reads    atomic.Int64 // how often something came

	// The reading goroutine's own.
	conn   *Conn // nil during the handshake
	heads  heads
	fault  *violation // of a head, to be told once what came before it is read
	failed bool       // nothing more can be read

	once sync.Once // to close
}

// begin joins the socket to its connection.
func (k *socket) begin(c *Conn) {
	k.ws.SetReadLimit(c.set.ReadLimit)
	k.ws.SetPingHandler(c.pinged)
	k.ws.SetPongHandler(c.ponged)
	k.ws.SetCloseHandler(c.peerClosed)
	k.conn = c
	k.wire.mu.Lock()
	defer k.wire.mu.Unlock()
	k.wire.owner = c
}

// Read lets gorilla have what the peer sends, up to a head that breaks the protocol.
func (k *socket) Read(b []byte) (int, error) {
	if k.fault != nil {
		return 0, k.fault
	}
	n, err := k.receive(b)
	if k.ws != nil {
		n, k.fault = k.heads.scan(b[:n])
	}
	if n == 0 && k.fault != nil {
		return 0, k.fault
	}
	return n, err
}

// receive replays what net/http had read, then reads the socket.
func (k *socket) receive(b []byte) (int, error) {
	if len(k.early) > 0 {
		n := copy(b, k.early)
		k.early = k.early[n:]
		return n, nil
	}
	if k.conn != nil {
		k.conn.await()
	}
	n, err := k.Conn.Read(b)
	if n > 0 {
		k.reads.Add(1)
	}
	k.failed = err != nil
	return n, err
}

// Write does nothing: the 101 and all frames are written by the wire.
func (k *socket) Write(b []byte) (int, error) { return len(b), nil }

// SetWriteDeadline does nothing: the wire keeps its own.
func (k *socket) SetWriteDeadline(time.Time) error { return nil }

// closeWrite ends what we send, where the socket can do that by itself.
func (k *socket) closeWrite() {
	if half, ok := k.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// Close closes the socket. What is queued is lost.
func (k *socket) Close() (err error) {
	k.once.Do(func() { err = k.Conn.Close() })
	return err
}

// cut closes the socket without a word, and without waiting: a TLS connection would still
// write one.
func (k *socket) cut() {
	if c, ok := k.Conn.(*tls.Conn); ok {
		k.once.Do(func() { _ = c.NetConn().Close() })
		return
	}
	_ = k.Close()
}
