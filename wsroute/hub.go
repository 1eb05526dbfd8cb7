package wsroute

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	"example.com/usher/depends"
)

// hub knows every connection of a router, from the beginning of its handshake
// until its last cleanup has run.
type hub struct {
	mu       sync.Mutex
	peers    map[*peer]struct{}
	draining bool
	empty    chan struct{} // closed when the last one leaves a draining hub
	counts   counts
	revoked  []revoked // while handshakes are in flight
}

// enter registers a connection; it is refused once draining has begun, and by
// the limits.
func (h *hub) enter(p *peer, c *Config, client netip.Addr) *depends.Rejection {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return drainingRejection(ErrDraining)
	}
	if refusal := h.take(p, c, client); refusal != nil {
		return refusal
	}
	if h.peers == nil {
		h.peers = map[*peer]struct{}{}
	}
	h.peers[p] = struct{}{}
	return nil
}

// closed reports whether draining has begun.
func (h *hub) closed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}

func (h *hub) leave(p *peer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.peers, p)
	h.release(p)
	if h.draining && len(h.peers) == 0 {
		select {
		case <-h.empty:
		default:
			close(h.empty)
		}
	}
}

// Drain refuses new connections with 503 and closes all others with 1012; a
// handshake in flight is refused too. It returns when every handler has returned
// and every cleanup has run, or with an error when ctx ends before that. It may
// be called again, to wait longer. A drained router takes no connection any more.
func (r *Router) Drain(ctx context.Context) error {
	h := &r.shared.hub
	h.mu.Lock()
	if !h.draining {
		h.draining, h.empty = true, make(chan struct{})
		if len(h.peers) == 0 {
			close(h.empty)
		}
	}
	peers := make([]*peer, 0, len(h.peers))
	for p := range h.peers {
		peers = append(peers, p)
	}
	h.mu.Unlock()
	for _, p := range peers {
		p.session.end(ErrDraining, closeRestart, "server_restart", false)
	}
	select {
	case <-h.empty:
		return nil
	case <-ctx.Done():
		h.mu.Lock()
		defer h.mu.Unlock()
		return fmt.Errorf("wsroute: drain: %d connections have not ended: %w", len(h.peers), context.Cause(ctx))
	}
}
