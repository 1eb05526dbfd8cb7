package differential

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"

	"example.com/usher/depends"
	"example.com/usher/security"
)

// published is an http.RoundTripper that answers every request with a key set.
type published string

func (p published) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(p))),
	}, nil
}

// publicJWK is a key as an issuer publishes it, with members at its end.
func publicJWK(algorithm, more string) string {
	text := func(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
	k := tokenKeys()
	switch algorithm {
	case "RS256":
		e := big.NewInt(int64(k.rsa.E)).Bytes()
		return fmt.Sprintf(`{"kty":"RSA","n":"%s","e":"%s"%s}`, text(k.rsa.N.Bytes()), text(e), more)
	case "ES256":
		point, _ := k.ecdsa.PublicKey.Bytes()
		return fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":"%s","y":"%s"%s}`, text(point[1:33]), text(point[33:]), more)
	}
	return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":"%s"%s}`, text(k.ed25519.Public().(ed25519.PublicKey)), more)
}

// verifiesByJose says whether go-jose reads a key of the set that the token's header chooses,
// may be used for its algorithm, and verifies it.
func verifiesByJose(set, token, algorithm string) bool {
	var raw struct{ Keys []json.RawMessage }
	_ = json.Unmarshal([]byte(set), &raw)
	parsed, err := josejwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
	if err != nil {
		return false
	}
	id := parsed.Headers[0].KeyID
	for _, text := range raw.Keys { // one bad key spoils no other
		var key jose.JSONWebKey
		if json.Unmarshal(withoutCertificates(text), &key) != nil {
			continue
		}
		fits := (id == "" || key.KeyID == id) && (key.Algorithm == "" || key.Algorithm == algorithm)
		var c josejwt.Claims
		if fits && key.Use != "enc" && key.IsPublic() && isStrong(key.Key) && parsed.Claims(key.Key, &c) == nil {
			return true
		}
	}
	return false
}

// withoutCertificates is a key without the members that usher ignores, and go-jose checks.
func withoutCertificates(key []byte) []byte {
	var kept []string
	for _, m := range membersOf(key) {
		if !called("x5c", "x5u", "x5t", "x5t#S256")(m) {
			kept = append(kept, fmt.Sprintf("%q:%s", m.name, m.value))
		}
	}
	return []byte("{" + strings.Join(kept, ",") + "}")
}

// isStrong says whether a key is of the sizes that RFC 7518 asks for.
func isStrong(key any) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= 2048
	case *ecdsa.PublicKey:
		return key.Curve == elliptic.P256()
	}
	return true
}

// FuzzKeySet: whatever a set of keys says, usher accepts a token only with a key that go-jose
// reads of it, and accepts one of the usual sets.
func FuzzKeySet(f *testing.F) {
	algorithms := []string{"RS256", "ES256", "EdDSA"}
	for i, algorithm := range algorithms {
		for _, more := range []string{
			"", `,"kid":"a"`, `,"kid":"b"`, `,"kid":""`, `,"kid":7`, `,"kid":null`, `,"use":"sig"`, `,"use":"enc"`,
			`,"alg":"` + algorithm + `"`, `,"alg":"HS256"`, `,"alg":"none"`, `,"alg":7`, `,"key_ops":["verify"]`,
			`,"key_ops":["sign"]`, `,"key_ops":[]`, `,"d":"AQAB"`, `,"d":null`, `,"kty":"oct"`, `,"KTY":"oct"`, `,"x":"AA"`,
			`,"n":"AQAB"`, `,"crv":"P-384"`, `,"x5c":["AQAB"]`, `,"x5u":"https://evil.example"`, `,"k":"AQAB"`,
		} {
			key := publicJWK(algorithm, more)
			f.Add(uint8(i), `{"alg":"`+algorithm+`"}`, `{"keys":[`+key+`]}`)
			f.Add(uint8(i), `{"alg":"`+algorithm+`","kid":"a"}`, `{"keys":[`+key+`]}`)
			if fuzzing() {
				break
			}
		}
		key, other := publicJWK(algorithm, `,"kid":"a"`), publicJWK(algorithms[(i+1)%3], `,"kid":"a"`)
		for _, set := range []string{
			`{"keys":[` + key + `,` + key + `]}`, `{"keys":[` + other + `,` + key + `]}`, `{"keys":[7,` + key + `]}`,
			`{"keys":[` + strings.Replace(key, `",`, `=",`, 2) + `]}`, `{"KEYS":[` + key + `]}`, `[` + key + `]`, key, ``,
			`{"keys":[],"keys":[` + key + `]}`, `{"keys":[` + key + `]} x`, `{"keys":[` + strings.Repeat(key+",", 101) + key + `]}`,
			`{"keys":[` + strings.Replace(key, `"x":"`, `"x":"AA`, 1) + `]}`, `{"keys":{"a":` + key + `}}`, `{"keys":null}`,
		} {
			f.Add(uint8(i), `{"alg":"`+algorithm+`","kid":"a"}`, set)
		}
		f.Add(uint8(i), `{"alg":"HS256","kid":"a"}`, `{"keys":[{"kty":"oct","kid":"a","k":"`+
			base64.RawURLEncoding.EncodeToString(hmacSecret)+`"}]}`)
	}
	f.Fuzz(func(t *testing.T, which uint8, header, set string) {
		algorithm := algorithms[int(which)%len(algorithms)]
		text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." +
			base64.RawURLEncoding.EncodeToString([]byte(goodPayload))
		for _, signer := range signers {
			if signer.name != algorithm {
				continue
			}
			token := text + "." + base64.RawURLEncoding.EncodeToString(signer.sign(text))
			synctest.Test(t, func(t *testing.T) {
				scheme := security.JWT[claims]{Issuer: issuer, Audience: audience, JWKS: &security.JWKS{
					URL: "https://login.example/keys", Client: &http.Client{Transport: published(set)},
				}}
				credential := depends.Credential{Source: security.BearerHeader(), Value: token}
				_, err := scheme.Authenticate(context.Background(), credential)
				jose := verifiesByJose(set, token, algorithm)
				usual := set == `{"keys":[`+publicJWK(algorithm, `,"kid":"a"`)+`]}` &&
					header == `{"alg":"`+algorithm+`","kid":"a"}`
				if err == nil && !jose || err != nil && usual {
					t.Errorf("%s with %s: got %v, go-jose says %t", header, set, err, jose)
				}
			})
		}
	})
}
