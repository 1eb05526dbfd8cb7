package wsroute

import (
	"context"
	"fmt"
	"reflect"

	"example.com/usher/depends"
	"example.com/usher/internal/wsconn"
)

// Sender is the sending half of a connection, which any goroutine may keep. It is a field of
// the inputs of [OnOpen], of the handlers of messages and of providers with the
// [depends.Message] lifetime; a loop has [Conn.Sender]. All methods are safe for concurrent
// use.
type Sender[Event any] struct{ peer *peer }

// Sender returns the sending half.
func (c *Conn[Recv, Send]) Sender() Sender[Send] { return Sender[Send]{c.peer} }

// Send queues a message as [Conn.Send] does. With the context of a message's handler that has
// cleanups to run it waits for them: see [HandleMessages].
func (s Sender[Event]) Send(ctx context.Context, v Event) error {
	m, err := encodeFor(s.peer, v)
	if err != nil {
		return err
	}
	if h := handlingOf(ctx); h.holds() {
		by := h.peer.conn.Context()
		if s.peer != h.peer { // who hears it although this connection ends
			by = context.Background()
		}
		if h.hold(func() { s.peer.send(by, m) }) {
			return nil
		}
	}
	defer m.Release()
	return s.peer.conn.Send(ctx, m)
}

// Go calls f on a goroutine of its own, for work that outlives the message or the moment in which
// it begins: a feed, a timer. ctx is the connection's: it ends with that, and f must return
// then, since the connection's cleanups and a drain wait for it. An error or a panic of f ends
// the connection as a handler's does. Once the connection has ended, f is not called.
func (s Sender[Event]) Go(f func(ctx context.Context) error) {
	p := s.peer
	if p.conn.Context().Err() != nil {
		return
	}
	p.beside("a function of Sender.Go", func() error {
		p.working.Add(1)
		defer p.working.Add(-1)
		return f(p.conn.Context())
	})
}

// Close ends the connection: see [Conn.Close].
func (s Sender[Event]) Close(code int, reason string) error {
	if !wsconn.Sendable(code) {
		s.peer.conn.End(ErrClosed, wsconn.CodeInternal, "", false)
		return fmt.Errorf(
			"wsroute: close code %d must not be sent; 1000-1003, 1007-1014 and 3000-4999 may", code)
	}
	s.peer.conn.End(ErrClosed, code, reason, false)
	return nil
}

// Context ends when the connection does; context.Cause says why. It has the values of the
// handshake's context.
func (s Sender[Event]) Context() context.Context { return s.peer.conn.Context() }

// Identity returns whose connection it is at this moment, as its providers have told
// [depends.Identify].
func (s Sender[Event]) Identity() depends.Identity { return s.peer.authorised.Identity() }

func (s Sender[Event]) sends(Event) *peer { return s.peer }

func (s Sender[Event]) ofPeer() *peer { return s.peer }

// givenSender is what a route gives the handlers of its messages by itself.
func givenSender[Event any]() map[reflect.Type]func(any) any {
	return map[reflect.Type]func(any) any{
		reflect.TypeFor[Sender[Event]](): func(of any) any {
			return Sender[Event]{of.(connection).ofPeer()} //nolint:forcetypeassert // a peer or a handling
		},
	}
}
