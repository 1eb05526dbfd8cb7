package security_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/golang-jwt/jwt/v5"
)

var otherRSA = sync.OnceValue(func() *rsa.PrivateKey {
	k, _ := rsa.GenerateKey(rand.Reader, 2048)
	return k
})

// setOf answers with a key set of JWKs as they stand.
func setOf(keys ...any) http.HandlerFunc {
	body := encode(map[string]any{"keys": keys})
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

// TestEachKeyOfASetStandsForItself: RFC 7517 §4.5 lets keys share a kid, and what is broken,
// double or foreign about one key says nothing about another.
func TestEachKeyOfASetStandsForItself(t *testing.T) {
	k, second := keys(), otherRSA()
	named := func(public any, changes object) map[string]any { return merge(publicJWK("a", public), changes) }
	rsaA, ecA, edA := named(&k.rsa.PublicKey, nil), named(&k.ecdsa.PublicKey, nil), named(k.ed25519.Public(), nil)
	noKid := object{"kid": nil}
	headerA := map[string]any{"kid": "a"}
	type minted = func() string // a token is of the time within the bubble
	byRSA := func(key *rsa.PrivateKey, header map[string]any) minted {
		return func() string { return sign(jwt.SigningMethodRS256, key, header, nil) }
	}
	byEC := func(header map[string]any) minted {
		return func() string { return sign(jwt.SigningMethodES256, k.ecdsa, header, nil) }
	}
	byEd := func(header map[string]any) minted {
		return func() string { return sign(jwt.SigningMethodEdDSA, k.ed25519, header, nil) }
	}
	byHMAC := func() string { return mint(object{"kid": "a"}, nil) }
	named1, named2 := byRSA(k.rsa, headerA), byRSA(k.rsa, object{"kid": "b"})
	small, _ := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // it is to be refused
	for name, test := range map[string]struct {
		set     []any
		ok, bad []minted
	}{
		"RSA, EC and Ed25519": {[]any{rsaA, ecA, edA}, []minted{named1, byEC(headerA), byEd(headerA)}, []minted{byRSA(second, headerA)}},
		"twice the same":      {[]any{rsaA, rsaA}, []minted{named1}, []minted{byRSA(second, headerA), byEC(headerA)}},
		"two RSA keys": {
			[]any{rsaA, named(&second.PublicKey, nil)},
			[]minted{named1, byRSA(second, headerA)},
			[]minted{byEC(headerA), named2},
		},
		"no kid at all": {
			[]any{named(&k.rsa.PublicKey, noKid), named(&second.PublicKey, noKid), named(&k.ecdsa.PublicKey, noKid)},
			[]minted{byRSA(k.rsa, nil), byRSA(second, nil), byEC(nil)},
			[]minted{byEd(nil), named1},
		},
		"one of two without a kid": {[]any{rsaA, named(&second.PublicKey, noKid)}, []minted{named1, byRSA(second, nil)}, []minted{byRSA(second, headerA)}},
		"a symmetric key":          {[]any{named(nil, nil), rsaA}, []minted{named1}, []minted{byHMAC}},
		"an unknown kty":           {[]any{object{"kty": "LMS", "kid": "a"}, rsaA}, []minted{named1}, nil},
		"an unknown crv":           {[]any{named(&k.ecdsa.PublicKey, object{"crv": "secp256k1"}), rsaA}, []minted{named1}, []minted{byEC(headerA)}},
		"for encryption":           {[]any{named(&second.PublicKey, object{"use": "enc", "alg": "RSA-OAEP"}), rsaA}, []minted{named1}, []minted{byRSA(second, headerA)}},
		"key_ops":                  {[]any{named(&second.PublicKey, object{"key_ops": []string{"wrapKey"}}), rsaA}, []minted{named1}, []minted{byRSA(second, headerA)}},
		"another alg":              {[]any{named(&second.PublicKey, object{"alg": "PS256"}), rsaA}, []minted{named1}, []minted{byRSA(second, headerA)}},
		"weak":                     {[]any{named(&small.PublicKey, nil), rsaA}, []minted{named1}, []minted{byRSA(small, headerA)}},
		"broken":                   {[]any{named(&second.PublicKey, object{"n": "###"}), rsaA}, []minted{named1}, []minted{byRSA(second, headerA)}},
		"not an object":            {[]any{nil, 7, "a", []int{}, rsaA}, []minted{named1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{}
				e.set(setOf(test.set...))
				scheme := remote(t, e)
				for i, token := range test.ok {
					if got := told(scheme, token()); got != good {
						t.Errorf("token %d: %s", i, got)
					}
				}
				for i, token := range test.bad {
					if got := told(scheme, token()); got != wrong {
						t.Errorf("bad token %d: %s", i, got)
					}
				}
			})
		})
	}
}

