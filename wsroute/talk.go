package wsroute

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
	"example.com/usher/internal/graph"
	"example.com/usher/internal/wsconn"
)

// The reasons of error answers that are not the program's own.
const (
	reasonNoJSON       = "invalid_json"
	reasonInvalid      = "invalid_message"
	reasonUnknown      = "unknown_type"
	reasonBinary       = "binary_not_accepted"
	reasonUnauthorized = "unauthorized"
	reasonTimeout      = "timeout"
	reasonInternal     = "internal"
)

var (
	errWithin = errors.New("wsroute: the message took longer than Within allows")
	errFaulty = fmt.Errorf("%w: more bad messages than Config.MessageErrors", ErrProtocol)
)

// talk handles the messages of an open connection.
type talk struct {
	peer    *peer
	mu      sync.Mutex
	bad     budget                  // for messages that cannot be read
	slots   map[*call]chan struct{} // of concurrent messages
	running sync.WaitGroup          // those
}

// work handles what has come, on a goroutine that ends a while after the last message. Once the
// connection has ended it sees to what comes after.
func (p *peer) work() {
	if p.talk == nil {
		p.talk = &talk{peer: p}
	}
	t := p.talk
	idle, result := false, graph.ErrGoexit // until it returns
	defer func() {
		if !idle {
			result = p.conclude(result)
			t.running.Wait()
			p.end(result)
		}
	}()
	for {
		in, err := p.conn.Receive(p.conn.Context())
		if err != nil {
			result = err
			return
		}
		if in == nil {
			idle = true
			return
		}
		t.take(in)
	}
}

// take handles a message or, if others may be handled meanwhile, starts to.
func (t *talk) take(in *wsconn.Message) {
	var e envelope
	c, reason := t.peer.endpoint.route.find(in.Buf.Bytes(), in.Binary, &e)
	switch {
	case c == nil:
		defer t.peer.conn.HandlerDone()
		defer in.Release()
		t.countBad()
		t.sendError(e.ref, reason)
	case c.concurrent == 0:
		defer t.peer.conn.HandlerDone()
		_, _ = t.handle(newHandling(t, c, e.ref), in) // they are for a Trace
	default:
		t.start(newHandling(t, c, e.ref), in)
	}
}

// start handles a concurrent message once there is a place for it.
func (t *talk) start(h *handling, in *wsconn.Message) {
	slot := t.slots[h.call]
	if slot == nil {
		if t.slots == nil {
			t.slots = map[*call]chan struct{}{}
		}
		slot = make(chan struct{}, h.call.concurrent)
		t.slots[h.call] = slot
	}
	conn := t.peer.conn
	select {
	case slot <- struct{}{}:
	case <-conn.Context().Done():
		in.Release()
		conn.HandlerDone()
		return
	}
	t.running.Go(func() {
		returned := false
		defer func() {
			if !returned {
				t.peer.refuse(graph.ErrGoexit)
			}
			conn.HandlerDone()
			<-slot
		}()
		_, _ = t.handle(h, in)
		returned = true
	})
}

// countBad counts a message that could not be read, and ends the connection for too many.
func (t *talk) countBad() {
	most := t.peer.endpoint.shared.config.MessageErrors
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.bad.take(time.Minute/time.Duration(most), most) {
		t.peer.conn.End(errFaulty, wsconn.CodePolicy, "too_many_bad_messages", false)
	}
}

// handling is a message that is handled, and its context.
type handling struct {
	context.Context // of the connection, or with an end of its own
	talk            *talk
	call            *call
	ref             []byte // nil for none
	room            [maxRef + 2]byte
	scope           graph.Scope // of the Message lifetime
	resolver        graph.Run

	mu      sync.Mutex
	later   []func() // what is sent before the answer
	holding bool     // what is sent waits: something may have to be cleaned up
}

func newHandling(t *talk, c *call, ref []byte) *handling {
	h := &handling{Context: t.peer.conn.Context(), talk: t, call: c}
	if ref != nil {
		h.ref = append(h.room[:0], ref...)
	}
	return h
}

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

// holds says whether what a message sends waits for its cleanups.
func (h *handling) holds() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.holding
}

// hold keeps what sends something until then, unless it is too late.
func (h *handling) hold(send func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.holding {
		h.later = append(h.later, send)
	}
	return h.holding
}

// handle sees a message through, from its guards to its answer. It returns the reason of an
// error answer, and the error.
func (t *talk) handle(h *handling, in *wsconn.Message) (reason string, err error) {
	if limit := h.call.within; limit > 0 {
		ctx, cancel := context.WithTimeoutCause(h.Context, limit, errWithin)
		defer cancel()
		h.Context = ctx
	}
	p := t.peer
	p.working.Add(1)
	defer p.working.Add(-1)
	values, cleaned := p.kept.Pin(), false
	defer values.Unpin()
	if p.endpoint.shared.config.Trace != nil {
		done := h.traced()
		defer func() { done(reason, err) }()
	}
	err = graph.ErrGoexit // until the handler returns
	defer func() {
		if !cleaned {
			_ = h.cleanUp(err)
		}
	}()
	answer, err := h.run(in, values)
	cleaned = true
	if err = h.cleanUp(err); err != nil {
		if answer != nil {
			answer.Release()
		}
		return h.fail(err), err
	}
	h.sendHeld()
	if answer != nil {
		p.send(p.conn.Context(), answer)
	}
	return "", nil
}

