package wsroute

import (
	"errors"
	"net/http"
	"net/netip"
	"time"

	"example.com/usher/depends"
)

// ipv6Site is how many bits of an IPv6 address one customer has at least: it is
// counted as one address.
const ipv6Site = 64

// counts are the connections of a router, by what limits them. The hub's lock
// guards them.
type counts struct {
	handshakes  int
	byAddress   map[netip.Addr]int
	byPrincipal map[principal]int
}

// counted is how a peer counts; each part is released exactly once, by leave.
type counted struct {
	handshake bool
	address   netip.Addr // invalid if it is not counted
	principal *principal // nil if it is not counted
}

var errLimit = errors.New("wsroute: a limit is reached")

func limitReached(status int, reason string) *depends.Rejection {
	return &depends.Rejection{Status: status, Reason: reason, RetryAfter: retryAfter, Err: errLimit}
}

// full refuses a handshake that would be one too many; h.mu is held.
func (h *hub) full(c *Config, address netip.Addr) *depends.Rejection {
	switch {
	case h.draining:
		return drainingRejection(ErrDraining)
	case c.MaxConnections > 0 && len(h.peers) >= c.MaxConnections:
		return limitReached(http.StatusServiceUnavailable, "too_many_connections")
	case c.MaxHandshakes > 0 && h.counts.handshakes >= c.MaxHandshakes:
		return limitReached(http.StatusServiceUnavailable, "too_many_handshakes")
	case c.MaxPerAddress > 0 && address.IsValid() && h.counts.byAddress[address] >= c.MaxPerAddress:
		return limitReached(http.StatusTooManyRequests, "too_many_from_address")
	}
	return nil
}

// take counts a handshake that begins; h.mu is held.
func (h *hub) take(p *peer, c *Config, address netip.Addr) {
	h.counts.handshakes++
	p.counted.handshake = true
	if c.MaxPerAddress > 0 && address.IsValid() {
		if h.counts.byAddress == nil {
			h.counts.byAddress = map[netip.Addr]int{}
		}
		h.counts.byAddress[address]++
		p.counted.address = address
	}
}

// admit refuses who has expired or was revoked meanwhile, and counts a connection that is
// about to be accepted.
func (h *hub) admit(p *peer, c *Config) error {
	if until := p.standing.Until(); !until.IsZero() && !time.Now().Before(until) {
		return expiredRejection()
	}
	who := p.standing.Identity()
	if err := h.caught(who, knownSince(who, p.since), p.since); err != nil {
		return err
	}
	if c.MaxPerPrincipal <= 0 || p.endpoint.route.answer != nil {
		return nil
	}
	name := principalOf(who)
	if name == (principal{}) {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts.byPrincipal[name] >= c.MaxPerPrincipal {
		return limitReached(http.StatusTooManyRequests, "too_many_of_principal")
	}
	if h.counts.byPrincipal == nil {
		h.counts.byPrincipal = map[principal]int{}
	}
	h.counts.byPrincipal[name]++
	p.counted.principal = &name
	return nil
}

func expiredRejection() *depends.Rejection {
	r := depends.Unauthorized(`Bearer error="invalid_token"`, ErrExpired)
	r.Reason = "token_expired"
	return r
}

// opened says that a peer's handshake is over.
func (h *hub) opened(p *peer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.endHandshake(p)
}

func (h *hub) endHandshake(p *peer) {
	if p.counted.handshake {
		p.counted.handshake = false
		h.counts.handshakes--
	}
}

// release gives back all that a peer counts for; h.mu is held.
func (h *hub) release(p *peer) {
	h.endHandshake(p)
	if a := p.counted.address; a.IsValid() {
		if h.counts.byAddress[a]--; h.counts.byAddress[a] == 0 {
			delete(h.counts.byAddress, a)
		}
	}
	if name := p.counted.principal; name != nil {
		if h.counts.byPrincipal[*name]--; h.counts.byPrincipal[*name] == 0 {
			delete(h.counts.byPrincipal, *name)
		}
	}
	p.counted = counted{}
}

// site is what is counted as one address.
func site(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	prefix, _ := addr.Prefix(ipv6Site) // it fits
	return prefix.Addr()
}
