package graph

import (
	"context"
	"math"
	"sync"
	"time"
)

// Authorisation is the principal of a connection, as depends knows it, and its expiry.
type Authorisation[ID any] struct {
	mu     sync.Mutex
	sealed bool // providers say no more
	id     ID
	// until is in nanoseconds since 1970, by the wall clock, which also counts while a
	// machine sleeps; 0 is never.
	until int64
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
	a.id, a.until = id, nanos(until)
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
	if at := nanos(until); !a.sealed && at != 0 && (a.until == 0 || at < a.until) {
		a.until = at
	}
}

// Until returns when the connection is to end; zero is never.
func (a *Authorisation[ID]) Until() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.until == 0 {
		return time.Time{}
	}
	return time.Unix(0, a.until)
}

// nanos returns a time in nanoseconds since 1970, as near as they go: to the year
// 2262. The zero time is 0, and no other is.
func nanos(t time.Time) int64 {
	const last = math.MaxInt64 / int64(time.Second)
	switch {
	case t.IsZero():
		return 0
	case t.Unix() >= last:
		return math.MaxInt64
	}
	return max(1, t.UnixNano())
}

// authorisationKey is the context key of an *Authorisation.
type authorisationKey struct{}

// WithAuthorisation returns a context whose authorisation is a.
func WithAuthorisation(ctx context.Context, a any) context.Context {
	return context.WithValue(ctx, authorisationKey{}, a)
}

// AuthorisationOf returns the *Authorisation of a provider's context, or nil.
func AuthorisationOf(ctx context.Context) any { return ctx.Value(authorisationKey{}) }
