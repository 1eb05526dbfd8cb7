// Package bind reads what a resolution asks of an HTTP request: parameters, the credentials
// of schemes, and the request without them. It refuses with a [depends.Rejection].
package bind

import (
	"example.com/usher/depends"
	"example.com/usher/internal/graph"
)

// Plan is a compiled plan, and how the requests for it are read.
type Plan struct {
	*graph.Plan // nil outside of any route

	// Sources are where the schemes look for credentials, and Secrets the query parameters
	// that nobody but schemes may see.
	Sources []depends.Source
	Secrets []string

	schemes []boundScheme
}

// boundScheme is a scheme of a plan.
type boundScheme struct {
	*depends.Scheme
	optional bool  // a request may come without its credential
	stranger error // the refusal of one that does
}

// NewPlan prepares a plan to read requests.
func NewPlan(compiled *graph.Plan) *Plan {
	p := &Plan{Plan: compiled}
	for provider, optional := range compiled.Schemes() {
		p.add(SchemeOf(provider), optional)
	}
	return p
}

func (p *Plan) add(s *depends.Scheme, optional bool) {
	// Its text is the most frequent line of many a log.
	stranger := graph.Failed(s.Name, noCredential(s, nil))
	p.schemes = append(p.schemes, boundScheme{s, optional, stranger})
	p.Sources = append(p.Sources, s.Sources...)
	p.Secrets = append(p.Secrets, s.Params...)
	for _, source := range s.Sources {
		if source.In == "query" {
			p.Secrets = append(p.Secrets, source.Name)
		}
	}
}

// SchemeOf returns the description of a provider that authenticates.
func SchemeOf(p *graph.Provider) *depends.Scheme { return p.Scheme.(*depends.Scheme) }
