package wsroute

import (
	"context"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/graph"
)

// authorisation is whose a connection is and until when that holds, as its providers say.
type authorisation = graph.Authorisation[depends.Identity]

// merged returns what the steps of a resolution say together.
func merged(said []any) (depends.Identity, time.Time) {
	var all authorisation
	ctx := graph.WithAuthorisation(context.Background(), &all)
	for _, one := range said {
		if one, ok := one.(*authorisation); ok {
			one.Seal()
			depends.Identify(ctx, one.Identity())
			depends.ValidUntil(ctx, one.Until())
		}
	}
	return all.Identity(), all.Until()
}

// principal is the same person or program on every connection; the zero value is nobody.
// Issuer and subject are kept apart, since either may contain anything.
type principal struct{ issuer, subject string }

func principalOf(who depends.Identity) principal { return principal{who.Issuer, who.Subject} }
