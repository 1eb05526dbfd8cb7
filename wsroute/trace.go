package wsroute

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/graph"
	"example.com/usher/internal/wsconn"
)

// Trace is told what happens on the WebSockets of a router, for metrics and traces: put one
// into Config.Trace. Any function may be nil, and costs nothing then.
//
// All are called while usher waits, so they must be quick, and concurrently. A context that one
// returns takes the place of the one it was given: it must be derived from that. Nothing of an
// info is a credential, a query or a path. Route, such as "GET /rooms/:room", the names of
// providers, and the status and reason of a handshake may be labels of a metric; the code and
// reason of a ClosedInfo may be the peer's own choice. A panic is logged. The structs may get
// more fields.
type Trace struct {
	// HandshakeStart is told of each request to a WebSocket route, but for the plain GET of
	// one with Diagnose. The providers get what it returns.
	HandshakeStart func(ctx context.Context, h HandshakeInfo) context.Context
	// HandshakeDone is told exactly once of each: after the 101, or before the refusal.
	HandshakeDone func(ctx context.Context, h HandshakeInfo, r HandshakeResult)
	// Opened is told of each connection behind its 101, with the values of the handshake's
	// context. The context of the connection has the values of what it returns.
	Opened func(ctx context.Context, c ConnInfo) context.Context
	// ProviderStart and ProviderDone are told of each call of a provider for a request or
	// an open connection: all but those of the App lifetime. The provider gets what
	// ProviderStart returns.
	ProviderStart func(ctx context.Context, p ProviderInfo) context.Context
	ProviderDone  func(ctx context.Context, p ProviderInfo, took time.Duration, err error)
	// Received is told of each message of a peer, also of those that are dropped.
	Received func(ctx context.Context, r ReceivedInfo)
	// MessageStart and MessageDone are told of each message of [HandleMessages] that has a
	// handler: reason is that of the error answer, or empty. The handler and its providers
	// get what MessageStart returns.
	MessageStart func(ctx context.Context, m HandledInfo) context.Context
	MessageDone  func(ctx context.Context, m HandledInfo, took time.Duration, reason string, err error)
	// Sent is told of each message that is queued for a peer: that of a room, once for each
	// of its members.
	Sent func(ctx context.Context, s SentInfo)
	// Dropped is told of messages that were queued and will not be sent.
	Dropped func(ctx context.Context, d DropInfo)
	// Pong is told how long the answer to a ping took, once in each Limits.PingInterval.
	Pong func(ctx context.Context, route string, roundTrip time.Duration)
	// Closed is told exactly once of each connection that was Opened, with its context, when
	// its socket is closed and its cleanups have run.
	Closed func(ctx context.Context, c ClosedInfo)
	// Broker is told when messages of Config.Broker may be missing, and of its errors. It must not
	// call Rooms.
	Broker func(ctx context.Context, b BrokerInfo)
}

// HandshakeInfo is a request to a WebSocket route.
type HandshakeInfo struct{ Route string }

// HandshakeResult is how a handshake was answered.
type HandshakeResult struct {
	Status int    // 101, that of the refusal, or 499 if the client has left before
	Reason string // of the refusal, as "token_expired"; empty for 101 and 499
	Took   time.Duration
	Err    error // why it was refused; may be nil, and may hold what the client sent
}

// ConnInfo is an open connection.
type ConnInfo struct{ Route string }

// ProviderInfo is a provider that is called for a route.
type ProviderInfo struct {
	Route    string
	Name     string // of the function, or what stands for it
	Lifetime depends.Lifetime
}

// HandledInfo is a message that is handled.
type HandledInfo struct{ Route, Type string }

// ReceivedInfo is a message that was received.
type ReceivedInfo struct {
	Route string
	Type  string // its name, or "_other" for one that has no handler; empty for a loop
	Bytes int    // of its payload
}

// SentInfo is a message that was queued.
type SentInfo struct {
	Route  string
	Type   string // its name in the Union, or that of usher's own; empty without a Union
	Bytes  int    // of its payload, not compressed
	Queued int    // bytes that wait for the peer then
}

// DropInfo is of messages that were queued for a peer and will not be sent.
type DropInfo struct {
	Route    string
	Messages int
	Bytes    int   // of their frames
	Cause    error // why the connection ended; nil if they gave way to newer ones (DropOldest)
}

// ClosedInfo is how a connection ended.
type ClosedInfo struct {
	Route  string
	Code   int    // the close code, of whoever closed first; 1006 if there was none
	Reason string // that stood with it: usher's, the program's or the peer's
	Cause  error  // why it ended, as context.Cause says
	Took   time.Duration
	// What has come and what was queued.
	Received, ReceivedBytes, Sent, SentBytes int64
}

// noTrace has a function for each that a Trace lacks.
var noTrace = Trace{
	HandshakeStart: func(ctx context.Context, _ HandshakeInfo) context.Context { return ctx },
	HandshakeDone:  func(context.Context, HandshakeInfo, HandshakeResult) {},
	Opened:         func(ctx context.Context, _ ConnInfo) context.Context { return ctx },
	ProviderStart:  func(ctx context.Context, _ ProviderInfo) context.Context { return ctx },
	ProviderDone:   func(context.Context, ProviderInfo, time.Duration, error) {},
	Received:       func(context.Context, ReceivedInfo) {},
	MessageStart:   func(ctx context.Context, _ HandledInfo) context.Context { return ctx },
	MessageDone:    func(context.Context, HandledInfo, time.Duration, string, error) {},
	Sent:           func(context.Context, SentInfo) {},
	Dropped:        func(context.Context, DropInfo) {},
	Pong:           func(context.Context, string, time.Duration) {},
	Closed:         func(context.Context, ClosedInfo) {},
	Broker:         func(context.Context, BrokerInfo) {},
}

