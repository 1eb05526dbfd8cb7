package main

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

const (
	issuer   = "usher-cluster"
	tokenTTL = 15 * time.Minute
)

// Claims are the claims of a token.
type Claims struct {
	jwt.RegisteredClaims
	Scope string `json:"scope,omitempty"` // RFC 8693 §4.2
}

// Scopes returns the scopes that the token grants.
func (c Claims) Scopes() []string { return strings.Fields(c.Scope) }

// bearer takes the token of a program from the header, and that of the page from the subprotocol.
func bearer(key []byte) security.JWT[Claims] {
	return security.JWT[Claims]{
		Keys: []security.Key{security.HS256(key)}, Issuer: issuer, Audience: issuer,
		Sources: []depends.Source{security.BearerHeader(), security.SubprotocolToken("cluster")},
	}
}

// accounts are for the demonstration: a real program keeps hashes, as examples/chat does.
var accounts = map[string]struct{ password, scope string }{
	"alice": {"wonderland", ""}, "bob": {"builder", ""}, "carol": {"teaparty", "rooms:admin"},
}

// tokenIssuer answers POST /token: a name and a password for a token.
func tokenIssuer(key []byte) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Header("Cache-Control", "no-store") // RFC 6749 §5.1
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, 4<<10)
		name := c.PostForm("username")
		account, known := accounts[name]
		same := subtle.ConstantTimeCompare([]byte(c.PostForm("password")), []byte(account.password)) == 1
		if !known || !same {
			c.JSON(http.StatusBadRequest, gin.H{"error": "invalid_grant"})
			return
		}
		token, err := sign(key, name, account.scope, time.Now())
		if err != nil {
			_ = c.AbortWithError(http.StatusInternalServerError, err)
			return
		}
		c.JSON(http.StatusOK, gin.H{
			"access_token": token, "token_type": "bearer", "expires_in": int(tokenTTL.Seconds()), "scope": account.scope,
		})
	}
}

func sign(key []byte, name, scope string, now time.Time) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, Claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Audience: jwt.ClaimStrings{issuer}, Subject: name,
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(tokenTTL)),
		},
		Scope: scope,
	}).SignedString(key)
}

// signOut answers POST /signout: it ends the connections of the token's user in all processes. The
// token stays valid until it expires: a provider that refuses it is in examples/chat.
func signOut(ws *wsroute.Router, scheme security.Scheme[Claims]) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Header("Cache-Control", "no-store")
		claims, err := security.Authenticate(c.Request, scheme)
		if err == nil {
			theirs := wsroute.Revocation{Issuer: issuer, Subject: claims.Subject}
			_, err = ws.Revoke(c.Request.Context(), theirs)
		}
		var refusal *depends.Rejection
		switch {
		case errors.As(err, &refusal):
			refusal.ServeHTTP(c.Writer, c.Request)
		case err != nil:
			_ = c.AbortWithError(http.StatusServiceUnavailable, err)
		default:
			c.Status(http.StatusNoContent)
		}
	}
}
