package depends

import (
	"context"
	"reflect"

	"example.com/usher/internal/graph"
)

// Optional is a field of an input struct that may be empty: OK says whether the
// value is there. It covers absence alone, an error that is [ErrAbsent] such as
// missing credentials. Any other error, a bad token for one, still refuses the
// connection, and a type without a provider is still a wiring fault.
type Optional[T any] struct {
	Value T
	OK    bool
}

func (Optional[T]) optional() reflect.Type { return reflect.TypeFor[T]() }

// Cleanup registers f to run when the lifetime of the value that is being
// provided ends, in the manner of testing.T.Cleanup: in reverse order, each once,
// all of them even if one fails or panics. cause says why the lifetime ended,
// nil if nothing went wrong. f's context is not cancelled when the connection
// is, and has a time budget of its own (wsroute.Config.CleanupTimeout). An error
// of f is logged; of a Message value of wsroute.HandleMessages it also makes the answer
// "internal", and otherwise it changes nothing that the peer sees.
//
// ctx is the one that the provider was called with, or derived from it. If the
// lifetime is over already, because the provider was slower than the budget, f
// runs at once. Cleanup may be called from any goroutine. It panics with a
// context from elsewhere: a handler defers instead, and a unit test takes its
// context from wstest.Context.
func Cleanup(ctx context.Context, f func(ctx context.Context, cause error) error) {
	scope := graph.ScopeOf(ctx)
	if scope == nil {
		graph.Misuse("depends: Cleanup outside a provider, at %s: pass the provider's own context; "+
			"in a handler use defer; in a unit test take the context from wstest.Context", graph.Caller())
	}
	scope.Add(ctx, f)
}
