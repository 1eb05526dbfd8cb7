package graph

import (
	"context"
	"sync"
	"time"
)

// Authorisation is the principal of a connection, as depends knows it, and its expiry.
type Authorisation[ID any] struct {
	mu     sync.Mutex
	sealed bool // providers say no more
	id     ID
	until  time.Time // by the wall clock, which also counts while a machine sleeps; zero is never
}

// Empty returns another *Authorisation[ID].
func (*Authorisation[ID]) Empty() any { return new(Authorisation[ID]) }

// Seal ends the time in which Update and Limit have an effect: what they have said counts.
func (a *Authorisation[ID]) Seal() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sealed = true
}

// Update replaces what is known of the identity.
func (a *Authorisation[ID]) Update(next func(known ID) ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.sealed {
		a.id = next(a.id)
	}
}

// Replace sets both.
func (a *Authorisation[ID]) Replace(id ID, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.id, a.until = id, until.Round(0)
}

// Identity returns what is known.
func (a *Authorisation[ID]) Identity() ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.id
}

// Limit lets the connection end at a time; the earliest of all wins, and zero says nothing.
func (a *Authorisation[ID]) Limit(until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.sealed && !until.IsZero() && (a.until.IsZero() || until.Before(a.until)) {
		a.until = until.Round(0)
	}
}

// Until returns when the connection is to end; zero is never.
func (a *Authorisation[ID]) Until() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.until
}

// authorisationKey is the context key of an *Authorisation.
type authorisationKey struct{}

// WithAuthorisation returns a context whose authorisation is a.
func WithAuthorisation(ctx context.Context, a any) context.Context {
	return context.WithValue(ctx, authorisationKey{}, a)
}

// AuthorisationOf returns the *Authorisation of a provider's context, or nil.
func AuthorisationOf(ctx context.Context) any { return ctx.Value(authorisationKey{}) }
