package bind

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"example.com/usher/depends"
)

// noCredential refuses a request without a credential. unread is the source whose header
// holds something else, or nil.
func noCredential(s *depends.Scheme, unread *depends.Source) error {
	name := s.Name
	if unread != nil { // what stands there is not shown: it may be a token all the same
		name = fmt.Sprintf("%s: what stands in %s is not %q, a space and a credential", name, unread.Name, unread.Prefix)
	}
	r := depends.Unauthorized(s.Challenge, fmt.Errorf("no credential for %s: %w", name, depends.ErrAbsent))
	r.Reason = "credentials_required"
	return r
}

func manyCredentials(s *depends.Scheme, first *depends.Source) error {
	r := invalidRequest(s, first, fmt.Errorf("more than one credential for %s", s.Name))
	r.Detail = "more than one credential was sent"
	return r
}

func badCredential(s *depends.Scheme, source *depends.Source, err error) error {
	r := invalidRequest(s, source, err)
	r.Detail = err.Error()
	return r
}

// invalidRequest is the refusal of RFC 6750 §3.1 for a request that is not well-formed,
// with the challenge of whom its credential was for.
func invalidRequest(s *depends.Scheme, source *depends.Source, err error) *depends.Rejection {
	return &depends.Rejection{
		Status: http.StatusBadRequest,
		Reason: "invalid_request",
		Header: http.Header{"Www-Authenticate": {extended(challengeOf(s, source), `error="invalid_request"`)}},
		Err:    err,
	}
}

func insufficientScope(s *depends.Scheme, source *depends.Source, required []string) error {
	r := depends.Forbidden("insufficient_scope", fmt.Errorf("%s does not grant all of %q", s.Name, required))
	r.Header = http.Header{"Www-Authenticate": {extended(challengeOf(s, source), `error="insufficient_scope"`, "scope=\""+strings.Join(required, " ")+"\"")}}
	return r
}

// challengeOf returns the challenge that a credential in a source answers.
func challengeOf(s *depends.Scheme, source *depends.Source) string {
	if source.Alternative >= 0 && source.Alternative < len(s.Alternatives) {
		return s.Alternatives[source.Alternative]
	}
	return s.Challenge
}

// extended adds parameters to the last of challenges (RFC 9110 §11.6.1).
func extended(challenge string, params ...string) string {
	bare := withoutQuoted(challenge)
	separator := " "
	if strings.Contains(bare[strings.LastIndex(bare, ",")+1:], "=") { // it has parameters
		separator = ", "
	}
	return challenge + separator + strings.Join(params, ", ")
}

// withoutQuoted returns a challenge without its quoted strings (RFC 9110 §5.6.4), in
// which a comma separates nothing.
func withoutQuoted(challenge string) string {
	var bare strings.Builder
	quoted, escaped := false, false
	for _, c := range []byte(challenge) {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case !quoted:
			bare.WriteByte(c)
		}
	}
	return bare.String()
}

// RefuseUnknown returns the refusal of a credential that has no owner, which a look-up reports
// by depends.ErrAbsent: an Optional would take that for a missing credential. It returns any
// other error as it is.
func RefuseUnknown(err error, challenge, reason string) error {
	if !errors.Is(err, depends.ErrAbsent) {
		return err
	}
	refusal := depends.Rejection{
		Status: http.StatusUnauthorized, Reason: reason,
		Header: http.Header{"Www-Authenticate": {challenge}}, Err: err,
	}
	if own, ok := errors.AsType[*depends.Rejection](err); ok && own != nil {
		refusal = *own
	}
	if refusal.Err != nil {
		err = refusal.Err
	}
	refusal.Err = errors.New(err.Error())
	return &refusal
}
