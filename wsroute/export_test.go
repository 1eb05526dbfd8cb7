package wsroute

import (
	"context"
	"net"
	"net/http"
)

// What black-box tests look at directly.
var (
	CutReason   = cutReason
	Sendable    = sendable
	ParseOrigin = func(s string) bool { _, ok := parseOrigin(s); return ok }
	Matches     = func(pattern, path string) bool {
		segments, _ := parsePattern(pattern)
		return matches(segments, path)
	}
)

// AllowsOrigin decides as a router with these Origins does on a request to a host.
func AllowsOrigin(allowed, lines []string, host string) bool {
	return AllowsRequest(allowed, nil, &http.Request{Host: host, Header: http.Header{"Origin": lines}})
}

// AllowsRequest decides as a router with these Origins and TrustedProxies does.
func AllowsRequest(allowed, trusted []string, r *http.Request) bool {
	policy, _ := newOriginPolicy(allowed)
	proxies, _ := newProxies(trusted)
	return policy.allows(r, proxies)
}

// Lose ends a connection as a failed write does.
func Lose[R, S any](c *Conn[R, S]) {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	c.session.lose(net.ErrClosed)
}

// FreshConns is what Serve keeps of connections on which nothing was asked.
func FreshConns() (track func(net.Conn), kept func() int) {
	f := &freshConns{}
	return func(c net.Conn) { f.track(context.Background(), c) }, func() int {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.list)
	}
}
