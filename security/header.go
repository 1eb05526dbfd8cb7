package security

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// strictBase64 is the encoding of a token's parts (RFC 7515 §2).
var strictBase64 = base64.RawURLEncoding.Strict()

// header is the JOSE header of a token (RFC 7515 §4), as far as it counts here: jku,
// jwk, x5u and x5c (§4.1.2 to §4.1.6) are not looked at.
type header struct {
	encoded string // as it stands in the token
	method  jwt.SigningMethod
	id      string // the kid
	named   bool   // it has one
}

// maxKeptHeader is how long a header may be that is kept.
const maxKeptHeader = 512

// readHeader reads the header of a token. All tokens of an issuer begin with the same
// one, so the last that a good signature stood under is kept: what a header says
// depends on nothing but itself, and everything else of a token is looked at each time.
func (v *verifier[C]) readHeader(encoded string) (*header, error) {
	if kept := v.kept.Load(); kept != nil && kept.encoded == encoded {
		return kept, nil
	}
	return parseHeader(encoded)
}

// keep lets a header be read faster the next time.
func (v *verifier[C]) keep(h *header) {
	if len(h.encoded) <= maxKeptHeader && v.kept.Load() != h {
		copied := *h
		copied.encoded = strings.Clone(h.encoded) // it would hold the whole token
		v.kept.Store(&copied)
	}
}

// parseHeader is readHeader of one that is seen for the first time. It refuses what
// golang-jwt would let pass.
func parseHeader(encoded string) (*header, error) {
	raw, err := strictBase64.DecodeString(encoded)
	if err != nil {
		return nil, because(jwt.ErrTokenMalformed, "its header is not base64url")
	}
	var said map[string]any
	if json.Unmarshal(raw, &said) != nil { // its error may quote the header
		return nil, because(jwt.ErrTokenMalformed, "its header is not a usable JSON object")
	}
	h := &header{encoded: encoded}
	algorithm, ok := said["alg"].(string)
	if !ok {
		return nil, because(jwt.ErrTokenUnverifiable, "signing method (alg) is unspecified")
	}
	if h.method = jwt.GetSigningMethod(algorithm); h.method == nil {
		return nil, because(jwt.ErrTokenUnverifiable, "signing method (alg) is unavailable")
	}
	if err := checkMembers(raw, headerMember); err != nil {
		return nil, because(err, "in its header")
	}
	for _, name := range []string{"crit", "b64"} {
		if _, present := said[name]; present {
			// RFC 7515 §4.1.11, RFC 7797 §6: an extension that is not
			// understood makes the token invalid, and none is.
			return nil, because(jwt.ErrTokenUnverifiable, "its header has %s", name)
		}
	}
	// RFC 8725 §3.11: other tokens, such as one for a logout, are not for signing in. RFC 7515
	// §4.1.9 lets "application/" be left out.
	typ, typed := said["typ"].(string)
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	if typed && typ != "jwt" && typ != "at+jwt" {
		return nil, because(jwt.ErrTokenUnverifiable, "its typ is neither JWT nor at+jwt")
	}
	if h.id, h.named = said["kid"].(string); len(h.id) > maxKeyID {
		return nil, because(jwt.ErrTokenUnverifiable, "its kid is longer than %d bytes", maxKeyID)
	}
	return h, nil
}
