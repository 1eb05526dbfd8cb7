package security

import (
	"errors"
	"net/http"
	"slices"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
)

// Authenticate authenticates a plain HTTP request with a scheme, such as the POST for a
// ticket, so that a handler and a WebSocket route know the same users. A refusal is the
// *depends.Rejection that a handshake would get; it is also the http.Handler that writes
// the response. Any other error calls for a 500; one is that of a scheme whose
// configuration must not start.
//
// A browser adds cookies, and a name and password that its user has entered, to requests
// from pages of other sites. A request with a cookie as its credential is therefore refused
// with 403 "origin_not_allowed", unless its method is GET, HEAD or OPTIONS, which must
// change nothing, or Sec-Fetch-Site is same-origin, or the browser sends no Sec-Fetch-Site
// and the Origin is that of the request's Host. The same holds for a request with [Basic]
// that has one of these headers, which programs do not send. If pages of other origins may
// send requests, wrap the handler in wsroute.Router.CORS, or use wsroute.HandleHTTP: both
// check Config.Origins.
func Authenticate[T any](r *http.Request, scheme Scheme[T]) (T, error) {
	var none T
	d := scheme.Describe()
	c, err := bind.FindCredential(r, d)
	if err != nil {
		return none, err
	}
	if !slices.Contains(safeMethods, r.Method) && bind.Forged(r, &c.Source, ownPage) {
		return none, depends.Forbidden("origin_not_allowed", errors.New("security: "+
			"browsers add the credential by themselves, and the request is not from a page of this host"))
	}
	value, err := ask(r.Context(), scheme, c)
	return value, bind.RefuseUnknown(err, d.Challenge, "invalid_credentials")
}

// safeMethods change nothing (RFC 9110 §9.2.1).
var safeMethods = []string{http.MethodGet, http.MethodHead, http.MethodOptions}

// ownPage reports whether a page of this host, or of an origin that wsroute.Router.CORS
// allows, sent the request.
func ownPage(r *http.Request) bool {
	return bind.HasAllowedOrigin(r) || bind.OwnPage(r, bind.Scheme(r), r.Host)
}
