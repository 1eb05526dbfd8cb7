package security

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
)

// maxToken is the most bytes of a token. Common proxies limit headers to this size.
const maxToken = 8 << 10

// verifier is a prepared JWT, shared by all connections. Only lastHeader changes.
type verifier[C any] struct {
	description depends.Scheme
	refused     string // the challenge of a refusal
	validator   *jwt.Validator
	algorithms  []string         // of the keys
	named       map[string]Key   // by ID
	unnamed     map[string][]Key // by algorithm
	jwks        *JWKS            // in place of named and unnamed
	leeway      time.Duration
	lastHeader  atomic.Pointer[header]
}

// prepare does what is the same for every token.
func (j JWT[C]) prepare() *verifier[C] {
	v := &verifier[C]{
		description: j.Describe(),
		refused:     j.challenge("invalid_token"),
		named:       map[string]Key{},
		unnamed:     map[string][]Key{},
		jwks:        j.JWKS,
		leeway:      j.leeway(),
		validator:   jwt.NewValidator(j.claimRules()...),
	}
	if len(v.description.Faults) > 0 {
		return v // Authenticate returns an error for every token
	}
	for _, k := range j.Keys {
		v.algorithms = append(v.algorithms, k.algorithm)
		if k.named {
			v.named[k.id] = k
		} else {
			v.unnamed[k.algorithm] = append(v.unnamed[k.algorithm], k)
		}
	}
	if j.JWKS != nil {
		v.algorithms = []string{"RS256", "ES256", "EdDSA"}
	}
	return v
}

// claimRules are the checks that golang-jwt makes only if asked.
func (j JWT[C]) claimRules() []jwt.ParserOption {
	rules := []jwt.ParserOption{
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(j.leeway()),
	}
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
	var none, claims C
	if err := v.authenticate(ctx, &credential, &claims); err != nil {
		return none, err
	}
	return claims, nil
}

// authenticate is Authenticate that writes the claims to a given place, to save a copy. After
// an error, they must not be used.
func (v *verifier[C]) authenticate(ctx context.Context, c *depends.Credential, to *C) error {
	if faults := v.description.Faults; len(faults) > 0 {
		return fmt.Errorf("security: unsafe configuration: %s", faults[0].Fact)
	}
	payload, err := v.verify(ctx, c.Value)
	if err == nil {
		err = decodeClaims(payload, to, v.validator)
	} else if unavailable, ok := errors.AsType[*depends.Rejection](err); ok {
		return unavailable
	} else if ctx.Err() != nil {
		return err // the token was not checked
	}
	if err != nil {
		return v.refuse(err)
	}
	if expires := identify(ctx, to); !expires.IsZero() {
		depends.ValidUntil(ctx, expires.Add(v.leeway))
	}
	return nil
}

// identify reports the identity in claims by depends.Identify, and returns their exp, or
// the zero time.
func identify[C any](ctx context.Context, claims *C) (expires time.Time) {
	c, ok := any(claims).(jwt.Claims)
	if !ok { // C is a pointer
		c, ok = any(*claims).(jwt.Claims)
	}
	if !ok {
		return time.Time{} // the value of a ticket need not be claims
	}
	identity := depends.Identity{TokenID: tokenID(claims)}
	identity.Issuer, _ = c.GetIssuer()
	identity.Subject, _ = c.GetSubject()
	if issued, err := c.GetIssuedAt(); err == nil && issued != nil {
		identity.IssuedAt = issued.Time
	}
	if s, ok := c.(interface{ SessionID() string }); ok {
		identity.Session = s.SessionID()
	}
	depends.Identify(ctx, identity)
	if exp, err := c.GetExpirationTime(); err == nil && exp != nil {
		expires = exp.Time
	}
	return expires
}

// refuse returns the refusal of a bad token, which is always the same but for the cause.
func (v *verifier[C]) refuse(cause error) error {
	if errors.Is(cause, depends.ErrAbsent) { // by a look-up in Validate; the token is there
		cause = errors.New(cause.Error())
	}
	return &depends.Rejection{
		Status: http.StatusUnauthorized,
		Reason: "invalid_token",
		Header: http.Header{"Www-Authenticate": {v.refused}},
		Err:    cause,
	}
}

// verify returns the payload of a token after it has verified the signature, so that the
// program's code never decodes a forged claim.
func (v *verifier[C]) verify(ctx context.Context, token string) ([]byte, error) {
	if len(token) > maxToken {
		return nil, badToken(jwt.ErrTokenMalformed, "%d bytes are more than %d", len(token), maxToken)
	}
	// Go's base64 decoders skip line breaks, even the strict ones: a token would
	// have many forms.
	if strings.ContainsAny(token, "\r\n") {
		return nil, badToken(jwt.ErrTokenMalformed, "it has a line break")
	}
	first, last := strings.IndexByte(token, '.'), strings.LastIndexByte(token, '.')
	if dots := strings.Count(token, "."); dots != 2 {
		return nil, badToken(jwt.ErrTokenMalformed, "token contains an invalid number of segments")
	}
	h, err := v.readHeader(token[:first])
	if err != nil {
		return nil, err
	}
	signature, err := strictBase64.DecodeString(token[last+1:])
	if err != nil {
		return nil, badToken(jwt.ErrTokenMalformed, "its signature is not base64url")
	}
	keys, err := v.candidates(ctx, h)
	if err != nil {
		return nil, err
	}
	if err := verifySignature(h.method, token[:last], signature, keys); err != nil {
		return nil, err
	}
	payload, err := strictBase64.DecodeString(token[first+1 : last])
	if err != nil {
		return nil, badToken(jwt.ErrTokenMalformed, "its payload is not base64url")
	}
	v.storeHeader(h)
	return payload, nil
}

// verifySignature returns an error unless one of the keys made the signature.
func verifySignature(method jwt.SigningMethod, signed string, signature []byte, keys []Key) error {
	var err error
	for _, k := range keys {
		if err = k.verify(method, signed, signature); err == nil {
			return nil
		}
	}
	return badToken(jwt.ErrTokenSignatureInvalid, "%v", err)
}

// candidates returns the keys for a token, which its header chooses. All have its algorithm.
func (v *verifier[C]) candidates(ctx context.Context, h *header) ([]Key, error) {
	algorithm := h.method.Alg()
	if !slices.Contains(v.algorithms, algorithm) {
		return nil, badToken(jwt.ErrTokenSignatureInvalid, "signing method %s is invalid", algorithm)
	}
	if v.jwks != nil {
		return v.jwks.find(ctx, algorithm, h.id, h.named)
	}
	if !h.named {
		if keys := v.unnamed[algorithm]; len(keys) > 0 {
			return keys, nil
		}
		return nil, badToken(jwt.ErrTokenUnverifiable,
			"it has no kid, and every %s key has an ID", algorithm)
	}
	key, ok := v.named[h.id]
	if !ok {
		return nil, badToken(jwt.ErrTokenUnverifiable,
			"no key has the ID %+.40q; keys get one by WithID", h.id)
	}
	if key.algorithm != algorithm {
		return nil, badToken(jwt.ErrTokenUnverifiable,
			"its algorithm is %s, but the key is %v", algorithm, key)
	}
	return []Key{key}, nil
}

// tokenError is why a token is refused. Its text has no part of the token that is not
// quoted and cut.
type tokenError struct {
	text  string
	cause error
}

func badToken(cause error, format string, args ...any) error {
	return &tokenError{cause.Error() + ": " + fmt.Sprintf(format, args...), cause}
}

func (e *tokenError) Error() string { return e.text }
func (e *tokenError) Unwrap() error { return e.cause }
