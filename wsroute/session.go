package wsroute

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/plan"
)

// closeSlack is added to CloseTimeout for a queue that must be written first: a
// connection's end takes no longer than both.
const closeSlack = 3 * time.Second

// limits are what a Config says of each connection.
type limits struct {
	ReadLimit      int64
	ReadAhead      int
	SendQueue      int
	SendMessages   int
	MessageTimeout time.Duration
	MessageRate    rate
	PingInterval   time.Duration
	PongTimeout    time.Duration
	StallTimeout   time.Duration
	WriteTimeout   time.Duration
	CloseTimeout   time.Duration
}

// session is the untyped half of a connection: its socket, its clock and its
// end. While idle it costs one reading goroutine and one timer; whoever sends
// writes, and only a backlog has a goroutine.
type session struct {
	ctx    context.Context // ends when the connection does, with the cause
	cancel context.CancelCauseFunc
	lim    *limits

	socket  *socket
	inbox   inbox
	sending sync.Mutex  // whoever has it sees whether the connection has ended
	lingers atomic.Bool // the peer broke the protocol: we end once our close frame is sent

	expires atomic.Int64 // in nanoseconds since 1970, by the wall clock; 0 is never
	again   *renewer     // nil unless something may be resolved anew
	drops   bool         // the route has DropOldest
	who     *plan.Standing

	// The reading goroutine's own.
	assembling bool
	gap        bool // a message was dropped
	messages   bucket
	controls   bucket

	clean bool // the peer has sent its close frame; to be read when closed

	silent atomic.Bool // ended by our side: nothing more is delivered

	mu       sync.Mutex
	attached bool
	closed   bool   // the socket is, and nobody reads any more
	then     func() // what is left to do once it is
	ended    bool
	code     int // of our close frame; 0 for none
	reason   string
	discard  bool
	timer    *time.Timer
	nextPing time.Time
	stalled  time.Time // since when the inbox has been full; zero if it is not
	checks   time.Time // when something must be resolved anew; zero is never
	partial  time.Time // when the message began of which more is awaited; zero if none
}

// inbound is a message that was read and not yet received.
type inbound struct {
	binary bool
	buf    bytes.Buffer
}

// newSession returns a session without a socket, for the handshake: its context
// is what providers get.
func newSession(parent context.Context, lim *limits) *session {
	s := &session{lim: lim}
	s.ctx, s.cancel = context.WithCancelCause(context.WithValue(parent, sessionKey{}, s))
	return s
}

// sessionKey is where the context of a connection holds its session.
type sessionKey struct{}

// identity returns who the peer is, as far as it is known.
func (s *session) identity() depends.Identity {
	if s.who == nil {
		return depends.Identity{}
	}
	return depends.Identity(s.who.Identity())
}

// attach gives the session its upgraded connection and starts to read. If the
// session has ended meanwhile, the peer is told now.
func (s *session) attach(socket *socket) {
	socket.ws.SetReadLimit(s.lim.ReadLimit)
	socket.ws.SetPingHandler(s.pinged)
	socket.ws.SetPongHandler(func(string) error { return s.control() })
	s.socket, socket.owner = socket, s
	socket.wire.mu.Lock()
	socket.wire.flushed = s.flushed
	socket.wire.mu.Unlock()
	s.mu.Lock()
	s.inbox.open(s.lim.ReadAhead)
	s.attached = true
	now := time.Now()
	s.nextPing = now.Add(s.lim.PingInterval)
	if s.again != nil {
		s.checks = s.again.due()
	}
	s.timer = time.AfterFunc(s.pause(now), s.tick)
	ended := s.ended
	s.mu.Unlock()
	if ended { // before anything is read, which gorilla may have a code of its own for
		s.shut()
	}
	go s.read()
}

// pinged answers a ping. It runs on the reading goroutine.
func (s *session) pinged(data string) error {
	if err := s.control(); err != nil {
		return err
	}
	if err := s.socket.wire.control(opPong, controlFrame(opPong, []byte(data))); err != nil {
		s.writeFailed(err)
	}
	return nil
}

// end begins the end of the connection from our side: from now on nothing is
// delivered. The first end wins. Code 0 sends no close frame; discard drops what
// is queued and not begun.
// It says whether it was this one.
func (s *session) end(cause error, code int, reason string, discard bool) bool {
	if code != 0 && !sendable(code) {
		code, reason = closeInternal, ""
	}
	return s.endAs(cause, code, reason, discard, true)
}

