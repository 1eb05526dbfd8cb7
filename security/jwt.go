package security

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/usher/depends"
)

const (
	defaultLeeway = 30 * time.Second
	maxLeeway     = 5 * time.Minute // "usually no more than a few minutes", RFC 7519 §4.1.4
)

// JWT authenticates with a signed JSON Web Token (RFC 7519) and provides its
// claims as a C: a struct of the program that embeds jwt.RegisteredClaims, or any
// other type that implements jwt.Claims, by itself or through its pointer. If C
// has a method Validate() error, it is a further check. A method of that name with
// another signature, or golang-jwt v4's Valid() error, does not start: nothing calls it.
//
// A token is accepted if one of Keys verifies its signature, with the algorithm of
// that key; if exp is in the future, and nbf and iat are not; if iss is Issuer, and
// aud is or contains Audience; and if it has a sub. Claims are decoded only after the
// signature is verified. Every other token is refused with the same 401
// "invalid_token" (RFC 6750 §3.1); the reason is the Err of the Rejection.
//
// The connection is identified (depends.Identify) by the token's iss, sub, iat, jti
// and sid, which are read from the token, whether C has fields for them or not: sid is
// one sign-in, as in OpenID Connect. A provider that takes the claims may correct this.
//
// An unsafe configuration does not start: Mount reports it.
//
// A JWT is safe for concurrent use. [Use] prepares it once; Authenticate on a
// literal works too, and prepares it every time.
type JWT[C any] struct {
	// Keys verify signatures. At least one, unless there is a JWKS. See [Key.WithID] for
	// rotation.
	Keys []Key

	// JWKS is the key set that the issuer publishes, in place of Keys.
	JWKS *JWKS

	// Issuer is the iss that tokens must have, compared byte by byte. Required,
	// unless there are Issuers or InsecureAnyIssuer.
	Issuer string

	// Issuers are several names of one issuer, in place of Issuer: a token must have any
	// of them. Each key is good for each name, so that issuers with keys of their own are
	// JWTs of their own; [OneOf] tells them apart.
	Issuers []string

	// Audience is the aud that tokens must have or contain: the name of this
	// service. Required, unless there are Audiences or InsecureAnyAudience.
	Audience string

	// Audiences are several names of this service, in place of Audience: a token must have
	// or contain any of them.
	Audiences []string

	// Sources are the places to look for the token. All are looked at, and a
	// token in more than one is refused. By default, BearerHeader() alone.
	Sources []depends.Source

	// Leeway is how far the clock of the issuer may be off: a token is accepted
	// that much after exp, and that much before nbf and iat. At most 5 minutes;
	// time.Nanosecond turns it off. By default, 30 seconds.
	Leeway time.Duration

	// Realm is named in the challenge (RFC 9110 §11.5): printable ASCII. By
	// default, none.
	Realm string

	// InsecureAnyIssuer accepts a token with any iss, or without one. It is for
	// issuers that set no iss, and whose keys nobody else signs with. By default, off.
	InsecureAnyIssuer bool

	// InsecureAnyAudience accepts a token with any aud, or without one, so that a token
	// for another service of the same issuer is accepted here too. By default, off.
	InsecureAnyAudience bool

	// OptionalSubject accepts a token without sub. Its connection has no principal, unless
	// a provider calls depends.Identify: Config.MaxPerPrincipal does not count it, no
	// subject's revocation ends it, and it cannot be renewed. By default, off.
	OptionalSubject bool

	// InsecureNoExpiry accepts a token without exp, which is good until its key is
	// changed. Its connection ends after at most this time. By default, 0, such tokens are
	// refused.
	InsecureNoExpiry time.Duration
}

