package security_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"example.com/usher/depends"
	"example.com/usher/security"
)

type (
	notClaims struct{ Subject string }
	ownSub    struct {
		Sub string `json:"sub"`
		jwt.RegisteredClaims
	}
	ownExp struct {
		Exp string `json:"exp"`
		jwt.RegisteredClaims
	}
	nilable struct{ *jwt.RegisteredClaims }
)

const smallOrder = "Keys[0], EdDSA key, is a point of small order, for which anybody can sign | pass the issuer's ed25519.PublicKey; is the variable set that it comes from?"

const embedHint = "embed jwt.RegisteredClaims, by value, and declare no field of your own for iss, sub, aud, exp, nbf or iat"

func TestKeyFaults(t *testing.T) {
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	off := &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)} //nolint:staticcheck // the only way to make a bad key
	pem := []byte("-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQ\n-----END PUBLIC KEY-----\n")
	k := func(keys ...security.Key) []security.Key { return keys }
	for _, c := range []struct {
		name string
		keys []security.Key
		want string // "fact | hint", one a line
	}{
		{"none", nil, "JWT[security_test.Claims] has no key | set Keys: []security.Key{security.HS256(secret)}, or the RS256, ES256 or EdDSA key of your issuer"},
		{"zero", k(security.Key{}), "Keys[0], zero Key, has no algorithm | make keys with security.HS256, HS384, HS512, RS256, ES256 or EdDSA"},
		{"secret nil", k(security.HS256(nil)), "Keys[0], HS256 key, is empty | make one with: openssl rand -base64 32; is the variable set that it comes from?"},
		{"secret short", k(security.HS256(secret[:31])), "Keys[0], HS256 key, has 31 bytes; RFC 7518 asks for 32 | make one with: openssl rand -base64 32"},
		{"HS384 short", k(security.HS384(secret)), "Keys[0], HS384 key, has 32 bytes; RFC 7518 asks for 48 | make one with: openssl rand -base64 48"},
		{"HS512 short", k(security.HS512(secret)), "Keys[0], HS512 key, has 32 bytes; RFC 7518 asks for 64 | make one with: openssl rand -base64 64"},
		{"secret zeros", k(security.HS256(make([]byte, 32))), "Keys[0], HS256 key, is all zeros | make one with: openssl rand -base64 32"},
		{"secret PEM", k(security.HS256(pem)), "Keys[0], HS256 key, is a PEM file, not a secret | parse it and use security.RS256, ES256 or EdDSA"},
		{"secret PEM in a bag", k(security.HS256([]byte("Bag Attributes\n" + string(pem)))), "Keys[0], HS256 key, is a PEM file, not a secret | parse it and use security.RS256, ES256 or EdDSA"},
		{"RSA nil", k(security.RS256(nil)), "Keys[0], RS256 key, is nil | pass the issuer's *rsa.PublicKey"},
		{"RSA empty", k(security.RS256(&rsa.PublicKey{})), "Keys[0], RS256 key, is nil | pass the issuer's *rsa.PublicKey"},
		{"RSA small", k(security.RS256(&small.PublicKey)), "Keys[0], RS256 key, has 1024 bits; RFC 7518 asks for 2048 | let the issuer make a new key"},
		{"RSA exponent 1", k(security.RS256(&rsa.PublicKey{N: keys().rsa.N, E: 1})), "Keys[0], RS256 key, is not an RSA key | pass the issuer's *rsa.PublicKey as x509 parsed it"},
		{"ECDSA nil", k(security.ES256(nil)), "Keys[0], ES256 key, is nil | pass the issuer's *ecdsa.PublicKey"},
		{"ECDSA P-384", k(security.ES256(&p384.PublicKey)), "Keys[0], ES256 key, is not on the curve P-256 | ES256 is on P-256 alone: pass the issuer's *ecdsa.PublicKey"},
		{"ECDSA off the curve", k(security.ES256(off)), "Keys[0], ES256 key, is not a point of P-256 | pass the issuer's *ecdsa.PublicKey"},
		{"ECDSA without point", k(security.ES256(&ecdsa.PublicKey{Curve: elliptic.P256()})), "Keys[0], ES256 key, is not a point of P-256 | pass the issuer's *ecdsa.PublicKey"},
		{"EdDSA nil", k(security.EdDSA(nil)), "Keys[0], EdDSA key, has 0 bytes; an Ed25519 public key has 32 | pass the issuer's ed25519.PublicKey"},
		{"EdDSA zeros", k(security.EdDSA(make([]byte, 32))), smallOrder},
		{"EdDSA identity", k(security.EdDSA(append([]byte{1}, make([]byte, 31)...))), smallOrder},
		{"ID empty", k(security.HS256(secret).WithID("")), `Keys[0], HS256 key "", has an ID of 0 bytes; 1 to 128 are possible | give WithID the kid of the issuer's tokens, or leave WithID out`},
		{
			"ID twice", k(security.HS256(secret).WithID("a"), security.RS256(&keys().rsa.PublicKey).WithID("a")),
			`Keys[1], RS256 key "a", has the ID of an earlier key | a kid chooses one key: give each key an ID of its own`,
		},
		{"all at once", k(security.Key{}, security.HS256(secret[:3])), "Keys[0], zero Key, has no algorithm | make keys with security.HS256, HS384, HS512, RS256, ES256 or EdDSA\n" +
			"Keys[1], HS256 key, has 3 bytes; RFC 7518 asks for 32 | make one with: openssl rand -base64 32"},
		{"several without ID", k(security.HS256(secret), security.RS256(&keys().rsa.PublicKey), security.HS256(secret)), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := config()
			j.Keys = c.keys
			assertFaults(t, j, c.want)
		})
	}
}

