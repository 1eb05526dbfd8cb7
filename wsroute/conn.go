package wsroute

import (
	"context"
	"net"
)

// Conn is an open connection that receives Recv and sends Send. A handler gets
// one; [Handle] says what may be sent and received:
//
//   - string is a text message, []byte a binary one, [Message] either;
//   - any other type is JSON in a text message, checked by its validate tags
//     when it is received.
//
// All methods are safe for concurrent use. The connection closes when its
// handler returns; others must let go of it then.
type Conn[Recv, Send any] struct{ peer *peer }

func (*Conn[Recv, Send]) ofConn() {}

func (c *Conn[Recv, Send]) ofPeer() *peer { return c.peer }

// Receive waits for the next message. A message that is not a Recv is a
// [*MessageError], and the connection stays usable. After the peer has closed or is
// lost, what it sent before is still returned, then a [*CloseError] or [ErrPeerLost];
// after an end of ours, the cause of it. If ctx ends first its cause is returned, and no
// message is lost.
//
// The handler works on a message until it calls Receive again: until then a peer that has
// closed behind the message gets its answer (see [Handle]), and values that were replaced
// meanwhile are not released (see [depends.Live]).
func (c *Conn[Recv, Send]) Receive(ctx context.Context) (Recv, error) {
	in, err := c.peer.conn.Receive(ctx)
	if err != nil {
		return *new(Recv), err
	}
	defer in.Release()
	var v Recv
	if bad := decode(&c.peer.endpoint.route.codec, in, &v); bad != nil {
		return *new(Recv), bad
	}
	return v, nil
}

// Discard drops what the peer has sent and not been received, and from now on what it
// sends, for a handler that received something first and then only sends. See [Discard].
func (c *Conn[Recv, Send]) Discard() { c.peer.conn.Discard() }

// Send queues a message; nil means queued, not that the peer has it. Messages go
// out in the order of the calls.
//
// Up to Limits.SendQueue bytes and Limits.SendMessages messages wait for a slow peer.
// When the queue is full, the handler's own Send, one whose ctx is the handler's or derived
// from it, waits for room. Any other never waits: the connection is closed with 1013, so
// that a slow member of a room delays nobody. On a route with [DropOldest] nobody waits, and
// the oldest message gives way. A peer that takes nothing for Limits.WriteTimeout is
// given up in all cases.
//
// After the end of the connection Send returns its cause. Text that is not UTF-8
// and a value that does not encode are errors, and nothing is sent.
func (c *Conn[Recv, Send]) Send(ctx context.Context, v Send) error {
	return c.Sender().Send(ctx, v)
}

// Close begins the closing handshake with a code and a reason, which is cut at
// 123 bytes, and returns at once: the handler's context has ended with
// [ErrClosed], nothing more is delivered, and what was sent before still goes
// out. The peer has Limits.CloseTimeout to answer. Closing again does nothing.
//
// The codes that may be sent are 1000 to 1003, 1007 to 1014 and 3000 to 4999
// (RFC 6455 §7.4); 4000 and above are the application's own. Any other closes
// with 1011 and returns an error.
func (c *Conn[Recv, Send]) Close(code int, reason string) error {
	return c.Sender().Close(code, reason)
}

// Subprotocol returns what was selected in the handshake, or "".
func (c *Conn[Recv, Send]) Subprotocol() string { return c.peer.subprotocol }

// RemoteAddr returns the address of the other end of the TCP connection, which
// may be a proxy's.
func (c *Conn[Recv, Send]) RemoteAddr() net.Addr {
	_, remote := c.peer.conn.Addrs()
	return remote
}
