package security

import (
	"context"
	"crypto/sha256"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
)

// APIKey authenticates a program by its API key, and provides the owner of the key.
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
}

const apiKeyChallenge = "ApiKey"

// Describe implements [Scheme].
func (a APIKey[T]) Describe() depends.Scheme {
	var f faults
	f.addIf(a.Find == nil, "APIKey has no Find", "set Find to the look-up of a key's hash")
	for _, s := range a.Sources {
		f.addIf(s.In == inQuery && !a.InsecureQuery,
			"APIKey takes a key that does not expire from the query",
			"take it from a header, or set InsecureQuery: true")
	}
	return depends.Scheme{
		Name: "APIKey", Sources: a.Sources, Challenge: apiKeyChallenge, Faults: f,
	}
}

// Authenticate implements [Scheme].
func (a APIKey[T]) Authenticate(ctx context.Context, c depends.Credential) (T, error) {
	owner, err := a.Find(ctx, sha256.Sum256([]byte(c.Value)))
	return owner, bind.RefuseUnknown(err, apiKeyChallenge, "invalid_key")
}
