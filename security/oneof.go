package security

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
)

// OneOf authenticates with one of several schemes, such as a JWT or an API key. The
// first scheme, in their order, whose credential is present decides: if it refuses
// the credential, the connection is refused, and no other scheme is asked.
//
// Two schemes must not take one source, since the second would never be asked: that does
// not start. JWTs may, if each names its Issuer or Issuers, and none of them twice: the
// iss of a token chooses the JWT that verifies it. A token of another iss is left to the
// first.
//
// A request without any credential is refused with the challenges of all schemes but
// [Tickets], since a client gets a ticket with the credential of another scheme. Any
// other refusal has the challenge of the scheme that decided.
func OneOf[T any](schemes ...Scheme[T]) Scheme[T] {
	var out oneOf[T]
	for _, s := range schemes {
		s = ready(s)
		out.schemes, out.described = append(out.schemes, s), append(out.described, s.Describe())
	}
	return out
}

type oneOf[T any] struct {
	schemes   []Scheme[T]
	described []depends.Scheme // each
}

// Describe implements [Scheme].
func (o oneOf[T]) Describe() depends.Scheme {
	var d depends.Scheme
	var f faults
	var names, challenges []string
	for i, inner := range o.described {
		names = append(names, inner.Name)
		for _, earlier := range o.described[:i] {
			f.addRivals(earlier, inner)
		}
		d.Alternatives = append(d.Alternatives, inner.Challenge)
		if inner.Challenge != ticketChallenge || len(o.schemes) == 1 {
			challenges = append(challenges, inner.Challenge)
		}
		for _, source := range inner.Sources {
			f.addIf(source.Alternative != 0, "OneOf is given a OneOf", "give it all schemes itself")
			source.Alternative = i
			d.Sources = append(d.Sources, source)
		}
		d.Params = append(d.Params, inner.Params...)
		for _, r := range inner.Refuses {
			if !slices.Contains(d.Refuses, r) {
				d.Refuses = append(d.Refuses, r)
			}
		}
		f = append(f, inner.Faults...)
	}
	d.Name, d.Challenge, d.Faults = strings.Join(names, " or "), strings.Join(challenges, ", "), f
	d.AllowZero = true // each scheme has been asked about its own
	return d
}

// addRivals adds the sources of two schemes whose credentials nothing tells apart.
func (f *faults) addRivals(a, b depends.Scheme) {
	known := func(issuer string) bool { return slices.Contains(a.Issuers, issuer) }
	apart := len(a.Issuers) > 0 && len(b.Issuers) > 0 && !slices.ContainsFunc(b.Issuers, known)
	for _, source := range b.Sources {
		f.addIf(!apart && bind.Takes(a, source), fmt.Sprintf(
			"OneOf cannot tell %s and %s apart in the %s", a.Name, b.Name, bind.Place(source)),
			"give one of them another source; JWTs may share it if each names issuers of its own")
	}
}

// Authenticate implements [Scheme].
func (o oneOf[T]) Authenticate(ctx context.Context, c depends.Credential) (T, error) {
	chosen := c.Source.Alternative
	for i, d := range o.described {
		if i > chosen && bind.Takes(d, c.Source) && slices.Contains(d.Issuers, claimedIssuer(c)) {
			chosen = i // a JWT that shares the source, and takes tokens of this issuer
		}
	}
	c.Source.Alternative = 0
	return ask(ctx, o.schemes[chosen], c)
}

// As makes a scheme provide another type, such as the program's User in place of a
// token's claims, so that [OneOf] can combine schemes. An error of convert refuses as
// one of a provider does; depends.ErrAbsent means that the credential has no owner, and
// refuses with 401 "invalid_credentials". The zero T without an error is a 500; if it is
// meant, let T be a pointer.
func As[T, U any](scheme Scheme[U], convert func(context.Context, U) (T, error)) Scheme[T] {
	return as[T, U]{ready(scheme), convert}
}

type as[T, U any] struct {
	scheme  Scheme[U]
	convert func(context.Context, U) (T, error)
}

// Describe implements [Scheme].
func (a as[T, U]) Describe() depends.Scheme {
	d := a.scheme.Describe()
	d.AllowZero = false // that is about U
	d.Refuses = append(slices.Clip(d.Refuses), refuses("invalid_credentials")...)
	return d
}

// Authenticate implements [Scheme].
func (a as[T, U]) Authenticate(ctx context.Context, c depends.Credential) (none T, _ error) {
	value, err := ask(ctx, a.scheme, c)
	if err != nil {
		return none, err
	}
	converted, err := a.convert(ctx, value)
	return converted, bind.RefuseUnknown(err, a.Describe().Challenge, "invalid_credentials")
}
