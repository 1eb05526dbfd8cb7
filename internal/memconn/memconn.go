// Package memconn is a network in memory: buffered connections with deadlines
// and a listener, without sockets, so that servers and clients run inside a
// testing/synctest bubble and time is the bubble's.
package memconn

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// size is how many bytes one direction holds before its writer waits.
const size = 64 << 10

// ports gives every end an address of its own.
var ports atomic.Uint32

func address() *net.TCPAddr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 10000 + int(ports.Add(1)%50000)}
}

// pipe is one direction.
type pipe struct {
	mu     sync.Mutex
	moved  *sync.Cond
	buf    []byte
	ended  error // told to the reader once buf is empty
	broken error // told to the writer, and to the reader at once
	hole   bool  // nothing is delivered any more
	read   deadline
	write  deadline
}

func newPipe() *pipe {
	p := &pipe{}
	p.moved = sync.NewCond(&p.mu)
	return p
}

// deadline wakes the pipe's waiters when it passes.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (p *pipe) set(d *deadline, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = at
	// What has passed needs no timer. In a bubble it would run on this goroutine at once,
	// and the race detector of Go 1.26 crashes where two such timers of a bubble meet.
	if left := time.Until(at); !at.IsZero() && left > 0 {
		d.timer = time.AfterFunc(left, p.wake)
	}
	p.moved.Broadcast()
}

func (p *pipe) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved.Broadcast()
}

func (p *pipe) end(ended, broken error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended == nil {
		p.ended = ended
	}
	if p.broken == nil {
		p.broken = broken
	}
	for _, d := range []*deadline{&p.read, &p.write} {
		if d.timer != nil && !p.hole { // who hears of no end has nothing but a deadline
			d.timer.Stop()
		}
	}
	p.moved.Broadcast()
}

// Conn is one end of a connection. It is safe for concurrent use, as net.Conn demands.
type Conn struct {
	in, out       *pipe
	local, remote net.Addr
}

// Pipe returns two connected ends.
func Pipe() (a, b *Conn) {
	x, y := newPipe(), newPipe()
	here, there := address(), address()
	return &Conn{x, y, here, there}, &Conn{y, x, there, here}
}

// Read returns what the peer wrote.
func (c *Conn) Read(b []byte) (int, error) {
	p := c.in
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.broken != nil:
			return 0, p.broken
		case p.read.passed():
			return 0, os.ErrDeadlineExceeded
		case len(p.buf) > 0 && !p.hole:
			n := copy(b, p.buf)
			p.buf = p.buf[n:]
			p.moved.Broadcast()
			return n, nil
		case p.ended != nil && !p.hole:
			return 0, p.ended
		}
		p.moved.Wait()
	}
}

// Write hands bytes to the peer and waits while its buffer is full.
func (c *Conn) Write(b []byte) (n int, err error) {
	p := c.out
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.broken != nil && !errors.Is(p.broken, net.ErrClosed):
			return n, p.broken
		case p.ended != nil || p.broken != nil:
			return n, syscall.EPIPE
		case p.write.passed():
			return n, os.ErrDeadlineExceeded
		case len(b) == 0:
			return n, nil
		}
		if room := size - len(p.buf); room > 0 {
			k := min(room, len(b))
			p.buf = append(p.buf, b[:k]...)
			b, n = b[k:], n+k
			p.moved.Broadcast()
			continue
		}
		p.moved.Wait()
	}
}

// Close ends both directions. The peer reads what was written before, then EOF.
func (c *Conn) Close() error {
	c.out.end(io.EOF, nil)
	c.in.end(net.ErrClosed, net.ErrClosed)
	return nil
}

// Reset ends the connection as a TCP reset does: the peer loses what it has not read.
func (c *Conn) Reset() {
	c.out.end(syscall.ECONNRESET, syscall.ECONNRESET)
	c.in.end(net.ErrClosed, syscall.ECONNRESET)
}

// Vanish makes both ends lose each other without a word, as when a cable is pulled.
func (c *Conn) Vanish() {
	for _, p := range []*pipe{c.in, c.out} {
		p.mu.Lock()
		p.hole = true
		p.mu.Unlock()
	}
}

// LocalAddr returns a loopback address.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the peer's loopback address.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	c.in.set(&c.in.read, t)
	c.out.set(&c.out.write, t)
	return nil
}

// SetReadDeadline bounds Read; the zero time does not.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.in.set(&c.in.read, t)
	return nil
}

// SetWriteDeadline bounds Write; the zero time does not.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.out.set(&c.out.write, t)
	return nil
}

// Listener accepts the connections that Dial makes.
type Listener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	addr  net.Addr
}

// Listen returns a listener.
func Listen() *Listener {
	return &Listener{conns: make(chan net.Conn), done: make(chan struct{}), addr: address()}
}

// Dial connects to the listener and returns the client's end.
func (l *Listener) Dial(ctx context.Context) (*Conn, error) {
	client, server := Pipe()
	client.remote, server.local = l.addr, l.addr
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Accept returns the server's end of the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close stops accepting.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr returns a loopback address.
func (l *Listener) Addr() net.Addr { return l.addr }
