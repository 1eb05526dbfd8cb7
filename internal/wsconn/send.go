package wsconn

import (
	"context"
	"errors"
	"net"
)

// Send queues a message. When the queue is full, the oldest message gives way if DropOldest
// says so. Otherwise the handler's own Send waits for room; for anybody else the peer is
// too slow, and the connection ends.
func (c *Conn) Send(ctx context.Context, m *Outgoing) error {
	own := c.Owns(ctx)
	for {
		if ctx.Err() != nil && c.ctx.Err() == nil {
			return context.Cause(ctx)
		}
		sent, err := c.trySend(m, own)
		if sent {
			c.sent(m)
		}
		if sent || err != nil {
			return err
		}
		w, n := c.socket.wire, len(m.frame(c.socket.deflates))
		w.wait(func() bool { return w.fits(n, c.set) || w.closed }, ctx.Done())
	}
}

// Owns says whether a context is the connection's, or derived from it.
func (c *Conn) Owns(ctx context.Context) bool {
	owner, _ := ctx.Value(connKey{}).(*Conn)
	return owner == c
}

// trySend queues the message if there is room. For a stranger's the connection ends without.
func (c *Conn) trySend(m *Outgoing, own bool) (sent bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	if c.phase >= closing || c.phase == peerClosing && !own {
		return false, c.end.cause
	}
	sent, err = c.socket.wire.send(m, c.socket.deflates, c.set)
	switch {
	case sent, own && err == nil:
		return sent, nil
	case err != nil:
		c.writeFailed(err)
	default:
		c.close(discarding(c.set.Errors.SlowReader, CodeTryAgain, "slow_reader"))
	}
	return false, c.end.cause
}

// flushed says that a backlog is written, or why not. It runs on the goroutine that wrote it.
func (c *Conn) flushed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.writeFailed(err)
	case c.phase == closing && c.end.code != 0 && c.socket.wire.isEmpty():
		c.closeSent() // and not of a backlog before the close frame's
	}
}

// writeFailed ends the connection for a socket that takes nothing any more; c.mu is held.
func (c *Conn) writeFailed(err error) {
	if failed, ok := errors.AsType[net.Error](err); ok && failed.Timeout() {
		c.close(&ending{cause: c.set.Errors.SlowReader, discard: true})
		return
	}
	c.close(c.lost(err))
}
