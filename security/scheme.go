package security

import (
	"context"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
)

// Scheme authenticates a connection: it turns a credential into a T, which
// handlers and providers then ask for by its type. [JWT] is one; programs write
// others with these two methods.
//
// Both methods must be safe for concurrent use once the scheme was given to
// [Use].
type Scheme[T any] interface {
	// Describe names the scheme, says where its credential stands, with which
	// challenge a stranger is refused, and why, if so, this configuration must
	// not start. Use calls it once.
	Describe() depends.Scheme

	// Authenticate checks one credential, which was found in one of the
	// described sources. The resolver has already refused a request with none
	// (401) and with more than one (400).
	//
	// It refuses with a *depends.Rejection, such as depends.Unauthorized; any
	// other error tells the peer a bare 500. It runs on the goroutine that
	// becomes the connection's and may block until ctx ends. The credential is
	// a secret: it belongs in no error and no log.
	Authenticate(ctx context.Context, credential depends.Credential) (T, error)
}

// Use installs a scheme as the provider of T. What is wrong with its
// configuration is told by Mount; a nil scheme panics.
func Use[T any](deps *depends.Graph, scheme Scheme[T]) {
	if scheme == nil {
		panic("security: Use of a nil scheme") //nolint:forbidigo // a mistake of the program's own, with its place
	}
	scheme = ready(scheme)
	authenticate := func(ctx context.Context, c *depends.Credential, to *T) error {
		value, err := scheme.Authenticate(ctx, *c)
		if err == nil {
			*to = value
		}
		return err
	}
	if v, ok := scheme.(*verifier[T]); ok {
		authenticate = v.authenticate
	}
	bind.ProvideScheme(deps, scheme.Describe(), authenticate)
}

// ready lets a scheme of ours do what is the same for every credential. It asks
// for the dynamic type, not for a method: a type that embeds a JWT to refine its
// Authenticate would have that method too, and be bypassed.
func ready[T any](scheme Scheme[T]) Scheme[T] {
	switch s := scheme.(type) {
	case JWT[T]:
		return s.prepare()
	case *JWT[T]:
		return s.prepare()
	}
	return scheme
}
