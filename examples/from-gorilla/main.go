// Command from-gorilla has one room twice: hand.go has it by hand, on gin and gorilla/websocket,
// at /old/rooms/:room, and usher.go at /rooms/:room. A program can move in the same way: route
// by route, both on the same engine.
// docs/from-gorilla.md compares them.
//
//	JWT_SECRET=$(openssl rand -base64 32) go run ./examples/from-gorilla
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/wsroute"
)

const (
	issuer   = "https://login.example"
	audience = "rooms"
	origin   = "https://chat.example"
)

// Say is received, and Said sent.
type (
	Say struct {
		Text string `json:"text" validate:"min=1,max=500"`
	}
	Said struct {
		From string `json:"from"`
		Text string `json:"text"`
	}
)

// Claims are the claims of a token, User is its owner, and Users stands for a database.
type (
	Claims struct{ jwt.RegisteredClaims }
	User   struct{ Name string }
	Users  map[string]User
)

var users = Users{"1": {Name: "alice"}}

// newProgram has both rooms on one engine.
func newProgram(secret []byte) (*wsroute.Router, *gin.Engine, error) {
	engine := gin.New()
	newByHand(secret).mount(engine.Group("/old"))
	ws := newRouter(secret)
	return ws, engine, ws.Mount(engine)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ws, engine, err := newProgram([]byte(os.Getenv("JWT_SECRET")))
	if err == nil {
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
