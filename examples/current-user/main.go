// Command current-user builds the current user step by step: a token, the account that
// it names, an account that is not suspended. Each route asks for as much as it needs.
//
//	go run ./examples/current-user
//
// It prints a token. Connect to ws://127.0.0.1:8080/me with the header
// "Authorization: Bearer <token>".
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// Claims are the claims of the token.
type Claims struct{ jwt.RegisteredClaims }

// User is the owner of the token.
type User struct {
	Name      string `json:"name"`
	Suspended bool   `json:"suspended"`
}

// ActiveUser is a user who may do things.
type ActiveUser struct{ User }

// Users is the store of accounts, by their subject.
type Users map[string]User

func currentUser(_ context.Context, in struct {
	Claims Claims
	Users  Users
},
) (User, error) {
	user, ok := in.Users[in.Claims.Subject]
	if !ok {
		return User{}, depends.Forbidden("unknown_user", nil)
	}
	return user, nil
}

func activeUser(_ context.Context, in struct{ User User }) (ActiveUser, error) {
	if in.User.Suspended {
		return ActiveUser{}, depends.Forbidden("suspended", nil)
	}
	return ActiveUser{in.User}, nil
}

// me sends users their name, and closes.
func me(ctx context.Context, conn *wsroute.Conn[string, User], in struct{ User User }) error {
	return conn.Send(ctx, in.User)
}

// say repeats what an active user says.
func say(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ User ActiveUser }) error {
	for {
		text, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		if err := conn.Send(ctx, in.User.Name+": "+text); err != nil {
			return err
		}
	}
}

func newRouter(key []byte) *wsroute.Router {
	deps := depends.New()
	depends.Supply(deps, Users{"1": {Name: "ada"}, "2": {Name: "bob", Suspended: true}})
	depends.Provide(deps, currentUser)
	depends.Provide(deps, activeUser)
	security.Use(deps, security.JWT[Claims]{
		Keys: []security.Key{security.HS256(key)}, Issuer: "https://id.example.com", Audience: "current-user",
	})
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/me", me)
	wsroute.Handle(ws, "/say", say)
	return ws
}

// token is for an account, for an hour. A real program asks for a password first.
func token(key []byte, subject string) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, Claims{jwt.RegisteredClaims{
		Issuer: "https://id.example.com", Audience: jwt.ClaimStrings{"current-user"}, Subject: subject,
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}}).SignedString(key)
}

func run(ctx context.Context) error {
	gin.SetMode(gin.ReleaseMode)
	key := []byte(rand.Text() + rand.Text())
	ws, engine := newRouter(key), gin.New()
	if err := ws.Mount(engine); err != nil {
		return err
	}
	signed, err := token(key, "1")
	if err != nil {
		return err
	}
	fmt.Println(signed)
	return wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
