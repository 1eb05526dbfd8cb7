package security

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"example.com/usher/depends"
)

// csrfParam is the query parameter of a page's token against forged requests.
const csrfParam = "csrf_token"

// Session authenticates a browser by the cookie of a session that the program
// keeps: the cookie's value names it and says nothing else.
//
// A browser sends cookies to whoever a page connects to, so a route with a
// Session demands an Origin, and the router must be told which ones may connect
// (wsroute.Config.Origins): anything else does not start. Set the cookie Secure,
// HttpOnly and SameSite=Lax, with a name that begins with "__Host-".
//
// No cookie is refused with 401 and the challenge Session, an unknown session
// with the same and the reason "invalid_session", two cookies of the name with
// 400. It is safe for concurrent use if its functions are.
type Session[T any] struct {
	// Cookie is the name of the cookie. Required.
	Cookie string

	// Find returns the session of an identifier. It returns depends.ErrAbsent,
	// or an error that wraps it, if there is none any more. Required.
	Find func(ctx context.Context, id string) (T, error)

	// CSRF returns the token that the session's pages were given, which they
	// send as ?csrf_token=…; one that differs is refused with 403
	// "invalid_csrf_token". It is a second lock behind the Origin check, for
	// programs whose origins are many. The parameter is hidden like the cookie.
	// By default, none is asked for.
	CSRF func(session T) string
}

const sessionChallenge = "Session"

// Describe implements [Scheme].
func (s Session[T]) Describe() depends.Scheme {
	var f faults
	f.addIf(s.Find == nil, "Session has no Find", "set Find to the look-up of a session")
	d := depends.Scheme{
		Name: "Session", Sources: []depends.Source{CookieToken(s.Cookie)},
		Challenge: sessionChallenge, Faults: f,
	}
	if s.CSRF != nil {
		d.Params = []string{csrfParam}
	}
	return d
}

// Authenticate implements [Scheme].
func (s Session[T]) Authenticate(ctx context.Context, c depends.Credential) (T, error) {
	var none T
	session, err := s.Find(ctx, c.Value)
	if err != nil {
		return unknown(session, err, sessionChallenge, "invalid_session")
	}
	if s.CSRF == nil {
		return session, nil
	}
	if want := s.CSRF(session); want == "" || !sameSecret(c.Param(csrfParam), want) {
		return none, depends.Forbidden("invalid_csrf_token",
			errors.New("security: the CSRF token is not the session's"))
	}
	return session, nil
}

// sameSecret compares in a time that tells nothing, not even about the length.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
