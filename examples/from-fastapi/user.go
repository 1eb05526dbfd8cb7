package main

import (
	"context"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
)

const issuer = "https://id.example.com"

// Claims are the claims of a token; its scopes are in one string.
type Claims struct {
	jwt.RegisteredClaims
	Scope string `json:"scope,omitempty"`
}

// Scopes returns the scopes that the token grants.
func (c Claims) Scopes() []string { return strings.Fields(c.Scope) }

// User is the account of a token.
type User struct {
	Name  string
	Staff bool
}

// Users is the store of accounts.
type Users map[string]User

func currentUser(_ context.Context, in struct {
	Claims Claims
	Users  Users
},
) (User, error) {
	user, ok := in.Users[in.Claims.Subject]
	if !ok {
		return User{}, &depends.Rejection{Status: 403, CloseCode: 4003, Reason: "unknown_user"}
	}
	return user, nil
}

// Staff is a user who may do more.
type Staff struct{ User }

func staff(_ context.Context, in struct{ User User }) (Staff, error) {
	if !in.User.Staff {
		return Staff{}, depends.Forbidden("not_staff", nil)
	}
	return Staff{in.User}, nil
}

func useTokens(deps *depends.Graph, key []byte) {
	security.Use(deps, security.JWT[Claims]{
		Keys:     []security.Key{security.HS256(key)},
		Issuer:   issuer,
		Audience: "boards",
	})
}

// token is for an account, for an hour. A real program asks for a password first.
func token(key []byte, subject, scope string) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, Claims{jwt.RegisteredClaims{
		Issuer: issuer, Audience: jwt.ClaimStrings{"boards"}, Subject: subject,
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}, scope}).SignedString(key)
}
