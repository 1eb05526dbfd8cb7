package main

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
)

const (
	issuer   = "usher-chat"
	audience = "usher-chat"

	// maxForm is the largest body of POST /token, in bytes.
	maxForm = 4 << 10
)

// Claims are the claims of a token.
type Claims struct {
	jwt.RegisteredClaims
	SignOuts int    `json:"sign_outs"`       // see Sessions
	Scope    string `json:"scope,omitempty"` // RFC 8693 §4.2
}

// Scopes returns the scopes that the token grants.
func (c Claims) Scopes() []string { return strings.Fields(c.Scope) }

// bearer takes the token of a plain request from the header.
func bearer(key []byte) security.JWT[Claims] {
	return security.JWT[Claims]{
		Keys:     []security.Key{security.HS256(key)},
		Issuer:   issuer,
		Audience: audience,
		Leeway:   time.Nanosecond, // one clock signs and verifies
	}
}

// credential says where a connection has its credential: programs in the header, the page in the
// subprotocol, since a browser can set no other header; other clients in the query, better a
// ticket than a token.
func credential(key []byte, tickets *security.Tickets[Claims]) security.Scheme[Claims] {
	token := bearer(key)
	token.Sources = []depends.Source{security.BearerHeader(), security.SubprotocolToken("chat"), security.QueryToken("token")}
	return security.OneOf(security.Scheme[Claims](token), tickets)
}

// tokenIssuer answers POST /token: a name and a password for a token, by the
// password grant of OAuth 2.0 (RFC 6749 §4.3).
type tokenIssuer struct {
	accounts Accounts
	sessions *Sessions
	key      []byte
	ttl      time.Duration
}

func (i tokenIssuer) post(c *gin.Context) {
	c.Header("Cache-Control", "no-store") // RFC 6749 §5.1
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxForm)
	name, password, fault := credentials(c.Request)
	if fault != "" {
		c.JSON(http.StatusBadRequest, gin.H{"error": fault})
		return
	}
	user, err := i.accounts.SignIn(name, password)
	if err != nil {
		c.JSON(http.StatusBadRequest, gin.H{"error": "invalid_grant"})
		return
	}
	i.answer(c, user)
}

func (i tokenIssuer) answer(c *gin.Context, user User) {
	token, err := i.sign(user, time.Now())
	if err != nil {
		_ = c.AbortWithError(http.StatusInternalServerError, err)
		return
	}
	body := gin.H{"access_token": token, "token_type": "bearer", "expires_in": int(i.ttl.Seconds())}
	if scope := i.accounts[user.Name].Scope; scope != "" {
		body["scope"] = scope
	}
	c.JSON(http.StatusOK, body)
}

// credentials reads the form. The fault is one of RFC 6749 §5.2. The grant type
// may be left out: there is only one.
func credentials(r *http.Request) (name, password, fault string) {
	if err := r.ParseForm(); err != nil {
		return "", "", "invalid_request"
	}
	field := func(key string) string {
		switch values := r.PostForm[key]; {
		case len(values) > 1: // "MUST NOT be included more than once", §3.2
			fault = "invalid_request"
		case len(values) == 1:
			return values[0]
		}
		return ""
	}
	grant := field("grant_type")
	name, password = field("username"), field("password")
	switch {
	case fault != "":
	case grant != "" && grant != "password":
		fault = "unsupported_grant_type"
	case name == "" || password == "":
		fault = "invalid_request"
	}
	return name, password, fault
}

func (i tokenIssuer) sign(user User, now time.Time) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, Claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    issuer,
			Audience:  jwt.ClaimStrings{audience},
			Subject:   user.Name,
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(i.ttl)),
		},
		SignOuts: i.sessions.Count(user.Name),
		Scope:    i.accounts[user.Name].Scope,
	}).SignedString(i.key)
}

// checkKey refuses a key that could be guessed.
func checkKey(key []byte) error {
	const least = 32 // of HS256, RFC 7518 §3.2
	if len(key) < least {
		return errors.New("CHAT_KEY is too short: it signs tokens, and must have at least 32 bytes; make one with: openssl rand -base64 32")
	}
	return nil
}
