package wsroute

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"

	"example.com/usher/internal/plan"
)

// peer is one connection, from the beginning of its handshake to its last
// cleanup. It is kept as long as the socket, so it holds nothing of the request.
type peer struct {
	endpoint *endpoint
	session  *session
	scope    plan.Scope // of the Connection lifetime
	remote   string
	since    time.Time
}

func newPeer(e *endpoint, remote string) *peer {
	p := &peer{
		endpoint: e,
		session:  newSession(context.Background(), e.shared.limits),
		remote:   remote,
		since:    time.Now(),
	}
	p.scope = plan.Scope{Budget: e.shared.config.CleanupTimeout, Report: p.logCleanup}
	return p
}

// run is the connection's goroutine: providers, 101, release of the Handshake
// lifetime, handler, close, release of the Connection lifetime. Each stage is
// deferred, so that it happens also when user code ends the goroutine.
func (p *peer) run(h *handshake) {
	growStack()
	result, upgraded := errGoexit, false
	defer p.endpoint.shared.hub.leave(p)
	defer func() {
		if upgraded {
			p.session.finish()
			p.logEnd(result)
		}
	}()
	defer func() { p.scope.End(p.session.ctx, result) }()
	defer func() { p.conclude(result, upgraded) }()
	in, err := p.connect(h, &upgraded)
	if err != nil {
		result = err
		return
	}
	if p.session.silent.Load() { // the router began to drain while the 101 was written
		result = context.Cause(p.session.ctx)
		return
	}
	result = p.handle(in)
}

// connect resolves the dependencies and sees the handshake through. The record
// and the request are garbage once it has returned and the handler runs.
func (p *peer) connect(h *handshake, upgraded *bool) (in any, err error) {
	run := &plan.Run{Plan: p.endpoint.plan, Request: &h.request, Connection: p.scope.Context(p.session.ctx)}
	release := func(error) {}
	if run.Plan.Handshake {
		ctx, cancel := context.WithCancelCause(p.session.ctx)
		h.scope = plan.Scope{Budget: p.scope.Budget, Report: p.scope.Report}
		run.Handshake = h.scope.Context(ctx)
		release = func(cause error) {
			defer cancel(cause)
			h.scope.End(ctx, cause)
		}
	}
	err = errGoexit
	defer func() {
		if errors.Is(err, errGoexit) && run.At() != "" {
			err = &plan.Error{Provider: run.At(), Err: err}
		}
		err = h.settle(ended(p.session.ctx, err))
		*upgraded = err == nil
		release(err)
	}()
	in, err = run.Resolve()
	return in, err
}

// handle calls the handler, and returns its panic as an error.
func (p *peer) handle(in any) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &plan.Panic{Value: v, Stack: debug.Stack(), In: p.endpoint.route.fn.Name}
		}
	}()
	err = p.endpoint.route.serve(p.session.ctx, p.session, in)
	if errors.Is(err, context.Canceled) {
		err = ended(p.session.ctx, err) // why it was cancelled says more
	}
	return err
}

// conclude begins the end of a connection whose handler has returned or that
// was never opened. Whatever ended it before stays the cause.
func (p *peer) conclude(result error, upgraded bool) {
	code, reason := 0, ""
	if upgraded {
		code, reason = closeFor(result)
	}
	cause := result
	if cause == nil {
		cause = ErrClosed
	}
	p.session.end(cause, code, reason, false)
}

func (p *peer) logCleanup(err error) {
	p.log(slog.LevelError, "cleanup failed", err)
}

// logEnd writes the connection's one line.
func (p *peer) logEnd(result error) {
	code, reason := p.session.code, p.session.reason
	cause := context.Cause(p.session.ctx)
	if result == nil && !errors.Is(cause, ErrClosed) {
		result = cause
	}
	closed, byPeer := errors.AsType[*CloseError](cause)
	switch {
	case byPeer:
		code, reason = closed.Code, closed.Reason
	case code == 0:
		code = closeAbnormal
	}
	level := slog.LevelInfo
	if code == closeInternal && !byPeer {
		level = slog.LevelError
	}
	p.log(level, "connection ended", result,
		slog.Int("code", code), slog.String("reason", reason), slog.Duration("duration", time.Since(p.since)))
}
