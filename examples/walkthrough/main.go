// Command walkthrough is the program of docs/walkthrough.md. KEY is the key that signs the tokens,
// of at least 32 bytes:
//
//	export KEY=$(head -c 32 /dev/urandom | base64)
//	go run ./examples/walkthrough -token ada
//	go run ./examples/walkthrough
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

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

// Claims are the claims of a token; Reader is a user who may read.
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
		Sources:  []depends.Source{security.BearerHeader(), security.SubprotocolToken("walkthrough")},
	})
	depends.Provide(deps, reader)

	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/greet/:name", greet, wsroute.Diagnose, wsroute.Public)
	wsroute.Handle(ws, "/read", read, wsroute.Diagnose)
	return ws
}

// token signs the token of a signed-in user, as an issuer does.
func token(key []byte, name string) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer:    "walkthrough",
		Audience:  jwt.ClaimStrings{"readers"},
		Subject:   name,
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}).SignedString(key)
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "the address to listen on")
	name := flag.String("token", "", "print a token for this name, and end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	gin.SetMode(gin.ReleaseMode)
	key := []byte(os.Getenv("KEY"))
	ws, engine := router(key), gin.Default()
	servePage(engine)
	if err := ws.Mount(engine); err != nil {
		log.Fatal(err)
	}
	if *name != "" {
		signed, err := token(key, *name)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(signed)
		return
	}
	if err := ws.Explain(os.Stdout); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s (the same command with -token ada prints a token)\n", *addr)
	if err := wsroute.Serve(ctx, *addr, ws, engine); err != nil {
		log.Fatal(err)
	}
}