// quiesce returns when no Send that was under way at the session's end can still
// write. It does not wait for the peer.
func (s *session) quiesce() {
	s.sending.Lock()
	defer s.sending.Unlock() // having had it is the point
}

// lose is the end by a peer that went without a word. What it sent before is
// still delivered.
func (s *session) lose(why error) {
	s.endAs(fmt.Errorf("%w: %w", ErrPeerLost, why), 0, "", true, false)
}

func (s *session) endAs(cause error, code int, reason string, discard, silent bool) bool {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return false
	}
	s.silent.Store(silent)
	s.ended, s.code, s.reason, s.discard = true, code, cutReason(reason), discard
	s.cancel(cause)
	attached := s.attached
	s.mu.Unlock()
	s.inbox.wake()
	if attached {
		s.shut()
	}
	return true
}

// over returns the cause of our own end, and nil if we have not ended. Silence
// begins a moment before the context has its cause, which is waited for.
func (s *session) over() error {
	if !s.silent.Load() {
		return nil
	}
	<-s.ctx.Done()
	return context.Cause(s.ctx)
}

// shut tells the peer of the end, and bounds what it may still take. The reading
// goroutine waits for the peer's answer and closes the socket.
func (s *session) shut() {
	s.mu.Lock()
	s.timer.Stop()
	s.mu.Unlock()
	if s.code == 0 {
		_ = s.socket.Close()
		return
	}
	_ = s.socket.SetReadDeadline(time.Now().Add(s.lim.CloseTimeout + closeSlack))
	s.socket.wire.close(closeFrame(s.code, s.reason), s.discard)
	if s.socket.wire.isEmpty() {
		s.closeSent()
	}
}

// closeSent says that all is written, our close frame too: the peer can answer from now on.
func (s *session) closeSent() {
	_ = s.socket.SetReadDeadline(time.Now().Add(s.lim.CloseTimeout))
	if half, ok := s.socket.Conn.(interface{ CloseWrite() error }); ok && s.lingers.Load() {
		_ = half.CloseWrite()
	}
}

// flushed says that a backlog is written, or why not.
func (s *session) flushed(err error) {
	s.mu.Lock()
	closing := s.ended && s.code != 0
	s.mu.Unlock()
	switch {
	case err != nil:
		s.writeFailed(err)
	case closing:
		s.closeSent()
	}
}

// peerClosed answers the peer's close frame (RFC 6455 §5.5.1). It runs on the
// reading goroutine.
func (s *session) peerClosed(code int, reason string) {
	s.mu.Lock()
	if !s.ended {
		s.ended = true
		s.timer.Stop()
		s.cancel(&CloseError{Code: code, Reason: reason})
	}
	s.mu.Unlock()
	s.inbox.wake()
	// If ours went out first, this is its answer, and there is no second.
	s.socket.wire.close(closeFrame(code, ""), false)
}

// violated ends the session for what the peer has sent. It runs on the reading
// goroutine.
func (s *session) violated(why error, code int, reason string) { s.end(why, code, reason, false) }

// writeFailed ends the session for a socket that takes nothing any more.
func (s *session) writeFailed(err error) {
	if errors.Is(err, errShut) { // it ends already
		return
	}
	if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
		s.end(ErrSlowReader, 0, "", true)
		return
	}
	s.lose(err)
}

// afterwards calls f once the socket is closed, which the bounds of shut see to: now, or
// on the reading goroutine. It is called after end, and once.
func (s *session) afterwards(f func()) {
	s.mu.Lock()
	if s.attached && !s.closed {
		s.then = f
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	f()
}

// conclude is the end of the reading goroutine: the socket is closed.
func (s *session) conclude() {
	s.mu.Lock()
	s.closed = true
	then := s.then
	s.mu.Unlock()
	if then != nil {
		then()
	}
}

// stall marks that the inbox is full, or that it is not any more.
func (s *session) stall(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled = time.Time{}
	if !full {
		s.socket.touch()
		return
	}
	s.stalled = time.Now()
	if !s.ended {
		s.rearm(s.stalled)
	}
}
