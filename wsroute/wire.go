package wsroute

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// wire stands between gorilla/websocket and the socket. Its Write never blocks:
// what the socket does not take at once is queued, and a goroutine that lives
// only while there is a queue writes it. So nobody who sends, pings or closes
// ever waits for a peer that does not read.
type wire struct {
	net.Conn
	try       tryWriter // nil if the socket cannot be tried without blocking
	timeout   time.Duration
	owner     wireOwner // nil until there is one
	born      time.Time
	lastRead  atomic.Int64 // when something was read, as a time since born: the wall clock may jump
	early     []byte       // read by net/http before the hijack
	in        inflow
	mu        sync.Mutex
	queue     []chunk
	size      int           // bytes in queue
	messages  int           // data frames in queue that are not begun
	left      int           // bytes of the frame that is being written by gorilla
	moved     chan struct{} // closed when the queue has shrunk; nil if nobody waits
	emptied   func()        // called once the queue is empty, with mu held
	flushing  bool
	frames    bool // the 101 is written; frames follow
	closing   bool // the peer's close frame is complete; the reading goroutine's own
	err       error
	closeOnce sync.Once
}

// opClose is the first opcode of control frames (RFC 6455 §11.8).
const opClose = 8

// wireOwner is told what becomes of a wire, without its lock.
type wireOwner interface {
	writeFailed(err error) // once, of the first write that fails
	pong()                 // after each backlog
	peerOwner
}

// peerOwner is told what the peer has done, on the reading goroutine.
type peerOwner interface {
	await() // before each read that may wait
	peerClosed(code int, reason string)
	violated(why error, code int, reason string)
}

// chunk is a piece of the queue.
type chunk struct {
	data  []byte
	first bool // a frame begins here, and nothing of it is written
}

// opcode returns what frame begins with a chunk (RFC 6455 §5.2).
func (c *chunk) opcode() byte { return c.data[0] & 0xf }

// message says whether a data message begins with a chunk that is not begun.
func (c *chunk) message() bool { return c.first && c.opcode() != 0 && c.opcode() < opClose }

func newWire(raw net.Conn, early []byte, timeout time.Duration) *wire {
	return &wire{Conn: raw, early: early, timeout: timeout, try: newTryWriter(raw), born: time.Now()}
}

// touch notes that the peer is alive.
func (w *wire) touch() { w.lastRead.Store(int64(time.Since(w.born))) }

// touched returns when the peer was last alive.
func (w *wire) touched() time.Time { return w.born.Add(time.Duration(w.lastRead.Load())) }

// Read lets gorilla have what the peer sends, but for its close frame.
func (w *wire) Read(b []byte) (int, error) {
	switch {
	case w.owner == nil: // the handshake is not over
		return w.receive(b)
	case w.closing:
		return 0, w.closed()
	}
	return w.read(b)
}

// receive replays what net/http had read, then reads the socket.
func (w *wire) receive(b []byte) (int, error) {
	if len(w.early) > 0 {
		n := copy(b, w.early)
		if w.early = w.early[n:]; len(w.early) == 0 {
			w.early = nil
		}
		return n, nil
	}
	if w.owner != nil {
		w.owner.await()
	}
	n, err := w.Conn.Read(b)
	if n > 0 {
		w.touch()
	}
	return n, err
}

// SetWriteDeadline does nothing: gorilla sets one for each frame, and Write
// never waits. The flusher keeps its own.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline bounds reading alone, for the same reason.
func (w *wire) SetDeadline(t time.Time) error { return w.Conn.SetReadDeadline(t) }

// Write takes all of b, or fails if an earlier write has failed.
func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	first := w.frames && w.left == 0
	if w.frames {
		w.count(b)
	}
	n := 0
	if !w.flushing && w.try != nil {
		var err error
		if n, err = w.try.TryWrite(b); err != nil {
			w.err = err
			return n, err
		}
	}
	if n < len(b) {
		c := chunk{append([]byte(nil), b[n:]...), first && n == 0}
		if w.queue = append(w.queue, c); c.message() {
			w.messages++
		}
		w.size += len(b) - n
		if !w.flushing {
			w.flushing = true
			go w.flush()
		}
	}
	return len(b), nil
}

