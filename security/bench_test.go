package security_test

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
)

// BenchmarkJWT compares a verification with golang-jwt's own, given the same
// options; only the ratio within one run counts.
func BenchmarkJWT(b *testing.B) {
	good := mint(nil, nil)
	expired := mint(nil, jwt.MapClaims{"exp": time.Now().Add(-time.Hour).Unix()})
	forged := sign(jwt.SigningMethodHS256, []byte("another secret, also of 32 bytes"), nil, nil)
	for _, token := range []struct{ name, value string }{{"accepted", good}, {"expired", expired}, {"forged", forged}} {
		b.Run("usher/"+token.name, func(b *testing.B) {
			scheme := prepared(b, config())
			credential := depends.Credential{Source: security.BearerHeader(), Value: token.value}
			b.ReportAllocs()
			for b.Loop() {
				_, err := scheme.Authenticate(b.Context(), credential)
				if (err == nil) != (token.name == "accepted") {
					b.Fatal(err)
				}
			}
		})
		b.Run("golang-jwt/"+token.name, func(b *testing.B) {
			parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithStrictDecoding(), jwt.WithExpirationRequired(),
				jwt.WithIssuedAt(), jwt.WithLeeway(30*time.Second), jwt.WithIssuer(issuer), jwt.WithAudience(audience))
			key := func(*jwt.Token) (any, error) { return secret, nil }
			b.ReportAllocs()
			for b.Loop() {
				var claims Claims
				_, err := parser.ParseWithClaims(token.value, &claims, key)
				if (err == nil) != (token.name == "accepted") {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("usher/unprepared", func(b *testing.B) {
		scheme := config()
		credential := depends.Credential{Source: security.BearerHeader(), Value: good}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := scheme.Authenticate(b.Context(), credential); err != nil {
				b.Fatal(err)
			}
		}
	})
}