// send queues a message, of which an error is the connection's end.
func (p *peer) send(ctx context.Context, m *wsconn.Outgoing) {
	defer m.Release()
	_ = p.conn.Send(ctx, m)
}

// run resolves what the handler needs, calls it and encodes its answer.
func (h *handling) run(
	in *wsconn.Message, values graph.Pinned,
) (answer *wsconn.Outgoing, err error) {
	p := h.talk.peer
	defer graph.Recover(h.call.target.Func.Name, &err)
	run := &h.resolver
	run.Plan, run.Request, run.Connection = h.call.plan, noRequest, h
	run.Conn, run.Trace = p, p.endpoint.traces
	if h.call.plan.Resolves() {
		h.scope.Budget, h.scope.Report, h.scope.Strict = p.scope.Budget, p.scope.Report, true
		h.holding = true
		run.Connection = h.scope.Context(h)
	}
	run.Handshake = run.Connection
	message, err := run.Begin(values)
	if err == nil {
		err = h.read(in, message)
	}
	in.Release()
	if err != nil {
		return nil, err
	}
	with, err := run.Resolve()
	if err == nil {
		err = context.Cause(h) // it may have ended meanwhile
	}
	if err != nil {
		return nil, err
	}
	if h.scope.Pending() == 0 { // nothing that could fail later
		h.sendHeld()
	}
	out, err := h.call.serve(h, message, with)
	if err != nil || out == nil {
		return nil, err
	}
	return p.endpoint.route.codec.out.encode(out, h.ref)
}

// noRequest stands for that of the handshake, of which a message reads nothing any more.
var noRequest = &bind.Request{}

func (h *handling) read(in *wsconn.Message, message any) error {
	if bad := decodeJSON(h.call.check, in, message); bad != nil {
		bad.Errors = fieldErrors(h.call.target.Message, bad.Err)
		if !errors.As(bad.Err, new(*json.SyntaxError)) {
			bad.Reason = reasonInvalid
		}
		return bad
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
		if err := protect("what a message sends", send); err != nil {
			h.talk.peer.log(slog.LevelError, "message failed", err, slog.String("type", h.call.name))
		}
	}
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
	e, begun := h.talk.peer.endpoint, time.Now()
	info := HandledInfo{e.target.Label, h.call.name}
	e.tell(func(t *Trace) { h.Context = t.MessageStart(h.Context, info) })
	return func(reason string, err error) {
		took := time.Since(begun)
		e.tell(func(t *Trace) { t.MessageDone(h.Context, info, took, reason, err) })
	}
}

// fail answers a message with an error, and returns its reason.
func (h *handling) fail(err error) (reason string) {
	h.flush()
	t := h.talk
	p := t.peer
	if p.conn.Outcome().Cause != nil && !isPanic(err) {
		return "" // nobody hears it
	}
	says := problem{Reason: reasonInternal}
	r, logged := p.endpoint.declared(err)
	bad, unread := errors.AsType[*MessageError](err)
	if unread = unread && !isPanic(err); unread {
		t.countBad()
	}
	switch {
	case r != nil && r.CloseCode != 0:
		p.conn.End(logged, r.CloseCode, r.Reason, false)
		return r.Reason
	case r != nil:
		says = problemOf(r)
	case isPanic(err):
	case unread:
		says = problem{Reason: bad.Reason, Errors: bad.Errors}
	case errors.Is(err, graph.ErrLacking):
		says.Reason = reasonUnauthorized
	case errors.Is(context.Cause(h), errWithin):
		says.Reason = reasonTimeout
	}
	if says.Reason == reasonInternal && r == nil {
		p.log(slog.LevelError, "message failed", logged, slog.String("type", h.call.name))
	}
	t.sendProblem(h.ref, says)
	return says.Reason
}

// problem is an error answer.
type problem struct {
	Reason     string               `json:"reason"`
	Detail     string               `json:"detail,omitempty"`
	RetryAfter int                  `json:"retry_after,omitempty"`
	Errors     []depends.ParamError `json:"errors,omitempty"`
}

func problemOf(r *depends.Rejection) problem {
	out := problem{Reason: r.Reason, Detail: r.Detail, Errors: r.Params}
	if out.Reason == "" {
		words := strings.ToLower(http.StatusText(r.StatusBeforeUpgrade()))
		out.Reason = strings.ReplaceAll(words, " ", "_")
	}
	if r.RetryAfter > 0 {
		out.RetryAfter = int(math.Ceil(r.RetryAfter.Seconds()))
	}
	return out
}

func (t *talk) sendProblem(ref []byte, says problem) {
	m := begin(t.peer.endpoint.route.codec.out.member, "error", ref)
	_ = encodeTo(enveloped{m}, says) // it has a JSON form
	t.peer.send(t.peer.conn.Context(), m)
}

// sendError answers with a reason of usher's own, without an allocation.
func (t *talk) sendError(ref []byte, reason string) {
	m := begin(t.peer.endpoint.route.codec.out.member, "error", ref)
	_, _ = m.WriteString(`,"reason":"`)
	_, _ = m.WriteString(reason)
	_, _ = m.WriteString(`"}`)
	t.peer.send(t.peer.conn.Context(), m)
}
