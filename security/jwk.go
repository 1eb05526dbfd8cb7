package security

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// maxKeys is how many keys a set may have: an issuer has a handful.
const maxKeys = 100

// jwk is a JSON Web Key (RFC 7517 §4, RFC 7518 §6). x5c, x5u and x5t are ignored.
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
	D   any     `json:"d"` // only a private key has it, which nobody should publish

	Ops *[]string `json:"key_ops"`
}

// parseJWKS returns the keys of a set that can verify tokens. Other keys are ignored; a
// set that is not JSON, is ambiguous or has no such key is refused as a whole.
func parseJWKS(raw []byte) ([]Key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, errors.New("the answer is not a key set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the key set has more than %d keys", maxKeys)
	}
	var keys []Key
	for _, text := range set.Keys {
		var k jwk
		// RFC 7517 §4: readers disagree which of two members of one name counts.
		if json.Unmarshal(text, &k) != nil || checkMembers(text, nil) != nil {
			continue // malformed, or of a type from a later RFC
		}
		key := k.key()
		if fact, _ := key.weakness(); fact != "" || !k.mayVerify(key) {
			continue
		}
		if key.hasIDOf(keys) {
			return nil, fmt.Errorf("the key set has two keys with the ID %+.40q", key.id)
		}
		keys = append(keys, key)
	}
	if keys == nil {
		return nil, errors.New("the key set has no usable key for RS256, ES256 or EdDSA")
	}
	return keys, nil
}

// key returns the key, or a weak one if it cannot be read.
func (k *jwk) key() (key Key) {
	x, y := octets(k.X), octets(k.Y)
	switch {
	case k.Kty == "RSA":
		n, e := new(big.Int).SetBytes(octets(k.N)), new(big.Int).SetBytes(octets(k.E))
		if e.BitLen() < 32 {
			key = RS256(&rsa.PublicKey{N: n, E: int(e.Int64())})
		}
	case k.Kty == "EC" && k.Crv == "P-256" && len(x) == 32:
		point := slices.Concat([]byte{4}, x, y)
		if public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point); err == nil {
			key = ES256(public)
		}
	case k.Kty == "OKP" && k.Crv == "Ed25519":
		key = EdDSA(x)
	}
	if k.Kid != nil {
		key = key.WithID(*k.Kid)
	}
	return key
}

// mayVerify reports whether the issuer publishes the key for tokens.
func (k *jwk) mayVerify(key Key) bool {
	return (k.Ops == nil || slices.Contains(*k.Ops, "verify")) &&
		(k.Use == "" || k.Use == "sig") &&
		(k.Alg == "" || k.Alg == key.algorithm) &&
		k.D == nil && len(key.id) <= maxKeyID
}

// octets decodes base64url, strictly; it returns nil for what does not decode.
func octets(text string) []byte {
	raw, err := strictBase64.DecodeString(text)
	if err != nil {
		return nil
	}
	return raw
}
