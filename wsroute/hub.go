package wsroute

import (
	"net/netip"
	"sync"
	"time"

	"example.com/usher/depends"
)

// hub knows every connection of a router, from the beginning of its handshake
// until its last cleanup has run.
type hub struct {
	config *Config

	mu          sync.Mutex
	peers       map[*peer]struct{}
	handshakes  int
	refused     int // peers that are told by a close frame why they are refused
	byAddress   counter[netip.Addr]
	byPrincipal counter[principal]
	empty       chan struct{} // made when draining begins; closed when the last peer leaves
	drained     Drained

	// Revocations of late, by the first that they set of TokenID, Session, Subject and Issuer.
	recent, earlier map[string][]revoked
	turned          time.Time // when the recent ones began
	forgotten       time.Time // too many have come: some from before then are not there
}

// enter registers a connection, unless draining has begun or a limit is reached.
func (h *hub) enter(p *peer, client netip.Addr) *depends.Rejection {
	h.mu.Lock()
	defer h.mu.Unlock()
	address := network(client)
	if refusal := h.full(address, p.counted.refused); refusal != nil {
		return refusal
	}
	h.peers[p] = struct{}{}
	if p.counted.refused {
		h.refused++
	} else {
		h.handshakes++
		p.counted.handshake = true
	}
	if h.config.MaxPerAddress > 0 {
		p.counted.address = address
		h.byAddress.add(address, 1)
	}
	return nil
}

// refuses returns the refusal that enter would.
func (h *hub) refuses(client netip.Addr) *depends.Rejection {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.full(network(client), false)
}

// opened notes the end of a peer's handshake.
func (h *hub) opened(p *peer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.counted.handshake {
		p.counted.handshake = false
		h.handshakes--
	}
}

// open returns how many handshakes there are, and the peers whose connections are open.
func (h *hub) open() (handshakes int, peers []*peer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for p := range h.peers {
		if !p.counted.handshake && !p.counted.refused {
			peers = append(peers, p)
		}
	}
	return h.handshakes, peers
}

// leave takes a peer out, if it has entered: that of a plain request has not.
func (h *hub) leave(p *peer) {
	h.opened(p)
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, here := h.peers[p]; !here {
		return
	}
	delete(h.peers, p)
	if p.counted.refused {
		h.refused--
	}
	h.byAddress.add(p.counted.address, -1)
	if name := p.counted.principal; name != nil {
		h.byPrincipal.add(*name, -1)
	}
	if h.empty == nil {
		return
	}
	switch end := p.conn.Outcome(); {
	case !end.Closed: // it never opened
	case end.Clean:
		h.drained.Clean++
	default:
		h.drained.Forced++
	}
	if len(h.peers) == 0 {
		close(h.empty)
	}
}
