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

const (
	maxKeys       = 100 // of a set: an issuer has a handful
	maxPassedOver = 10  // keys that are named in a log
)

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

// parseJWKS returns the keys of a set that can verify tokens, and why others cannot, by their
// kid or place: each key stands for itself. Without a usable key, the set is refused.
func parseJWKS(raw []byte) (keys []Key, passedOver map[string]string, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, nil, errors.New("the answer is not a key set")
	}
	if len(set.Keys) > maxKeys {
		return nil, nil, fmt.Errorf("the key set has more than %d keys", maxKeys)
	}
	passedOver = map[string]string{}
	for i, text := range set.Keys {
		var k jwk
		var key Key
		faulty := faults{{Fact: "it is malformed"}}
		// RFC 7517 §4: readers disagree which of two members of one name counts.
		if json.Unmarshal(text, &k) == nil && checkMembers(text, nil) == nil {
			key, faulty = k.key()
		}
		name := fmt.Sprintf("keys[%d]", i)
		if k.Kid != nil {
			name = quoteID(*k.Kid)
		}
		if faulty == nil {
			keys = append(keys, key)
		} else if len(passedOver) < maxPassedOver {
			passedOver[name] = faulty[0].Fact
		}
	}
	if keys == nil {
		err = fmt.Errorf("no key can verify tokens; is it the jwks_uri? passed over: %v", passedOver)
	}
	return keys, passedOver, err
}

// quoteID returns a kid as logs show it.
func quoteID(id string) string { return fmt.Sprintf("%+.40q", id) }

// key returns the key, and why it must not verify tokens.
func (k *jwk) key() (key Key, f faults) {
	octets := func(name, text string) []byte {
		raw, err := strictBase64.DecodeString(text)
		f.addIf(err != nil || len(raw) == 0,
			"its "+name+" is missing, or not base64url without padding", "")
		return raw
	}
	switch {
	case k.Kty == "RSA":
		n, e := new(big.Int).SetBytes(octets("n", k.N)), new(big.Int).SetBytes(octets("e", k.E))
		f.addIf(e.BitLen() >= 32, "its e is too large", "")
		key = RS256(&rsa.PublicKey{N: n, E: int(e.Int64())})
	case k.Kty == "EC" && k.Crv == "P-256":
		x, y := octets("x", k.X), octets("y", k.Y)
		point := slices.Concat([]byte{4}, x, y)
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		f.addIf(err != nil || len(x) != 32, "its x and y are not a point of P-256", "")
		key = ES256(public)
	case k.Kty == "OKP" && k.Crv == "Ed25519":
		key = EdDSA(octets("x", k.X))
	default:
		kind := fmt.Sprintf("its kty %+.20q and crv %+.20q are of no supported kind", k.Kty, k.Crv)
		f.addIf(true, kind, "")
	}
	if k.Kid != nil {
		key = key.WithID(*k.Kid)
	}
	f.addIf(k.Use != "" && k.Use != "sig", "its use is not sig", "")
	f.addIf(k.Ops != nil && !slices.Contains(*k.Ops, "verify"), "its key_ops lack verify", "")
	f.addIf(k.Alg != "" && k.Alg != key.algorithm,
		fmt.Sprintf("its alg is %+.20q; keys of its kind are for %s", k.Alg, key.algorithm), "")
	f.addIf(k.D != nil, "it is a private key, which nobody should publish", "")
	f.addIf(len(key.id) > maxKeyID, fmt.Sprintf("its kid has more than %d bytes", maxKeyID), "")
	weak, _ := key.weakness()
	f.addIf(weak != "", "it "+weak, "")
	return key, f
}
