// Command quickstart is usher on one screen: a client with a good token joins a room, which
// answers what it says.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// User is the signed-in user. A handler that asks for a User gets one, or the connection is refused.
type User struct{ Name string }

type userInput struct {
	Claims Claims // provided by security.JWT[Claims]
	Users  Store  // supplied in newRouter
}

func currentUser(_ context.Context, in userInput) (User, error) {
	if user, ok := in.Users[in.Claims.Subject]; ok {
		return user, nil
	}
	return User{}, depends.Forbidden("unknown_user", nil)
}

type joinInput struct {
	User  User
	Room  string `path:"room"  validate:"alphanum,max=64"`
	Since int    `query:"since" default:"0" validate:"gte=0"`
}

func join(ctx context.Context, conn *wsroute.Conn[Say, Said], in joinInput) error {
	for {
		say, err := conn.Receive(ctx)
		if err != nil {
			return err // a normal disconnect is not an error in the log
		}
		if err := conn.Send(ctx, Said{From: in.User.Name, Text: say.Text}); err != nil {
			return err
		}
	}
}

func newRouter(secret string) *wsroute.Router {
	deps := depends.New()
	depends.Supply(deps, Store{"1": {Name: "alice"}})
	depends.Provide(deps, currentUser)
	security.Use(deps, security.JWT[Claims]{
		Keys: []security.Key{security.HS256([]byte(secret))}, Issuer: "https://login.example", Audience: "rooms",
	})
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/rooms/:room", join)
	return ws
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ws, engine := newRouter(os.Getenv("JWT_SECRET")), gin.New()
	if err := ws.Mount(engine); err != nil { // every wiring fault of every route, in one report
		log.Fatal(err)
	}
	if err := wsroute.Serve(ctx, ":8080", ws, engine); err != nil { // drains when ctx ends
		log.Fatal(err)
	}
}

type Claims struct{ jwt.RegisteredClaims }

type Store map[string]User // in place of a database

type Say struct {
	Text string `json:"text" validate:"min=1,max=500"`
}

type Said struct {
	From string `json:"from"`
	Text string `json:"text"`
}
