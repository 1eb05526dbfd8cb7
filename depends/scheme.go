package depends

import (
	"net/http"
	"net/url"
)

// Source is a place in the handshake request where a credential may stand.
type Source struct {
	// In is "header", "query", "cookie" or "subprotocol".
	In string
	// Name is the header's, the query parameter's or the cookie's name; of a
	// subprotocol, what the token is for.
	Name string
	// Prefix is the authentication scheme in front of the credential, such as
	// "Bearer" (RFC 9110 §11.4), matched without regard to case. A header with
	// another scheme holds no credential of this source. Empty takes the whole value,
	// which for Cookie, Authorization and Sec-WebSocket-Protocol is a wiring fault. Of a
	// subprotocol, all that stands in front of the token in its name.
	Prefix string
	// Alternative parts the sources of a scheme that is one of several: those of
	// the first alternative that holds a credential are looked at alone. Usually 0.
	Alternative int
	// Once says, for documents, that a credential of this source is good for one handshake.
	Once bool
}

// Credential is what a source held: a secret. It prints and encodes as its source alone.
// In an unexported field of another struct its value shows, since fmt asks nothing there.
type Credential struct {
	Source Source
	Value  string

	from request // nil if it was made by hand
}

// request is what a credential came with, as package bind has it.
type request interface {
	ForScheme() *http.Request
	Query(name string) string
	Diagnosing() bool
}

// Request returns the request that the credential came with, without it: what a
// scheme may compare it to, such as the Origin. It must not be changed. It is an
// empty request for a credential that was made by hand.
func (c Credential) Request() *http.Request {
	if c.from == nil {
		return &http.Request{Header: http.Header{}, URL: &url.URL{}}
	}
	return c.from.ForScheme()
}

// Param returns a query parameter of Scheme.Params, the last of its name, or "".
func (c Credential) Param(name string) string {
	if c.from == nil {
		return ""
	}
	return c.from.Query(name)
}

// Diagnosing says that the peer asks only whether it would be let in (see
// wsroute.Diagnose): nothing may be spent.
func (c Credential) Diagnosing() bool { return c.from != nil && c.from.Diagnosing() }

// String names the source and hides the value.
func (c Credential) String() string { return "credential in " + c.Source.In + " " + c.Source.Name }

// GoString hides the value too.
func (c Credential) GoString() string { return c.String() }

// MarshalText hides the value from encoders, and from slog's handlers.
func (c Credential) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Scheme describes a way to authenticate: what a reader, a document generator
// and the resolver need to know of it.
type Scheme struct {
	// Name is the scheme's name in Explain and in logs, such as "JWT".
	Name string
	// Sources are looked at all: a credential in more than one place is refused
	// with 400 (RFC 6750 §3.1), in none with 401.
	Sources []Source
	// Challenge is the WWW-Authenticate of the 401 and the 400, such as
	// `Bearer realm="chat"`. Required: RFC 9110 §15.5.2.
	Challenge string
	// Alternatives are the challenges of the sources' alternatives, by their number,
	// if there are several: a 400 or 403 names that of the credential that was found.
	Alternatives []string
	// Format is what the credential is, such as "JWT", for readers of wsroute.Router.Routes;
	// empty says nothing.
	Format string
	// Params are query parameters that the scheme reads beside its credential,
	// and that are hidden like it.
	Params []string
	// Issuers are the iss (RFC 7519 §4.1.1) of the tokens that the scheme takes, by which
	// security.OneOf tells schemes for tokens of one source apart. By default, nil: the
	// scheme takes any credential.
	Issuers []string
	// AllowZero says that the zero value is a good result of the scheme. Otherwise one
	// without an error is a mistake, such as that of a map asked for an unknown key, and the
	// answer a 500. A type without size, such as struct{}, has no other value, and is allowed.
	AllowZero bool
	// Refuses is what the scheme refuses a credential with, for documents; see [Refuses].
	// By default, nil: only what every scheme does, as "credentials_required".
	Refuses []Refusal
	// Faults are the reasons why this configuration must not start, each with a
	// hint. Any of them is a wiring fault at Mount.
	Faults []SchemeFault
}

// SchemeFault is one reason why a scheme must not start.
type SchemeFault struct {
	Fact string // such as "JWT[main.Claims] names no Issuer"
	Hint string // what to do; may be empty
}
