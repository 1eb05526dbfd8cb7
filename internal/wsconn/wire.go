package wsconn

import (
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// wire is the writing half of a socket. Its writes never block: what the socket does not
// take at once is queued, and a goroutine that lives only while there is a queue writes
// it. A frame is one entry of the queue, whole or begun.
type wire struct {
	conn    net.Conn
	raw     syscall.RawConn  // of the socket; nil if it has none
	try     func([]byte) int // writes what the socket takes at once; nil if it cannot be tried
	timeout time.Duration
	owner   *Conn // is told of each backlog that is written, without the lock; nil for none

	mu       sync.Mutex
	queue    []entry
	size     int           // bytes in the queue
	messages int           // messages in the queue that are not begun
	moved    chan struct{} // closed when the queue has shrunk; nil if nobody waits
	flushing bool
	closed   bool // the close frame is there, behind which nothing comes
	err      error
	sent     int // bytes that were written, without those of pings
	waited   int // bytes that were written, but not at once

	dropped, droppedBytes int // messages that nobody was told of, and their bytes
}

// entry is a frame in the queue, or the rest of one.
type entry struct {
	op    byte
	data  []byte
	begun bool
}

func (e *entry) isMessage() bool { return e.op == opText || e.op == opBinary }

// errClosed is of a frame behind our close frame.
var errClosed = errors.New("the close frame is sent")

func newWire(conn net.Conn, timeout time.Duration) *wire {
	raw := rawConn(conn)
	return &wire{conn: conn, raw: raw, timeout: timeout, try: newTryWriter(conn, raw)}
}

// rawConn returns the descriptor of a connection, which may be below TLS, or nil.
func rawConn(conn net.Conn) syscall.RawConn {
	if outer, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = outer.NetConn()
	}
	if c, ok := conn.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}

// send queues a message if there is room for it, which the oldest ones make if they may be
// dropped. One alone may be of any size.
func (w *wire) send(m *Outgoing, deflate bool, set *Settings) (sent bool, err error) {
	frame := m.frame(deflate)
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.fits(len(frame), set) {
		i := slices.IndexFunc(w.queue, func(e entry) bool { return e.isMessage() && !e.begun })
		if i < 0 || !set.DropOldest {
			return false, w.err
		}
		w.drop(i)
	}
	kept, err := w.put(m.op, frame)
	m.kept = m.kept || kept
	return err == nil, err
}

// control sends a ping, a pong or the answer to the handshake. A ping or pong that still
// waits gives way to a later one (RFC 6455 §5.5.3).
func (w *wire) control(op byte, frame []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.queue {
		if e := &w.queue[i]; e.op == op && !e.begun {
			w.size += len(frame) - len(e.data)
			e.data = frame
			return nil
		}
	}
	_, err := w.put(op, frame)
	return err
}

// taken returns how many bytes the peer has taken, as far as that is known, without those
// of pings: a peer that takes nothing else and answers none is lost.
func (w *wire) taken() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n, ok := unacked(w.raw); ok {
		return w.sent - n
	}
	return w.waited // what had to wait was written when the peer had made room
}

// close sends a close frame, the last frame that is sent. If discard is set, what is
// queued and not begun is dropped.
func (w *wire) close(frame []byte, discard bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if discard {
		w.dropWaiting()
	}
	_, _ = w.put(opClose, frame) // the reading goroutine sees a socket that fails
	w.closed = true
	w.wake()
}

// put writes what the socket takes at once, and queues the rest, which kept says; w.mu is
// held.
func (w *wire) put(op byte, frame []byte) (kept bool, err error) {
	switch {
	case w.err != nil:
		return false, w.err
	case w.closed:
		return false, errClosed
	}
	if op == opPing {
		w.sent -= len(frame) // no progress
	}
	n := 0
	if !w.flushing && w.try != nil {
		n = w.try(frame)
		w.sent += n
	}
	if n == len(frame) {
		return false, nil
	}
	e := entry{op, frame[n:], n > 0 || op == opNone}
	if e.isMessage() && !e.begun {
		w.messages++
	}
	w.queue = append(w.queue, e)
	w.size += len(e.data)
	if !w.flushing {
		w.flushing = true
		go w.flush()
	}
	return true, nil
}

