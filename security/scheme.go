package security

import (
	"context"
	"errors"
	"net/http"
	"reflect"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
)

// Scheme authenticates a connection: it turns a credential into a T, which is the
// type that handlers and providers then ask for. [JWT] is one; programs write others
// with these two methods.
//
// Both methods must be safe for concurrent use after [Use].
type Scheme[T any] interface {
	// Describe returns the scheme's name, the sources of its credential, the
	// challenge of its refusals, and the reasons why this configuration must not
	// start. Use calls it once.
	Describe() depends.Scheme

	// Authenticate checks one credential from one of the described sources. The
	// resolver has already refused a request with none (401) and with more than
	// one (400).
	//
	// It refuses with a *depends.Rejection, such as depends.Unauthorized; any
	// other error is answered with a bare 500. It runs on the goroutine of the
	// connection and may block until ctx ends. The credential is a secret: it must
	// not appear in an error or a log.
	Authenticate(ctx context.Context, credential depends.Credential) (T, error)
}

// refuses is what a scheme refuses a bad credential with.
func refuses(reason string) []depends.Refusal {
	return []depends.Refusal{{
		Status: http.StatusUnauthorized, Reason: reason,
		Doc: "the credential is not valid, or not any more",
	}}
}

// ask is scheme.Authenticate, whose zero value is an error unless the scheme allows it: a map
// has one for an unknown key.
func ask[T any](ctx context.Context, scheme Scheme[T], c depends.Credential) (T, error) {
	value, err := scheme.Authenticate(ctx, c)
	v := reflect.ValueOf(&value).Elem()
	if v.Kind() == reflect.Interface && !v.IsNil() {
		v = v.Elem()
	}
	if err == nil && v.IsZero() && v.Type().Size() > 0 && !scheme.Describe().AllowZero {
		err = errors.New("security: the zero value was returned without an error; " +
			"return depends.ErrAbsent for nobody, or set AllowZero if it is meant")
	}
	return value, err
}

// Use installs a scheme as the provider of T. Mount reports an unsafe
// configuration; a nil scheme panics.
func Use[T any](deps *depends.Graph, scheme Scheme[T]) {
	if scheme == nil {
		panic("security: Use of a nil scheme") //nolint:forbidigo // a mistake of the program
	}
	scheme = ready(scheme)
	authenticate := func(ctx context.Context, c depends.Credential) (T, error) {
		return ask(ctx, scheme, c)
	}
	bind.ProvideScheme(deps, scheme.Describe(), authenticate)
}

// ready prepares a JWT for many tokens. It asks for the dynamic type, not for a method,
// which a type that embeds a JWT and has an Authenticate of its own would have, too.
func ready[T any](scheme Scheme[T]) Scheme[T] {
	switch s := scheme.(type) {
	case JWT[T]:
		return s.prepare()
	case *JWT[T]:
		return s.prepare()
	}
	return scheme
}
