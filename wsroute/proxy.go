package wsroute

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"example.com/usher/internal/bind"
)

// proxies are the addresses whose word about the client is taken.
type proxies []netip.Prefix

// newProxies reads addresses and CIDR prefixes, and says what is wrong with them.
func newProxies(list []string) (p proxies, bad []string) {
	for _, text := range list {
		prefix, err := netip.ParsePrefix(text)
		if addr, bare := netip.ParseAddr(text); bare == nil {
			addr = addr.Unmap()
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		} else if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		if err != nil {
			bad = append(bad, fmt.Sprintf(
				"Config.TrustedProxies: %q is neither an IP address nor a CIDR prefix", text))
			continue
		}
		p = append(p, prefix.Masked())
	}
	return p, bad
}

func (p proxies) trust(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

// client returns who asks: the other end of the TCP connection or, as long as
// that is a trusted proxy, whom it names. Every proxy appends to
// X-Forwarded-For, so only what trusted ones wrote, at its right end, counts.
func (p proxies) client(r *http.Request) netip.Addr {
	client := otherEnd(r)
	named := slices.Collect(listItems(r.Header["X-Forwarded-For"]))
	for _, name := range slices.Backward(named) {
		next := parseAddr(name)
		if !p.trust(client) || !next.IsValid() {
			break // the proxy is the last that is known
		}
		client = next
	}
	return client
}

// otherEnd is where the request came from, or the zero Addr where that has no address, as
// at a Unix socket. Middleware that writes an address there may leave the port out.
func otherEnd(r *http.Request) netip.Addr { return parseAddr(r.RemoteAddr) }

// parseAddr reads an address with or without a port. It returns the form that compares, without
// a zone and IPv4 as IPv4, or the zero Addr.
func parseAddr(text string) netip.Addr {
	withPort, err := netip.ParseAddrPort(text)
	addr := withPort.Addr()
	if err != nil {
		addr, _ = netip.ParseAddr(strings.Trim(text, "[]"))
	}
	return addr.Unmap().WithZone("")
}

// secure says whether the client came over TLS, as far as can be believed.
func (p proxies) secure(r *http.Request) bool {
	said := slices.Collect(listItems(r.Header["X-Forwarded-Proto"])) // one of each proxy
	plain := func(s string) bool {
		return !strings.EqualFold(s, "https") && !strings.EqualFold(s, "wss")
	}
	believed := len(said) > 0 && p.trust(otherEnd(r)) && !slices.ContainsFunc(said, plain)
	return r.TLS != nil || believed
}

// scheme is that of the URL which the client asked for, or "" if it cannot be known.
func (p proxies) scheme(r *http.Request) string {
	switch {
	case p.secure(r):
		return "https"
	case len(p) > 0:
		return ""
	}
	return bind.Scheme(r)
}

// host is the host of that URL: the Host, or what a trusted proxy says that it was. A proxy
// behind another one adds its own behind a comma.
func (p proxies) host(r *http.Request) string {
	named := slices.Collect(listItems(r.Header["X-Forwarded-Host"]))
	if len(named) > 0 && p.trust(otherEnd(r)) {
		return named[0]
	}
	return r.Host
}

// remote is how the log calls the other end.
func (p proxies) remote(r *http.Request) string {
	if client := p.client(r); client != otherEnd(r) {
		return client.String()
	}
	return r.RemoteAddr
}
