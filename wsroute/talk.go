package wsroute

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"example.com/usher/depends"
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
	reasonCancelled    = "cancelled"
	reasonInternal     = "internal"
)

var (
	errWithin    = errors.New("wsroute: the message took longer than Within allows")
	errCancelled = errors.New("wsroute: the peer has cancelled the message")
	errFaulty    = fmt.Errorf("%w: more bad messages than Config.MessageErrors", ErrProtocol)
)

// talk handles the messages of an open connection.
type talk struct {
	peer      *peer
	slots     map[*call]chan struct{} // of concurrent messages
	mu        sync.Mutex              // of the rest
	bad       budget                  // for messages that cannot be read
	active    []*handling             // that can be cancelled
	cancelled []cancellation
}

// talking returns what handles the messages.
func (p *peer) talking() *talk {
	if p.talk.Load() == nil {
		p.talk.CompareAndSwap(nil, &talk{peer: p})
	}
	return p.talk.Load()
}

// work handles what has come, on a goroutine that ends a while after the last message. Once the
// connection has ended it sees to what comes after.
func (p *peer) work() {
	t, idle, result := p.talking(), false, graph.ErrGoexit // until it returns
	defer func() {
		if !idle {
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
	p := t.peer
	var e envelope
	c, reason := p.endpoint.route.find(in.Buf.Bytes(), in.Binary, &e)
	if c == nil {
		defer p.conn.HandlerDone()
		defer in.Release()
		t.countBad()
		p.sendError(e.ref, reason)
		return
	}
	h := newHandling(p.conn.Context(), p, c, e.ref)
	over := func() {}
	if c.cancels() { // on this goroutine, where messages are in their order
		over = t.cancellable(h, in.Number)
	}
	if c.concurrent > 0 {
		t.start(h, in, over)
		return
	}
	defer p.conn.HandlerDone()
	defer over()
	t.handle(h, in)
}

// start handles a concurrent message once there is a place for it, and calls over after it.
func (t *talk) start(h *handling, in *wsconn.Message, over func()) {
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
		over()
		conn.HandlerDone()
		return
	}
	t.peer.beside("a concurrent message", func() error {
		defer conn.HandlerDone()
		defer func() { <-slot }()
		defer over()
		t.handle(h, in)
		return nil
	})
}

// handle sees a message through, and answers it.
func (t *talk) handle(h *handling, in *wsconn.Message) {
	defer h.end()
	var answer *wsconn.Outgoing
	err := h.do(func(message any) error {
		err := h.read(in, message)
		in.Release()
		in = nil
		return err
	}, func(made any) (err error) {
		answer, err = h.peer.endpoint.route.codec.out.encode(made, h.ref)
		return err
	})
	if in != nil {
		in.Release()
	}
	switch {
	case err == nil && answer != nil:
		h.peer.send(h.peer.conn.Context(), answer)
	case err != nil:
		if answer != nil {
			answer.Release()
		}
		t.fail(h, err)
	}
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

// fail answers a message with an error.
func (t *talk) fail(h *handling, err error) {
	p := h.peer
	says := problem{Reason: h.reason(err)}
	r, logged := p.endpoint.declared(err)
	bad, unread := errors.AsType[*MessageError](err)
	switch {
	case says.Reason == "":
		return // nobody hears it
	case r != nil && r.CloseCode != 0:
		p.conn.End(logged, r.CloseCode, r.Reason, false)
		return
	case r != nil:
		says = problemOf(r)
	case says.Reason == reasonInternal:
		h.logFailed(logged)
	case unread:
		t.countBad()
		says.Errors = bad.Errors
	}
	p.sendProblem(h.ref, says)
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

func (p *peer) sendProblem(ref []byte, says problem) {
	m := begin(p.endpoint.route.codec.out.member, "error", ref)
	_ = encodeTo(enveloped{m}, says) // it has a JSON form
	p.send(p.conn.Context(), m)
}

// sendError answers with a reason of usher's own, without an allocation.
func (p *peer) sendError(ref []byte, reason string) {
	m := begin(p.endpoint.route.codec.out.member, "error", ref)
	_, _ = m.WriteString(`,"reason":"`)
	_, _ = m.WriteString(reason)
	_, _ = m.WriteString(`"}`)
	p.send(p.conn.Context(), m)
}
