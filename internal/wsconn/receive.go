package wsconn

import (
	"context"
	"errors"
	"slices"
	"time"
)

// inbox is what was read and not received; the connection's lock guards it.
type inbox struct {
	queue     []*Message
	size      int       // bytes in the queue
	free      int       // how many of the queue stand before a work of Aside's; -1 if none runs
	inHand    int32     // how many messages the handler works on
	discards  bool      // messages are dropped
	watching  bool      // the reading goroutine waits for room, or for the peer to go
	working   bool      // work runs, or has seen the end
	waits     bool      // it may wait for a message until the clock says no
	work      func()    // of Work
	handed    time.Time // when the handler got the last one
	idle      []func()  // to be called once it has none in its hands
	readUntil time.Time // the deadline of what is read; zero if there is none
}

// deliver puts a message into the inbox. While there is no room, nothing is read, and the
// peer is slowed down by TCP.
func (c *Conn) deliver(m *Message) {
	if c.takenAside(m) {
		m.Release()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == open && !c.fits(m) {
		c.stall(true)
		for c.phase == open && !c.fits(m) {
			c.waitForRoom(m)
		}
		c.stall(false)
	}
	if c.phase != open || c.discards {
		m.Release()
		return
	}
	c.queue = append(c.queue, m)
	c.size += m.Buf.Len()
	c.wakeWorker()
}

// takenAside says whether a message was no business of the handler's, and starts what it
// asks for. Messages behind it wait for the result.
func (c *Conn) takenAside(m *Message) bool {
	if c.hooks.Aside == nil || !c.Outcome().Open {
		return false
	}
	taken, work := c.hooks.Aside(m)
	if work == nil {
		return taken
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.free >= 0 && c.phase == open { // until the one before it has returned
		c.changed.Wait()
	}
	c.free = len(c.queue)
	go func() {
		ok := false
		defer func() { // also when it ends this goroutine
			c.mu.Lock()
			defer c.mu.Unlock()
			if !ok {
				c.drop(c.free)
			}
			c.free = -1
			c.changed.Broadcast()
			c.rouse()
			c.wakeWorker()
		}()
		ok = work()
	}()
	return taken
}

// fits says whether there is room for a message: for two of the largest at least, and for
// one always; c.mu is held.
func (c *Conn) fits(m *Message) bool {
	return c.discards || len(c.queue) == 0 ||
		len(c.queue) < c.set.ReadAhead && int64(c.size+m.Buf.Len()) <= 2*c.set.ReadLimit
}

// waitForRoom waits for something to change, or for the peer to go; c.mu is held.
func (c *Conn) waitForRoom(m *Message) {
	raw := c.socket.wire.raw
	if !seesHangup || raw == nil {
		c.changed.Wait()
		return
	}
	c.watching = true
	c.mu.Unlock()
	gone := hangup(raw)
	c.mu.Lock()
	c.watching = false
	c.readBy(c.readUntil)
	if gone && c.phase == open && !c.fits(m) {
		c.close(c.lost(errors.New("it has gone while nothing was read")))
	}
}

// readBy bounds what is read from now on; c.mu is held.
func (c *Conn) readBy(t time.Time) {
	c.readUntil = t
	_ = c.socket.SetReadDeadline(t)
	c.rouse()
}

// rouse ends the wait for room, so that the reading goroutine looks again; c.mu is held.
func (c *Conn) rouse() {
	if c.watching {
		_ = c.socket.SetReadDeadline(time.Unix(1, 0))
	}
}

// Work has f called, on a goroutine of its own, whenever there is a message or the end to
// receive: f calls Receive until it returns neither, which it does after a second without a
// message. It is not called again before that. HandlerDone follows each message.
func (c *Conn) Work(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.work = f
	c.wakeWorker()
}

// wakeWorker wakes who waits in Receive, or starts the work if there is any; c.mu is held.
func (c *Conn) wakeWorker() {
	if c.receiving {
		c.changed.Broadcast()
	}
	if c.work == nil || c.working {
		return
	}
	ready := len(c.queue) > 0 && c.free != 0
	over := c.phase >= closing || c.phase == peerClosing && len(c.queue) == 0 && c.inHand == 0
	if ready || over {
		c.working = true
		go c.work()
	}
}

// Receive returns the next message, which the caller releases. What the peer sent before it
// closed or was lost is still delivered. If ctx ends by itself, its cause is returned, and
// messages stay for the next call.
func (c *Conn) Receive(ctx context.Context) (*Message, error) {
	if ctx != c.ctx {
		defer context.AfterFunc(ctx, c.wake)()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.work == nil {
		c.putDown()
	}
	for waited := false; ; waited = true {
		c.expire()
		switch {
		case c.phase >= closing && !c.end.byPeer: // nothing more is delivered
			return nil, c.end.cause
		case ctx != c.ctx && ctx.Err() != nil && c.ctx.Err() == nil:
			return nil, context.Cause(ctx)
		case len(c.queue) > 0 && c.free != 0:
			return c.take(), nil
		case len(c.queue) > 0: // behind something that has no result yet
		case c.phase == peerClosing && c.inHand == 0:
			c.finish()
			continue
		case c.phase >= closing:
			return nil, c.end.cause
		}
		switch {
		case c.work == nil || c.waits:
		case waited:
			c.working = false
			return nil, nil //nolint:nilnil // as it says
		default:
			c.waits = true
			c.rearm(time.Now())
		}
		c.receiving = true
		c.changed.Wait()
		c.receiving = false
	}
}

func (c *Conn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed.Broadcast()
}

// take hands the oldest message over; c.mu is held.
func (c *Conn) take() *Message {
	c.handed = time.Now()
	c.inHand++
	if c.phase == peerClosing {
		c.grace = c.handed.Add(c.set.CloseGrace)
		c.rearm(c.handed)
	}
	if c.free > 0 {
		c.free--
	}
	m := c.queue[0]
	c.queue = slices.Delete(c.queue, 0, 1)
	c.size -= m.Buf.Len()
	if !c.stalled.IsZero() {
		c.changed.Broadcast()
		c.rouse()
	}
	return m
}

// drop drops the messages from the nth on; c.mu is held.
func (c *Conn) drop(n int) {
	n = min(max(n, 0), len(c.queue))
	for _, m := range c.queue[n:] {
		c.size -= m.Buf.Len()
		m.Release()
	}
	c.queue = slices.Delete(c.queue, n, len(c.queue))
}

// Discard drops what was not received, and what comes from now on.
func (c *Conn) Discard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.discards = true
	c.drop(0)
	if c.phase == peerClosing && c.inHand == 0 {
		c.finish()
	}
	c.changed.Broadcast()
	c.rouse()
}

// WhenIdle calls f once the handler has no message in its hands: now, or on a goroutine of
// its own.
func (c *Conn) WhenIdle(f func()) {
	c.mu.Lock()
	wait := c.inHand > 0
	if wait {
		c.idle = append(c.idle, f)
	}
	c.mu.Unlock()
	if !wait {
		f()
	}
}

// HandlerDone says that the handler has returned or, of several that Work has started, one.
func (c *Conn) HandlerDone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inHand > 1 {
		c.inHand--
		return
	}
	c.putDown()
	c.wakeWorker()
}

// putDown says that the handler has done with the message in its hands; c.mu is held.
func (c *Conn) putDown() {
	c.inHand = 0
	if idle := c.idle; idle != nil {
		c.idle = nil
		go func() {
			for _, f := range idle {
				f()
			}
		}()
	}
}
