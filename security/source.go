package security

import (
	"strings"

	"example.com/usher/depends"
)

// The places of a source, as depends knows them.
const (
	inHeader      = "header"
	inQuery       = "query"
	inCookie      = "cookie"
	inSubprotocol = "subprotocol"
)

// BearerHeader finds a token in "Authorization: Bearer …" (RFC 6750 §2.1).
// Programs, phones and servers can send it; a browser's WebSocket cannot.
func BearerHeader() depends.Source {
	return depends.Source{In: inHeader, Name: "Authorization", Prefix: "Bearer"}
}

// QueryToken finds a token in the query parameter name (RFC 6750 §2.3), as in
// /rooms/7?token=…, which is what a browser can send and what most programs
// begin with.
//
// URLs are written down: by proxies, by access logs, by a browser's history.
// usher takes the parameter out of the request before any provider, handler or
// log of its own sees it, but it cannot reach the machines in front of it, and
// RFC 9700 §4.3.2 advises against it for that reason. Use tokens that live for
// minutes here, and drop the query from the access logs of whatever forwards to
// you.
func QueryToken(name string) depends.Source {
	return depends.Source{In: inQuery, Name: name}
}

// Header finds a credential that is the whole value of a header of its own, such
// as "X-API-Key". Cookie, Authorization and Sec-WebSocket-Protocol hold more than
// a credential, and do not start: the other sources read their parts.
func Header(name string) depends.Source {
	return depends.Source{In: inHeader, Name: name}
}

// CookieToken finds a credential in the cookie name. A browser sends cookies for
// any page that connects, so such a route demands an Origin, and does not start
// unless wsroute.Config.Origins says which. Two cookies of the name are refused.
func CookieToken(name string) depends.Source {
	return depends.Source{In: inCookie, Name: name}
}

// SubprotocolToken finds a token among the subprotocols that a page offers, the
// one header that a browser's WebSocket lets it set. It is taken in two forms:
//
//	new WebSocket(url, ["bearer", token])
//	new WebSocket(url, ["chat", "base64url.bearer.authorization.<name>." + base64url(token)])
//
// The first is plain, for tokens of letters, digits and ".-_~", such as JWTs. The
// second is Kubernetes': name says what the token is for, and another subprotocol,
// one that the route speaks, must stand beside it. The token is never selected and
// never echoed; "bearer" is, if the route speaks none of the others, since a
// browser demands that one is.
func SubprotocolToken(name string) depends.Source {
	return depends.Source{In: inSubprotocol, Name: name}
}

// printable reports whether s is ASCII without control characters, of which strconv.Quote
// makes a quoted-string. RFC 9110 §5.6.4 tolerates other bytes, clients do not.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
