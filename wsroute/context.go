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
	if w := c.request.Load(); w != nil && w.ctx.Err() != nil {
		w.left()
	}
	return c.Context.Err()
}

// watch calls left when a request's context ends before the watch does.
type watch struct {
	ctx  context.Context
	left func()

	mu   sync.Mutex
	over bool
	stop func() bool // nil until it has begun
}

func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over && w.stop == nil {
		w.stop = context.AfterFunc(w.ctx, w.left)
	}
}

func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if w.stop != nil {
		w.stop()
	}
}