// TestEd25519KeysOfSmallOrder: no Ed25519 key starts for which anybody can sign. These are all
// of them, each with both signs, also as numbers beyond the field's.
func TestEd25519KeysOfSmallOrder(t *testing.T) {
	const p = "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed"
	prime, _ := new(big.Int).SetString(p, 16)
	eighth, _ := new(big.Int).SetString("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826", 16)
	var points []*big.Int
	for _, y := range []*big.Int{big.NewInt(0), big.NewInt(1), new(big.Int).Sub(prime, big.NewInt(1)), eighth, new(big.Int).Sub(prime, eighth)} {
		points = append(points, y)
		if beyond := new(big.Int).Add(y, prime); beyond.BitLen() < 256 {
			points = append(points, beyond)
		}
	}
	if len(points) != 7 {
		t.Fatalf("%d points", len(points))
	}
	for _, y := range points {
		for _, sign := range []byte{0, 0x80} {
			key := y.FillBytes(make([]byte, ed25519.PublicKeySize))
			slices.Reverse(key)
			key[31] |= sign
			j := config()
			j.Keys = []security.Key{security.EdDSA(key)}
			t.Run(hex.EncodeToString(key), func(t *testing.T) { assertFaults(t, j, smallOrder) })
		}
	}
	j := config()
	for range 20 {
		public, _, _ := ed25519.GenerateKey(nil)
		j.Keys = append(j.Keys[:0], security.EdDSA(public))
		assertFaults(t, j, "")
	}
}

func TestConfigurationFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*security.JWT[Claims])
		want   string
	}{
		{
			"no issuer", func(j *security.JWT[Claims]) { j.Issuer = "" },
			"JWT[security_test.Claims] names no Issuer | set Issuer to the iss of your tokens, or InsecureAnyIssuer: true to accept tokens whoever their iss names",
		},
		{
			"any issuer and one", func(j *security.JWT[Claims]) { j.InsecureAnyIssuer = true },
			"JWT[security_test.Claims] names an Issuer and accepts any | set Issuer or InsecureAnyIssuer, not both",
		},
		{
			"no audience", func(j *security.JWT[Claims]) { j.Audience = "" },
			"JWT[security_test.Claims] names no Audience | set Audience to the aud of your tokens, or InsecureAnyAudience: true to accept tokens made for other services",
		},
		{
			"any audience and one", func(j *security.JWT[Claims]) { j.InsecureAnyAudience = true },
			"JWT[security_test.Claims] names an Audience and accepts any | set Audience or InsecureAnyAudience, not both",
		},
		{
			"leeway negative", func(j *security.JWT[Claims]) { j.Leeway = -1 },
			"JWT[security_test.Claims] has a Leeway of -1ns | set Leeway to at most 5m0s, or leave it out for 30s",
		},
		{
			"leeway long", func(j *security.JWT[Claims]) { j.Leeway = 5*time.Minute + 1 },
			"JWT[security_test.Claims] has a Leeway of 5m0.000000001s | set Leeway to at most 5m0s, or leave it out for 30s",
		},
		{
			"realm", func(j *security.JWT[Claims]) { j.Realm = "a\r\nSet-Cookie: x" },
			`JWT[security_test.Claims] has the Realm "a\r\nSet-Cookie: x", which cannot stand in a header | set Realm to printable ASCII, or leave it out`,
		},
		{
			"an issuer and several", func(j *security.JWT[Claims]) { j.Issuers = []string{"b"} },
			"JWT[security_test.Claims] has both Issuer and Issuers | name all of them in Issuers",
		},
		{
			"an audience and several", func(j *security.JWT[Claims]) { j.Audiences = []string{"b"} },
			"JWT[security_test.Claims] has both Audience and Audiences | name all of them in Audiences",
		},
		{
			"several issuers and any", func(j *security.JWT[Claims]) {
				j.Issuer, j.Issuers, j.InsecureAnyIssuer = "", []string{"a"}, true
			},
			"JWT[security_test.Claims] names an Issuer and accepts any | set Issuer or InsecureAnyIssuer, not both",
		},
		{
			"an issuer that is empty", func(j *security.JWT[Claims]) { j.Issuer, j.Issuers = "", []string{"a", ""} },
			"JWT[security_test.Claims] has an empty string among its Issuers | name each; is the variable set that it comes from?",
		},
		{
			"an audience that is empty", func(j *security.JWT[Claims]) { j.Audience, j.Audiences = "", []string{""} },
			"JWT[security_test.Claims] has an empty string among its Audiences | name each; is the variable set that it comes from?",
		},
		{
			"no issuer among several", func(j *security.JWT[Claims]) { j.Issuer, j.Issuers = "", []string{} },
			"JWT[security_test.Claims] names no Issuer | set Issuer to the iss of your tokens, or InsecureAnyIssuer: true to accept tokens whoever their iss names",
		},
		{"several", func(j *security.JWT[Claims]) {
			j.Issuer, j.Issuers, j.Audience, j.Audiences = "", []string{"a", "b"}, "", []string{"c"}
		}, ""},
		{"both sources", func(j *security.JWT[Claims]) {
			j.Sources = []depends.Source{security.BearerHeader(), security.QueryToken("token")}
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := config()
			c.change(&j)
			assertFaults(t, j, c.want)
			if strings.ContainsAny(j.Describe().Challenge, "\r\n") {
				t.Error("the challenge breaks the header")
			}
		})
	}
}

func TestClaimsFaults(t *testing.T) {
	claimsFaults[notClaims](t, "JWT[security_test.notClaims]: security_test.notClaims is not a jwt.Claims | "+embedHint)
	claimsFaults[string](t, "JWT[string]: string is not a jwt.Claims | "+embedHint)
	claimsFaults[jwt.Claims](t, "JWT[jwt.Claims]: jwt.Claims is not a jwt.Claims | "+embedHint)
	claimsFaults[**Claims](t, "JWT[**security_test.Claims]: **security_test.Claims is not a jwt.Claims | "+embedHint)
	claimsFaults[ownSub](t, "JWT[security_test.ownSub]: security_test.ownSub does not read the sub of a token | "+embedHint)
	claimsFaults[ownExp](t, "JWT[security_test.ownExp]: security_test.ownExp cannot hold the registered claims: "+
		"json: cannot unmarshal number into Go struct field ownExp.exp of type string | "+embedHint)
	claimsFaults[nilable](t, "JWT[security_test.nilable]: security_test.nilable panics on a token with the claims {}: "+
		"runtime error: invalid memory address or nil pointer dereference | "+embedHint)
	claimsFaults[Claims](t, "")
	claimsFaults[*Claims](t, "")
	claimsFaults[jwt.MapClaims](t, "")
	claimsFaults[byPointer](t, "")
}

func claimsFaults[C any](t *testing.T, want string) {
	t.Helper()
	assertFaults(t, security.JWT[C]{Keys: []security.Key{security.HS256(secret)}, Issuer: issuer, Audience: audience}, want)
}

// assertFaults compares the faults, and checks that they keep the scheme from
// accepting anything if it is called all the same.
func assertFaults[C any](t *testing.T, j security.JWT[C], want string) {
	t.Helper()
	var got []string
	for _, f := range j.Describe().Faults {
		if f.Hint == "" {
			t.Errorf("no hint: %s", f.Fact)
		}
		got = append(got, strings.TrimPrefix(f.Fact, "JWT[security_test.Claims]: ")+" | "+f.Hint)
	}
	if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if want == "" {
		return
	}
	var refused *depends.Rejection
	if _, err := authenticate[C](j, mint(nil, nil)); err == nil || errors.As(err, &refused) {
		t.Errorf("Authenticate gave %v, want an error that is a 500", err)
	}
}
