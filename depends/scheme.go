package depends

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"example.com/usher/internal/graph"
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
	// which for Cookie, Authorization and Sec-WebSocket-Protocol is a wiring fault.
	Prefix string
	// Alternative parts the sources of a scheme that is one of several: those of
	// the first alternative that holds a credential are looked at alone. Usually 0.
	Alternative int
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
	// Params are query parameters that the scheme reads beside its credential,
	// and that are hidden like it.
	Params []string
	// Faults are the reasons why this configuration must not start, each with a
	// hint. Any of them is a wiring fault at Mount.
	Faults []SchemeFault
}

// SchemeFault is one reason why a scheme must not start.
type SchemeFault struct {
	Fact string // such as "JWT[main.Claims] names no Issuer"
	Hint string // what to do; may be empty
}

// ProvideScheme adds a scheme as the provider of T. The resolver takes the one
// credential out of the request that everybody else sees, hands it to
// authenticate alone, and refuses absence and ambiguity itself. Schemes run
// before every other provider, so that a stranger is told 401 and nothing else.
//
// Programs use security.Use; this is the seam that it stands on.
func ProvideScheme[T any](g *Graph, scheme Scheme, authenticate func(context.Context, Credential) (T, error)) {
	s := scheme.canonical()
	p := &graph.Provider{
		Out: reflect.TypeFor[T](), Func: graph.Func{Name: s.Name}, Site: graph.Caller(),
		Scheme: s, Places: s.places(), Hides: s.hides(),
		Invoke: func(ctx context.Context, in, out any) error {
			value, err := authenticate(ctx, *in.(*Credential))
			if err == nil {
				*out.(*T) = value
			}
			return err
		},
	}
	for _, f := range s.Faults {
		p.Faults = append(p.Faults, graph.Fault{Fact: f.Fact, Hint: f.Hint})
	}
	if _, says := any(*new(T)).(scoped); says {
		p.Granted = func(value any) []string { return any(*value.(*T)).(scoped).Scopes() }
	}
	g.graph.Register(p)
}

// scoped is a value that says which scopes it grants (RFC 6749 §3.3).
type scoped interface{ Scopes() []string }

// canonical returns the scheme with its sources as a request holds them, in the order in which
// they are looked at, and with all reasons why it must not start.
func (s Scheme) canonical() *Scheme {
	s.Faults = s.check()
	s.Sources = slices.Clone(s.Sources)
	for i, source := range s.Sources {
		s.Sources[i] = source.canonical()
	}
	slices.SortStableFunc(s.Sources, func(a, b Source) int { return a.Alternative - b.Alternative })
	return &s
}

// places say where the credential of a canonical scheme stands.
func (s *Scheme) places() (places []string) {
	for _, source := range s.Sources {
		places = append(places, strings.TrimSpace(source.In+" "+source.Name+" "+source.Prefix))
	}
	return places
}

// hides are the parameters that would read what a canonical scheme takes out of a request.
func (s *Scheme) hides() (hides [][2]string) {
	for _, source := range s.Sources {
		switch source.In {
		case "subprotocol": // and where a page that diagnoses puts it
			hides = append(hides, [2]string{"header", "Authorization"}, [2]string{"header", "Sec-Websocket-Protocol"})
		case "cookie":
			hides = append(hides, [2]string{"cookie", source.Name}, [2]string{"header", "Cookie"})
		default:
			hides = append(hides, [2]string{source.In, source.Name})
		}
	}
	for _, name := range s.Params {
		hides = append(hides, [2]string{"query", name})
	}
	return hides
}

// canonical returns the source as a request holds it.
func (s Source) canonical() Source {
	if s.In == "header" {
		s.Name = http.CanonicalHeaderKey(s.Name)
	}
	return s
}

// inPlaces are where a source can be.
var inPlaces = []string{"header", "query", "cookie", "subprotocol"}

// check returns the scheme's own faults and those of its description.
func (s Scheme) check() []SchemeFault {
	faults := slices.Clip(s.Faults)
	if s.Challenge == "" {
		faults = append(faults, SchemeFault{s.Name + " has no challenge", "a 401 must carry WWW-Authenticate: set Challenge"})
	}
	if len(s.Sources) == 0 {
		faults = append(faults, SchemeFault{s.Name + " looks nowhere for its credential", "name at least one source"})
	}
	seen := map[Source]bool{}
	for _, source := range s.Sources {
		if fact, hint := source.holdsMore(); fact != "" {
			faults = append(faults, SchemeFault{s.Name + " takes the " + fact + " header for a credential", hint})
		}
		switch {
		case !slices.Contains(inPlaces, source.In):
			faults = append(faults, SchemeFault{fmt.Sprintf("%s looks for its credential in %q", s.Name, source.In), "the places are " + strings.Join(inPlaces, ", ")})
		case source.Name == "":
			faults = append(faults, SchemeFault{fmt.Sprintf("%s has a %s source without a name", s.Name, source.In), "name it"})
		case seen[source.canonical()]:
			faults = append(faults, SchemeFault{fmt.Sprintf("%s names the %s %q twice", s.Name, source.In, source.Name), "name it once: a credential found twice is refused"})
		}
		seen[source.canonical()] = true
	}
	return faults
}

// holdsMore names a header of which a credential is but a part. What depends on the
// place of a credential, such as that a cookie demands an Origin, would not hold for
// one that is taken from there as a whole.
func (s Source) holdsMore() (fact, hint string) {
	if s.In != "header" {
		return "", ""
	}
	switch s.canonical().Name {
	case "Cookie":
		return "Cookie", "name the cookie: use security.CookieToken(name)"
	case "Sec-Websocket-Protocol":
		return "Sec-WebSocket-Protocol", "use security.SubprotocolToken(name)"
	case "Authorization":
		if s.Prefix == "" {
			return "whole Authorization", "use security.BearerHeader(), which reads what follows Bearer, or a Source with a Prefix"
		}
	}
	return "", ""
}
