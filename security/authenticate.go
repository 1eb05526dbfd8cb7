package security

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
)

// Authenticate asks a scheme about a request that is no handshake, such as the
// POST that fetches a ticket, so that a plain HTTP handler and a WebSocket route
// know the same users. The error is what would refuse the handshake; a
// *depends.Rejection can answer the request itself. A scheme that Mount would not
// start is an error that is none, which is to be answered with 500.
//
// A browser adds cookies to requests that pages of other sites cause, and a name and
// password that it once asked for. With a credential in a cookie, every method but GET,
// HEAD and OPTIONS is therefore refused with 403 "origin_not_allowed", unless
// Sec-Fetch-Site is same-origin or, where a browser sends none, the Origin is that of the
// request's own Host. With [Basic] so is a request that has one of these headers, which
// programs do not send. The three other methods must change nothing. Where pages of other
// origins may ask, use wsroute.HandleHTTP, which knows them from Config.Origins.
func Authenticate[T any](r *http.Request, scheme Scheme[T]) (T, error) {
	var none T
	d := scheme.Describe()
	c, err := bind.FindCredential(r, d)
	if err != nil {
		return none, err
	}
	if !safe(r.Method) && browserAdds(r, c.Source) && !ownPage(r) {
		return none, depends.Forbidden("origin_not_allowed", errors.New("security: the credential is one that browsers add, and the request is not of this site's own page"))
	}
	value, err := scheme.Authenticate(r.Context(), c)
	if err != nil {
		return none, bind.RefuseUnknown(err, d.Challenge, "invalid_credentials")
	}
	return value, nil
}

// browserAdds reports whether a browser may have added the credential by itself.
func browserAdds(r *http.Request, source depends.Source) bool {
	if source.In == inCookie {
		return true
	}
	return strings.EqualFold(source.Prefix, "Basic") && (r.Header["Origin"] != nil || r.Header["Sec-Fetch-Site"] != nil)
}

// safe reports whether a method asks for no change (RFC 9110 §9.2.1).
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// ownPage reports whether a browser says that a page of this server sent the request.
// A page can set neither header.
func ownPage(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	lines := r.Header["Origin"]
	if len(lines) != 1 {
		return false
	}
	origin, err := url.Parse(lines[0])
	return err == nil && origin.Host != "" && strings.EqualFold(origin.Host, r.Host) && (r.TLS == nil || origin.Scheme == "https")
}
