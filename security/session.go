package security

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
)

// csrfParam is the query parameter with a page's token against forged requests.
const csrfParam = "csrf_token"

// Session authenticates a browser by the cookie of a session that the program
// stores. The value of the cookie is the session's identifier.
//
// A browser adds its cookies to the requests of every page. A handshake with the cookie
// must therefore have an Origin header, and one that may connect: by default that of the
// same host (wsroute.Config.Origins). Set the cookie Secure, HttpOnly and SameSite=Lax, with
// a name that begins with "__Host-".
//
// A request without the cookie is refused with 401 "credentials_required" and the
// challenge Session, an unknown session with 401 "invalid_session" and the same
// challenge, two cookies of the name with 400. It is safe for concurrent use if its
// functions are.
type Session[T any] struct {
	// Cookie is the name of the cookie. Required.
	Cookie string

	// Find returns the session with an identifier. It returns depends.ErrAbsent,
	// or an error that wraps it, for an unknown or ended session. Required.
	Find func(ctx context.Context, id string) (T, error)

	// CSRF returns the token that the program has put into the session's pages,
	// which send it as ?csrf_token=…; a request with another one is refused with
	// 403 "invalid_csrf_token". It is a second check beside that of the Origin, for
	// programs with many origins. The parameter is hidden like the cookie.
	// By default, no token is demanded.
	CSRF func(session T) string

	// AllowZero says that Find may return the zero T without an error. By default, that is
	// a 500.
	AllowZero bool
}

const sessionChallenge = "Session"

// Describe implements [Scheme].
func (s Session[T]) Describe() depends.Scheme {
	var f faults
	f.addIf(s.Find == nil, "Session has no Find", "set Find to the look-up of a session")
	d := depends.Scheme{
		Name: "Session", Sources: []depends.Source{CookieToken(s.Cookie)},
		Challenge: sessionChallenge, Faults: f, AllowZero: s.AllowZero,
		Refuses: refuses("invalid_session"),
	}
	if s.CSRF != nil {
		d.Params = []string{csrfParam}
		d.Refuses = append(d.Refuses, depends.Refusal{
			Status: http.StatusForbidden, Reason: "invalid_csrf_token",
			Doc: "the parameter " + csrfParam + " is not that of the session",
		})
	}
	return d
}

// Authenticate implements [Scheme].
func (s Session[T]) Authenticate(ctx context.Context, c depends.Credential) (T, error) {
	var none T
	session, err := s.Find(ctx, c.Value)
	if err != nil {
		return none, bind.RefuseUnknown(err, sessionChallenge, "invalid_session")
	}
	if s.CSRF == nil {
		return session, nil
	}
	sent, want := []byte(c.Param(csrfParam)), []byte(s.CSRF(session))
	if len(want) == 0 || subtle.ConstantTimeCompare(sent, want) != 1 {
		return none, depends.Forbidden("invalid_csrf_token",
			errors.New("security: the CSRF token is not the session's"))
	}
	return session, nil
}
