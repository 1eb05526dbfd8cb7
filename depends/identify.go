package depends

import (
	"context"
	"time"

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

// ValidUntil says until when the connection may stay open that a provider or a
// scheme resolves for: at that time nothing more is delivered, the handler's
// context ends with wsroute.ErrExpired, and the connection closes with 3000
// "token_expired". The earliest of all calls wins; security.JWT says its token's
// exp, with the leeway. The wall clock decides, and is looked at again for each
// message, so that a machine that has slept extends nothing. A time that has
// passed refuses the connection.
//
// ctx is the one that the provider was called with. Outside of a handshake
// ValidUntil does nothing.
func ValidUntil(ctx context.Context, t time.Time) {
	if s := plan.ScopeOf(ctx); s != nil && s.Identity != nil {
		s.Identity.Limit(t)
	}
}
