package wsroute

import (
	"context"
	"fmt"
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
	CloseGrace     time.Duration
}

// phase is where a connection stands between its handshake and its end.
type phase uint8

const (
	opening     phase = iota // the handshake: there is no socket yet
	open                     // messages come and go
	peerClosing              // the peer's close frame is read, and the handler finishes
	closing                  // the context has ended; our close frame is queued, or the socket cut
	closed                   // the socket is closed
)

// session is the untyped half of a connection: its socket, its clock and its end. While
// idle it costs one reading goroutine and one timer; whoever sends writes, and only a
// backlog has a goroutine.
type session struct {
	ctx    context.Context // ends when the connection does, with the cause
	base   sessionContext
	cancel context.CancelCauseFunc
	lim    *limits
	socket *socket // nil in opening
	drops  bool    // the route has DropOldest
	again  *renewer
	who    *plan.Standing

	// The reading goroutine's own.
	assembling bool // a message has begun
	messages   bucket
	controls   bucket

	expires atomic.Int64 // in nanoseconds since 1970, by the wall clock; 0 is never

	mu      sync.Mutex
	changed sync.Cond // of mu: a message, room for one, another phase
	phase   phase
	silent  bool // ended by us: nothing more is delivered
	clean   bool // the peer's close frame is read
	lingers bool // the peer broke the protocol: its close frame is not waited for
	code    int  // of our close frame; 0 for none
	reason  string
	left    error            // the peer's close, once its frame is read
	then    func()           // what is left to do once the socket is closed
	leavers map[*byte]func() // to be called once the connection is not open any more

	inbox     []*inbound // read, and not received
	bytes     int        // in the inbox
	receiving int        // how many wait in receive
	free      int        // how many of the inbox may be received; all if negative
	discards  bool       // messages are dropped
	inHand    bool       // the handler works on a message
	handed    time.Time  // when it got the last one
	idle      []func()   // to be called once it has none in its hands

	watching        bool      // the reading goroutine waits for room, or for the peer to go
	deadlineOfReads time.Time // zero if there is none

	clock
}

// sessionKey is where the context of a connection holds its session.
type sessionKey struct{}

// sessionContext is below the context of a connection.
type sessionContext struct {
	context.Context
	session *session
}

// Value implements [context.Context].
func (c *sessionContext) Value(key any) any {
	if key == (sessionKey{}) {
		return c.session
	}
	return c.Context.Value(key)
}

// newSession returns a session without a socket, for the handshake: its context
// is what providers get.
func newSession(parent context.Context, lim *limits) *session {
	s := &session{lim: lim, free: -1}
	s.changed.L = &s.mu
	s.base = sessionContext{parent, s}
	s.ctx, s.cancel = context.WithCancelCause(&s.base)
	return s
}

// identity returns who the peer is, as far as it is known.
func (s *session) identity() depends.Identity {
	if s.who == nil {
		return depends.Identity{}
	}
	return depends.Identity(s.who.Identity())
}

