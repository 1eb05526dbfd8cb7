package security_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
)

// Member is what the tokens of this example say of their bearer.
type Member struct {
	Plan string `json:"plan"`
	jwt.RegisteredClaims
}

// A program gives its scheme to Use, and its handlers ask for a Member. The
// scheme can be called without a connection too, which is how to test one.
func Example_jwt() {
	secret := []byte("32 bytes from a good random source") // never in the source of a real program
	scheme := security.JWT[Member]{
		Keys:     []security.Key{security.HS256(secret)},
		Issuer:   "https://login.example",
		Audience: "chat",
		Sources:  []depends.Source{security.BearerHeader(), security.QueryToken("token")},
	}
	security.Use(depends.New(), scheme)

	sign := func(expires time.Time) depends.Credential {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, Member{"gold", jwt.RegisteredClaims{
			Issuer: "https://login.example", Audience: jwt.ClaimStrings{"chat"}, Subject: "ann",
			ExpiresAt: jwt.NewNumericDate(expires),
		}}).SignedString(secret)
		if err != nil {
			panic(err)
		}
		return depends.Credential{Source: security.BearerHeader(), Value: token}
	}

	member, err := scheme.Authenticate(context.Background(), sign(time.Now().Add(time.Hour)))
	fmt.Println(member.Subject, member.Plan, err)

	_, err = scheme.Authenticate(context.Background(), sign(time.Now().Add(-time.Hour)))
	fmt.Println(err) // for the log

	var refusal *depends.Rejection
	if errors.As(err, &refusal) { // for the peer
		fmt.Println(refusal.Status, refusal.Reason, refusal.Header.Get("WWW-Authenticate"))
	}
	// Output:
	// ann gold <nil>
	// 401 invalid_token: token is expired
	// 401 invalid_token Bearer error="invalid_token"
}

// Two keys with IDs, while an issuer changes from one to the other: each token
// names the key that verifies it.
func ExampleKey_WithID() {
	before, after := []byte("the secret of November, 32 bytes!"), []byte("the secret of December, 32 bytes!")
	scheme := security.JWT[Member]{
		Keys:     []security.Key{security.HS256(before).WithID("2026-11"), security.HS256(after).WithID("2026-12")},
		Issuer:   "https://login.example",
		Audience: "chat",
	}
	fmt.Println(scheme.Keys)
	fmt.Println(len(scheme.Describe().Faults), "faults")
	// Output:
	// [HS256 key "2026-11" HS256 key "2026-12"]
	// 0 faults
}

// What is not safe does not start: Mount reports these faults with the others.
func ExampleJWT_Describe() {
	scheme := security.JWT[Member]{Keys: []security.Key{security.HS256([]byte("hunter2"))}, Audience: "chat"}
	for _, fault := range scheme.Describe().Faults {
		fmt.Println(fault.Fact)
		fmt.Println("  hint:", fault.Hint)
	}
	// Output:
	// JWT[security_test.Member]: Keys[0], HS256 key, has 7 bytes; RFC 7518 asks for 32
	//   hint: make one with: openssl rand -base64 32
	// JWT[security_test.Member] names no Issuer
	//   hint: set Issuer to the iss of your tokens, or InsecureAnyIssuer: true to accept tokens whoever their iss names
}
