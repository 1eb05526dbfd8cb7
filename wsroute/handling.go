package wsroute

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"example.com/usher/internal/bind"
	"example.com/usher/internal/graph"
	"example.com/usher/internal/wsconn"
)

// handling is a message that is handled, and its context.
type handling struct {
	context.Context // of the connection, or with an end of its own
	peer            *peer
	call            *call
	ref             []byte // nil for none
	room            [maxRef + 2]byte
	scope           graph.Scope // of the Message lifetime
	resolver        graph.Run

	mu      sync.Mutex
	later   []func() // what is sent before the answer
	holding bool     // what is sent waits: something may have to be cleaned up

	told     func()                  // tells a Trace of the end; nil without one
	cancel   context.CancelCauseFunc // nil if it cannot be cancelled
	replying sync.RWMutex
	replied  bool // nothing may be sent by a Reply any more
}

func newHandling(ctx context.Context, p *peer, c *call, ref []byte) *handling {
	h := &handling{Context: ctx, peer: p, call: c}
	if ref != nil {
		h.ref = append(h.room[:0], ref...)
	}
	return h
}

func (h *handling) ofPeer() *peer { return h.peer }

// handlingKey is the context key of a *handling.
type handlingKey struct{}

// Value implements [context.Context].
func (h *handling) Value(key any) any {
	if key == (handlingKey{}) {
		return h
	}
	return h.Context.Value(key)
}

// handlingOf returns the message whose handler has a context, or nil.
func handlingOf(ctx context.Context) *handling {
	h, _ := ctx.Value(handlingKey{}).(*handling)
	return h
}

// holds says whether what a message sends waits for its cleanups, or for those of a message
// whose handler calls Do for it.
func (h *handling) holds() bool {
	if h == nil {
		return false
	}
	h.mu.Lock()
	holding := h.holding
	h.mu.Unlock()
	return holding || handlingOf(h.Context).holds()
}

// hold keeps what sends something until then, unless it is too late.
func (h *handling) hold(send func()) bool {
	if h == nil {
		return false
	}
	h.mu.Lock()
	holding := h.holding
	if holding {
		h.later = append(h.later, send)
	}
	h.mu.Unlock()
	return holding || handlingOf(h.Context).hold(send)
}

// do sees a message through: read fills it in, and made gets what the handler has made of it,
// before the cleanups.
func (h *handling) do(read, made func(any) error) (err error) {
	if limit := h.call.within; limit > 0 {
		ctx, cancel := context.WithTimeoutCause(h.Context, limit, errWithin)
		defer cancel()
		h.Context = ctx
	}
	p := h.peer
	p.working.Add(1)
	defer p.working.Add(-1)
	values, cleaned := p.kept.Pin(), false
	defer values.Unpin()
	if p.endpoint.shared.config.Trace != nil {
		done := h.traced()
		defer func() {
			reason, why := h.reason(err), err
			h.told = func() { done(reason, why) }
		}()
	}
	err = graph.ErrGoexit // until the handler returns
	defer func() {
		if !cleaned {
			_ = h.cleanUp(err)
		}
	}()
	err = h.run(values, read, made)
	if over := h.Err(); over != nil && errors.Is(err, over) {
		err = context.Cause(h) // which says more
	}
	cleaned = true
	if err = h.cleanUp(err); err != nil {
		h.flush()
		return err
	}
	h.sendHeld()
	return nil
}

// end tells a Trace of the end.
func (h *handling) end() {
	if h.told != nil {
		h.told()
	}
}

// send queues a message, of which an error is the connection's end.
func (p *peer) send(ctx context.Context, m *wsconn.Outgoing) {
	defer m.Release()
	_ = p.conn.Send(ctx, m)
}

