package wsconn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// Message is a message that was read.
type Message struct {
	Binary bool
	Number int64 // how many were read before it
	Buf    bytes.Buffer
}

var messages = sync.Pool{New: func() any { return new(Message) }}

// Release lets the memory of a message be used for another.
func (m *Message) Release() {
	if m.Buf.Cap() <= maxPooled {
		m.Buf.Reset()
		messages.Put(m)
	}
}

// violation is what the peer must not send, and how the connection is closed for it.
type violation struct {
	code   int
	reason string
	text   string
}

func (v *violation) Error() string { return v.text }

func breach(code int, reason, format string, args ...any) *violation {
	return &violation{code, reason, fmt.Sprintf(format, args...)}
}

// read is the reading goroutine's: it owns the socket's reading side and its end. It returns
// what comes after that.
func (c *Conn) read() (then func()) {
	c.readEnded(c.readMessages())
	c.mu.Lock()
	until := c.readUntil
	c.mu.Unlock()
	// A socket that is closed with data in it, in either direction, takes our close frame
	// with it.
	if !c.socket.wire.isEmpty() {
		hard := make(chan struct{})
		timer := time.AfterFunc(time.Until(until), func() { close(hard) })
		c.socket.wire.empty(hard)
		timer.Stop()
	}
	_ = c.socket.Close()
	c.tellDropped(c.Outcome().Cause)
	c.mu.Lock()
	c.phase = closed
	for c.then == nil {
		c.changed.Wait()
	}
	c.mu.Unlock()
	return c.then
}

// readEnded ends the connection, if it has not ended, for what ended the reading, and
// returns when it is in closing and nothing more is to be read.
func (c *Conn) readEnded(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, isViolation := errors.AsType[*violation](err)
	switch {
	case c.clean && errors.As(err, new(*websocket.CloseError)):
		for c.phase == peerClosing {
			c.changed.Wait()
		}
		return
	case c.socket.failed:
		c.close(c.lost(err))
		return
	case errors.Is(err, websocket.ErrReadLimit):
		v = breach(CodeTooBig, "message_too_big", "a message of more than %d bytes", c.set.ReadLimit)
	case !isViolation:
		v = breach(CodeProtocol, "protocol_error", "%v", err)
	}
	c.lingers = true
	if !c.close(c.broken(false, v)) && c.socket.wire.isEmpty() {
		c.closeSent()
	}
	c.mu.Unlock()
	defer c.mu.Lock()
	// Nothing can be understood of what comes, so that the peer's answer is not waited
	// for: it sees the end of what we send, and ends, or the time to answer is over.
	_, _ = io.Copy(io.Discard, reader(c.socket.receive))
}

// broken is the end by a peer that broke the protocol or a limit. What is queued for it is
// still written, unless discard is set.
func (c *Conn) broken(discard bool, v *violation) *ending {
	cause := fmt.Errorf("%w: %w", c.set.Errors.Protocol, v)
	return &ending{cause: cause, code: v.code, reason: v.reason, discard: discard}
}

type reader func([]byte) (int, error)

func (r reader) Read(b []byte) (int, error) { return r(b) }

// readMessages reads until the socket fails, the peer closes or breaks the protocol. It
// goes on after our own end, for the peer's close frame, and drops what comes before it.
func (c *Conn) readMessages() error {
	for {
		kind, r, err := c.socket.ws.NextReader()
		if err != nil {
			return err
		}
		m := messages.Get().(*Message) //nolint:forcetypeassert // the pool holds nothing else
		m.Binary = kind == websocket.BinaryMessage
		if err = c.assemble(&m.Buf, r); err != nil {
			m.Release()
			return err
		}
		if v := c.judge(m); v != nil {
			m.Release()
			c.mu.Lock()
			c.close(c.broken(true, v))
			c.mu.Unlock()
			continue
		}
		if t := c.hooks.Trace; t != nil {
			t.Received(m.Buf.Bytes(), m.Binary)
		}
		m.Number = c.number
		c.number++
		c.deliver(m)
	}
}

// judge says what is wrong with a message of any type.
func (c *Conn) judge(m *Message) *violation {
	switch {
	case !c.messages.take(Rate{c.set.MessageRate, c.set.MessageBurst}):
		return breach(CodePolicy, "too_many_messages",
			"more than %v messages a second", c.set.MessageRate)
	case !m.Binary && !utf8.Valid(m.Buf.Bytes()): // RFC 6455 §8.1; gorilla leaves it to us
		return breach(CodeInvalid, "invalid_utf8", "text that is not UTF-8")
	}
	return nil
}

// assemble reads a message to its end, which has a deadline that no frame in between
// extends.
func (c *Conn) assemble(buf *bytes.Buffer, r io.Reader) error {
	c.begun = true
	if c.socket.deflates { // gorilla's limit is of what comes
		r = io.LimitReader(r, c.set.ReadLimit+1)
	}
	_, err := buf.ReadFrom(r)
	if err == nil && int64(buf.Len()) > c.set.ReadLimit {
		err = websocket.ErrReadLimit
	}
	c.begun = false
	c.mu.Lock()
	c.partial = time.Time{}
	c.mu.Unlock()
	return err
}

// await is called when the reading goroutine is about to wait for the peer. Most messages
// are there at once, and need no clock.
func (c *Conn) await() {
	if !c.begun {
		return
	}
	c.begun = false
	c.mu.Lock()
	defer c.mu.Unlock()
	c.partial = time.Now()
	c.rearm(c.partial)
}

// pinged answers a ping. It runs on the reading goroutine.
func (c *Conn) pinged(data string) error {
	err := c.countControl()
	if err == nil { // a failure ends the connection by the backlog, or by the next ping
		_ = c.socket.wire.control(opPong, controlFrame(opPong, []byte(data)))
	}
	return err
}

// ponged takes a pong. It runs on the reading goroutine.
func (c *Conn) ponged(string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pongs == 0 { // we have not asked for it
		return c.countControl()
	}
	c.pongs--
	if c.pongs == 0 && c.hooks.Trace != nil { // it answers the last ping
		roundTrip := time.Since(c.nextPing.Add(-c.set.PingInterval))
		c.mu.Unlock()
		defer c.mu.Lock()
		c.hooks.Trace.Pong(roundTrip)
	}
	return nil
}

// countControl counts a ping or a pong. It runs on the reading goroutine.
func (c *Conn) countControl() error {
	if c.controls.take(ControlRate) {
		return nil
	}
	return breach(CodePolicy, "too_many_control_frames",
		"more than %v control frames a second", ControlRate.PerSecond)
}
