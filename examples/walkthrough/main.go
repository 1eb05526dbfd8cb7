// Command walkthrough is the program that docs/walkthrough.md arrives at.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

type greetInput struct {
	Name  string `path:"name" validate:"alpha,max=20"`
	Times int    `query:"times" default:"1" validate:"gte=1,lte=3"`
}

func greet(ctx context.Context, conn *wsroute.Conn[string, string], in greetInput) error {
	for range in.Times {
		if err := conn.Send(ctx, "hello, "+in.Name); err != nil {
			return err
		}
	}
	return nil
}

// Claims is what a token says; Reader is who may read.
type (
	Claims struct{ jwt.RegisteredClaims }
	Reader struct{ Name string }
)

func reader(_ context.Context, in struct{ Claims Claims }) (Reader, error) {
	if in.Claims.Subject == "mallory" {
		return Reader{}, depends.Forbidden("banned", nil)
	}
	return Reader{Name: in.Claims.Subject}, nil
}

type readInput struct {
	Reader Reader
	Log    *log.Logger
}

func read(ctx context.Context, conn *wsroute.Conn[string, string], in readInput) error {
	in.Log.Printf("%s reads", in.Reader.Name)
	for {
		line, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		if err := conn.Send(ctx, in.Reader.Name+": "+line); err != nil {
			return err
		}
	}
}

func router(key []byte) *wsroute.Router {
	deps := depends.New()
	depends.Supply(deps, log.Default())
	security.Use(deps, security.JWT[Claims]{
		Keys:     []security.Key{security.HS256(key)},
		Issuer:   "walkthrough",
		Audience: "readers",
		Sources:  []depends.Source{security.BearerHeader(), security.QueryToken("token")},
	})
	depends.Provide(deps, reader)

	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/greet/:name", greet)
	wsroute.Handle(ws, "/read", read)
	return ws
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ws, engine := router([]byte(os.Getenv("KEY"))), gin.Default()
	if err := ws.Mount(engine); err != nil {
		log.Fatal(err)
	}
	if err := ws.Explain(os.Stdout); err != nil {
		log.Fatal(err)
	}
	if err := wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine); err != nil {
		log.Fatal(err)
	}
}
