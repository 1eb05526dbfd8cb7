package wsconn

import "time"

// Tracer is told what happens on a connection, without a lock.
type Tracer interface {
	// Received is told of each message. data is the connection's own.
	Received(data []byte, binary bool)
	// Sent is told of each message that is queued, by its label and the bytes of its payload,
	// and of the bytes that wait then.
	Sent(label string, bytes, queued int)
	// Dropped is told of messages that were queued and will not be sent, and of the bytes of
	// their frames: they gave way to newer ones, or the connection has ended for the cause.
	Dropped(messages, bytes int, cause error)
	// Pong is told how long a ping was on its way.
	Pong(roundTrip time.Duration)
}

// sent tells of a message that was queued.
func (c *Conn) sent(m *Outgoing) {
	if c.hooks.Trace == nil {
		return
	}
	queued := c.tellDropped(nil) // for it
	c.hooks.Trace.Sent(m.Label, m.plain.Len()-headRoom, queued)
}

// tellDropped tells of what was dropped since, and returns how many bytes wait. A cause drops
// them.
func (c *Conn) tellDropped(cause error) (queued int) {
	messages, bytes, queued := c.socket.wire.takeDropped(cause != nil)
	if messages > 0 && c.hooks.Trace != nil {
		c.hooks.Trace.Dropped(messages, bytes, cause)
	}
	return queued
}

// Queued returns how many messages wait to be sent, and how many bytes.
func (c *Conn) Queued() (messages, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.socket == nil {
		return 0, 0
	}
	return c.socket.wire.waiting()
}
