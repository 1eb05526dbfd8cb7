package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// What every server is asked for: a room that who shows a good token joins, and
// that says back what they say, and a hall that tells it to everybody in it.
const (
	roomPath = "/rooms/"
	hallPath = "/halls/"

	issuer   = "https://login.example"
	audience = "rooms"
	origin   = "https://chat.example.com"

	leeway       = 30 * time.Second
	readLimit    = 64 << 10
	closeTimeout = 2 * time.Second
	drainTimeout = 30 * time.Second
)

// What a test makes shorter, to see that every server keeps it.
var (
	writeTimeout = 5 * time.Second
	pingInterval = 25 * time.Second
	pongTimeout  = 35 * time.Second
)

// Say is what a client sends.
type Say struct {
	Text string `json:"text" validate:"min=1,max=8192"`
}

// Said is what a client is told.
type Said struct {
	From string `json:"from"`
	Text string `json:"text"`
}

// Claims are what a token says of its bearer.
type Claims struct{ jwt.RegisteredClaims }

// User is somebody who has signed in.
type User struct{ Name string }

// Users stand in for a database, by the subject of their tokens.
type Users map[string]User

var users = Users{"1": {Name: "alice"}}

// identity is an issuer's key, and a token that it has signed.
type identity struct {
	method             jwt.SigningMethod
	signing, verifying any
	token              string
}

// newIdentity makes a key for HS256, RS256 or ES256, and signs a token.
func newIdentity(algorithm string) (identity, error) {
	id := identity{method: jwt.GetSigningMethod(algorithm)}
	switch algorithm {
	case "HS256":
		secret := []byte(rand.Text() + rand.Text())
		id.signing, id.verifying = secret, secret
	case "RS256":
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return id, err
		}
		id.signing, id.verifying = key, &key.PublicKey
	case "ES256":
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return id, err
		}
		id.signing, id.verifying = key, &key.PublicKey
	default:
		return id, fmt.Errorf("no algorithm %q: HS256, RS256 and ES256 are", algorithm)
	}
	var err error
	id.token, err = id.sign(goodClaims())
	return id, err
}

func (id identity) sign(claims Claims) (string, error) {
	return jwt.NewWithClaims(id.method, claims).SignedString(id.signing)
}

// goodClaims are those that every server accepts.
func goodClaims() Claims {
	now := time.Now()
	return Claims{jwt.RegisteredClaims{
		Issuer:    issuer,
		Audience:  jwt.ClaimStrings{audience},
		Subject:   "1",
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(time.Hour)),
	}}
}

// logTo takes lines that nobody reads, but for a test: all servers log one for each
// refusal and one for each connection's end, as usher does.
var logTo = io.Discard

func newLogger() *slog.Logger { return slog.New(slog.NewTextHandler(logTo, nil)) }

// newHTTPServer has the limits that wsroute.Serve sets.
func newHTTPServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

// hall is everybody who hears what is said in it. All servers share it, so that
// only sending differs.
type hall struct {
	mu      sync.RWMutex
	members map[member]struct{}
}

// attendance is how many are in all halls of the process, for the driver.
var attendance atomic.Int64

// member is a connection that takes an encoded message.
type member interface{ tell(message []byte) }

func (h *hall) join(m member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.members == nil {
		h.members = map[member]struct{}{}
	}
	h.members[m] = struct{}{}
	attendance.Add(1)
}

func (h *hall) leave(m member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, inside := h.members[m]; inside {
		delete(h.members, m)
		attendance.Add(-1)
	}
}

func (h *hall) tell(message []byte) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for m := range h.members {
		m.tell(message)
	}
}

// halls are the halls by name. A hall stays when the last one has left.
type halls struct {
	mu     sync.Mutex
	byName map[string]*hall
}

func (h *halls) get(name string) *hall {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byName == nil {
		h.byName = map[string]*hall{}
	}
	if h.byName[name] == nil {
		h.byName[name] = &hall{}
	}
	return h.byName[name]
}
