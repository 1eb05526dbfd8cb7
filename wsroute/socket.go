package wsroute

import (
	"net"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// socket is an upgraded connection. gorilla reads from it, and what it would write after
// the 101 goes nowhere: frames are written by the wire.
type socket struct {
	net.Conn
	ws       *websocket.Conn
	wire     *wire
	deflates bool
	owner    peerOwner // nil until the handshake is over
	in       inflow
	early    []byte // read by net/http before the hijack
	closing  bool   // the peer's close frame is complete; the reading goroutine's own
	born     time.Time
	lastRead atomic.Int64 // when something was read, as a time since born: the wall clock may jump
	closed   atomic.Bool
}

// peerOwner is told what the peer has done, on the reading goroutine.
type peerOwner interface {
	await() // before each read that may wait
	peerClosed(code int, reason string)
	violated(why error, code int, reason string)
}

// touch notes that the peer is alive.
func (s *socket) touch() { s.lastRead.Store(int64(time.Since(s.born))) }

// touched returns when the peer was last alive.
func (s *socket) touched() time.Time { return s.born.Add(time.Duration(s.lastRead.Load())) }

// Read lets gorilla have what the peer sends, but for its close frame.
func (s *socket) Read(b []byte) (int, error) {
	switch {
	case s.owner == nil: // the handshake is not over
		return s.receive(b)
	case s.closing:
		return 0, s.peerClosed()
	}
	return s.read(b)
}

// receive replays what net/http had read, then reads the socket.
func (s *socket) receive(b []byte) (int, error) {
	if len(s.early) > 0 {
		n := copy(b, s.early)
		if s.early = s.early[n:]; len(s.early) == 0 {
			s.early = nil
		}
		return n, nil
	}
	if s.owner != nil {
		s.owner.await()
	}
	n, err := s.Conn.Read(b)
	if n > 0 {
		s.touch()
	}
	return n, err
}

// Write sends the answer to the handshake, which gorilla writes.
func (s *socket) Write(b []byte) (int, error) {
	if s.ws != nil {
		return len(b), nil
	}
	return len(b), s.wire.control(opNone, append([]byte(nil), b...))
}

// SetWriteDeadline does nothing: the wire keeps its own.
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline bounds reading alone, for the same reason.
func (s *socket) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// Close closes the socket. What is queued is lost.
func (s *socket) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.Conn.Close()
}
