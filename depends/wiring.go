package depends

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"example.com/usher/internal/plan"
)

// WiringError is one thing that is wrong with the dependencies of a program.
// Mount returns all of them joined: errors.As finds the first, and the joined
// error's Unwrap() []error lists them.
type WiringError struct {
	// Kind is the sort of fault: "missing", "cycle", "ambiguous", "captive",
	// "bad tag", "bad field", "bad input", "bad provider", "unsafe", "conflict",
	// "bad route", "bad message", "failed" or "unused override".
	Kind string
	// Fact says what is wrong, in a sentence.
	Fact string
	// Type is the type that it is about; nil if there is none.
	Type reflect.Type
	// Path leads from the fault to the route, innermost first, one line a step
	// with function, file and line.
	Path []string
	// Hint says what to do, where something can be said; may be empty.
	Hint string
	// Route is the first route that it was met on, such as "GET /rooms/:room";
	// empty for a fault of the graph itself.
	Route string
	// Err is the error of an App provider that failed; else nil.
	Err error

	text string
}

// Error returns the fault as the report shows it.
func (e *WiringError) Error() string { return e.text }

// Unwrap returns the error of an App provider that failed.
func (e *WiringError) Unwrap() error { return e.Err }

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

// invalidRequest is the refusal of RFC 6750 §3.1 for a request that is not well-formed,
// with the challenge of whom its credential was for.
func invalidRequest(s *plan.Scheme, source *plan.Source, err error) *Rejection {
	return &Rejection{
		Status: http.StatusBadRequest,
		Reason: "invalid_request",
		Header: http.Header{"Www-Authenticate": {extended(s.ChallengeOf(source), `error="invalid_request"`)}},
		Err:    err,
	}
}

// These hooks give usher's own packages what this one alone can do with its types.
var _ = plan.SetHooks(plan.Hooks{
	Graph:       func(deps any) *plan.Graph { return deps.(*Graph).graph },
	Replacement: func(replacement any) *plan.Provider { return replacement.(Replacement).provider },
	Own: map[reflect.Type]func(request any) any{
		reflect.TypeFor[*http.Request](): func(r any) any { return r.(*plan.Request).Snapshot() },
		reflect.TypeFor[ClientAddr]():    func(r any) any { return ClientAddr{r.(*plan.Request).Client} },
	},
	NewAuthorisation: func() any { return new(authorisation) },
	Absent:           ErrAbsent,
	Optional: func(t reflect.Type) (reflect.Type, bool) {
		o, ok := reflect.Zero(t).Interface().(interface{ elem() reflect.Type })
		if !ok || t.Kind() != reflect.Struct {
			return nil, false
		}
		return o.elem(), true
	},
	Live: func(t reflect.Type) (reflect.Type, bool) {
		l, ok := reflect.Zero(t).Interface().(interface{ live() reflect.Type })
		if !ok || t.Kind() != reflect.Struct {
			return nil, false
		}
		return l.live(), true
	},
	Bind: func(live any, get func() any) { live.(interface{ bind(get func() any) }).bind(get) },
	NoCredential: func(s *plan.Scheme, unread *plan.Source) error {
		name := s.Name
		if unread != nil { // what stands there is not shown: it may be a token all the same
			name = fmt.Sprintf("%s: what stands in %s is not %q, a space and a credential", name, unread.Name, unread.Prefix)
		}
		r := Unauthorized(s.Challenge, fmt.Errorf("no credential for %s: %w", name, ErrAbsent))
		r.Reason = "credentials_required"
		return r
	},
	ManyCredentials: func(s *plan.Scheme, source *plan.Source) error {
		r := invalidRequest(s, source, fmt.Errorf("more than one credential for %s", s.Name))
		r.Detail = "more than one credential was sent"
		return r
	},
	BadCredential: func(s *plan.Scheme, source *plan.Source, err error) error {
		r := invalidRequest(s, source, err)
		r.Detail = err.Error()
		return r
	},
	InsufficientScope: func(s *plan.Scheme, source *plan.Source, required []string) error {
		r := Forbidden("insufficient_scope", fmt.Errorf("%s does not grant all of %q", s.Name, required))
		r.Header = http.Header{"Www-Authenticate": {extended(s.ChallengeOf(source), `error="insufficient_scope"`, "scope=\""+strings.Join(required, " ")+"\"")}}
		return r
	},
	BadParams: func(list []plan.ParamError) error {
		r := &Rejection{Status: http.StatusUnprocessableEntity, Reason: "invalid_parameters"}
		for _, p := range list {
			r.Params = append(r.Params, ParamError(p))
		}
		return r
	},
	Fault: func(f *plan.Fault) error {
		e := &WiringError{Kind: f.Kind, Fact: f.Fact, Type: f.Type, Path: f.Path, Hint: f.Hint, Err: f.Err, text: f.String()}
		if f.Target != nil {
			e.Route = f.Target.Label
		}
		return e
	},
})
