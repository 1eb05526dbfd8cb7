package security

import (
	"strings"

	"example.com/usher/depends"
)

// BearerHeader finds a token in "Authorization: Bearer …" (RFC 6750 §2.1).
// Programs, phones and servers can send it; a browser's WebSocket cannot.
func BearerHeader() depends.Source {
	return depends.Source{In: "header", Name: "Authorization", Prefix: "Bearer"}
}

// QueryToken finds a token in the query parameter name (RFC 6750 §2.3), as in
// /rooms/7?token=…. A browser can send it, and most programs begin with it.
//
// URLs are logged by proxies and servers, and stay in a browser's history. usher
// removes the parameter before any provider, handler or log of its own sees the
// request, but it cannot do so for the proxies in front of it; RFC 9700 §4.3.2
// advises against tokens in URLs for that reason. Use tokens that expire within
// minutes, and keep the query out of the access logs of your proxies.
func QueryToken(name string) depends.Source {
	return depends.Source{In: "query", Name: name}
}

// Header finds a credential that is the whole value of a header, such as
// "X-API-Key". Cookie, Authorization and Sec-WebSocket-Protocol hold more than a
// credential and are wiring faults here: the other sources read their parts.
func Header(name string) depends.Source {
	return depends.Source{In: "header", Name: name}
}

// CookieToken finds a credential in the cookie name. A browser adds its cookies to
// the requests of every page, so a handshake with it must have an Origin header, and one
// that may connect (wsroute.Config.Origins). Two cookies of the name are refused.
func CookieToken(name string) depends.Source {
	return depends.Source{In: "cookie", Name: name}
}

// SubprotocolToken finds a token among the subprotocols that a page offers, in the
// one header that a page can set for a WebSocket. Two forms are accepted:
//
//	new WebSocket(url, ["bearer", token])
//	new WebSocket(url, ["chat", "base64url.bearer.authorization.<name>." + base64url(token)])
//
// The first is for tokens of letters, digits and ".-_~", such as JWTs. The second
// is that of Kubernetes: name is the purpose of the token, and the page must also
// offer another subprotocol, which the route speaks. The token is never selected and
// never echoed. "bearer" is selected if the route speaks none of the others, since a
// browser demands a selection. Names match without regard to case. A token in front of a
// "bearer" that stands last is refused with 400.
func SubprotocolToken(name string) depends.Source {
	return depends.Source{In: "subprotocol", Name: name}
}

// SubprotocolPrefix finds a token as it is behind a prefix of a subprotocol's name:
//
//	new WebSocket(url, ["chat", "access_token." + token])
//
// It is for clients that send this form already, and for tokens of letters, digits and
// ".-_~", such as JWTs. The page must also offer another subprotocol, which the route
// speaks: the one with the token is never selected and never echoed.
func SubprotocolPrefix(prefix string) depends.Source {
	return depends.Source{In: "subprotocol", Name: prefix, Prefix: prefix}
}

// printable reports whether s is ASCII without control characters, of which strconv.Quote
// makes a quoted-string. RFC 9110 §5.6.4 tolerates other bytes, clients do not.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
