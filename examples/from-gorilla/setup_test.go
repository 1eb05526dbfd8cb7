package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

var secret = []byte("a secret of the tests, 32 bytes or more")

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	gin.DefaultWriter, gin.DefaultErrorWriter = noWriter{}, noWriter{}
	goleak.VerifyTestMain(m)
}

type noWriter struct{}

func (noWriter) Write(b []byte) (int, error) { return len(b), nil }

// both are the prefixes of the two rooms.
var both = map[string]string{"by hand": "/old", "with usher": ""}

// start serves both rooms.
func start(t *testing.T) *wstest.Server {
	t.Helper()
	ws, engine, err := newProgram(secret)
	if err != nil {
		t.Fatal(err)
	}
	return wstest.StartHandler(t, ws, engine)
}

// alone serves a handler that has nothing of usher in it.
func alone(t *testing.T, handler http.HandlerFunc) *wstest.Server {
	t.Helper()
	idle := wsroute.New(depends.New(), nil)
	if err := idle.Mount(gin.New()); err != nil {
		t.Fatal(err)
	}
	return wstest.StartHandler(t, idle, handler)
}

// token is alice's, but for what change does to its claims.
func token(key []byte, change func(jwt.MapClaims)) string {
	claims := jwt.MapClaims{"iss": issuer, "aud": audience, "sub": "1", "exp": time.Now().Add(time.Hour).Unix()}
	if change != nil {
		change(claims)
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(key)
	if err != nil {
		panic(err)
	}
	return signed
}

func bearer(token string) wstest.Option { return wstest.Header("Authorization", "Bearer "+token) }
