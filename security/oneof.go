package security

import (
	"context"
	"strings"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
)

// OneOf authenticates with one of several schemes, such as a JWT or an API key. The
// first scheme, in their order, whose credential is present decides: if it refuses
// the credential, the connection is refused, and no other scheme is asked.
//
// A request without any credential is refused with the challenges of all schemes but
// [Tickets], since a client gets a ticket with the credential of another scheme. Any
// other refusal has the challenge of the scheme that decided.
func OneOf[T any](schemes ...Scheme[T]) Scheme[T] {
	out := oneOf[T]{schemes: make([]Scheme[T], 0, len(schemes))}
	for _, s := range schemes {
		out.schemes = append(out.schemes, ready(s))
	}
	return out
}

// derived is a scheme whose credentials a client gets with those of another scheme.
type derived interface{ derived() }

type oneOf[T any] struct{ schemes []Scheme[T] }

// Describe implements [Scheme].
func (o oneOf[T]) Describe() depends.Scheme {
	var d depends.Scheme
	var f faults
	var names, challenges []string
	for i, s := range o.schemes {
		inner := s.Describe()
		names = append(names, inner.Name)
		d.Alternatives = append(d.Alternatives, inner.Challenge)
		if _, is := s.(derived); !is || len(o.schemes) == 1 {
			challenges = append(challenges, inner.Challenge)
		}
		for _, source := range inner.Sources {
			f.addIf(source.Alternative != 0, "OneOf is given a OneOf", "give it all schemes itself")
			source.Alternative = i
			d.Sources = append(d.Sources, source)
		}
		d.Params = append(d.Params, inner.Params...)
		f = append(f, inner.Faults...)
	}
	d.Name, d.Challenge, d.Faults = strings.Join(names, " or "), strings.Join(challenges, ", "), f
	return d
}

// Authenticate implements [Scheme].
func (o oneOf[T]) Authenticate(ctx context.Context, c depends.Credential) (T, error) {
	s := o.schemes[c.Source.Alternative]
	c.Source.Alternative = 0
	return s.Authenticate(ctx, c)
}

// As makes a scheme provide another type, such as the program's User in place of a
// token's claims, so that [OneOf] can combine schemes. An error of convert refuses as
// one of a provider does; depends.ErrAbsent means that the credential has no owner, and
// refuses with 401 "invalid_credentials".
func As[T, U any](scheme Scheme[U], convert func(context.Context, U) (T, error)) Scheme[T] {
	return as[T, U]{ready(scheme), convert}
}

type as[T, U any] struct {
	scheme  Scheme[U]
	convert func(context.Context, U) (T, error)
}

// Describe implements [Scheme].
func (a as[T, U]) Describe() depends.Scheme { return a.scheme.Describe() }

// Authenticate implements [Scheme].
func (a as[T, U]) Authenticate(ctx context.Context, c depends.Credential) (T, error) {
	value, err := a.scheme.Authenticate(ctx, c)
	if err != nil {
		var none T
		return none, err
	}
	converted, err := a.convert(ctx, value)
	return converted, bind.RefuseUnknown(err, a.Describe().Challenge, "invalid_credentials")
}
