package security

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// strictBase64 is the encoding of a token's parts (RFC 7515 §2).
var strictBase64 = base64.RawURLEncoding.Strict()

// header is the JOSE header of a token (RFC 7515 §4). jku, jwk, x5u and x5c (§4.1.2 to
// §4.1.6) are ignored.
type header struct {
	encoded   string // base64url, as in the token
	algorithm string
	id        string // the kid
	named     bool   // it has a kid
}

// readHeader returns the header of a token. All tokens of an issuer have the same one, so
// the last one with a good signature is stored. Nothing else of a token is.
func (v *verifier[C]) readHeader(encoded string) (*header, error) {
	if last := v.lastHeader.Load(); last != nil && last.encoded == encoded {
		return last, nil
	}
	return parseHeader(encoded)
}

// parseHeader reads a header, and refuses much that golang-jwt accepts.
func parseHeader(encoded string) (*header, error) {
	raw, err := strictBase64.DecodeString(encoded)
	if err != nil {
		return nil, badToken(jwt.ErrTokenMalformed, "its header is not base64url")
	}
	var params map[string]any
	if json.Unmarshal(raw, &params) != nil { // its error may quote the header
		return nil, badToken(jwt.ErrTokenMalformed, "its header is not a usable JSON object")
	}
	h := &header{encoded: strings.Clone(encoded)} // which holds the whole token in memory
	var ok bool
	if h.algorithm, ok = params["alg"].(string); !ok {
		return nil, badToken(jwt.ErrTokenUnverifiable, "signing method (alg) is unspecified")
	}
	if jwt.GetSigningMethod(h.algorithm) == nil {
		return nil, badToken(jwt.ErrTokenUnverifiable, "signing method (alg) is unavailable")
	}
	if err := checkMembers(raw, headerMembers); err != nil {
		return nil, badToken(err, "in its header")
	}
	for _, name := range []string{"crit", "b64"} {
		if _, present := params[name]; present {
			// RFC 7515 §4.1.11, RFC 7797 §6: a token with an extension that is not
			// supported is invalid, and none is supported.
			return nil, badToken(jwt.ErrTokenUnverifiable, "its header has %s", name)
		}
	}
	// RFC 8725 §3.11: other tokens, such as one for a logout, are not for signing in. RFC 7515
	// §4.1.9 lets "application/" be left out.
	typ, typed := params["typ"].(string)
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	if typed && typ != "jwt" && typ != "at+jwt" {
		return nil, badToken(jwt.ErrTokenUnverifiable, "its typ is neither JWT nor at+jwt")
	}
	if h.id, h.named = params["kid"].(string); len(h.id) > maxKeyID {
		return nil, badToken(jwt.ErrTokenUnverifiable, "its kid is longer than %d bytes", maxKeyID)
	}
	return h, nil
}
