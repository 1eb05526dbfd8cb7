package wsconn

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// CloseSlack is added to CloseTimeout for a queue that must be written first: from its end
// on, a connection has its socket no longer than both.
const CloseSlack = 3 * time.Second

// phase is where a connection stands; see the package's documentation.
type phase uint8

const (
	opening phase = iota
	open
	peerClosing
	closing
	closed
)

// Conn is a connection. Its methods are safe for concurrent use, but for Receive, which one
// goroutine calls. Addrs and Send are for one that was opened.
type Conn struct {
	ctx    context.Context // ends when the connection does, with the cause
	cancel context.CancelCauseFunc
	values context.Context // below ctx
	set    *Settings
	hooks  Hooks   // set by Open, like the socket
	socket *socket // nil in opening

	// The reading goroutine's own.
	messages bucket
	controls bucket
	number   int64 // of the next message

	mu        sync.Mutex
	changed   sync.Cond // of mu: a message, room for one, another phase
	end       *ending   // nil in opening and open
	phase     phase
	clean     bool               // the peer's close frame is read
	lingers   bool               // the peer broke the protocol: only the end of its bytes is waited for
	begun     bool               // a message is being read; the reading goroutine's own, without mu
	receiving bool               // somebody waits in Receive
	then      func()             // of AfterClose
	leavers   map[*func()]func() // to be called once the connection is not open any more

	inbox
	clock
}

// connKey is where the context of a connection holds the connection.
type connKey struct{}

// connContext is a connection as the parent of its context, which has its values and never
// ends.
type connContext Conn

// Deadline, Done, Err and Value implement [context.Context].
func (c *connContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *connContext) Done() <-chan struct{}       { return nil }
func (c *connContext) Err() error                  { return nil }
func (c *connContext) Value(key any) any {
	if key == (connKey{}) {
		return (*Conn)(c)
	}
	return c.values.Value(key)
}

// New returns a connection in its handshake, whose context has the values of another.
func New(values context.Context, set *Settings) *Conn {
	c := &Conn{set: set, values: values, inbox: inbox{free: -1, discards: set.Discard}}
	c.changed.L = &c.mu
	c.ctx, c.cancel = context.WithCancelCause((*connContext)(c))
	return c
}

// Context ends when the connection does; context.Cause says why. A Send with a context
// derived from it is the handler's own.
func (c *Conn) Context() context.Context { return c.ctx }

// Addrs returns the addresses of both ends of the TCP connection.
func (c *Conn) Addrs() (local, remote net.Addr) {
	return c.socket.LocalAddr(), c.socket.RemoteAddr()
}

// Open gives the connection its socket and begins to read. If the connection has ended
// meanwhile, the peer is told now. It is called once.
func (c *Conn) Open(socket *Socket, hooks Hooks) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.socket, c.hooks = &socket.inner, hooks
	c.socket.begin(c)
	if c.phase == opening {
		c.phase = open
		c.start(time.Now())
	} else { // before anything is read
		c.sendClose(true)
	}
	go func() { c.read()() }()
}

