// Package bind reads HTTP requests for package graph.
//
// It reads parameters (path, query, header, cookie), the one credential of each scheme, and
// the client's address; and it makes the request that providers see, from which credentials
// and the body are removed.
//
// It refuses, with a [depends.Rejection], a query parameter that does not decode (400), a missing
// credential (401, unless all that need it are optional), two credentials of one scheme or
// one that cannot be read (400, RFC 6750 §3.1), scopes that are not granted (403), and
// parameters that are missing or wrong (422, all at once).
package bind

import (
	"maps"

	"example.com/usher/depends"
	"example.com/usher/internal/graph"
)

// Plan is a compiled plan, and how the requests for it are read.
type Plan struct {
	*graph.Plan // nil outside of any route

	// Sources are where the schemes look for credentials, and Secrets the query parameters
	// that only schemes may see.
	Sources []depends.Source
	Secrets Names
	// Speaks are the subprotocols of the route.
	Speaks []string

	reads   Names // the query parameters that anything reads, the secrets too
	schemes []boundScheme
}

// boundScheme is a scheme of a plan.
type boundScheme struct {
	*depends.Scheme
	optional bool  // a request may come without its credential
	missing  error // the refusal of a request without it
}

// NewPlan prepares a plan to read requests.
func NewPlan(compiled *graph.Plan) *Plan {
	p := &Plan{Plan: compiled, Secrets: Names{}, reads: Names{}}
	for _, s := range compiled.Schemes() {
		p.add(SchemeOf(s.Provider), s.Optional)
	}
	for _, read := range compiled.Params() {
		if read.In == "query" {
			p.reads.add(read.Name)
		}
	}
	return p
}

func (p *Plan) add(s *depends.Scheme, optional bool) {
	// It is the most frequent refusal, so its text is made once.
	missing := graph.Failed(s.Name, noCredential(s, ""))
	p.schemes = append(p.schemes, boundScheme{s, optional, missing})
	p.Sources = append(p.Sources, s.Sources...)
	p.Secrets.add(s.Params...)
	for _, source := range s.Sources {
		if source.In == "query" {
			p.Secrets.add(source.Name)
		}
	}
	maps.Copy(p.reads, p.Secrets)
}

// SchemeOf returns the description of a provider that authenticates.
func SchemeOf(p *graph.Provider) *depends.Scheme { return p.Scheme.(*depends.Scheme) }
