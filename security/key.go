package security

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"

	"github.com/golang-jwt/jwt/v5"
)

const (
	minRSABits = 2048 // RFC 7518 §3.3
	maxKeyID   = 128  // bytes of a kid; no issuer needs more
)

// Key is a key that verifies tokens of exactly one algorithm. [HS256], [HS384],
// [HS512], [RS256], [ES256] and [EdDSA] make keys, each from the one type of key that
// its algorithm uses: a public key cannot become an HMAC secret (RFC 8725 §3.1). The
// zero Key is a wiring fault, and so is a weak one.
//
// A Key is immutable, safe for concurrent use, and prints without its secret.
type Key struct {
	algorithm string
	id        string
	named     bool // WithID was called, if only with ""

	// Only functions hold the key itself, since no printer, logger or encoder shows what
	// a function holds.
	weak   func() (fact, hint string) // why it must not verify; nil of the zero Key
	verify func(signed string, signature []byte) error
}

// HS256 is a shared secret for HMAC with SHA-256, of at least 32 random bytes
// (RFC 7518 §3.2). Everybody who can verify with it can also issue tokens.
func HS256(secret []byte) Key { return symmetric(jwt.SigningMethodHS256, secret) }

// HS384 is a shared secret for HMAC with SHA-384, of at least 48 random bytes.
func HS384(secret []byte) Key { return symmetric(jwt.SigningMethodHS384, secret) }

// HS512 is a shared secret for HMAC with SHA-512, of at least 64 random bytes.
func HS512(secret []byte) Key { return symmetric(jwt.SigningMethodHS512, secret) }

// RS256 is a public key for RSASSA-PKCS1-v1_5 with SHA-256, of at least 2048
// bits (RFC 7518 §3.3).
func RS256(public *rsa.PublicKey) Key {
	return asymmetric(jwt.SigningMethodRS256, public, weakRSA)
}

// ES256 is a public key on the curve P-256 for ECDSA with SHA-256 (RFC 7518 §3.4).
func ES256(public *ecdsa.PublicKey) Key {
	return asymmetric(jwt.SigningMethodES256, public, weakCurve)
}

// EdDSA is an Ed25519 public key (RFC 8037 §3.1).
func EdDSA(public ed25519.PublicKey) Key {
	return asymmetric(jwt.SigningMethodEdDSA, public, weakEdDSA)
}

func asymmetric[P any](method jwt.SigningMethod, public P, weak func(P) (fact, hint string)) Key {
	return Key{
		algorithm: method.Alg(),
		weak:      func() (fact, hint string) { return weak(public) },
		verify: func(signed string, signature []byte) error {
			return method.Verify(signed, signature, public)
		},
	}
}

// symmetric copies the secret, so that a caller who wipes or reuses its slice does not
// change the key. golang-jwt would prepare the secret again for each token.
func symmetric(method *jwt.SigningMethodHMAC, secret []byte) Key {
	secret = bytes.Clone(secret)
	macs := sync.Pool{New: func() any { return &preparedMAC{Hash: hmac.New(method.Hash.New, secret)} }}
	return Key{
		algorithm: method.Alg(),
		weak:      func() (fact, hint string) { return weakSecret(secret, method.Hash.Size()) },
		verify: func(signed string, signature []byte) error {
			m := macs.Get().(*preparedMAC) //nolint:forcetypeassert // the pool holds nothing else
			defer macs.Put(m)
			m.Reset()
			m.buffer = append(m.buffer[:0], signed...)
			_, _ = m.Write(m.buffer)
			m.buffer = m.Sum(m.buffer[:0])
			if !hmac.Equal(m.buffer, signature) { // in constant time
				return jwt.ErrSignatureInvalid
			}
			return nil
		},
	}
}

// preparedMAC is an HMAC that has its secret, and a buffer for what it signs and its sum.
type preparedMAC struct {
	hash.Hash
	buffer []byte
}

// WithID returns the key with an ID, which tokens name as their kid (RFC 7515
// §4.1.4): at most 128 bytes. A token with a kid is verified with the key of that ID
// or refused; a token without one is verified with the keys of its algorithm that have
// no ID. To rotate, add the new key with a new ID, and remove the old one when its
// last token has expired.
func (k Key) WithID(id string) Key {
	k.id, k.named = id, true
	return k
}

// matching returns the keys for a token's algorithm and kid. If it has no kid, others are
// the keys for its algorithm that have one.
func matching(keys []Key, h *header) (found, others []Key) {
	for _, k := range keys {
		switch {
		case k.algorithm != h.algorithm:
		case k.named == h.named && k.id == h.id:
			found = append(found, k)
		case !h.named:
			others = append(others, k)
		}
	}
	return found, others
}

// String returns the algorithm and the ID, never the key.
func (k Key) String() string {
	switch {
	case k.weak == nil:
		return "zero Key"
	case k.named:
		return fmt.Sprintf("%s key %+q", k.algorithm, k.id)
	}
	return k.algorithm + " key"
}