// TestTheLogSaysWhyAKeyIsPassedOver: whoever reads it learns what is wrong with the issuer's set,
// once for each fetch that changes it, and nothing of the keys but their kid.
func TestTheLogSaysWhyAKeyIsPassedOver(t *testing.T) {
	k := keys()
	change := func(id string, changes object) map[string]any { return merge(publicJWK(id, &k.rsa.PublicKey), changes) }
	fine := change("good", nil)
	n := fine["n"].(string)
	for name, test := range map[string]struct {
		key  map[string]any
		want string
	}{
		"padding":   {change("bad", object{"n": n + "="}), "its n is missing, or not base64url without padding"},
		"not URL":   {change("bad", object{"e": "+/+/"}), "its e is missing, or not base64url without padding"},
		"missing":   {change("bad", object{"n": nil}), "its n is missing"},
		"use":       {change("bad", object{"use": "enc"}), "its use is not sig"},
		"key_ops":   {change("bad", object{"key_ops": []string{"encrypt"}}), "its key_ops lack verify"},
		"alg":       {change("bad", object{"alg": "RS512"}), "its alg is \"RS512\"; keys of its kind are for RS256"},
		"kty":       {object{"kty": "oct", "kid": "bad", "k": n}, "its kty \"oct\" and crv \"\" are of no supported kind"},
		"crv":       {object{"kty": "EC", "kid": "bad", "crv": "P-384"}, "crv \"P-384\""},
		"off":       {object{"kty": "EC", "kid": "bad", "crv": "P-256", "x": part(strings.Repeat("x", 32)), "y": part(strings.Repeat("y", 32))}, "its x and y are not a point of P-256"},
		"short":     {object{"kty": "OKP", "kid": "bad", "crv": "Ed25519", "x": "AQAB"}, "it has 3 bytes"},
		"weak":      {change("bad", object{"n": "AQAB"}), "it has 17 bits; RFC 7518 asks for 2048"},
		"huge e":    {change("bad", object{"e": "AQAAAAEAAQ"}), "its e is too large"},
		"private":   {change("bad", object{"d": "AQAB"}), "it is a private key"},
		"long kid":  {change("bad"+strings.Repeat("\x1b", 200), nil), "its kid has more than 128 bytes"},
		"malformed": {change("bad", object{"alg": 7}), "it is malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			logged := captureLog(t)
			e := &endpoint{}
			synctest.Test(t, func(t *testing.T) {
				e.set(setOf(fine, test.key))
				scheme := remote(t, e)
				if got := told(scheme, rs("good")); got != good {
					t.Error(got)
				}
				synctest.Wait()
				text := strings.ReplaceAll(logged.String(), `\`, "")
				if !strings.Contains(text, test.want) || strings.Contains(text, n) || len(text) > 1000 {
					t.Errorf("the log has %s", text)
				}
				_, err := authenticate(scheme, rs("bad"))
				if named := test.want != "it is malformed" && name != "long kid"; named && (err == nil || !strings.Contains(err.Error(), test.want)) {
					t.Errorf("refused with %v", err)
				}
				if lines := strings.Count(logged.String(), "\n"); lines != 1 {
					t.Errorf("%d lines for one fault", lines)
				}
				if e.set(setOf(test.key)); name == "long kid" { // its kid takes all of the error
					return
				}
				if _, err = authenticate(remote(t, e), rs("bad")); err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(test.want, `"`, `\"`)) && !strings.Contains(err.Error(), test.want) {
					t.Errorf("alone, it is refused with %v", err)
				}
			})
		})
	}
}

// captureLog returns what slog.Default writes during a test.
func captureLog(t *testing.T) *lockedBuffer {
	before, logged := slog.Default(), &lockedBuffer{}
	slog.SetDefault(slog.New(slog.NewTextHandler(logged, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return logged
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
