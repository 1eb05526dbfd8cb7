package wsroute

import (
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

var messages = sync.Pool{New: func() any { return new(inbound) }}

func release(in *inbound) {
	if in.buf.Cap() <= maxPooled {
		in.buf.Reset()
		messages.Put(in)
	}
}

// read is the reading goroutine: it owns the socket's reading side and its end.
func (s *session) read() {
	defer s.conclude()
	err := s.readMessages()
	closed, isClose := errors.AsType[*websocket.CloseError](err)
	switch {
	case isClose && closed.Code != websocket.CloseAbnormalClosure:
		s.clean = true // peerClosed has ended the session
	case isClose, isNetwork(err), errors.Is(err, io.ErrUnexpectedEOF):
		s.lose(err)
	case errors.Is(err, websocket.ErrReadLimit): // gorilla has sent 1009, mostly
		s.end(fmt.Errorf("%w: a message of more than %d bytes", ErrProtocol, s.lim.ReadLimit), closeTooBig, "message_too_big", false)
		s.linger()
	case errors.Is(err, errTold):
		s.linger()
	default: // gorilla has sent 1002 for it
		s.end(fmt.Errorf("%w: %w", ErrProtocol, err), websocket.CloseProtocolError, "protocol_error", false)
		s.linger()
	}
	// A socket that is closed with data in it, in either direction, takes our
	// close frame with it.
	if !s.socket.wire.isEmpty() {
		hard := make(chan struct{})
		timer := time.AfterFunc(s.lim.CloseTimeout+closeSlack, func() { close(hard) })
		s.socket.wire.empty(hard)
		timer.Stop()
	}
	_ = s.socket.Close()
}

func isNetwork(err error) bool {
	_, ok := errors.AsType[net.Error](err)
	return ok
}

// linger reads on after gorilla gave up, until the peer has seen our close frame
// and ended, or the bound that shut has set. Nothing can be understood of what
// comes, so that the peer's answer is not waited for: it sees the end of what we send.
func (s *session) linger() {
	s.lingers.Store(true)
	if s.socket.wire.isEmpty() {
		s.closeSent()
	}
	_, _ = io.Copy(io.Discard, reader(s.socket.receive))
}

type reader func([]byte) (int, error)

func (r reader) Read(b []byte) (int, error) { return r(b) }

// readMessages reads until the socket fails or the peer closes. It goes on after
// our own end, for the peer's close frame, and drops what comes before it.
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
		case s.silent.Load():
			release(in)
		case !s.messages.take(s.lim.MessageRate):
			release(in)
			s.end(fmt.Errorf("%w: more than %v messages a second", ErrProtocol, s.lim.MessageRate.perSecond), closePolicy, "too_many_messages", true)
		case !in.binary && !utf8.Valid(in.buf.Bytes()): // RFC 6455 §8.1; gorilla leaves it to us
			release(in)
			s.end(fmt.Errorf("%w: text that is not UTF-8", ErrProtocol), closeInvalid, "invalid_utf8", true)
		case s.again != nil && s.again.asked(in):
			release(in)
		default:
			s.deliver(in)
		}
	}
}

// deliver puts a message into the inbox. While there is no room, nothing is
// read, and the peer is slowed down by TCP.
func (s *session) deliver(in *inbound) {
	if s.gap { // what comes behind a message that was dropped must not be taken for the next one
		release(in)
		return
	}
	if s.inbox.put(in) {
		return
	}
	s.stall(true)
	defer s.stall(false)
	if s.inbox.wait(s.ctx); !s.inbox.put(in) {
		s.gap = true
		release(in)
	}
}

// receive returns the next message. What the peer sent before it closed is still
// delivered, though the context has ended by then.
func (s *session) receive(ctx context.Context) (*inbound, error) {
	in := s.inbox.get(ctx, s.ctx)
	switch {
	case in != nil:
		return s.take(in)
	case s.ctx.Err() == nil:
		return nil, context.Cause(ctx) // messages stay for the next call
	}
	return nil, context.Cause(s.ctx)
}

// take drops a message that was read before our own end.
func (s *session) take(in *inbound) (*inbound, error) {
	if s.expired() {
		s.expire()
	}
	if err := s.over(); err != nil {
		release(in)
		return nil, err
	}
	return in, nil
}

// send queues one message. When the queue is full, the oldest gives way on a route
// that says so. Otherwise the connection's own handler waits for room; for anybody
// else the connection is too slow, and ends.
func (s *session) send(ctx context.Context, m *outgoing) error {
	for {
		if ctx.Err() != nil && s.ctx.Err() == nil {
			return context.Cause(ctx)
		}
		sent, err := s.trySend(m)
		if sent || err != nil {
			return err
		}
		if owner, _ := ctx.Value(sessionKey{}).(*session); owner != s {
			s.end(ErrSlowReader, closeTryAgain, "slow_reader", true)
			return context.Cause(s.ctx)
		}
		s.socket.wire.room(len(m.frame(s.socket.deflates)), s.lim, ctx.Done())
	}
}

// trySend queues the message if there is room.
func (s *session) trySend(m *outgoing) (sent bool, err error) {
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.expired() {
		s.expire()
	}
	if s.ctx.Err() != nil {
		return false, context.Cause(s.ctx)
	}
	sent, err = s.socket.wire.send(m, s.socket.deflates, s.lim, s.drops)
	if err != nil {
		s.writeFailed(err)
		<-s.ctx.Done()
		return false, context.Cause(s.ctx)
	}
	return sent, nil
}
