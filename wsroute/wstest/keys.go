package wstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/security"
)

// Keys are those of an issuer of tokens (ES256), which sign, and are published as a key set: for
// tests of programs whose security.JWT has a JWKS. They work inside a synctest bubble, over no
// network. All methods are safe for concurrent use.
type Keys struct {
	t    testing.TB
	mu   sync.Mutex
	list []*ecdsa.PrivateKey // the last one signs
}

// NewKeys returns the keys of a new issuer, which has one.
func NewKeys(t testing.TB) *Keys {
	t.Helper()
	k := &Keys{t: t}
	k.Rotate()
	return k
}

// Rotate adds a key, which signs from now on.
func (k *Keys) Rotate() {
	k.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(k.t, "Rotate", err)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = append(k.list, key)
}

// Sign returns a token with the claims, which are a jwt.MapClaims or a program's own.
func (k *Keys) Sign(claims jwt.Claims) string {
	k.t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	last := len(k.list) - 1
	token.Header["kid"] = strconv.Itoa(last)
	text, err := token.SignedString(k.list[last])
	must(k.t, "Sign", err)
	return text
}

// JWKS returns a key set that is fetched from k.
func (k *Keys) JWKS() *security.JWKS {
	return &security.JWKS{URL: "https://issuer.test/jwks.json", Client: &http.Client{Transport: k}}
}

// RoundTrip implements [http.RoundTripper]: any request gets the key set.
func (k *Keys) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	return w.Result(), nil
}

// ServeHTTP implements [http.Handler]: it answers with the key set (RFC 7517).
func (k *Keys) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var keys []map[string]string
	encode := base64.RawURLEncoding.EncodeToString
	for i, key := range k.list {
		point, _ := key.PublicKey.Bytes() // 4, then x and y
		keys = append(keys, map[string]string{
			"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": strconv.Itoa(i),
			"x": encode(point[1:33]), "y": encode(point[33:]),
		})
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
}