// Describe implements [Scheme].
func (j JWT[C]) Describe() depends.Scheme {
	sources := j.Sources
	if len(sources) == 0 {
		sources = []depends.Source{BearerHeader()}
	}
	refusals := refuses("invalid_token")
	if j.JWKS != nil {
		refusals = append(refusals, depends.Refusal{
			Status: http.StatusServiceUnavailable, Reason: "unavailable",
			Doc: "the keys of the issuer cannot be fetched",
		})
	}
	return depends.Scheme{
		Name:      "JWT",
		Format:    "JWT",
		Sources:   slices.Clone(sources),
		Issuers:   oneOrMore(j.Issuer, j.Issuers),
		Challenge: j.challenge(""),
		Faults:    j.faults(),
		Refuses:   refusals,
		AllowZero: true, // a signature vouches for the claims
	}
}

// Authenticate implements [Scheme].
func (j JWT[C]) Authenticate(ctx context.Context, credential depends.Credential) (C, error) {
	return j.prepare().Authenticate(ctx, credential)
}

// challenge returns the WWW-Authenticate of a refusal (RFC 6750 §3). The code is
// empty if the request had no token: §3.1 forbids an error attribute then.
func (j JWT[C]) challenge(code string) string {
	var params []string
	if j.Realm != "" && printable(j.Realm) {
		params = append(params, "realm="+strconv.Quote(j.Realm))
	}
	if code != "" {
		params = append(params, "error="+strconv.Quote(code))
	}
	return strings.TrimSpace("Bearer " + strings.Join(params, ", "))
}

func (j JWT[C]) leeway() time.Duration { return cmp.Or(j.Leeway, defaultLeeway) }

// faults returns the reasons why this configuration must not start.
func (j JWT[C]) faults() (f faults) {
	scheme := "JWT[" + reflect.TypeFor[C]().String() + "]"
	if j.JWKS == nil {
		f = keyFaults(scheme, j.Keys)
	} else {
		f = j.JWKS.faults(scheme)
	}
	f.addIf(j.JWKS != nil && len(j.Keys) > 0, scheme+" has both Keys and a JWKS",
		"put the keys into the set, or leave the set out")
	f.addValues(scheme, "Issuer", "set Issuer to the iss of your tokens, "+
		"or InsecureAnyIssuer: true to accept tokens whoever their iss names",
		j.Issuer, j.Issuers, j.InsecureAnyIssuer)
	f.addValues(scheme, "Audience", "set Audience to the aud of your tokens, "+
		"or InsecureAnyAudience: true to accept tokens made for other services",
		j.Audience, j.Audiences, j.InsecureAnyAudience)
	f.addIf(j.Leeway < 0 || j.Leeway > maxLeeway,
		fmt.Sprintf("%s has a Leeway of %v", scheme, j.Leeway),
		fmt.Sprintf("set Leeway to at most %v, or leave it out for %v", maxLeeway, defaultLeeway))
	f.addIf(!printable(j.Realm),
		fmt.Sprintf("%s has the Realm %+q, which cannot stand in a header", scheme, j.Realm),
		"set Realm to printable ASCII, or leave it out")
	fact, hint := claimsFault[C]()
	f.addIf(fact != "", scheme+": "+fact, hint)
	return f
}

// oneOrMore returns the values of a claim that are accepted; none if any is.
func oneOrMore(one string, several []string) []string {
	all := append([]string{one}, several...)
	return slices.DeleteFunc(all, func(value string) bool { return len(value) == 0 })
}

// addValues adds what is wrong with the values of a claim that are accepted. hint says which
// to name, and what it means to accept any.
func (f *faults) addValues(scheme, field, hint, one string, several []string, anyValue bool) {
	named := one != "" || len(several) > 0
	f.addIf(!named && !anyValue, scheme+" names no "+field, hint)
	f.addIf(named && anyValue, scheme+" names an "+field+" and accepts any",
		"set "+field+" or InsecureAny"+field+", not both")
	f.addIf(one != "" && len(several) > 0, scheme+" has both "+field+" and "+field+"s",
		"name all of them in "+field+"s")
	f.addIf(slices.Contains(several, ""), scheme+" has an empty string among its "+field+"s",
		"name each; is the variable set that it comes from?")
}
