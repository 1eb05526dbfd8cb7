package security

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// maxKeys is how many keys a set may have: an issuer has a handful.
const maxKeys = 100

// jwk is what matters of a JSON Web Key (RFC 7517 §4, RFC 7518 §6). x5c, x5u and
// x5t are not looked at.
type jwk struct {
	Kty string  `json:"kty"`
	Use string  `json:"use"`
	Alg string  `json:"alg"`
	Kid *string `json:"kid"`
	Crv string  `json:"crv"`
	N   string  `json:"n"`
	E   string  `json:"e"`
	X   string  `json:"x"`
	Y   string  `json:"y"`
	D   any     `json:"d"` // of a private key, which nobody should publish

	Ops *[]string `json:"key_ops"`
}

// parseJWKS reads the keys of a set that can verify tokens. Keys for other
// purposes are passed over; a set that is broken, ambiguous or without any such
// key is refused as a whole.
func parseJWKS(raw []byte) ([]Key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, errors.New("the answer is no set of keys")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the set has more than %d keys", maxKeys)
	}
	var keys []Key
	seen := map[string]bool{}
	for _, text := range set.Keys {
		var k jwk
		// RFC 7517 §4: readers disagree which of two members of one name counts.
		if json.Unmarshal(text, &k) != nil || checkMembers(text, nil) != nil {
			continue // broken, or of a kind that is to come
		}
		key, ok := k.key()
		if !ok {
			continue
		}
		if key.named {
			if seen[key.id] {
				return nil, fmt.Errorf("the set has two keys with the ID %+.40q", key.id)
			}
			seen[key.id] = true
		}
		keys = append(keys, key)
	}
	if keys == nil {
		return nil, errors.New("the set has no key for RS256, ES256 or EdDSA")
	}
	return keys, nil
}

// key returns the key if it verifies signatures, and is strong enough.
func (k *jwk) key() (Key, bool) {
	if k.Ops != nil && !slices.Contains(*k.Ops, "verify") {
		return Key{}, false
	}
	if k.Use != "" && k.Use != "sig" || k.D != nil || k.Kid != nil && len(*k.Kid) > maxKeyID {
		return Key{}, false
	}
	var key Key
	switch {
	case k.Kty == "RSA":
		n, e := bigInt(k.N), bigInt(k.E)
		if n == nil || e == nil || !e.IsInt64() || e.Int64() > 1<<31-1 {
			return Key{}, false
		}
		key = RS256(&rsa.PublicKey{N: n, E: int(e.Int64())})
	case k.Kty == "EC" && k.Crv == "P-256":
		x, y := octets(k.X), octets(k.Y)
		if len(x) != 32 || len(y) != 32 {
			return Key{}, false
		}
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return Key{}, false
		}
		key = ES256(public)
	case k.Kty == "OKP" && k.Crv == "Ed25519":
		key = EdDSA(ed25519.PublicKey(octets(k.X)))
	default:
		return Key{}, false
	}
	if fact, _ := key.weakness(); fact != "" || k.Alg != "" && k.Alg != key.algorithm {
		return Key{}, false
	}
	if k.Kid != nil {
		key = key.WithID(*k.Kid)
	}
	return key, true
}

// octets decodes base64url, strictly; nil is what does not decode.
func octets(text string) []byte {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil
	}
	return raw
}

// bigInt decodes a number (RFC 7518 §2); nil is none.
func bigInt(text string) *big.Int {
	if raw := octets(text); len(raw) > 0 {
		return new(big.Int).SetBytes(raw)
	}
	return nil
}
