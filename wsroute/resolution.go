package wsroute

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"example.com/usher/internal/bind"
	"example.com/usher/internal/graph"
)

// ErrDiagnose is the cause that cleanups are given when the dependencies were
// resolved for a plain GET of a route with [Diagnose].
var ErrDiagnose = errors.New("wsroute: resolved to diagnose, not to connect")

var (
	errBudget = errors.New("wsroute: the dependencies took longer than ResolveTimeout")
	errGone   = errors.New("wsroute: the client left before the answer")
	errLate   = errors.New("wsroute: the deadline of the request's context has passed")

	errResponded = errors.New(
		"wsroute: middleware has written a response; if it refuses, it must abort")

	// errUpgrade is a failure after the hijack, when nobody can be answered.
	errUpgrade = errors.New("wsroute: upgrade")
)

// resolution is a request whose dependencies are resolved: a handshake, or a plain request
// of [HandleHTTP]. It runs on the request's goroutine; an open connection gets one of its
// own. When the budget is over or the client gone while a provider works, the refusal does
// not wait for it.
type resolution struct {
	peer     *peer
	w        http.ResponseWriter
	r        *http.Request
	request  bind.Request
	resolver graph.Run
	scope    graph.Scope         // of the Handshake lifetime
	header   map[string][]string // of the answer
	end      func(cause error)
	decided  atomic.Bool    // somebody has taken it upon himself to answer
	answered sync.WaitGroup // for somebody else to answer
}

// run resolves the dependencies and sees the request through.
func (h *resolution) run() {
	var in any
	err := graph.ErrGoexit // until a provider returns
	h.answered.Add(1)
	limit := h.peer.endpoint.shared.config.ResolveTimeout
	budget := time.AfterFunc(limit, func() { h.abandon(fmt.Errorf("%w, %v", errBudget, limit)) })
	unwatch := context.AfterFunc(h.r.Context(), func() { h.abandon(requestEnd(h.r)) })
	defer func() { // also when a provider ends this goroutine
		budget.Stop()
		unwatch()
		if h.decided.CompareAndSwap(false, true) {
			h.settle(in, err)
			return
		}
		h.answered.Wait()
		h.drop(h.peer.conn.Outcome().Cause)
	}()
	in, err = h.resolve()
}

// resolve runs the providers. A panic of one is returned.
func (h *resolution) resolve() (in any, err error) {
	p := h.peer
	run := &h.resolver
	run.Plan, run.Request = p.endpoint.plan.Plan, &h.request
	run.Trace, run.Conn = p.endpoint.traces, p
	run.Connection = p.scope.Context(p.conn.Context())
	p.scope.Header, h.scope.Header = &h.header, &h.header
	if run.Plan.Handshake {
		ctx, cancel := context.WithCancelCause(p.conn.Context())
		h.scope.Budget, h.scope.Report = p.scope.Budget, p.scope.Report
		h.scope.Authorisation = p.scope.Authorisation
		run.Handshake = h.scope.Context(ctx)
		h.end = func(cause error) {
			defer cancel(cause)
			h.scope.End(ctx, cause)
		}
	}
	var values *graph.Values
	scoped := p.endpoint.route.answer == nil && p.endpoint.shared.rooms != nil // see Audience
	if run.Plan.Keeps || run.Plan.Messages != nil || scoped {
		values = run.Keep()
	}
	if in, err = run.Resolve(); err == nil {
		if values != nil {
			p.keep(values, run, &h.request)
		}
		err = p.endpoint.shared.hub.admit(p)
	}
	return in, err
}

// abandon answers in place of a resolver that has not come to an end.
func (h *resolution) abandon(cause error) {
	if !h.decided.CompareAndSwap(false, true) {
		return
	}
	defer h.answered.Done()
	h.peer.conn.End(cause, 0, "", true)
	err := protect("the ResponseWriter", func() {
		h.w.Header().Set("Connection", "close") // the request's goroutine is busy
		h.refuse(cause)
	})
	if err != nil {
		h.peer.log(slog.LevelError, "refusal not written", err)
	}
}

