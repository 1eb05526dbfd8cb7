package wsroute

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// inbound is a message that was read and not yet received.
type inbound struct {
	binary bool
	buf    bytes.Buffer
}

var messages = sync.Pool{New: func() any { return new(inbound) }}

func release(in *inbound) {
	if in.buf.Cap() <= maxPooled {
		in.buf.Reset()
		messages.Put(in)
	}
}

// violation is what the peer must not send, and how the connection is closed for it.
type violation struct {
	code   int
	reason string
	text   string
}

func (v *violation) Error() string { return v.text }

// read is the reading goroutine: it owns the socket's reading side and its end.
func (s *session) read() {
	s.readEnded(s.readMessages())
	// A socket that is closed with data in it, in either direction, takes our close frame
	// with it.
	if !s.socket.wire.isEmpty() {
		hard := make(chan struct{})
		timer := time.AfterFunc(s.lim.CloseTimeout+closeSlack, func() { close(hard) })
		s.socket.wire.empty(hard)
		timer.Stop()
	}
	_ = s.socket.Close()
	s.mu.Lock()
	s.phase = closed
	then := s.then
	s.mu.Unlock()
	if then != nil {
		then()
	}
}

// readEnded ends the connection, if it has not ended, for what ended the reading, and
// returns when it is in closing.
func (s *session) readEnded(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, isViolation := errors.AsType[*violation](err)
	closed, isClose := errors.AsType[*websocket.CloseError](err)
	switch {
	case s.clean && isClose:
		for s.phase == peerClosing {
			s.changed.Wait()
		}
		return
	case isClose && closed.Code == websocket.CloseAbnormalClosure, isNetwork(err), errors.Is(err, io.ErrUnexpectedEOF):
		s.lose(err)
		return
	case errors.Is(err, websocket.ErrReadLimit):
		v = &violation{closeTooBig, "message_too_big", fmt.Sprintf("a message of more than %d bytes", s.lim.ReadLimit)}
	case !isViolation:
		v = &violation{closeProtocol, "protocol_error", err.Error()}
	}
	s.lingers = true
	if !s.close(ending{cause: fmt.Errorf("%w: %w", ErrProtocol, v), code: v.code, reason: v.reason}) && s.socket.wire.isEmpty() {
		s.closeSent()
	}
	s.mu.Unlock()
	defer s.mu.Lock()
	// Nothing can be understood of what comes, so that the peer's answer is not waited
	// for: it sees the end of what we send, and ends, or the time of shut is over.
	_, _ = io.Copy(io.Discard, reader(s.socket.receive))
}

func isNetwork(err error) bool {
	_, ok := errors.AsType[net.Error](err)
	return ok
}

func isTimeoutError(err error) bool {
	late, ok := errors.AsType[net.Error](err)
	return ok && late.Timeout()
}

type reader func([]byte) (int, error)

func (r reader) Read(b []byte) (int, error) { return r(b) }

// readMessages reads until the socket fails, the peer closes or breaks the protocol. It
// goes on after our own end, for the peer's close frame, and drops what comes before it.
func (s *session) readMessages() error {
	for {
		kind, r, err := s.socket.ws.NextReader()
		if err != nil {
			return err
		}
		in := messages.Get().(*inbound) //nolint:forcetypeassert // the pool holds nothing else
		in.binary = kind == websocket.BinaryMessage
		if err = s.assemble(&in.buf, r); err != nil {
			release(in)
			return err
		}
		switch {
		case !s.messages.take(s.lim.MessageRate):
			release(in)
			s.end(fmt.Errorf("%w: more than %v messages a second", ErrProtocol, s.lim.MessageRate.perSecond), closePolicy, "too_many_messages", true)
		case !in.binary && !utf8.Valid(in.buf.Bytes()): // RFC 6455 §8.1; gorilla leaves it to us
			release(in)
			s.end(fmt.Errorf("%w: text that is not UTF-8", ErrProtocol), closeInvalid, "invalid_utf8", true)
		default:
			s.deliver(in)
		}
	}
}

// assemble reads a message to its end, which has a deadline that no frame in between
// extends.
func (s *session) assemble(buf *bytes.Buffer, r io.Reader) error {
	s.assembling = true
	if s.socket.deflates { // gorilla's limit is of what comes
		r = io.LimitReader(r, s.lim.ReadLimit+1)
	}
	_, err := buf.ReadFrom(r)
	if err == nil && int64(buf.Len()) > s.lim.ReadLimit {
		err = websocket.ErrReadLimit
	}
	s.assembling = false
	s.mu.Lock()
	s.partial = time.Time{}
	s.mu.Unlock()
	return err
}

// await is called when the reading goroutine is about to wait for the peer. Most messages
// are there at once, and need no clock.
func (s *session) await() {
	if !s.assembling {
		return
	}
	s.assembling = false
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partial = time.Now()
	s.rearm(s.partial)
}

// deliver puts a message into the inbox. While there is no room, nothing is read, and the
// peer is slowed down by TCP.
func (s *session) deliver(in *inbound) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == open && s.takeAside(in) {
		release(in)
		return
	}
	if s.phase == open && !s.fits(in) {
		s.stall(time.Now())
		for s.phase == open && !s.fits(in) {
			s.waitFull(in)
		}
		s.stall(time.Time{})
	}
	if s.phase != open || s.discards {
		release(in)
		return
	}
	s.inbox = append(s.inbox, in)
	s.bytes += in.buf.Len()
	if s.receiving > 0 {
		s.changed.Broadcast()
	}
}

