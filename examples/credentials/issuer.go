package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
)

// issuer signs tokens for everybody, and publishes its key (RFC 7517). It stands for the
// identity provider of a real program.
type issuer struct {
	name string
	key  *ecdsa.PrivateKey
}

func newIssuer(name string) *issuer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // there is no randomness
	}
	return &issuer{name, key}
}

// keyID names the key, so that another can take its place.
const keyID = "2026-11"

// sign answers POST /token with a token, and sets it as a cookie too.
func (i *issuer) sign(c *gin.Context) {
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, Claims{jwt.RegisteredClaims{
		Issuer: i.name, Audience: jwt.ClaimStrings{"ladder"}, Subject: c.DefaultPostForm("username", "alice"),
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(15 * time.Minute)),
	}})
	token.Header["kid"] = keyID
	text, err := token.SignedString(i.key)
	if err != nil {
		_ = c.AbortWithError(http.StatusInternalServerError, err)
		return
	}
	http.SetCookie(c.Writer, &http.Cookie{Name: cookie, Value: text, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusOK, gin.H{"access_token": text, "token_type": "bearer"})
}

// publish answers GET /keys with the set of its one key.
func (i *issuer) publish(c *gin.Context) {
	point, err := i.key.PublicKey.Bytes()
	if err != nil {
		_ = c.AbortWithError(http.StatusInternalServerError, err)
		return
	}
	encode := base64.RawURLEncoding.EncodeToString
	c.JSON(http.StatusOK, gin.H{"keys": []gin.H{{
		"kty": "EC", "crv": "P-256", "use": "sig", "kid": keyID, "x": encode(point[1:33]), "y": encode(point[33:]),
	}}})
}