// attach gives the session its socket and starts to read. If the session has ended
// meanwhile, the peer is told now.
func (s *session) attach(socket *socket) {
	socket.begin(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.socket = socket
	if s.phase == opening {
		s.phase = open
		s.start(time.Now())
	} else { // before anything is read
		s.shut(true)
	}
	go s.read()
}

// ending is how a connection ends.
type ending struct {
	cause   error
	code    int // 0 cuts the socket
	reason  string
	discard bool // what is queued and not begun is dropped
	lost    bool // by the peer: what it sent before is still delivered
}

// end begins the end of the connection from our side: from now on nothing is delivered.
// The first end wins, but for one that discards, which wins over the peer's close frame.
// It says whether it was this one.
func (s *session) end(cause error, code int, reason string, discard bool) bool {
	if code != 0 && !sendable(code) {
		code, reason = closeInternal, ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.close(ending{cause: cause, code: code, reason: cutReason(reason), discard: discard})
}

// lose is the end by a peer that went without a close frame; s.mu is held.
func (s *session) lose(why error) { s.close(lost(why)) }

func lost(why error) ending {
	return ending{cause: fmt.Errorf("%w: %w", ErrPeerLost, why), discard: true, lost: true}
}

// finish is the end by the peer's close frame, once the handler has done with what came
// before it; s.mu is held.
func (s *session) finish() { s.close(ending{}) }

// close is the only way into closing; s.mu is held. It says whether the end is this one.
func (s *session) close(e ending) (first bool) {
	first = true
	switch s.phase {
	case closing, closed:
		return false
	case peerClosing:
		if !e.discard { // the end stays the peer's
			peer, _ := s.left.(*CloseError) //nolint:errorlint // the very value
			e, first = ending{cause: s.left, code: peer.Code, lost: true}, false
		}
	case opening, open:
		s.leave()
	}
	s.phase = closing
	s.silent, s.code, s.reason = !e.lost, e.code, e.reason
	s.cancel(e.cause)
	if s.silent {
		s.drop()
	}
	if s.socket != nil {
		s.timer.Stop()
		s.shut(e.discard)
	}
	s.changed.Broadcast()
	return first
}

// shut tells the peer of the end, and bounds what it may still take; s.mu is held. The
// reading goroutine waits for the peer's answer and closes the socket.
func (s *session) shut(discard bool) {
	if s.code == 0 {
		s.socket.cut()
		return
	}
	s.readBy(time.Now().Add(s.lim.CloseTimeout + closeSlack))
	s.socket.wire.close(closeFrame(s.code, s.reason), discard)
	if s.socket.wire.isEmpty() {
		s.closeSent()
	}
}

// closeSent says that all is written, our close frame too: the peer can answer from now
// on; s.mu is held.
func (s *session) closeSent() {
	s.readBy(time.Now().Add(s.lim.CloseTimeout))
	if s.lingers {
		s.socket.closeWrite()
	}
}

// peerClosed takes the peer's close frame, which is answered once the handler has done
// with what came before it (RFC 6455 §5.5.1). It runs on the reading goroutine.
func (s *session) peerClosed(code int, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clean = true
	if s.phase != open {
		return nil
	}
	s.phase, s.left = peerClosing, &CloseError{Code: code, Reason: reason}
	s.leave()
	now := time.Now()
	switch {
	case len(s.inbox) > 0:
		s.grace = now.Add(s.lim.CloseGrace)
	case s.inHand:
		s.grace = s.handed.Add(s.lim.CloseGrace)
	default:
		s.grace = now
	}
	if !now.Before(s.grace) {
		s.finish()
		return nil
	}
	s.changed.Broadcast()
	s.rearm(now)
	return nil
}

// leave tells those who wait for the connection to be open no more; s.mu is held.
func (s *session) leave() {
	for _, f := range s.leavers {
		go f()
	}
	s.leavers = nil
}

// onLeave calls f, on a goroutine of its own, once the connection is not open any more:
// it has ended, or the peer's close frame is read. stop forgets f.
func (s *session) onLeave(f func()) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != open {
		go f()
		return func() {}
	}
	if s.leavers == nil {
		s.leavers = map[*byte]func(){}
	}
	key := new(byte)
	s.leavers[key] = f
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.leavers, key)
	}
}

// isOpen says whether messages come and go.
func (s *session) isOpen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase == open
}

// over returns the cause of our own end, and nil if we have not ended.
func (s *session) over() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.silent {
		return nil
	}
	return context.Cause(s.ctx)
}

// afterwards calls f once the socket is closed, which the bounds of shut see to: now, or
// on the reading goroutine. It is called after end, and once.
func (s *session) afterwards(f func()) {
	s.mu.Lock()
	if s.socket != nil && s.phase != closed {
		s.then = f
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	f()
}

// cut closes the socket, if there is one.
func (s *session) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket != nil {
		s.socket.cut()
	}
}

// send queues one message. When the queue is full, the oldest gives way on a route that
// says so. Otherwise the connection's own handler waits for room; for anybody else the
// connection is too slow, and ends.
func (s *session) send(ctx context.Context, m *outgoing) error {
	owner, _ := ctx.Value(sessionKey{}).(*session)
	for {
		if ctx.Err() != nil && s.ctx.Err() == nil {
			return context.Cause(ctx)
		}
		if sent, err := s.trySend(m, owner == s); sent || err != nil {
			return err
		}
		s.socket.wire.room(len(m.frame(s.socket.deflates)), s.lim, ctx.Done())
	}
}

// trySend queues the message if there is room. Without, the connection of a stranger ends.
func (s *session) trySend(m *outgoing, own bool) (sent bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expired() {
		s.expire()
	}
	switch {
	case s.phase == peerClosing && !own:
		return false, s.left
	case s.phase >= closing:
		return false, context.Cause(s.ctx)
	}
	sent, err = s.socket.wire.send(m, s.socket.deflates, s.lim, s.drops)
	switch {
	case sent:
		return true, nil
	case err != nil:
		s.writeFailed(err)
	case !own:
		s.close(ending{cause: ErrSlowReader, code: closeTryAgain, reason: "slow_reader", discard: true})
	default:
		return false, nil
	}
	return false, context.Cause(s.ctx)
}

// flushed says that a backlog is written, or why not.
func (s *session) flushed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.writeFailed(err)
	case s.phase == closing && s.code != 0:
		s.closeSent()
	}
}

// writeFailed ends the connection for a socket that takes nothing any more; s.mu is held.
func (s *session) writeFailed(err error) {
	if isTimeoutError(err) {
		s.close(ending{cause: ErrSlowReader, discard: true})
		return
	}
	s.lose(err)
}
