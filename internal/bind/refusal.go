package bind

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"example.com/usher/depends"
	"example.com/usher/internal/graph"
)

// noCredential refuses a request without a credential. elsewhere is a place where something
// stands, or "". What stands there is not shown: it may be a credential all the same.
func noCredential(s *depends.Scheme, elsewhere string) error {
	where := strings.Join(places(s), " or ")
	if elsewhere != "" {
		where += ", but something stands in " + elsewhere
	}
	err := fmt.Errorf("no credential for %s in %s: %w", s.Name, where, depends.ErrAbsent)
	r := depends.Unauthorized(s.Challenge, err)
	r.Reason = "credentials_required"
	return r
}

// hinted adds to the refusal of a cookie, for the log, that its value looks escaped.
func (c found) hinted(err error) error {
	_, bad := url.QueryUnescape(c.value)
	if c.source.In != "cookie" || bad != nil || !strings.Contains(c.value, "%") {
		return err
	}
	return fmt.Errorf("%w (the value of the cookie %s is escaped, as by gin's c.SetCookie: "+
		"set it by http.SetCookie)", err, c.source.Name)
}

// invalidRequest refuses a request that is not well-formed (RFC 6750 §3.1).
func invalidRequest(s *depends.Scheme, source *depends.Source, err error, detail string) error {
	return &depends.Rejection{
		Status: http.StatusBadRequest, Reason: "invalid_request", Detail: detail, Err: err,
		Header: challenge(s, source, `error="invalid_request"`),
	}
}

func insufficientScope(p *graph.Provider, source *depends.Source, required []string) error {
	err := fmt.Errorf("%s does not grant all of %q", p.Func.Name, required)
	r := depends.Forbidden("insufficient_scope", err)
	if p.Scheme != nil {
		scope := `scope="` + strings.Join(required, " ") + `"`
		r.Header = challenge(SchemeOf(p), source, `error="insufficient_scope", `+scope)
	}
	return r
}

// challengeOf returns the challenge that a credential in a source answers.
func challengeOf(s *depends.Scheme, source *depends.Source) string {
	if source != nil && source.Alternative >= 0 && source.Alternative < len(s.Alternatives) {
		return s.Alternatives[source.Alternative]
	}
	return s.Challenge
}

// quoted is a quoted string (RFC 9110 §5.6.4), in which a comma separates nothing.
var quoted = regexp.MustCompile(`"(\\.|[^"\\])*"?`)

// challenge is the header with the challenge of a source, to whose last scheme it adds
// parameters (RFC 9110 §11.6.1).
func challenge(s *depends.Scheme, source *depends.Source, params string) http.Header {
	text := challengeOf(s, source)
	bare := quoted.ReplaceAllString(text, "")
	separator := " "
	if strings.Contains(bare[strings.LastIndex(bare, ",")+1:], "=") { // it has parameters
		separator = ", "
	}
	return http.Header{"Www-Authenticate": {text + separator + params}}
}

// RefuseUnknown returns the refusal of a credential that has no owner, which a look-up reports
// by depends.ErrAbsent: an Optional would take that for a missing credential. It returns any
// other error as it is.
func RefuseUnknown(err error, challenge, reason string) error {
	if !errors.Is(err, depends.ErrAbsent) {
		return err
	}
	refusal := *depends.Unauthorized(challenge, err)
	refusal.Reason = reason
	if own, ok := errors.AsType[*depends.Rejection](err); ok && own != nil {
		refusal = *own
	}
	refusal.Err = errors.New(cmp.Or(refusal.Err, err).Error())
	return &refusal
}
