package graph

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"
)

// CleanupFunc releases what a provider made; cause says why the lifetime ended.
type CleanupFunc = func(ctx context.Context, cause error) error

// Scope collects the cleanups of one lifetime and runs them at its end. It is
// safe for concurrent use. The zero value is ready but for Budget.
type Scope struct {
	Budget time.Duration // for each cleanup
	Report func(error)   // gets the error of each cleanup that fails
	// Authorisation is the connection's *Authorisation; nil for none.
	Authorisation any
	// Strict says that the error of a cleanup is the cause of those after it.
	Strict bool
	// Header is that of the answer, while the request is resolved; nil for none.
	Header *map[string][]string

	mu       sync.Mutex
	cleanups []CleanupFunc
	ended    bool
	cause    error
	failed   error // of the first cleanup that has failed
}

type (
	scopeKey  struct{}
	headerKey struct{}
)

// scopeContext hands the scope of a lifetime to the providers of that lifetime.
type scopeContext struct {
	context.Context
	scope *Scope
}

func (c *scopeContext) Value(key any) any {
	switch key {
	case scopeKey{}:
		return c.scope
	case authorisationKey{}:
		return c.scope.Authorisation
	case headerKey{}:
		return c.scope.Header
	}
	return c.Context.Value(key)
}

// Context returns ctx with s as the place where its cleanups go.
func (s *Scope) Context(ctx context.Context) context.Context { return &scopeContext{ctx, s} }

// ScopeOf returns the scope of a provider's context, or nil.
func ScopeOf(ctx context.Context) *Scope {
	s, _ := ctx.Value(scopeKey{}).(*Scope)
	return s
}

// HeaderOf returns the header of the answer by a provider's context, or one that nobody sends.
func HeaderOf(ctx context.Context) map[string][]string {
	header, _ := ctx.Value(headerKey{}).(*map[string][]string)
	if header == nil {
		return map[string][]string{}
	}
	if *header == nil {
		*header = map[string][]string{}
	}
	return *header
}

// Add registers a cleanup. If the lifetime is over already it runs at once, on
// this goroutine.
func (s *Scope) Add(ctx context.Context, f CleanupFunc) {
	s.mu.Lock()
	if !s.ended {
		s.cleanups = append(s.cleanups, f)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.call(ctx, f)
}

// Pending is how many cleanups there are; nil has none.
func (s *Scope) Pending() int {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.cleanups)
}

// End runs the cleanups in reverse order, each exactly once, also when one
// fails, panics or calls runtime.Goexit. Their contexts carry the values of ctx,
// not its cancellation. Only the first call has an effect.
func (s *Scope) End(ctx context.Context, cause error) {
	s.mu.Lock()
	if !s.ended {
		s.ended, s.cause = true, cause
	}
	cleanups := s.cleanups
	s.cleanups = nil
	s.mu.Unlock()
	for _, f := range cleanups {
		defer s.call(ctx, f) // also after runtime.Goexit
	}
}

// Failed returns the error of the first cleanup that has failed, or nil.
func (s *Scope) Failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// within calls f on a goroutine of its own, which a cleanup may end, and waits until ctx ends.
func within(ctx context.Context, f func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Scope) call(ctx context.Context, f CleanupFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Budget)
	defer cancel()
	s.mu.Lock()
	cause := s.cause
	s.mu.Unlock()
	err := ErrGoexit // until f returns
	defer func() {
		if err == nil {
			return
		}
		err = fmt.Errorf("cleanup: %w", err)
		s.Report(err)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.failed = cmp.Or(s.failed, err); s.Strict {
			s.cause = s.failed
		}
	}()
	err = Protect("a cleanup", func() error { return f(ctx, cause) })
}
