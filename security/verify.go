package security

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
)

// maxToken is how long a token may be before it is looked at. Header limits of
// common proxies begin at this size.
const maxToken = 8 << 10

// verifier is a JWT made ready: it is immutable, and shared by all connections.
type verifier[C any] struct {
	description depends.Scheme
	refused     string // the challenge that goes with a refusal
	parser      *jwt.Parser
	validator   *jwt.Validator
	lookup      jwt.Keyfunc
	named       map[string]Key // by ID
	jwks        *JWKS          // in place of named and unnamed
	leeway      time.Duration

	// unnamed holds what the parser takes as keys, by algorithm. Functions, as
	// in Key, so that a printed verifier shows no secret.
	unnamed map[string]func() any
}

// prepare does what is the same for every token.
func (j JWT[C]) prepare() *verifier[C] {
	v := &verifier[C]{
		description: j.Describe(),
		refused:     j.challenge("invalid_token"),
		named:       map[string]Key{},
		unnamed:     map[string]func() any{},
		jwks:        j.JWKS,
		leeway:      j.leeway(),
	}
	if len(v.description.Faults) > 0 {
		return v // of no use; Authenticate says so
	}
	var methods []string
	sets := map[string][]jwt.VerificationKey{}
	for _, k := range j.Keys {
		if !slices.Contains(methods, k.algorithm) {
			methods = append(methods, k.algorithm)
		}
		if k.named {
			v.named[k.id] = k
			continue
		}
		sets[k.algorithm] = append(sets[k.algorithm], k.material())
	}
	for algorithm, keys := range sets {
		var set any = jwt.VerificationKeySet{Keys: keys}
		v.unnamed[algorithm] = func() any { return set }
	}
	if j.JWKS != nil {
		methods = []string{jwt.SigningMethodRS256.Alg(), jwt.SigningMethodES256.Alg(), jwt.SigningMethodEdDSA.Alg()}
	}
	v.lookup = v.key
	// The signature first, the claims afterwards: the parser only sees to the
	// former, so that no code of the program's meets a forged claim.
	v.parser = jwt.NewParser(jwt.WithValidMethods(methods), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())
	v.validator = jwt.NewValidator(j.claimRules()...)
	return v
}

// claimRules are the checks that golang-jwt makes only if asked.
func (j JWT[C]) claimRules() []jwt.ParserOption {
	rules := []jwt.ParserOption{jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(j.leeway())}
	if !j.InsecureAnyIssuer {
		rules = append(rules, jwt.WithIssuer(j.Issuer))
	}
	if !j.InsecureAnyAudience {
		rules = append(rules, jwt.WithAudience(j.Audience))
	}
	return rules
}

// Describe implements [Scheme].
func (v *verifier[C]) Describe() depends.Scheme { return v.description }

// Authenticate implements [Scheme].
func (v *verifier[C]) Authenticate(ctx context.Context, credential depends.Credential) (C, error) {
	var none C
	if faults := v.description.Faults; len(faults) > 0 {
		return none, fmt.Errorf("security: unsafe configuration: %s", faults[0].Fact)
	}
	payload, err := v.verify(ctx, credential.Value)
	if away, ours := errors.AsType[*depends.Rejection](err); ours {
		return none, away
	}
	if ctx.Err() != nil && err != nil {
		return none, err // nobody has looked at the token
	}
	if err != nil {
		return none, v.refuse(err)
	}
	claims, err := decodeClaims[C](payload, v.validator)
	if err != nil {
		return none, v.refuse(err)
	}
	identify(ctx, &claims, v.leeway)
	return claims, nil
}

// identify says whose connection it is and until when, if the value is a token's
// claims.
func identify[C any](ctx context.Context, claims *C, leeway time.Duration) {
	c, ok := any(*claims).(jwt.Claims)
	if !ok {
		c, ok = any(claims).(jwt.Claims)
	}
	if !ok {
		return // a ticket is for whatever the program says
	}
	who := depends.Identity{TokenID: tokenID(claims)}
	who.Issuer, _ = c.GetIssuer()
	who.Subject, _ = c.GetSubject()
	if issued, err := c.GetIssuedAt(); err == nil && issued != nil {
		who.IssuedAt = issued.Time
	}
	if s, ok := c.(interface{ SessionID() string }); ok {
		who.Session = s.SessionID()
	}
	depends.Identify(ctx, who)
	if expires, err := c.GetExpirationTime(); err == nil && expires != nil {
		depends.ValidUntil(ctx, expires.Add(leeway))
	}
}

// refuse is the one answer to every bad token; why is for the log alone.
func (v *verifier[C]) refuse(why error) error {
	return &depends.Rejection{
		Status: http.StatusUnauthorized,
		Reason: "invalid_token",
		Header: http.Header{"Www-Authenticate": {v.refused}},
		Err:    why,
	}
}