// run resolves what the handler needs and calls it.
func (h *handling) run(values graph.Pinned, read, made func(any) error) (err error) {
	p := h.peer
	defer graph.Recover(h.call.target.Func.Name, &err)
	run := &h.resolver
	run.Plan, run.Request, run.Connection = p.endpoint.plan.Messages[h.call.index], noRequest, h
	run.Conn, run.Trace = h, p.endpoint.traces
	if run.Plan.Resolves() {
		h.scope.Budget, h.scope.Report, h.scope.Strict = p.scope.Budget, p.scope.Report, true
		h.holding = true
		run.Connection = h.scope.Context(h)
	}
	run.Handshake = run.Connection
	message, err := run.Begin(values)
	if err == nil {
		err = read(message)
	}
	if err != nil {
		return err
	}
	with, err := run.Resolve()
	if err == nil {
		err = context.Cause(h) // it may have ended meanwhile
	}
	if err != nil {
		return err
	}
	if h.scope.Pending() == 0 { // nothing that could fail later
		h.sendHeld()
	}
	out, err := h.serve(message, with)
	if err != nil || out == nil {
		return err
	}
	return made(out)
}

// serve calls the handler.
func (h *handling) serve(message, with any) (out any, err error) {
	if h.call.delta != nil {
		defer h.endReply()
	}
	return h.call.serve(h, message, with)
}

// noRequest stands for that of the handshake, of which a message reads nothing any more.
var noRequest = &bind.Request{}

func (h *handling) read(in *wsconn.Message, message any) error {
	if data, ok := message.(*[]byte); ok && in.Binary {
		*data = bytes.Clone(in.Buf.Bytes())
		return nil
	}
	if bad := decodeJSON(h.call.check, in, message); bad != nil {
		return bad.detailed(h.call.target.Message)
	}
	return nil
}

// cleanUp releases what was made for the message, and returns what its answer is to be.
func (h *handling) cleanUp(err error) error {
	if h.scope.Budget == 0 {
		return err
	}
	if err == nil && h.scope.Pending() > 0 {
		err = context.Cause(h)
	}
	h.scope.End(h, err)
	return cmp.Or(h.scope.Failed(), err)
}

// sendHeld sends what has waited, and lets nothing wait any more.
func (h *handling) sendHeld() {
	for _, send := range h.flush() {
		if handlingOf(h.Context).hold(send) {
			continue
		}
		if err := protect("what a message sends", send); err != nil {
			h.logFailed(err)
		}
	}
}

func (h *handling) logFailed(err error) {
	h.peer.log(slog.LevelError, "message failed", err, slog.String("type", h.call.name))
}

// flush returns what has waited, for good.
func (h *handling) flush() (later []func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	later, h.later, h.holding = h.later, nil, false
	return later
}

// traced tells of the beginning of a message, and returns what tells of its end.
func (h *handling) traced() (done func(reason string, err error)) {
	e, begun := h.peer.endpoint, time.Now()
	info := HandledInfo{e.target.Label, h.call.name}
	e.tell(func(t *Trace) { h.Context = t.MessageStart(h.Context, info) })
	return func(reason string, err error) {
		took := time.Since(begun)
		e.tell(func(t *Trace) { t.MessageDone(h.Context, info, took, reason, err) })
	}
}

// reason is that of the error answer for an error; empty for none, and for one that nobody hears,
// as the connection has ended.
func (h *handling) reason(err error) string {
	r, _ := h.peer.endpoint.declared(err)
	bad, unread := errors.AsType[*MessageError](err)
	end := h.peer.conn.Outcome()
	unheard := end.Cause != nil || h.call.delta != nil && end.Left != nil
	switch {
	case err == nil, unheard && !isPanic(err):
		return ""
	case r != nil:
		return problemOf(r).Reason
	case isPanic(err), h.scope.Failed() != nil:
		return reasonInternal
	case unread:
		return bad.Reason
	case errors.Is(err, graph.ErrLacking):
		return reasonUnauthorized
	case errors.Is(context.Cause(h), errWithin):
		return reasonTimeout
	case errors.Is(context.Cause(h), errCancelled):
		return reasonCancelled
	}
	return reasonInternal
}
