package bind

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"example.com/usher/depends"
	"example.com/usher/internal/graph"
)

// ProvideScheme adds a scheme as the provider of T. The resolver takes the one credential
// out of the request, passes it to authenticate alone, and refuses absence and ambiguity
// itself. Schemes run before every other provider, so that a peer without a credential gets
// a 401 and learns nothing else.
func ProvideScheme[T any](
	g *depends.Graph, scheme depends.Scheme,
	authenticate func(context.Context, depends.Credential) (T, error),
) {
	s := canonical(scheme)
	p := &graph.Provider{
		Out: reflect.TypeFor[T](), Func: graph.Func{Name: s.Name}, Site: graph.Caller(),
		Scheme: s, Hides: hides(s), Invoke: graph.Call(authenticate), Granted: Grants[T](),
	}
	for _, f := range s.Faults {
		p.Faults = append(p.Faults, graph.Fault{Fact: f.Fact, Hint: f.Hint})
	}
	graph.Of(g).Register(p)
}

// Grants returns what the scopes of a T are, by a pointer to it; nil if it has no method Scopes.
func Grants[T any]() func(value any) []string {
	if _, says := any(*new(T)).(scoped); !says {
		return nil
	}
	return func(value any) []string { return any(*value.(*T)).(scoped).Scopes() }
}

// scoped is a value that says which scopes it grants (RFC 6749 §3.3).
type scoped interface{ Scopes() []string }

// canonical returns the scheme with its sources as a request holds them, in the order in which
// they are looked at, and with all reasons why it must not start.
func canonical(s depends.Scheme) *depends.Scheme {
	s.Faults = check(s)
	s.Sources = slices.Clone(s.Sources)
	for i, source := range s.Sources {
		s.Sources[i] = canonicalSource(source)
	}
	slices.SortStableFunc(s.Sources, func(a, b depends.Source) int {
		return a.Alternative - b.Alternative
	})
	return &s
}

// places say where the credential of a canonical scheme stands.
func places(s *depends.Scheme) (places []string) {
	for _, source := range s.Sources {
		if place := Place(source); !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	return places
}

// Place names a source, such as "header Authorization Bearer".
func Place(s depends.Source) string {
	return strings.TrimSpace(strings.Join(slices.Compact([]string{s.In, s.Name, s.Prefix}), " "))
}

// Wire shows a source as it is on the wire, with <credential> for the credential.
func Wire(s depends.Source) string {
	switch value := "<credential>"; s.In {
	case "query":
		return "?" + s.Name + "=" + value
	case "cookie":
		return "Cookie: " + s.Name + "=" + value
	case "subprotocol":
		if s.Prefix == "" {
			value = "<credential in base64url>"
		}
		return "Sec-WebSocket-Protocol: " + OfferPrefix(&s) + value
	default:
		return s.Name + ": " + strings.TrimLeft(s.Prefix+" "+value, " ")
	}
}

// Takes reports whether a credential in a source may be one for a scheme.
func Takes(scheme depends.Scheme, source depends.Source) bool {
	source = canonicalSource(source)
	return slices.ContainsFunc(scheme.Sources, func(s depends.Source) bool {
		s = canonicalSource(s)
		a, b := strings.ToLower(s.Prefix), strings.ToLower(source.Prefix)
		if s.In == "subprotocol" { // without a prefix, the marker's token may be for any name
			a, b = cmp.Or(a, bearerOffer), cmp.Or(b, bearerOffer)
			return s.In == source.In && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a))
		}
		return s.In == source.In && s.Name == source.Name && (a == b || a == "" || b == "")
	})
}

// hides are the parameters that would read what a canonical scheme takes out of a request.
func hides(s *depends.Scheme) (hides [][2]string) {
	for _, source := range s.Sources {
		switch source.In {
		case "subprotocol": // a page that diagnoses puts it into Authorization
			hides = append(hides,
				[2]string{"header", "Authorization"}, [2]string{"header", "Sec-Websocket-Protocol"})
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

// canonicalSource returns a source as a request holds it.
func canonicalSource(s depends.Source) depends.Source {
	if s.In == "header" {
		s.Name = http.CanonicalHeaderKey(s.Name)
	}
	return s
}

// inPlaces are where a source can be.
var inPlaces = []string{"header", "query", "cookie", "subprotocol"}

// check returns the scheme's own faults and those of its description.
func check(s depends.Scheme) []depends.SchemeFault {
	faults := slices.Clip(s.Faults)
	fault := func(fact, hint string) {
		faults = append(faults, depends.SchemeFault{Fact: s.Name + " " + fact, Hint: hint})
	}
	if s.Challenge == "" {
		fault("has no challenge", "a 401 must carry WWW-Authenticate: set Challenge")
	}
	if len(s.Sources) == 0 {
		fault("looks nowhere for its credential", "name at least one source")
	}
	seen := map[depends.Source]bool{}
	for _, source := range s.Sources {
		canonical := canonicalSource(source)
		whole, ok := holdsMore[canonical.Name]
		if ok && source.In == "header" && (source.Prefix == "" || canonical.Name != "Authorization") {
			fault("takes the "+whole[0]+" header for a credential", whole[1])
		}
		switch {
		case !slices.Contains(inPlaces, source.In):
			fault(fmt.Sprintf("looks for its credential in %q", source.In),
				"the places are "+strings.Join(inPlaces, ", "))
		case source.Name == "":
			fault(fmt.Sprintf("has a %s source without a name", source.In), "name it")
		case seen[canonical]:
			fault(fmt.Sprintf("names the %s %q twice", source.In, source.Name),
				"name it once: a credential found twice is refused")
		}
		seen[canonical] = true
	}
	return faults
}

// holdsMore are headers of which a credential is but a part: their name, and a hint. What depends
// on a credential's place, such as that a cookie demands an Origin, would not hold for them.
var holdsMore = map[string][2]string{
	"Cookie":                 {"Cookie", "name the cookie: use security.CookieToken(name)"},
	"Sec-Websocket-Protocol": {"Sec-WebSocket-Protocol", "use security.SubprotocolToken(name)"},
	"Authorization": {
		"whole Authorization",
		"use security.BearerHeader(), which reads what follows Bearer, or a Source with a Prefix",
	},
}
