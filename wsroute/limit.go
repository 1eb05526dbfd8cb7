package wsroute

import (
	"errors"
	"net/http"
	"net/netip"
	"time"

	"example.com/usher/depends"
)

// networkBits is how many bits of an IPv6 address one customer has at least: its addresses
// count as one.
const networkBits = 64

// counter counts connections by a key. The zero key is not counted.
type counter[K comparable] map[K]int

func (c counter[K]) add(key K, n int) {
	var zero K
	if c[key] += n; key == zero || c[key] == 0 {
		delete(c, key)
	}
}

// counted is how a peer counts, until it leaves the hub.
type counted struct {
	handshake bool
	refused   bool
	address   netip.Addr // invalid if it is not counted
	principal *principal // nil if it is not counted
}

var errLimit = errors.New("wsroute: a limit is reached")

// full refuses a peer that would be one too many; h.mu is held. Those that are refused by a
// close frame have a share of their own, a tenth of MaxConnections.
func (h *hub) full(address netip.Addr, refused bool) *depends.Rejection {
	reached := func(count, limit int) bool { return limit > 0 && count >= limit }
	c := h.config
	peers, most := len(h.peers)-h.refused, c.MaxConnections
	if refused {
		peers, most = h.refused, (most+9)/10
	}
	switch {
	case h.empty != nil:
		return draining()
	case reached(peers, most):
		return retryLater(http.StatusServiceUnavailable, "too_many_connections", errLimit)
	case reached(h.handshakes, c.MaxHandshakes):
		return retryLater(http.StatusServiceUnavailable, "too_many_handshakes", errLimit)
	case reached(h.byAddress[address], c.MaxPerAddress):
		return retryLater(http.StatusTooManyRequests, "too_many_from_address", errLimit)
	}
	return nil
}

// admit refuses a principal that has expired or was revoked meanwhile, and counts a connection
// that is about to be accepted.
func (h *hub) admit(p *peer) error {
	if until := p.authorised.Until(); !until.IsZero() && !time.Now().Before(until) {
		return invalidToken("token_expired", ErrExpired)
	}
	who := p.authorised.Identity()
	if err := h.revokedSince(who, knownSince(who, p.since), p.since); err != nil {
		return err
	}
	if p.endpoint.route.answer != nil {
		return nil
	}
	return h.count(p, principalOf(who))
}

// count counts a connection as a principal's.
func (h *hub) count(p *peer, name principal) error {
	limit := h.config.MaxPerPrincipal
	if limit <= 0 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if before := p.counted.principal; before != nil { // of a guest who signs in
		h.byPrincipal.add(*before, -1)
		p.counted.principal = nil
	}
	if h.byPrincipal[name] >= limit {
		return retryLater(http.StatusTooManyRequests, "too_many_of_principal", errLimit)
	}
	p.counted.principal = &name
	h.byPrincipal.add(name, 1)
	return nil
}

// network returns what is counted as one address.
func network(addr netip.Addr) netip.Addr {
	prefix, _ := addr.Prefix(min(networkBits, addr.BitLen())) // it fits
	return prefix.Addr()
}