// GoString returns what String does.
func (k Key) GoString() string { return k.String() }

// keyFaults returns what is wrong with keys. Those without ID may have different
// algorithms: the token's algorithm chooses, so that a move to ES256 needs no kid.
func keyFaults(scheme string, keys []Key) (f faults) {
	f.addIf(len(keys) == 0, scheme+" has no key", "set Keys: []security.Key{security.HS256(secret)}, "+
		"or the RS256, ES256 or EdDSA key of your issuer")
	for i, k := range keys {
		same := func(other Key) bool { return other.named && other.id == k.id }
		prefix := fmt.Sprintf("%s: Keys[%d], %s, ", scheme, i, k)
		fact, hint := k.weakness()
		f.addIf(fact != "", prefix+fact, hint)
		f.addIf(k.named && (k.id == "" || len(k.id) > maxKeyID),
			fmt.Sprintf("%shas an ID of %d bytes; 1 to %d are possible", prefix, len(k.id), maxKeyID),
			"give WithID the kid of the issuer's tokens, or leave WithID out")
		f.addIf(k.named && slices.ContainsFunc(keys[:i], same), prefix+"has the ID of an earlier key",
			"a kid chooses one key: give each key an ID of its own")
	}
	return f
}

// weakness returns why the key must not verify anything, or nothing.
func (k Key) weakness() (fact, hint string) {
	if k.weak == nil {
		return "has no algorithm", "make keys with security.HS256, HS384, HS512, RS256, ES256 or EdDSA"
	}
	return k.weak()
}

// weakSecret returns why a secret is weak; its hash has at least so many bytes (RFC 7518 §3.2).
func weakSecret(secret []byte, least int) (fact, hint string) {
	hint = fmt.Sprintf("make one with: openssl rand -base64 %d", least)
	switch {
	case len(secret) == 0:
		return "is empty", hint + "; is the variable set that it comes from?"
	case len(secret) < least:
		return fmt.Sprintf("has %d bytes; RFC 7518 asks for %d", len(secret), least), hint
	case bytes.Contains(secret, []byte("-----BEGIN ")):
		// A PEM file is often public. Whoever has it could sign with it.
		return "is a PEM file, not a secret", "parse it and use security.RS256, ES256 or EdDSA"
	case len(bytes.Trim(secret, "\x00")) == 0:
		return "is all zeros", hint
	}
	return "", ""
}

func weakRSA(key *rsa.PublicKey) (fact, hint string) {
	const pass = "pass the issuer's *rsa.PublicKey"
	switch {
	case key == nil || key.N == nil:
		return "is nil", pass
	case key.N.BitLen() < minRSABits:
		return fmt.Sprintf("has %d bits; RFC 7518 asks for %d", key.N.BitLen(), minRSABits),
			"let the issuer make a new key"
	case key.E < 3 || key.E%2 == 0 || key.N.Bit(0) == 0:
		return "is not an RSA key", pass + " as x509 parsed it"
	}
	return "", ""
}

func weakCurve(key *ecdsa.PublicKey) (fact, hint string) {
	hint = "pass the issuer's *ecdsa.PublicKey"
	switch {
	case key == nil || key.Curve == nil:
		return "is nil", hint
	case key.Curve != elliptic.P256():
		return "is not on the curve P-256", "ES256 is on P-256 alone: " + hint
	case key.X == nil || key.Y == nil: //nolint:staticcheck // Bytes panics without them
		return "is not a point of P-256", hint
	}
	if _, err := key.Bytes(); err != nil { // it refuses a point that is not on the curve
		return "is not a point of P-256", hint
	}
	return "", ""
}

func weakEdDSA(key ed25519.PublicKey) (fact, hint string) {
	const size = ed25519.PublicKeySize
	hint = "pass the issuer's ed25519.PublicKey"
	switch {
	case len(key) != size:
		return fmt.Sprintf("has %d bytes; an Ed25519 public key has %d", len(key), size), hint
	case smallOrder(key):
		return "is a point of small order, for which anybody can sign",
			hint + "; is the variable set that it comes from?"
	}
	return "", ""
}

// smallOrder reports whether the key is one of the few points of which eight times is the
// identity, all zeros among them. RFC 8032 §5.1.7 verifies with them all the same, and one
// message in eight, or more, has a signature that anybody can write down.
func smallOrder(key ed25519.PublicKey) bool {
	y := bytes.Clone(key)
	y[31] &^= 0x80 // the sign of x
	return slices.Contains(smallOrderY, hex.EncodeToString(y))
}

// smallOrderY are these points, little-endian: 0 and 1, the prime less 1, the two of order
// eight, and 0 and 1 once more as the prime and one above it.
var smallOrderY = []string{
	"00" + strings.Repeat("00", 31),
	"01" + strings.Repeat("00", 31),
	"ec" + strings.Repeat("ff", 30) + "7f",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ed" + strings.Repeat("ff", 30) + "7f",
	"ee" + strings.Repeat("ff", 30) + "7f",
}
