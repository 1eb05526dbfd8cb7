package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/wsroute"
)

// token is for an account, for so long. A real program asks for a password first.
func token(key []byte, name string, life time.Duration) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, Claims{jwt.RegisteredClaims{
		Issuer: issuer, Audience: jwt.ClaimStrings{audience}, Subject: name,
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(life)),
	}}).SignedString(key)
}

func run(ctx context.Context) error {
	key := []byte(rand.Text() + rand.Text())
	ws, engine, err := newApp(key, &Accounts{})
	if err != nil {
		return err
	}
	signed, err := token(key, "ada", time.Minute)
	if err != nil {
		return err
	}
	fmt.Println(signed)
	fmt.Println("is the bearer token for ws://127.0.0.1:8080/before, /after, /page/after and /actions; this bans its owner:")
	fmt.Println("curl -X POST http://127.0.0.1:8080/ban/ada")
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