// tell calls f with each Trace. A panic of one is logged, and is no reason to end anything.
func (e *endpoint) tell(f func(*Trace)) {
	for _, t := range e.shared.config.Trace {
		if err := protect("a Trace", func() { f(t) }); err != nil {
			e.log(slog.LevelError, "trace failed", "", err, nil)
		}
	}
}

// traced is a handshake, and then a connection, that a Trace is told of. It is the connection's
// [wsconn.Tracer].
type traced struct {
	endpoint *endpoint
	ctx      context.Context
	begun    time.Time
	done     atomic.Bool // the handshake is

	received, receivedBytes, sent, sentBytes atomic.Int64
}

// tracedKey is the context key of a request's *traced.
type tracedKey struct{}

// traced tells of the beginning of a handshake, and returns the request with the context that
// is used from then on.
func (e *endpoint) traced(r *http.Request) *http.Request {
	t := &traced{endpoint: e, begun: time.Now()}
	t.ctx = context.WithValue(r.Context(), tracedKey{}, t)
	t.tell(func(to *Trace) { t.ctx = to.HandshakeStart(t.ctx, HandshakeInfo{t.route()}) })
	return r.WithContext(t.ctx)
}

// answered tells, once, of the answer to a handshake.
func (e *endpoint) answered(r *http.Request, status int, reason string, err error) {
	t, _ := r.Context().Value(tracedKey{}).(*traced)
	if t == nil || t.done.Swap(true) {
		return
	}
	result := HandshakeResult{status, reason, time.Since(t.begun), err}
	t.tell(func(to *Trace) { to.HandshakeDone(t.ctx, HandshakeInfo{t.route()}, result) })
}

// opened tells of a connection that opens, and returns what its socket reports to; nil for
// nothing.
func (p *peer) opened(r *http.Request) wsconn.Tracer {
	if p.endpoint.shared.config.Trace == nil {
		return nil
	}
	t := r.Context().Value(tracedKey{}).(*traced) //nolint:forcetypeassert // of this very request
	t.ctx, t.begun = context.WithoutCancel(t.ctx), time.Now()
	t.tell(func(to *Trace) { t.ctx = to.Opened(t.ctx, ConnInfo{t.route()}) })
	p.values.traced.Store(t)
	return t
}

func (t *traced) tell(f func(*Trace)) { t.endpoint.tell(f) }

func (t *traced) route() string { return t.endpoint.target.Label }

// Received implements [wsconn.Tracer].
func (t *traced) Received(data []byte, binary bool) {
	info := ReceivedInfo{t.route(), t.endpoint.route.typeOf(data, binary), len(data)}
	t.received.Add(1)
	t.receivedBytes.Add(int64(info.Bytes))
	t.tell(func(to *Trace) { to.Received(t.ctx, info) })
}

// Sent implements [wsconn.Tracer].
func (t *traced) Sent(label string, bytes, queued int) {
	t.sent.Add(1)
	t.sentBytes.Add(int64(bytes))
	t.tell(func(to *Trace) { to.Sent(t.ctx, SentInfo{t.route(), label, bytes, queued}) })
}

// Dropped implements [wsconn.Tracer].
func (t *traced) Dropped(messages, bytes int, cause error) {
	t.tell(func(to *Trace) { to.Dropped(t.ctx, DropInfo{t.route(), messages, bytes, cause}) })
}

// Pong implements [wsconn.Tracer].
func (t *traced) Pong(roundTrip time.Duration) {
	t.tell(func(to *Trace) { to.Pong(t.ctx, t.route(), roundTrip) })
}

// closed tells of the end of a connection that was opened.
func (p *peer) closed(code int, reason string) {
	t := p.values.traced.Load()
	if t == nil {
		return
	}
	info := ClosedInfo{
		Route: t.route(), Code: code, Reason: reason,
		Cause: p.conn.Outcome().Cause, Took: time.Since(t.begun),
		Received: t.received.Load(), ReceivedBytes: t.receivedBytes.Load(),
		Sent: t.sent.Load(), SentBytes: t.sentBytes.Load(),
	}
	t.tell(func(to *Trace) { to.Closed(t.ctx, info) })
}

// provider is told of the providers of a route: see [graph.Run].
func (e *endpoint) provider(
	ctx context.Context, p *graph.Provider,
) (_ context.Context, done func(error)) {
	begun := time.Now()
	info := ProviderInfo{e.target.Label, p.Func.Name, depends.Lifetime(p.Lifetime)}
	e.tell(func(t *Trace) { ctx = t.ProviderStart(ctx, info) })
	return ctx, func(err error) {
		took := time.Since(begun)
		e.tell(func(t *Trace) { t.ProviderDone(ctx, info, took, err) })
	}
}
