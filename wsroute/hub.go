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
	revoked  []revoked // of late, in order
}

// enter registers a connection; it is refused once draining has begun, and by
// the limits.
func (h *hub) enter(p *peer, c *Config, client netip.Addr) *depends.Rejection {
	h.mu.Lock()
	defer h.mu.Unlock()
	address := site(client)
	if refusal := h.full(c, address); refusal != nil {
		return refusal
	}
	h.take(p, c, address)
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

// refuses says what enter would.
func (h *hub) refuses(c *Config, client netip.Addr) *depends.Rejection {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.full(c, site(client))
}

func (h *hub) leave(p *peer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.peers, p)
	h.release(p)
	if h.draining {
		h.drained.count(p.conn.Outcome())
	}
	if h.draining && len(h.peers) == 0 {
		select {
		case <-h.empty:
		default:
			close(h.empty)
		}
	}
}
