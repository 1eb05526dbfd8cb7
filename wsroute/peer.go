package wsroute

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"example.com/usher/internal/graph"
	"example.com/usher/internal/wsconn"
)

// peer is one connection, from the beginning of its handshake to its last
// cleanup. It is kept as long as the socket, so it holds nothing of the request.
type peer struct {
	endpoint    *endpoint
	conn        *wsconn.Conn
	scope       graph.Scope // of the Connection lifetime
	authorised  authorisation
	kept        *graph.Values        // of the resolution; nil for none
	talk        atomic.Pointer[talk] // from the first message on
	going       companions
	renewer     *renewer     // nil unless something may be resolved again
	failed      bool         // the handler has
	working     atomic.Int32 // handlers that have not returned
	subprotocol string       // that was selected, or ""
	counted     counted
	values      requestValues
	remote      string
	since       time.Time
}

func (p *peer) ofPeer() *peer { return p }

func newPeer(e *endpoint, r *http.Request) *peer {
	p := &peer{endpoint: e, remote: e.shared.proxies.remote(r), since: time.Now()}
	p.values.Context = valuesOf(r.Context())
	p.conn = wsconn.New(&p.values, e.settings)
	p.scope = graph.Scope{
		Budget: e.shared.config.CleanupTimeout, Authorisation: &p.authorised,
		Report: func(err error) { p.log(slog.LevelError, "cleanup failed", err) },
	}
	return p
}

// requestValues has the values of a request's context, such as a span, for the context of
// its connection, but for what usher has put there.
type requestValues struct {
	context.Context
	traced atomic.Pointer[traced] // whose context takes its place; nil for none
}

// Value implements [context.Context].
func (v *requestValues) Value(key any) any {
	if key == (hiddenKey{}) || key == (tracedKey{}) || key == (handlingKey{}) {
		return nil
	}
	if t := v.traced.Load(); t != nil {
		return t.ctx.Value(key)
	}
	return v.Context.Value(key)
}

// valuesOf returns a context with the same values, without what net/http has put around them to
// end them: about 500 B, for as long as the connection.
func valuesOf(ctx context.Context) context.Context {
	for {
		v := reflect.ValueOf(ctx)
		if v.Type() != cancelType {
			return ctx
		}
		ctx, _ = v.Elem().FieldByName("Context").Interface().(context.Context)
	}
}

// cancelType is what context.WithCancel returns: its parent, embedded, and what ends it.
var cancelType = func() reflect.Type {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	return reflect.TypeOf(ctx)
}()

// run is the goroutine of an open connection: release of the Handshake lifetime, handler,
// and what comes after it, also when the handler ends the goroutine. An idle connection
// waits in it, so that what it has on the stack counts.
func (p *peer) run(in any, endHandshake func(error)) {
	result := graph.ErrGoexit // until the handler returns
	talks := false
	defer func() {
		if !talks {
			p.end(result)
		}
	}()
	if endHandshake != nil {
		endHandshake(nil)
	}
	if end := p.conn.Outcome(); end.Ours { // a drain during the 101, or a fault in the first frames
		result = end.Cause
		return
	}
	result = p.handle(in)
	if talks = result == nil && p.endpoint.route.channel != nil; talks {
		p.conn.Work(p.work)
	}
}

// end is all that comes after the handler, each stage whatever becomes of those before.
func (p *peer) end(result error) {
	defer func() {
		p.conn.AfterClose(func() {
			growStack() // for the line of log: while the connection was open it was small
			leave := func() { p.endpoint.shared.hub.leave(p) }
			defer leave()
			code, reason, byPeer := closeCode(p.conn.Outcome())
			p.closed(code, reason)
			p.logEnd(leave, result, code, reason, byPeer)
		})
	}()
	defer func() { p.scope.End(p.conn.Context(), result) }()
	defer func() {
		if p.kept != nil {
			p.kept.End(p.conn.Context(), result)
		}
	}()
	defer p.conn.HandlerDone()
	result = p.conclude(result)
	p.going.wait()
}

// companions are the goroutines that work for a connection beside its handler.
type companions struct {
	mu      sync.Mutex
	over    bool
	running sync.WaitGroup
}

func (c *companions) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.running.Add(1)
	}
	return !c.over
}

// wait waits for all of them, and lets no more in.
func (c *companions) wait() {
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	c.running.Wait()
}

// beside calls f on a goroutine of its own, which the end of the connection waits for, unless
// that is there. An error of f ends the connection as one of the handler does.
func (p *peer) beside(in string, f func() error) {
	if !p.going.enter() {
		return
	}
	go func() {
		err := graph.ErrGoexit // until f returns
		defer p.going.running.Done()
		defer func() {
			if err == nil {
				return
			}
			code, reason, logged := p.endpoint.closing(err)
			if !p.conn.End(logged, code, reason, false) && isPanic(err) { // or nobody would know
				p.log(slog.LevelError, "work failed", err)
			}
		}()
		err = graph.Protect(in, f)
	}()
}

// handle calls the handler, and returns its panic as an error.
func (p *peer) handle(in any) (err error) {
	rt := p.endpoint.route
	defer graph.Recover(rt.target.Func.Name, &err)
	p.working.Add(1)
	defer p.working.Add(-1)
	return rt.serve(p.conn.Context(), p, in)
}

// conclude begins the end of a connection whose handler has returned. Whatever
// ended it before stays the cause. It returns what is to be logged.
func (p *peer) conclude(result error) error {
	if errors.Is(result, context.Canceled) {
		result = ended(p.conn.Context(), result) // why it was cancelled says more
	}
	code, reason := 0, ""
	if p.conn.Outcome().Cause == nil {
		code, reason, result = p.endpoint.closing(result)
		p.failed = code == wsconn.CodeInternal
	}
	p.conn.End(cmp.Or(result, ErrClosed), code, reason, false)
	if ended := p.conn.Outcome().Cause; result == nil && !errors.Is(ended, ErrClosed) {
		return ended // the handler returned because of it
	}
	return result
}

// closeCode returns the close code and the reason of whoever closed first, 1006 if nobody did.
func closeCode(end wsconn.Outcome) (code int, reason string, byPeer bool) {
	if closed, ok := errors.AsType[*CloseError](end.Cause); ok {
		return closed.Code, closed.Reason, true
	}
	return cmp.Or(end.Code, wsconn.CodeAbnormal), end.Reason, false
}

// logEnd writes the connection's one line of log, and calls leave if it is late.
func (p *peer) logEnd(leave func(), result error, code int, reason string, byPeer bool) {
	if byPeer && errors.As(result, new(*CloseError)) { // of which code and reason say all
		result = nil
	}
	level := slog.LevelInfo
	if p.failed || code == wsconn.CodeInternal && !byPeer {
		level = slog.LevelError
	}
	attrs := append(make([]slog.Attr, 0, 3),
		slog.Int("code", code), slog.Duration("duration", time.Since(p.since)))
	if reason != "" {
		attrs = append(attrs, slog.String("reason", reason))
	}
	p.endpoint.log(level, "connection ended", p.remote, result, leave, attrs...)
}