// settle answers a request whose dependencies are resolved, or are not to be had.
func (h *resolution) settle(in any, err error) {
	if why := requestEnd(h.r); err != nil && !isPanic(err) && why != nil {
		err = why // whatever else became of it
	}
	err = ended(h.peer.conn.Context(), err)
	if h.peer.endpoint.route.answer != nil {
		h.answer(in, err)
		return
	}
	h.open(in, err)
}

// open writes the 101 and hands the connection over, or refuses.
func (h *resolution) open(in any, err error) {
	e := h.peer.endpoint
	if err == nil && h.request.Diagnose {
		defer h.drop(ErrDiagnose)
		e.writeRejection(h.w, h.r, upgradeRequired(h.r))
		return
	}
	if err == nil {
		returned := false
		defer func() {
			if !returned { // the ResponseWriter has ended this goroutine
				h.drop(graph.ErrGoexit)
			}
		}()
		err = graph.Protect("the ResponseWriter", h.upgrade)
		returned = true
	}
	if err != nil {
		h.drop(err) // what was resolved need not wait for the peer
		h.refuse(err)
		return
	}
	e.shared.hub.opened(h.peer)
	go h.peer.run(in, h.end)
}

// refuse answers with a refusal. It is flushed if the request's goroutine is busy, or ends
// without a return to net/http.
func (h *resolution) refuse(err error) {
	written := h.peer.endpoint.answerError(h.w, h.r, &h.request, err)
	if written && (isTimeout(err) || errors.Is(err, graph.ErrGoexit)) {
		_ = http.NewResponseController(h.w).Flush()
	}
}

// drop releases all that was resolved for a connection that is refused. Cleanups
// get a goroutine of their own: the answer goes out when this one returns.
func (h *resolution) drop(cause error) {
	if h.pending() {
		go h.release(cause)
		return
	}
	h.release(cause)
}

// pending says whether there is anything to release.
func (h *resolution) pending() bool { return h.scope.Pending()+h.peer.scope.Pending() > 0 }

// release releases all that was resolved for a request that opens no connection.
func (h *resolution) release(cause error) {
	p := h.peer
	defer p.endpoint.shared.hub.leave(p)
	defer p.scope.End(p.conn.Context(), cause)
	p.conn.End(cause, 0, "", false)
	if h.end != nil {
		h.end(cause)
	}
}

// requestEnd returns why a request has ended before it was answered: mostly, its client has
// left.
func requestEnd(r *http.Request) error {
	switch r.Context().Err() {
	case nil:
		return nil
	case context.DeadlineExceeded:
		return errLate
	}
	return errGone
}

// responded is an error if middleware has written a response already, as far as its
// writer says so.
func responded(w http.ResponseWriter) error {
	if written, ok := w.(interface{ Written() bool }); ok && written.Written() {
		return errResponded
	}
	return nil
}

// upgrade hijacks the connection and writes the 101. It is the last moment at
// which the client's or the server's leaving is still a refusal.
func (h *resolution) upgrade() error {
	e, conn := h.peer.endpoint, h.peer.conn
	end := cmp.Or(requestEnd(h.r), conn.Outcome().Cause)
	if err := cmp.Or(end, responded(h.w), h.checkHeader()); err != nil {
		return err
	}
	protocol := e.route.selectSubprotocol(h.request.Selectable())
	socket, hijacked, err := e.accept(h.w, h.r, h.header, protocol, e.route.Compress)
	if hijacked && err != nil {
		return fmt.Errorf("%w: %w", errUpgrade, err)
	}
	if err != nil {
		return err
	}
	e.answered(h.r, http.StatusSwitchingProtocols, "", nil)
	h.peer.subprotocol = protocol
	h.peer.scope.Header = nil // a provider may keep its context
	h.peer.authorised.Seal()
	conn.ExpireAt(h.peer.authorised.Until())
	conn.Open(socket, h.peer.hooks(h.r))
	return nil
}
