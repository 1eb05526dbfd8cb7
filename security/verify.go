package security

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	JWT[C]
	description depends.Scheme
	validator   *jwt.Validator
	algorithms  []string // of the keys
	lastHeader  atomic.Pointer[header]
}

// prepare does what is the same for every token.
func (j JWT[C]) prepare() *verifier[C] {
	j.Keys = slices.Clone(j.Keys)
	v := &verifier[C]{
		JWT:         j,
		description: j.Describe(),
		validator: jwt.NewValidator(jwt.WithIssuedAt(), jwt.WithLeeway(j.leeway()),
			jwt.WithAudience(oneOrMore(j.Audience, j.Audiences)...)),
	}
	for _, k := range j.Keys {
		v.algorithms = append(v.algorithms, k.algorithm)
	}
	if j.JWKS != nil {
		v.algorithms = []string{"RS256", "ES256", "EdDSA"}
	}
	return v
}

// Describe implements [Scheme].
func (v *verifier[C]) Describe() depends.Scheme { return v.description }

// Authenticate implements [Scheme].
func (v *verifier[C]) Authenticate(ctx context.Context, c depends.Credential) (C, error) {
	var none, claims C
	if faults := v.description.Faults; len(faults) > 0 {
		return none, fmt.Errorf("security: unsafe configuration: %s", faults[0].Fact)
	}
	payload, err := v.verify(ctx, c.Value)
	if err == nil {
		err = v.decodeClaims(payload, &claims)
	} else if _, refused := errors.AsType[*depends.Rejection](err); refused || ctx.Err() != nil {
		return none, err // the token was not checked
	}
	if err != nil {
		return none, v.refuse(err)
	}
	if expires := identify(ctx, &claims, payload); !expires.IsZero() {
		depends.ValidUntil(ctx, expires.Add(v.leeway()))
	} else {
		depends.ValidUntil(ctx, time.Now().Add(v.InsecureNoExpiry)) // it is set, or exp required
	}
	return claims, nil
}

// identify reports the identity in claims by depends.Identify, and returns their exp, or
// the zero time. payload is what they were decoded from; nil if that is not known.
func identify[C any](ctx context.Context, claims *C, payload []byte) (expires time.Time) {
	c, ok := any(claims).(jwt.Claims)
	if !ok { // C is a pointer
		c, ok = any(*claims).(jwt.Claims)
	}
	if !ok {
		return time.Time{} // the value of a ticket need not be claims
	}
	if payload == nil {
		payload, _ = json.Marshal(claims) // without it, the jti and the sid are not known
	}
	who := depends.Identity{TokenID: memberText(payload, "jti"), Session: memberText(payload, "sid")}
	who.Issuer, _ = c.GetIssuer()
	who.Subject, _ = c.GetSubject()
	if issued, err := c.GetIssuedAt(); err == nil && issued != nil {
		who.IssuedAt = issued.Time
	}
	depends.Identify(ctx, who)
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
	refusal := depends.Unauthorized(v.challenge("invalid_token"), cause)
	refusal.Reason = "invalid_token"
	return refusal
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
	parts := strings.SplitN(token, ".", 4)
	if len(parts) != 3 {
		return nil, badToken(jwt.ErrTokenMalformed, "token contains an invalid number of segments")
	}
	h, err := v.readHeader(parts[0])
	if err != nil {
		return nil, err
	}
	signature, err := strictBase64.DecodeString(parts[2])
	if err != nil {
		return nil, badToken(jwt.ErrTokenMalformed, "its signature is not base64url")
	}
	keys, err := v.candidates(ctx, h)
	if err != nil {
		return nil, err
	}
	signed := token[:len(token)-len(parts[2])-1]
	if err := verifySignature(signed, signature, keys); err != nil {
		return nil, err
	}
	payload, err := strictBase64.DecodeString(parts[1])
	if err != nil {
		return nil, badToken(jwt.ErrTokenMalformed, "its payload is not base64url")
	}
	v.lastHeader.Store(h)
	return payload, nil
}

// claimedIssuer returns the iss of a token that nobody has verified yet, or "". It may only
// choose who verifies the token.
func claimedIssuer(c depends.Credential) string {
	_, rest, _ := strings.Cut(c.Value[:min(len(c.Value), maxToken)], ".")
	encoded, _, _ := strings.Cut(rest, ".")
	payload, _ := strictBase64.DecodeString(encoded)
	if !json.Valid(payload) {
		return ""
	}
	return memberText(payload, "iss")
}

// verifySignature returns an error unless one of the keys made the signature.
func verifySignature(signed string, signature []byte, keys []Key) error {
	var err error
	for _, k := range keys {
		if err = k.verify(signed, signature); err == nil {
			return nil
		}
	}
	return badToken(jwt.ErrTokenSignatureInvalid, "%v", err)
}

// candidates returns the keys for a token, which its header chooses. All have its algorithm.
func (v *verifier[C]) candidates(ctx context.Context, h *header) ([]Key, error) {
	if !slices.Contains(v.algorithms, h.algorithm) {
		return nil, badToken(jwt.ErrTokenSignatureInvalid, "signing method %s is invalid", h.algorithm)
	}
	if v.JWKS != nil {
		return v.JWKS.find(ctx, h)
	}
	keys, _ := matching(v.Keys, h)
	if len(keys) > 0 {
		return keys, nil
	}
	if !h.named {
		return nil, badToken(jwt.ErrTokenUnverifiable,
			"it has no kid, and every %s key has an ID", h.algorithm)
	}
	same := func(k Key) bool { return k.named && k.id == h.id }
	if i := slices.IndexFunc(v.Keys, same); i >= 0 {
		return nil, badToken(jwt.ErrTokenUnverifiable,
			"its algorithm is %s, but the key is %v", h.algorithm, v.Keys[i])
	}
	return nil, badToken(jwt.ErrTokenUnverifiable,
		"no key has the ID %+.40q; keys get one by WithID", h.id)
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