// count follows the frames in what gorilla writes, so that discard can keep them
// whole. gorilla writes a frame's header together with the first of its bytes,
// and no other frame between its parts (RFC 6455 §5.2; ours are not masked).
func (w *wire) count(b []byte) {
	if w.left > 0 {
		w.left -= len(b)
		return
	}
	length, header := uint64(b[1]&0x7f), 2
	switch length {
	case 126:
		length, header = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		length, header = binary.BigEndian.Uint64(b[2:]), 10
	}
	w.left = header + int(length) - len(b) //nolint:gosec // a frame that we hold in memory
}

// piece is how much of the queue is written at once: progress is seen from one
// piece to the next, and TLS makes it one record.
const piece = 16 << 10

// flush writes the queue until it is empty. A peer that takes nothing for the
// timeout fails the wire; one that takes little by little does not.
func (w *wire) flush() {
	w.mu.Lock()
	for len(w.queue) > 0 && w.err == nil {
		c := &w.queue[0]
		if c.message() {
			w.messages--
		}
		c.first = false // from here on the frame must be written to its end
		data := c.data[:min(piece, len(c.data))]
		w.mu.Unlock()
		_ = w.Conn.SetWriteDeadline(time.Now().Add(w.timeout))
		n, err := w.Conn.Write(data)
		w.mu.Lock()
		w.took(n)
		// A TLS connection cannot go on after a deadline, so only a plain socket
		// is written again because it took a part.
		goesOn := n > 0 && w.try != nil && errors.Is(err, os.ErrDeadlineExceeded)
		if err != nil && !goesOn {
			w.err = err
			w.wake()
			if w.owner != nil {
				go w.owner.writeFailed(err)
			}
		}
	}
	w.flushing = false
	if w.err != nil {
		w.mu.Unlock()
		return
	}
	_ = w.Conn.SetWriteDeadline(time.Time{}) // it would fail the next direct write
	if w.emptied != nil {
		w.emptied()
	}
	owner := w.owner
	w.mu.Unlock()
	if owner != nil {
		owner.pong()
	}
}

// took takes n written bytes out of the queue; w.mu is held.
func (w *wire) took(n int) {
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

// fits says whether a message of n bytes may be queued: one alone may be of any
// size; w.mu is held.
func (w *wire) fits(n int, lim *limits) bool {
	return w.size == 0 || w.size+n <= lim.SendQueue && w.messages < lim.SendMessages
}

// wait returns when enough says so, which is called with w.mu held, when the wire
// has failed, or when done is closed.
func (w *wire) wait(enough func() bool, done <-chan struct{}) error {
	for {
		w.mu.Lock()
		if w.err != nil || enough() {
			defer w.mu.Unlock()
			return w.err
		}
		if w.moved == nil {
			w.moved = make(chan struct{})
		}
		moved := w.moved
		w.mu.Unlock()
		select {
		case <-moved:
		case <-done:
			return context.Canceled
		}
	}
}

// whenEmpty calls f as soon as the queue is empty, with the wire locked.
func (w *wire) whenEmpty(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.size == 0 {
		f()
		return
	}
	w.emptied = f
}

func (w *wire) queued() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size
}

// discard drops every queued frame of which nothing is written yet.
func (w *wire) discard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, c := range w.queue {
		if c.first {
			for _, dropped := range w.queue[i:] {
				w.size -= len(dropped.data)
			}
			w.queue, w.messages = w.queue[:i:i], 0
			w.wake()
			return
		}
	}
}

// dropOldest drops the oldest message of which nothing is written yet, with all its
// fragments; control frames stay. It says whether there was one.
func (w *wire) dropOldest() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	oldest := slices.IndexFunc(w.queue, func(c chunk) bool { return c.message() })
	if oldest < 0 {
		return false
	}
	w.messages--
	kept := w.queue[:oldest:oldest]
	dropping := false
	for i, c := range w.queue[oldest:] {
		switch {
		case i > 0 && c.message(): // the next one
			w.queue = append(kept, w.queue[oldest+i:]...)
			return true
		case c.first:
			dropping = c.opcode() < opClose
		}
		if dropping {
			w.size -= len(c.data)
			continue
		}
		kept = append(kept, c)
	}
	w.queue = kept
	return true
}

// Close closes the socket. What is queued is lost.
func (w *wire) Close() error {
	var err error
	w.closeOnce.Do(func() { err = w.Conn.Close() })
	return err
}
