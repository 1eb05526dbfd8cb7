package wsroute

import (
	"context"
	"sync"
	"sync/atomic"
)

type sessionKey struct{}

// connContext is a connection's context: it knows the session. During the handshake it
// ends with the request's too, which is watched only once somebody waits for the end:
// most providers do not, and return before the client could leave.
type connContext struct {
	context.Context
	session *session
	request atomic.Pointer[watch] // nil when there is no request, or no more
}

// Value implements context.Context.
func (c *connContext) Value(key any) any {
	if key == (sessionKey{}) {
		return c.session
	}
	return c.Context.Value(key)
}

// Done implements context.Context.
func (c *connContext) Done() <-chan struct{} {
	if w := c.request.Load(); w != nil {
		w.begin()
	}
	return c.Context.Done()
}

// Err implements context.Context.
func (c *connContext) Err() error {
	if w := c.request.Load(); w != nil && w.of.r.Context().Err() != nil {
		w.look()
	}
	return c.Context.Err()
}

// watch ends a handshake whose request's context ends before the watch does.
type watch struct {
	of    *handshake
	mu    sync.Mutex
	over  bool
	unbid func() bool // nil until it has begun
}

// begin has the request's context watched.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over && w.unbid == nil {
		w.unbid = context.AfterFunc(w.of.r.Context(), func() { w.of.abandon(over(w.of.r)) })
	}
}

// look ends the connection's context at once if the request's has ended. The answer,
// which is for the log, is another goroutine's.
func (w *watch) look() {
	w.mu.Lock()
	if err := over(w.of.r); !w.over && err != nil {
		w.of.peer.session.end(err, 0, "", true)
	}
	w.mu.Unlock()
	w.begin()
}

func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if w.unbid != nil {
		w.unbid()
	}
}
