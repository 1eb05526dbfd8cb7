package wsroute

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"example.com/usher/internal/wsconn"
)

// NetConn returns a connection as a byte stream, for what takes a [net.Conn] or a reader and a
// writer: a program's input and output, a relay, an SSH server. Each Write is one binary message;
// what a Read leaves of a message is there for the next. Write waits while the queue is full
// (see [Conn.Send]), and b may be used again when it has returned.
//
// When the peer has closed with 1000 or 1001, Read returns io.EOF behind the last byte; any
// other end is returned as it is, such as a [*CloseError] or [ErrPeerLost]. A text message
// closes the connection with 1003. A deadline fails reads or writes with
// [os.ErrDeadlineExceeded] and loses nothing: a later one lets them go on. The end of ctx fails
// both with its cause. Close closes with 1000, and reads and writes fail with [net.ErrClosed].
//
// All methods are safe for concurrent use. Nothing else may receive from conn.
func NetConn(ctx context.Context, conn *Conn[[]byte, []byte]) net.Conn {
	base, end := context.WithCancelCause(conn.peer.conn.Context()) // whose own the writes are
	context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })
	n := &netConn{conn: conn, read: deadline{base: base}, write: deadline{base: base}}
	_ = n.SetDeadline(time.Time{})
	return n
}

type netConn struct {
	conn        *Conn[[]byte, []byte]
	read, write deadline

	mu   sync.Mutex // of rest
	rest []byte     // of the message that was received last
}

// Read implements [io.Reader].
func (n *netConn) Read(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(n.rest) == 0 && len(b) > 0 {
		var err error
		if n.rest, err = n.conn.Receive(n.read.context()); err != nil {
			return 0, n.failed(err)
		}
	}
	count := copy(b, n.rest)
	n.rest = n.rest[count:]
	return count, nil
}

// failed returns an error of Receive as a net.Conn has it.
func (n *netConn) failed(err error) error {
	if closed, ok := errors.AsType[*CloseError](err); ok &&
		(closed.Code == wsconn.CodeNormal || closed.Code == wsconn.CodeGoingAway) {
		return io.EOF
	}
	if bad, ok := errors.AsType[*MessageError](err); ok {
		_ = n.conn.Close(bad.Code, bad.Reason)
	}
	return ownEnd(err)
}

// ownEnd returns an error as a net.Conn has it, if it comes of Close.
func ownEnd(err error) error {
	if errors.Is(err, ErrClosed) {
		return net.ErrClosed
	}
	return err
}

// Write implements [io.Writer].
func (n *netConn) Write(b []byte) (int, error) {
	if err := n.conn.Send(n.write.context(), b); err != nil {
		return 0, ownEnd(err)
	}
	return len(b), nil
}

// Close implements [io.Closer].
func (n *netConn) Close() error { return n.conn.Close(wsconn.CodeNormal, "") }

// LocalAddr implements [net.Conn].
func (n *netConn) LocalAddr() net.Addr {
	local, _ := n.conn.peer.conn.Addrs()
	return local
}

// RemoteAddr implements [net.Conn].
func (n *netConn) RemoteAddr() net.Addr { return n.conn.RemoteAddr() }

// SetDeadline implements [net.Conn].
func (n *netConn) SetDeadline(t time.Time) error {
	return errors.Join(n.read.set(t), n.write.set(t))
}

// SetReadDeadline implements [net.Conn].
func (n *netConn) SetReadDeadline(t time.Time) error { return n.read.set(t) }

// SetWriteDeadline implements [net.Conn].
func (n *netConn) SetWriteDeadline(t time.Time) error { return n.write.set(t) }

// deadline is a context that ends at a time which may be set again.
type deadline struct {
	mu    sync.Mutex
	base  context.Context
	ctx   context.Context // below base
	end   context.CancelCauseFunc
	timer *time.Timer // nil if no time is set
}

func (d *deadline) context() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ctx
}

// set changes the time, also for those that wait already; zero is never. Its error, which
// the methods of a net.Conn return, is always nil.
func (d *deadline) set(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.ctx.Done() // the time before is over, or its end is on its way
	}
	d.timer = nil
	if d.ctx == nil || d.ctx.Err() != nil {
		d.ctx, d.end = context.WithCancelCause(d.base)
	}
	end := d.end
	switch left := time.Until(t); {
	case t.IsZero():
	case left <= 0:
		end(os.ErrDeadlineExceeded)
	default:
		d.timer = time.AfterFunc(left, func() { end(os.ErrDeadlineExceeded) })
	}
	return nil
}