// verify returns the claims of a token whose signature is good, as they came.
func (v *verifier[C]) verify(ctx context.Context, token string) ([]byte, error) {
	if len(token) > maxToken {
		return nil, because(jwt.ErrTokenMalformed, "%d bytes are more than %d", len(token), maxToken)
	}
	// Go's base64 decoders skip line breaks, even the strict ones: a token would
	// have many spellings.
	if strings.ContainsAny(token, "\r\n") {
		return nil, because(jwt.ErrTokenMalformed, "it has a line break")
	}
	var sealed sealedClaims
	lookup, away := v.lookup, error(nil)
	if v.jwks != nil {
		lookup = func(t *jwt.Token) (key any, err error) {
			if key, err = v.published(ctx, t); errors.As(err, new(*depends.Rejection)) {
				away = err // the parser would make a fault of the token of it
			}
			return key, err
		}
	}
	if _, err := v.parser.ParseWithClaims(token, &sealed, lookup); err != nil {
		if away != nil {
			return nil, away
		}
		return nil, forgery(err)
	}
	return sealed.payload, nil
}

// sealedClaims keeps the payload undecoded while its signature is in doubt. Its
// Claims are nil: a parser that is told not to validate does not ask for them.
type sealedClaims struct {
	jwt.Claims
	payload []byte
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *sealedClaims) UnmarshalJSON(data []byte) error {
	s.payload = bytes.Clone(data)
	return nil
}

// key chooses what a token is verified with, by its header alone and from Keys
// alone: jku, jwk, x5u and x5c (RFC 7515 §4.1.2 to §4.1.6) are not looked at.
// The parser has checked that some key has the token's algorithm.
func (v *verifier[C]) key(token *jwt.Token) (any, error) {
	if err := checkHeader(token); err != nil {
		return nil, err
	}
	algorithm := token.Method.Alg()
	value, present := token.Header["kid"]
	if !present {
		if keys, ok := v.unnamed[algorithm]; ok {
			return keys(), nil
		}
		return nil, because(jwt.ErrTokenUnverifiable, "it has no kid, and every %s key has an ID", algorithm)
	}
	id, ok := value.(string)
	if !ok || len(id) > maxKeyID {
		return nil, because(jwt.ErrTokenUnverifiable, "kid is no string of at most %d bytes", maxKeyID)
	}
	key, ok := v.named[id]
	if !ok {
		return nil, because(jwt.ErrTokenUnverifiable, "no key has the ID %+.40q; keys get one by WithID", id)
	}
	if key.algorithm != algorithm {
		return nil, because(jwt.ErrTokenUnverifiable, "its algorithm is %s, but the key is %v", algorithm, key)
	}
	return key.material(), nil
}

// published chooses from the keys that the issuer publishes.
func (v *verifier[C]) published(ctx context.Context, token *jwt.Token) (any, error) {
	if err := checkHeader(token); err != nil {
		return nil, err
	}
	value, named := token.Header["kid"]
	id, ok := value.(string)
	if named && !ok || len(id) > maxKeyID {
		return nil, because(jwt.ErrTokenUnverifiable, "kid is no string of at most %d bytes", maxKeyID)
	}
	return v.jwks.find(ctx, token.Method.Alg(), id, named)
}

// strictBase64 is the encoding of a token's parts (RFC 7515 §2).
var strictBase64 = base64.RawURLEncoding.Strict()

// checkHeader refuses what golang-jwt lets pass.
func checkHeader(token *jwt.Token) error {
	encoded, _, _ := strings.Cut(token.Raw, ".")
	header, err := strictBase64.DecodeString(encoded)
	if err != nil {
		return because(jwt.ErrTokenMalformed, "its header is not base64url")
	}
	if err := checkMembers(header, headerMember); err != nil {
		return because(err, "in its header")
	}
	for _, name := range []string{"crit", "b64"} {
		if _, present := token.Header[name]; present {
			// RFC 7515 §4.1.11, RFC 7797 §6: an extension that is not
			// understood makes the token invalid, and none is.
			return because(jwt.ErrTokenUnverifiable, "its header has %s", name)
		}
	}
	value, present := token.Header["typ"]
	if !present {
		return nil
	}
	// RFC 8725 §3.11: tokens of another type, such as a logout token, are not
	// for signing in. RFC 7515 §4.1.9 lets "application/" be left out.
	typ, _ := value.(string)
	typ = strings.ToLower(typ)
	if typ = strings.TrimPrefix(typ, "application/"); typ != "jwt" && typ != "at+jwt" {
		return because(jwt.ErrTokenUnverifiable, "its typ is neither JWT nor at+jwt")
	}
	return nil
}

// tokenError is a reason against a token. Its text holds nothing that the token
// says of itself, but for what is quoted and cut.
type tokenError struct {
	text  string
	cause error
}

func because(cause error, format string, args ...any) error {
	return &tokenError{cause.Error() + ": " + fmt.Sprintf(format, args...), cause}
}

func (e *tokenError) Error() string { return e.text }
func (e *tokenError) Unwrap() error { return e.cause }

// forgery tidies what the parser says of a token that it did not verify: our own
// reason without the parser's words around it, and nothing of the token's.
func forgery(err error) error {
	var ours *tokenError
	if errors.As(err, &ours) {
		return ours
	}
	var unfit *json.UnmarshalTypeError
	if errors.As(err, &unfit) { // it quotes numbers in full
		return because(jwt.ErrTokenMalformed, "its header is no JSON object that fits")
	}
	return plain(err)
}