// fits says whether the inbox has room for a message; s.mu is held. It holds two of the
// largest at most, and one of any size.
func (s *session) fits(in *inbound) bool {
	bytes := int64(s.bytes + in.buf.Len())
	return s.discards || len(s.inbox) == 0 || len(s.inbox) < s.lim.ReadAhead && bytes <= 2*s.lim.ReadLimit
}

// takeAside takes a message that is no business of the handler's, and starts what it asks
// for. Messages behind it wait for the result; s.mu is held.
func (s *session) takeAside(in *inbound) bool {
	if s.again == nil {
		return false
	}
	taken, work := s.again.asked(in)
	if work != nil {
		s.free = len(s.inbox)
		go func() {
			ok := work()
			s.mu.Lock()
			defer s.mu.Unlock()
			if !ok { // what was said behind it was not said by the one that it would have been
				s.dropFrom(s.free)
			}
			s.free = -1
			s.changed.Broadcast()
		}()
	}
	return taken
}

// discard drops what comes from now on.
func (s *session) discard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.discards = true
	s.drop()
	s.changed.Broadcast()
	s.rouse()
}

// errHangup is of a peer that has ended its side while we did not read.
var errHangup = errors.New("it has gone while nothing was read")

// waitFull waits for something to change, or for the peer to go, while the inbox has no
// room; s.mu is held.
func (s *session) waitFull(in *inbound) {
	raw := s.socket.wire.raw
	if !seesHangup || raw == nil {
		s.changed.Wait()
		return
	}
	s.watching = true
	s.mu.Unlock()
	gone := hangup(raw)
	s.mu.Lock()
	s.watching = false
	s.readBy(s.deadlineOfReads)
	if gone && s.phase == open && !s.fits(in) {
		s.lose(errHangup)
	}
}

// readBy bounds what is read from now on; s.mu is held.
func (s *session) readBy(t time.Time) {
	s.deadlineOfReads = t
	if !s.watching {
		_ = s.socket.SetReadDeadline(t)
	}
	s.rouse()
}

// rouse ends the wait of a full inbox, so that it looks again; s.mu is held.
func (s *session) rouse() {
	if s.watching {
		_ = s.socket.SetReadDeadline(time.Unix(1, 0))
	}
}

// receive returns the next message. What the peer sent before it closed is still
// delivered, though the context has ended by then.
func (s *session) receive(ctx context.Context) (*inbound, error) {
	if ctx != s.ctx {
		stop := context.AfterFunc(ctx, s.wake)
		defer stop()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putDown()
	for {
		if s.expired() {
			s.expire()
		}
		switch {
		case s.silent:
			return nil, context.Cause(s.ctx)
		case ctx.Err() != nil && s.ctx.Err() == nil:
			return nil, context.Cause(ctx) // messages stay for the next call
		case len(s.inbox) > 0 && s.free != 0:
			return s.take(), nil
		case len(s.inbox) > 0: // behind something that has no result yet
		case s.phase == peerClosing:
			s.finish()
			continue
		case s.phase >= closing:
			return nil, context.Cause(s.ctx)
		}
		s.receiving++
		s.changed.Wait()
		s.receiving--
	}
}

// wake lets everybody who waits look again.
func (s *session) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}

// take hands the oldest message over; s.mu is held.
func (s *session) take() *inbound {
	s.inHand, s.handed = true, time.Now()
	if s.phase == peerClosing {
		s.grace = s.handed.Add(s.lim.CloseGrace)
		s.rearm(s.handed)
	}
	if s.free > 0 {
		s.free--
	}
	in := s.inbox[0]
	n := copy(s.inbox, s.inbox[1:])
	s.inbox[n] = nil
	s.inbox = s.inbox[:n]
	s.bytes -= in.buf.Len()
	if !s.stalled.IsZero() {
		s.changed.Broadcast()
		s.rouse()
	}
	return in
}

// drop empties the inbox; s.mu is held.
func (s *session) drop() { s.dropFrom(0) }

// dropFrom drops the messages from the nth on; s.mu is held.
func (s *session) dropFrom(n int) {
	n = min(max(n, 0), len(s.inbox))
	for _, in := range s.inbox[n:] {
		s.bytes -= in.buf.Len()
		release(in)
	}
	clear(s.inbox[n:])
	s.inbox = s.inbox[:n]
}

// putDown says that the handler has done with the message in its hands; s.mu is held.
func (s *session) putDown() {
	s.inHand = false
	if idle := s.idle; idle != nil {
		s.idle = nil
		go func() {
			for _, f := range idle {
				f()
			}
		}()
	}
}

// whenIdle calls f once the handler has no message in its hands: now, or on a goroutine of
// its own.
func (s *session) whenIdle(f func()) {
	s.mu.Lock()
	if s.inHand {
		s.idle = append(s.idle, f)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	f()
}

// handlerDone says that the handler has returned.
func (s *session) handlerDone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putDown()
}

// pinged answers a ping. It runs on the reading goroutine.
func (s *session) pinged(data string) error {
	if err := s.control(); err != nil {
		return err
	}
	_ = s.socket.wire.control(opPong, controlFrame(opPong, []byte(data))) // the flusher tells of errors
	return nil
}

// ponged takes a pong. It runs on the reading goroutine.
func (s *session) ponged(string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pongs > 0 { // we have asked for it
		s.pongs--
		return nil
	}
	return s.control()
}

// control counts a ping or a pong. It runs on the reading goroutine.
func (s *session) control() error {
	if s.controls.take(controlRate) {
		return nil
	}
	return &violation{closePolicy, "too_many_control_frames", fmt.Sprintf("more than %v control frames a second", controlRate.perSecond)}
}
