package depends

import (
	"cmp"
	"context"
	"time"

	"example.com/usher/internal/graph"
)

// Identity says whose connection it is, and by what it shows that. Its words mean
// the same on every connection and in every process. What is empty is not known.
type Identity struct {
	// Issuer and Subject name a person or a program, as iss and sub of RFC 7519
	// do: an account. Subject means nothing without its Issuer; the latter is empty for
	// accounts of the program's own.
	Issuer, Subject string
	// Session is one sign-in of the subject, as sid of OpenID Connect is.
	Session string
	// TokenID is the jti of a token (RFC 7519 §4.1.7), or a name of another
	// credential. It must be no secret.
	TokenID string
	// IssuedAt is when the credential was made. If it is not known, the beginning
	// of the handshake counts.
	IssuedAt time.Time
	// Since is when all this was found out, if that was before the handshake, as with a
	// ticket: what was revoked since then refuses the handshake, too. The
	// earliest counts. Revocations are remembered for six minutes and Config.ResolveTimeout.
	Since time.Time
}

// Identify says whose connection it is that a provider or a scheme resolves for.
// wsroute counts connections by issuer and subject (Config.MaxPerPrincipal) and
// revokes by all of it (Router.Revoke). Of several calls the last one wins, field
// by field, so that a provider which knows more than a scheme corrects it.
// security.JWT says what the claims hold.
//
// ctx is the one that the provider was called with. Once the connection is open, or, for a
// provider that runs again, once its new value is taken, Identify does nothing; nor does it
// with any other context, but for [Observe]'s.
func Identify(ctx context.Context, who Identity) {
	if a := authorisationOf(ctx); a != nil {
		a.Update(who.over)
	}
}

// authorisation is what the providers of a connection say of it.
type authorisation = graph.Authorisation[Identity]

func authorisationOf(ctx context.Context) *authorisation {
	a, _ := graph.AuthorisationOf(ctx).(*authorisation)
	return a
}

// over returns who, with its empty fields as they are known already, and the earlier Since.
// An issuer and its subject belong together.
func (who Identity) over(known Identity) Identity {
	if who.Subject == "" {
		who.Issuer, who.Subject = known.Issuer, known.Subject
	}
	who.Session = cmp.Or(who.Session, known.Session)
	who.TokenID = cmp.Or(who.TokenID, known.TokenID)
	if who.IssuedAt.IsZero() {
		who.IssuedAt = known.IssuedAt
	}
	if since := known.Since; !since.IsZero() && (who.Since.IsZero() || since.Before(who.Since)) {
		who.Since = since
	}
	return who
}

// Observe returns a context in which Identify and ValidUntil are noted, though there is no
// connection, and a function that returns what they have said so far. It begins with what
// ctx knows already. security.Tickets reads the identity of a ticket so. It is safe
// for concurrent use.
func Observe(
	ctx context.Context,
) (observed context.Context, said func() (who Identity, until time.Time)) {
	var a authorisation
	if known := authorisationOf(ctx); known != nil {
		a.Replace(known.Identity(), known.Until())
	}
	said = func() (Identity, time.Time) { return a.Identity(), a.Until() }
	return graph.WithAuthorisation(ctx, &a), said
}

// ValidUntil says until when the connection may stay open that a provider or a
// scheme resolves for: at that time nothing more is delivered, the handler's
// context ends with wsroute.ErrExpired, and the connection closes with 3000
// "token_expired". The earliest of all calls wins; security.JWT says its token's
// exp, with the leeway. The wall clock decides, and is looked at again for each
// message, so that a machine that has slept extends nothing. A time that has
// passed refuses the connection; the zero time says nothing.
//
// ctx is the one that the provider was called with. As with [Identify], nothing counts that is
// said once the connection is open.
func ValidUntil(ctx context.Context, t time.Time) {
	if a := authorisationOf(ctx); a != nil {
		a.Limit(t)
	}
}
