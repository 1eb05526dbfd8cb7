package security

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxDate is the last second of the year 9999. A float that is larger overflows
// the conversion to an integer, with a result that depends on the processor.
const maxDate = 253402300799

// decodeClaims decodes and checks the payload of a token with a verified signature. After an
// error, to must not be used.
func (v *verifier[C]) decodeClaims(payload []byte, to *C) error {
	if err := checkMembers(payload, claimMembers); err != nil {
		return err
	}
	claims := newClaims(to)
	if err := json.Unmarshal(payload, claims); err != nil {
		return decodeProblem(err)
	}
	if !inRange(claims.GetExpirationTime()) || !inRange(claims.GetNotBefore()) ||
		!inRange(claims.GetIssuedAt()) {
		return badToken(jwt.ErrTokenInvalidClaims, "a date in seconds is not between 1970 and 9999")
	}
	issuer, noIssuer := claims.GetIssuer()
	subject, noSubject := claims.GetSubject()
	expires, _ := claims.GetExpirationTime() // the validator reports its error
	issuers := v.description.Issuers
	switch {
	case len(issuers) > 0 && issuer == "":
		return missingClaim("iss", "InsecureAnyIssuer")
	case len(issuers) > 0 && (noIssuer != nil || !slices.Contains(issuers, issuer)):
		return loggable(badToken(jwt.ErrTokenInvalidIssuer, "%+.80q", issuer))
	case noSubject != nil || subject == "" && !v.OptionalSubject:
		return missingClaim("sub", "OptionalSubject") // else all would be the same user ""
	case expires == nil && v.InsecureNoExpiry <= 0:
		return missingClaim("exp", "InsecureNoExpiry")
	}
	if err := v.validator.Validate(claims); err != nil {
		return loggable(err)
	}
	return nil
}

// missingClaim returns why a token without a claim is refused, and the field that accepts it.
func missingClaim(claim, field string) error {
	return badToken(jwt.ErrTokenRequiredClaimMissing,
		"%s claim is required; %s accepts tokens without it", claim, field)
}

// inRange reports whether a date is absent or in range. The validator reports err.
func inRange(d *jwt.NumericDate, err error) bool {
	return err != nil || d == nil || 0 <= d.Unix() && d.Unix() <= maxDate
}

// newClaims returns the claims in a C, to decode into. If C is a pointer, it points at a new
// value. claimsFault has checked that C has such claims.
func newClaims[C any](to *C) jwt.Claims {
	if t := reflect.TypeFor[C](); t.Kind() == reflect.Pointer {
		*to = reflect.New(t.Elem()).Interface().(C)
		return any(*to).(jwt.Claims)
	}
	return any(to).(jwt.Claims)
}

// decodeProblem returns why claims do not decode, without the value, which encoding/json quotes.
func decodeProblem(err error) error {
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kind, _, _ := strings.Cut(mismatch.Value, " ")
		return badToken(jwt.ErrTokenInvalidClaims,
			"%+.80q is a %s and does not fit %v", mismatch.Field, kind, mismatch.Type)
	}
	if errors.As(err, new(*json.SyntaxError)) {
		return badToken(jwt.ErrTokenMalformed, "its payload is not JSON")
	}
	return loggable(err)
}

// loggable returns err with a text for logs: one short line of ASCII. Validate methods and
// decoders may quote the token.
func loggable(err error) error {
	const most = 200
	text := err.Error()
	if len(text) <= most && printable(text) {
		return err
	}
	quoted := strconv.QuoteToASCII(text[:min(len(text), most)])
	return &tokenError{quoted[1 : len(quoted)-1], err}
}

// claimsFault returns why C cannot hold the claims of a token, or no fact. It decodes two
// payloads as a trial, since the type alone does not show most mistakes.
func claimsFault[C any]() (fact, hint string) {
	const embed = "embed jwt.RegisteredClaims, by value, " +
		"and declare no field of your own for iss, sub, aud, exp, nbf or iat"
	t := reflect.TypeFor[C]()
	if t.Kind() != reflect.Pointer {
		t = reflect.PointerTo(t)
	}
	if !t.Implements(reflect.TypeFor[jwt.Claims]()) {
		return fmt.Sprintf("%v is not a jwt.Claims", reflect.TypeFor[C]()), embed
	}
	if name := uncalledMethod(t); name != "" {
		return fmt.Sprintf("nothing calls the method %s of %v", name, t.Elem()),
			"what is called is Validate() error: make it that, give it another name, " +
				"or take the claims in a provider that checks them"
	}
	return cmp.Or(tryClaims[C](`{}`), tryClaims[C](trialPayload)), embed
}

const (
	trialName    = "usher"
	trialDate    = 1e9
	trialPayload = `{"iss":"usher","sub":"usher","aud":"usher",` +
		`"exp":1000000000,"nbf":1000000000,"iat":1000000000}`
)

// tryClaims decodes a payload into a C, and returns what went wrong, or nothing.
func tryClaims[C any](payload string) (problem string) {
	name := reflect.TypeFor[C]().String()
	defer func() {
		if p := recover(); p != nil {
			problem = fmt.Sprintf("%s panics on a token with the claims %s: %v", name, payload, p)
		}
	}()
	claims := newClaims(new(C))
	if err := json.Unmarshal([]byte(payload), claims); err != nil {
		if _, own := claims.(json.Unmarshaler); own {
			return "" // it may require other claims
		}
		return fmt.Sprintf("%s cannot hold the registered claims: %v", name, err)
	}
	is := func(s string, _ error) bool { return s == trialName }
	are := func(s jwt.ClaimStrings, _ error) bool { return len(s) == 1 && s[0] == trialName }
	on := func(d *jwt.NumericDate, _ error) bool {
		return d != nil && d.Equal(time.Unix(trialDate, 0))
	}
	read := []bool{
		is(claims.GetIssuer()), is(claims.GetSubject()), are(claims.GetAudience()),
		on(claims.GetExpirationTime()), on(claims.GetNotBefore()), on(claims.GetIssuedAt()),
	}
	// An empty payload can only show a panic.
	if i := slices.Index(read, false); i >= 0 && payload == trialPayload {
		claim := []string{"iss", "sub", "aud", "exp", "nbf", "iat"}[i]
		return fmt.Sprintf("%s does not read the %s of a token", name, claim)
	}
	return ""
}

// uncalledMethod returns the name of a method of claims, whose pointer type is t, that nothing
// calls: for its signature, or since several embedded types have it; or "".
func uncalledMethod(t reflect.Type) string {
	types := []reflect.Type{t}
	if t.Elem().Kind() == reflect.Struct {
		for _, f := range reflect.VisibleFields(t.Elem()) {
			if f.Anonymous {
				types = append(types, f.Type, reflect.PointerTo(f.Type))
			}
		}
	}
	validates := t.Implements(reflect.TypeFor[jwt.ClaimsValidator]())
	for _, name := range []string{"Validate", "Valid"} {
		for _, t := range types {
			if _, has := t.MethodByName(name); has && (!validates || name == "Valid") {
				return name
			}
		}
	}
	return ""
}
