package wsroute

import (
	"context"
	"fmt"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
	"example.com/usher/internal/wsconn"
)

// DefaultConfig is what is made of a Config.
func DefaultConfig(c *Config) Config {
	out, _ := c.withDefaults()
	return out
}

// Fixed are the values that no Config changes, as docs/configuration.md calls them.
var Fixed = map[string]any{
	"headers of a request":             readHeaderTimeout,
	"a whole request":                  readTimeout,
	"a response":                       writeTimeout,
	"an idle connection of plain HTTP": idleTimeout,
	"size of the headers":              fmt.Sprintf("%d KiB", maxHeaderBytes>>10),
	"plain requests at the end":        shutdownTimeout,

	"pings and pongs of a peer":                      fmt.Sprintf("%v a second, %d at once", wsconn.ControlRate.PerSecond, wsconn.ControlRate.Burst),
	"empty fragments of a message":                   wsconn.MaxEmpty,
	"subprotocols that a handshake offers":           bind.MaxOffers,
	"reason of a close frame":                        fmt.Sprintf("%d bytes", wsconn.MaxReason),
	"the end of a connection, beyond `CloseTimeout`": wsconn.CloseSlack,
	"closed by a drain in a second":                  drainPace,
	"`Retry-After` of a 503 by usher":                retryAfter,
	"renewals of a connection":                       fmt.Sprintf("%d at once, and one in %v", renewBurst, renewInterval),
	"revocations that are remembered":                maxRevoked,
	"bits of an IPv6 address that count as one":      networkBits,
}

// BareMessage says of each option whether a type of messages without any has it nevertheless.
func BareMessage() map[string]bool {
	c := &call{}
	return map[string]bool{
		"Require": len(c.target.Guards) > 0, "Scopes": len(c.target.Scopes) > 0,
		"Doc": c.doc != "", "Fails": c.reasons != nil, "Concurrent": c.concurrent > 0, "Within": c.within > 0,
	}
}

// BareRoute says of each option whether a route without any has it nevertheless.
func BareRoute() map[string]bool {
	r := New(depends.New(), nil)
	Handle(r, "/", func(context.Context, *Conn[string, string], struct{}) error { return nil })
	rt := r.shared.routes[0]
	return map[string]bool{
		"Require": len(rt.target.Guards) > 0, "Scopes": len(rt.target.Scopes) > 0, "Subprotocols": len(rt.Subprotocols) > 0,
		"Diagnose": rt.Diagnose, "AcceptThenClose": rt.AcceptThenClose, "Renewable": rt.Renewable,
		"Public":     rt.Public,
		"DropOldest": rt.DropOldest, "Compress": rt.Compress, "Limits": rt.limits != (Limits{}),
		"TypeMember": rt.codec.member != "", "Receives": rt.codec.in != nil, "Sends": rt.codec.out != nil,
		"Calls": rt.calls != nil, "Doc": rt.Doc != "", "Closes": rt.Closes != nil,
	}
}
