package security_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
)

const (
	issuer   = "https://login.example"
	audience = "chat"
)

// secret is a canary too: no error and no printed scheme may hold it.
var secret = []byte("canary-secret-of-thirty-two-byte")

type Claims struct {
	Name string `json:"name"`
	jwt.RegisteredClaims
}

// keys are made once: RSA is slow.
var keys = sync.OnceValue(func() (k struct {
	rsa     *rsa.PrivateKey
	ecdsa   *ecdsa.PrivateKey
	ed25519 ed25519.PrivateKey
},
) {
	k.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	k.ecdsa, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, k.ed25519, _ = ed25519.GenerateKey(rand.Reader)
	return k
})

// config is a JWT as a program would write it.
func config() security.JWT[Claims] {
	return security.JWT[Claims]{Keys: []security.Key{security.HS256(secret)}, Issuer: issuer, Audience: audience}
}

// prepared returns what Use would install.
func prepared[C any](t testing.TB, j security.JWT[C]) security.Scheme[C] {
	t.Helper()
	if faults := j.Describe().Faults; len(faults) > 0 {
		t.Fatalf("faults: %q", faults)
	}
	return security.Ready[C](j)
}

// authenticate hands over a token as the resolver would.
func authenticate[C any](scheme security.Scheme[C], token string) (C, error) {
	return scheme.Authenticate(context.Background(), depends.Credential{Source: security.BearerHeader(), Value: token})
}

// mint signs a good token with the changes given; a nil value takes a member out.
func mint(header, claims map[string]any) string {
	return sign(jwt.SigningMethodHS256, secret, header, claims)
}

func sign(method jwt.SigningMethod, key any, header, claims map[string]any) string {
	now := time.Now()
	h := merge(map[string]any{"alg": method.Alg(), "typ": "JWT"}, header)
	c := merge(map[string]any{
		"iss": issuer, "aud": audience, "sub": "ann", "name": "Ann",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}, claims)
	return seal(method, key, encode(h), encode(c))
}

func merge(base, changes map[string]any) map[string]any {
	maps.Copy(base, changes)
	maps.DeleteFunc(base, func(_ string, v any) bool { return v == nil })
	return base
}

func encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// seal signs a header and a payload that are JSON, or are not.
func seal(method jwt.SigningMethod, key any, header, payload string) string {
	text := part(header) + "." + part(payload)
	signature, err := method.Sign(text, key)
	if err != nil {
		panic(err)
	}
	return text + "." + part(string(signature))
}

func part(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
