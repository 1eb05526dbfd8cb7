package wsroute

import (
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
	drained  Drained
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
	if h.draining {
		h.drained.count(p.session)
	}
	if h.draining && len(h.peers) == 0 {
		select {
		case <-h.empty:
		default:
			close(h.empty)
		}
	}
}
