package depends

import (
	"context"

	"example.com/usher/internal/plan"
)

// Identify says whose connection it is that a provider or a scheme resolves for,
// in words that mean the same person or program on every connection: an account's
// identifier. wsroute counts connections by it (Config.MaxPerPrincipal). The last
// call wins, so that a provider which knows more than a scheme corrects it;
// security.JWT says the issuer and the subject.
//
// ctx is the one that the provider was called with. Outside of a handshake
// Identify does nothing.
func Identify(ctx context.Context, principal string) {
	if s := plan.ScopeOf(ctx); s != nil && s.Identity != nil {
		s.Identity.Set(principal)
	}
}