// End ends the connection from our side: from now on nothing is delivered. Code 0 cuts the
// socket; discard drops what is queued and not begun. End says whether the end is this
// one: the first wins. In peerClosing an End that does not discard only hastens the peer's.
func (c *Conn) End(cause error, code int, reason string, discard bool) (first bool) {
	if code != 0 && !Sendable(code) {
		code, reason = CodeInternal, ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.close(&ending{cause: cause, code: code, reason: CutReason(reason), discard: discard})
}

// ending is how a connection ends.
type ending struct {
	cause   error
	code    int // of our close frame; 0 cuts the socket
	reason  string
	discard bool // what is queued and not begun is dropped
	byPeer  bool // what the peer has sent before is still delivered
}

func discarding(cause error, code int, reason string) *ending {
	return &ending{cause: cause, code: code, reason: reason, discard: true}
}

// close is the only way into closing; c.mu is held. It says whether the end is this one.
func (c *Conn) close(e *ending) (first bool) {
	first = true
	switch c.phase {
	case closing, closed:
		return false
	case peerClosing:
		if !e.discard {
			e, first = c.end, false
		}
	case opening, open:
		c.leave()
	}
	c.phase, c.end = closing, e
	c.cancel(e.cause)
	if !e.byPeer {
		c.drop(0)
	}
	if c.socket != nil {
		c.timer.Stop()
		c.sendClose(e.discard)
	}
	c.changed.Broadcast()
	c.wakeWorker()
	return first
}

// lost is the end by a peer that went without a close frame.
func (c *Conn) lost(why error) *ending {
	return &ending{cause: fmt.Errorf("%w: %w", c.set.Errors.Lost, why), discard: true, byPeer: true}
}

// finish is the end by the peer's close frame, once the handler has done with what came
// before it; c.mu is held.
func (c *Conn) finish() { c.close(c.end) }

// sendClose queues our close frame, or cuts the socket, and bounds what may still be
// written and read; c.mu is held. The reading goroutine waits for the peer's answer and
// closes the socket.
func (c *Conn) sendClose(discard bool) {
	if c.end.code == 0 {
		c.socket.cut()
		return
	}
	c.socket.wire.close(closeFrame(c.end.code, c.end.reason), discard)
	c.readUntil = time.Now().Add(c.set.CloseTimeout + CloseSlack)
	if c.socket.wire.isEmpty() {
		c.closeSent()
	} else if !c.clean {
		c.readBy(c.readUntil)
	}
}

// closeSent is called once our close frame is written: the peer can answer from now on;
// c.mu is held.
func (c *Conn) closeSent() {
	if c.clean { // and nothing more is read
		return
	}
	if by := time.Now().Add(c.set.CloseTimeout); by.Before(c.readUntil) {
		c.readBy(by)
	}
	if c.lingers {
		go c.socket.closeWrite() // TLS may wait to say so
	}
}

// peerClosed takes the peer's close frame, which is answered once the handler has done with
// what came before it (RFC 6455 §5.5.1). It runs on the reading goroutine.
func (c *Conn) peerClosed(code int, reason string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clean = true
	if c.phase != open {
		return nil
	}
	c.phase = peerClosing
	c.end = &ending{cause: c.set.Errors.PeerClosed(code, reason), code: code, byPeer: true}
	c.leave()
	now := time.Now()
	switch {
	case len(c.queue) > 0:
		c.grace = now.Add(c.set.CloseGrace)
	case c.inHand > 0:
		c.grace = c.handed.Add(c.set.CloseGrace)
	default:
		c.finish()
	}
	c.changed.Broadcast()
	c.rearm(now)
	return nil
}

// leave tells those who wait for the connection to be open no more; c.mu is held.
func (c *Conn) leave() {
	for _, f := range c.leavers {
		go f()
	}
	c.leavers = nil
}

// OnLeave calls f, on a goroutine of its own, once an open connection is that no more: it has
// ended, or the peer's close frame is read. stop forgets f.
func (c *Conn) OnLeave(f func()) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != open {
		go f()
		return func() {}
	}
	if c.leavers == nil {
		c.leavers = map[*func()]func(){}
	}
	c.leavers[&f] = f
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.leavers, &f)
	}
}

// AfterClose calls f on the reading goroutine once the socket is closed, or now if there was
// no Open. It must be called once, when the connection has ended: the goroutine waits for it.
func (c *Conn) AfterClose(f func()) {
	c.mu.Lock()
	if c.socket == nil {
		c.mu.Unlock()
		f()
		return
	}
	defer c.mu.Unlock()
	c.then = f
	c.changed.Broadcast()
}

// Cut closes the socket, if there is one, without a word.
func (c *Conn) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.socket != nil {
		c.socket.cut()
	}
}

// Outcome is how a connection stands, or has ended.
type Outcome struct {
	Open   bool   // messages come and go
	Ours   bool   // we have ended it
	Closed bool   // the socket is closed
	Clean  bool   // the peer's close frame was read
	Code   int    // of our close frame, sent or to be sent; 0 if there is none
	Reason string // the same
	Left   error  // from the peer's close frame on, why the connection is open no more
	Cause  error  // nil until the connection has ended, like its context
}

// Outcome returns how the connection stands.
func (c *Conn) Outcome() Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := Outcome{Open: c.phase == open, Closed: c.phase == closed, Clean: c.clean}
	if c.phase >= peerClosing {
		o.Left = c.end.cause
	}
	if c.phase >= closing {
		o.Ours, o.Code, o.Reason, o.Cause = !c.end.byPeer, c.end.code, c.end.reason, c.end.cause
	}
	return o
}
