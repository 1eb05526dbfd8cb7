package security

import (
	"context"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
)

// Opaque authenticates with a token that says nothing by itself: the program looks up, or
// asks the issuer (RFC 7662), whom it belongs to. Use [APIKey] where the program stores
// nothing but hashes, and Opaque where somebody must see the token itself.
//
// A request without a token is refused with 401 "credentials_required" and the challenge
// Bearer, an unknown token with 401 "invalid_token" (RFC 6750 §3.1). usher compares
// no token. It is safe for concurrent use if Find is.
type Opaque[T any] struct {
	// Sources are the places to look for the token, such as BearerHeader(). At least one.
	Sources []depends.Source

	// Find returns the owner of a token. It returns depends.ErrAbsent, or an error that
	// wraps it, for an unknown, expired or revoked token. It may say who the owner is by
	// depends.Identify, and when the token expires by depends.ValidUntil.
	//
	// A token is a secret: == tells by its duration how much of a guess was right. Look up
	// the sha256.Sum256 of the token, in an index or a map; or compare the sums of two
	// tokens by subtle.ConstantTimeCompare, which hides their lengths, too. Required.
	Find func(ctx context.Context, token string) (T, error)

	// InsecureQuery allows a query source. URLs are logged in many places, and a token
	// need not expire. By default, off.
	InsecureQuery bool

	// AllowZero says that Find may return the zero T without an error. By default, that is
	// a 500.
	AllowZero bool
}

// Describe implements [Scheme].
func (o Opaque[T]) Describe() depends.Scheme {
	return depends.Scheme{
		Name: "Opaque", Sources: o.Sources, Challenge: "Bearer", AllowZero: o.AllowZero,
		Refuses: refuses("invalid_token"),
		Faults:  lookupFaults("Opaque", "a token", o.Find == nil, o.Sources, o.InsecureQuery),
	}
}

// Authenticate implements [Scheme].
func (o Opaque[T]) Authenticate(ctx context.Context, c depends.Credential) (T, error) {
	owner, err := o.Find(ctx, c.Value)
	return owner, bind.RefuseUnknown(err, `Bearer error="invalid_token"`, "invalid_token")
}
