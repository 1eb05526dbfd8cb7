package depends

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"example.com/usher/internal/plan"
)

// Source is a place in the handshake request where a credential may stand.
type Source struct {
	// In is "header" or "query".
	In string
	// Name is the header's or the query parameter's name.
	Name string
	// Prefix is the authentication scheme in front of the credential, such as
	// "Bearer" (RFC 9110 §11.4), matched without regard to case. A header with
	// another scheme holds no credential of this source. Empty takes the whole value.
	Prefix string
}

// Credential is what a source held: a secret. It prints as its source alone.
type Credential struct {
	Source Source
	Value  string
}

// String names the source and hides the value.
func (c Credential) String() string { return "credential in " + c.Source.In + " " + c.Source.Name }

// GoString hides the value too.
func (c Credential) GoString() string { return c.String() }

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
	provideScheme(g, scheme, reflect.TypeFor[T](), plan.Call[plan.Credential, T](
		func(ctx context.Context, c plan.Credential) (T, error) {
			return authenticate(ctx, Credential{Source: Source(c.Source), Value: c.Value})
		}))
}

// canonical returns the source as the request holds it.
func (s Source) canonical() plan.Source {
	if s.In == "header" {
		s.Name = http.CanonicalHeaderKey(s.Name)
	}
	return plan.Source(s)
}

// check returns the scheme's own faults and those of its description.
func (s Scheme) check() []SchemeFault {
	faults := slices.Clip(s.Faults)
	if s.Challenge == "" {
		faults = append(faults, SchemeFault{s.Name + " has no challenge", "a 401 must carry WWW-Authenticate: set Challenge"})
	}
	if len(s.Sources) == 0 {
		faults = append(faults, SchemeFault{s.Name + " looks nowhere for its credential", "name at least one source"})
	}
	seen := map[plan.Source]bool{}
	for _, source := range s.Sources {
		switch {
		case source.In != "header" && source.In != "query":
			faults = append(faults, SchemeFault{fmt.Sprintf("%s looks for its credential in %q", s.Name, source.In), `the sources are "header" and "query"`})
		case source.Name == "":
			faults = append(faults, SchemeFault{fmt.Sprintf("%s has a %s source without a name", s.Name, source.In), "name the header or the query parameter"})
		case seen[source.canonical()]:
			faults = append(faults, SchemeFault{fmt.Sprintf("%s names the %s %q twice", s.Name, source.In, source.Name), "name it once: a credential found twice is refused"})
		}
		seen[source.canonical()] = true
	}
	return faults
}
