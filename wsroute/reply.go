package wsroute

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// Reply sends parts of an answer before its end: the tokens of a text that is generated, say. It
// is a field of the input of [Answer]'s handler; Delta is in the channel's [Union]. What it sends
// has the ref of the message, and goes out at once: nothing waits for cleanups.
//
// The peer may end it by {"type":"cancel","ref":7}, which takes effect at once, whatever is
// handled at that time: the context of the message ends, and the answer is the error "cancelled"
// if the handler returns an error then, or if there are cleanups, which get that as their cause. A
// cancel also ends messages that are [Concurrent] or have a [Within]; of any other it changes
// nothing.
//
// The peer's close frame ends the context too, without the Limits.CloseGrace that other handlers
// have: nobody reads what would follow.
type Reply[Delta any] struct{ message *handling }

var (
	errReplied = errors.New("wsroute: Reply: the handler has returned")
	errNoReply = errors.New("wsroute: Reply: it is no field of a message's input")
)

// Send queues a part of the answer. With the handler's context, or one derived from it, it waits
// for room if the peer reads slowly. After the end of the message's context it returns the cause:
// what generates the answer stops there. It may be called by several goroutines, until the
// handler returns.
func (r Reply[Delta]) Send(ctx context.Context, v Delta) error {
	h := r.message
	if h == nil {
		return errNoReply
	}
	m, err := h.peer.endpoint.route.codec.out.encode(v, h.ref)
	if err != nil {
		return err
	}
	defer m.Release()
	h.replying.RLock() // each waits for room by its own context
	defer h.replying.RUnlock()
	switch {
	case h.replied:
		return errReplied
	case h.Err() != nil:
		return context.Cause(h)
	}
	return h.peer.conn.Send(ctx, m)
}

// endReply lets nothing follow the handler's return.
func (h *handling) endReply() {
	h.replying.Lock()
	defer h.replying.Unlock()
	h.replied = true
}

// replies is a Reply.
type replies interface {
	of(h *handling) any
	delta() reflect.Type
}

func (r Reply[Delta]) of(h *handling) any { return Reply[Delta]{h} }

func (r Reply[Delta]) delta() reflect.Type { return reflect.TypeFor[Delta]() }

// given returns what a route gives the handler of a message by itself, and says what is wrong
// with a Reply among it.
func (c *call) given(rt *route) (given map[reflect.Type]func(any) any, bad []string) {
	given = rt.given
	if c.target.In.Kind() != reflect.Struct {
		return given, nil
	}
	for _, f := range reflect.VisibleFields(c.target.In) {
		reply, ok := reflect.Zero(f.Type).Interface().(replies)
		// A pointer to one, or a struct that embeds one, is another type.
		if !ok || f.Type.Kind() != reflect.Struct || reflect.TypeOf(reply.of(nil)) != f.Type {
			continue
		}
		if c.delta == nil { // it may be in use by now
			c.delta = reply.delta()
		}
		merged := map[reflect.Type]func(any) any{f.Type: func(message any) any {
			return reply.of(message.(*handling)) //nolint:forcetypeassert // a message's own
		}}
		for t, make := range given {
			merged[t] = make
		}
		given = merged
		switch {
		case c.alone:
			bad = append(bad, fmt.Sprintf(
				"field %s: a Reply is for HandleMessages; a loop sends by itself", f.Name))
		case c.answer == nil:
			bad = append(bad, fmt.Sprintf(
				"field %s: a Reply needs an end that the peer hears: use Answer", f.Name))
		default:
			if fault := rt.codec.out.lacks("delta", reply.delta()); fault != "" {
				bad = append(bad, fault)
			}
		}
	}
	return given, bad
}

// cancellation is that of a message whose handling may not have begun. before is the number of
// the message that asked for it: only earlier ones are meant.
type cancellation struct {
	ref    []byte
	before int64
}

// maxCancelled is how many messages may be cancelled before their handling has begun.
const maxCancelled = 64

func (c *call) cancels() bool { return c.delta != nil || c.concurrent > 0 || c.within > 0 }

// cancel ends the handling of the messages with a ref that have come before.
func (t *talk) cancel(ref []byte, before int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.active {
		if bytes.Equal(h.ref, ref) {
			h.cancel(errCancelled)
		}
	}
	t.cancelled = append(t.cancelled, cancellation{bytes.Clone(ref), before})
	if len(t.cancelled) > maxCancelled {
		t.cancelled = slices.Delete(t.cancelled, 0, 1)
	}
}

// cancellable gives a message an end of its own. Nobody reads a stream behind the peer's close
// frame.
func (t *talk) cancellable(h *handling, number int64) (over func()) {
	h.Context, h.cancel = context.WithCancelCause(h.Context)
	stop := func() {}
	if conn := t.peer.conn; h.call.delta != nil {
		stop = conn.OnLeave(func() { h.cancel(conn.Outcome().Left) })
		if left := conn.Outcome().Left; left != nil { // OnLeave's goroutine may come late
			h.cancel(left)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.active = append(t.active, h)
	t.cancelled = slices.DeleteFunc(t.cancelled, func(c cancellation) bool {
		return c.before < number
	})
	if slices.ContainsFunc(t.cancelled, func(c cancellation) bool {
		return bytes.Equal(c.ref, h.ref)
	}) {
		h.cancel(errCancelled)
	}
	return func() {
		stop()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.active = slices.DeleteFunc(t.active, func(other *handling) bool { return other == h })
		h.cancel(nil)
	}
}