// piece is how much of the queue is written at once: progress is seen from one piece to
// the next, and TLS makes it one record.
const piece = 16 << 10

// waits is how long a write takes at least that has waited for the peer.
const waits = time.Millisecond

// flush writes the queue until it is empty. A peer that takes nothing for the timeout
// fails the wire; one that takes little by little does not.
func (w *wire) flush() {
	w.mu.Lock()
	for len(w.queue) > 0 && w.err == nil {
		e := &w.queue[0]
		if e.isMessage() && !e.begun {
			w.messages--
		}
		e.begun = true // from here on the frame must be written to its end
		data := e.data[:min(piece, len(e.data))]
		w.mu.Unlock()
		begun := time.Now()
		_ = w.conn.SetWriteDeadline(begun.Add(w.timeout))
		n, err := w.conn.Write(data)
		took := time.Since(begun)
		w.mu.Lock()
		if w.took(n); took >= waits {
			w.waited += n
		}
		// Only a plain socket is written again, because it took a part or we did not run
		// ourselves for a while: a TLS connection cannot go on after a deadline.
		again := n > 0 || took > w.timeout+w.timeout/4
		goesOn := again && w.try != nil && errors.Is(err, os.ErrDeadlineExceeded)
		if err != nil && !goesOn {
			w.err = err
			w.wake()
		}
	}
	w.flushing = false
	err, owner := w.err, w.owner
	if err == nil {
		_ = w.conn.SetWriteDeadline(time.Time{}) // it would fail the next direct write
	}
	w.mu.Unlock()
	if owner != nil {
		owner.flushed(err)
	}
}

// took takes n written bytes out of the queue; w.mu is held.
func (w *wire) took(n int) {
	w.sent += n
	w.size -= n
	if rest := w.queue[0].data[n:]; len(rest) > 0 {
		w.queue[0].data = rest
	} else if w.queue = w.queue[1:]; len(w.queue) == 0 {
		w.queue = nil
	}
	w.wake()
}

// wake tells waiters that the queue has changed; w.mu is held.
func (w *wire) wake() {
	if w.moved != nil {
		close(w.moved)
		w.moved = nil
	}
}

// fits says whether a frame of n bytes may be queued; w.mu is held.
func (w *wire) fits(n int, set *Settings) bool {
	return w.size == 0 || w.size+n <= set.SendQueue && w.messages < set.SendMessages
}

// waiting returns how much is queued: messages that are not begun, and bytes.
func (w *wire) waiting() (messages, bytes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.messages, w.size
}

// dropWaiting drops all entries that are not begun; w.mu is held.
func (w *wire) dropWaiting() {
	for i := len(w.queue) - 1; i >= 0 && !w.queue[i].begun; i-- {
		w.drop(i)
	}
}

// takeDropped returns how much was dropped since the last call: messages, and bytes; and how
// many bytes wait. rest drops all that is not begun.
func (w *wire) takeDropped(rest bool) (messages, bytes, queued int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if rest {
		w.dropWaiting()
	}
	messages, bytes = w.dropped, w.droppedBytes
	w.dropped, w.droppedBytes = 0, 0
	return messages, bytes, w.size
}

// drop drops an entry that is not begun; w.mu is held.
func (w *wire) drop(i int) {
	e := &w.queue[i]
	w.size -= len(e.data)
	if e.isMessage() {
		w.messages--
		w.dropped++
		w.droppedBytes += len(e.data)
	}
	w.queue = slices.Delete(w.queue, i, i+1)
}

// empty returns when the queue is, when the wire has failed, or when done is closed.
func (w *wire) empty(done <-chan struct{}) {
	w.wait(func() bool { return w.size == 0 }, done)
}

// wait returns when enough says so, which is called with w.mu held, when the wire has
// failed, or when done is closed.
func (w *wire) wait(enough func() bool, done <-chan struct{}) {
	for {
		w.mu.Lock()
		if w.err != nil || enough() {
			w.mu.Unlock()
			return
		}
		if w.moved == nil {
			w.moved = make(chan struct{})
		}
		moved := w.moved
		w.mu.Unlock()
		select {
		case <-moved:
		case <-done:
			return
		}
	}
}

func (w *wire) isEmpty() bool {
	_, bytes := w.waiting()
	return bytes == 0
}
