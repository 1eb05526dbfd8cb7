package security

import (
	"context"
	"crypto/sha256"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
)

// APIKey authenticates a program by its API key, and provides the owner of the key. Find
// gets the key's hash; if somebody must see the credential itself, use [Opaque].
//
// A request without a key is refused with 401 "credentials_required" and the challenge
// ApiKey, an unknown key with 401 "invalid_key" and the same challenge. It is safe for
// concurrent use if Find is.
type APIKey[T any] struct {
	// Sources are the places to look for the key, such as Header("X-API-Key").
	// At least one.
	Sources []depends.Source

	// Find returns the owner of a key by the SHA-256 of the key, so that the store
	// needs to hold no key, and the time of a search reveals none. It returns
	// depends.ErrAbsent, or an error that wraps it, for an unknown key. Required.
	Find func(ctx context.Context, hash [sha256.Size]byte) (T, error)

	// InsecureQuery allows a query source. URLs are logged in many places, and a
	// key, unlike a ticket, does not expire. By default, off.
	InsecureQuery bool

	// AllowZero says that Find may return the zero T without an error. By default, that is
	// a 500.
	AllowZero bool
}

const apiKeyChallenge = "ApiKey"

// Describe implements [Scheme].
func (a APIKey[T]) Describe() depends.Scheme {
	return depends.Scheme{
		Name: "APIKey", Sources: a.Sources, Challenge: apiKeyChallenge, AllowZero: a.AllowZero,
		Refuses: refuses("invalid_key"),
		Faults:  lookupFaults("APIKey", "a key", a.Find == nil, a.Sources, a.InsecureQuery),
	}
}

// lookupFaults are those of a scheme that looks up secrets which need not expire.
func lookupFaults(scheme, secret string, noFind bool, in []depends.Source, query bool) (f faults) {
	f.addIf(noFind, scheme+" has no Find", "set Find to the look-up of "+secret)
	for _, s := range in {
		f.addIf(s.In == "query" && !query,
			scheme+" takes "+secret+" that does not expire from the query",
			"take it from a header, or set InsecureQuery: true")
	}
	return f
}

// Authenticate implements [Scheme].
func (a APIKey[T]) Authenticate(ctx context.Context, c depends.Credential) (T, error) {
	owner, err := a.Find(ctx, sha256.Sum256([]byte(c.Value)))
	return owner, bind.RefuseUnknown(err, apiKeyChallenge, "invalid_key")
}
