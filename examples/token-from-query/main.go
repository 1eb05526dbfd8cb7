// Command token-from-query takes a token from ?token=…, the one place beside cookies
// and subprotocols that a page in a browser can fill when it connects. usher keeps it
// out of its own log, and out of what middleware and handlers see of the request.
//
//	go run ./examples/token-from-query
//
// It prints the address to connect to.
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

type input struct {
	Claims Claims
	Item   string `path:"item"`
	Count  *int   `query:"count" validate:"omitempty,gte=1"` // nil if it is absent
}

// Order is sent to the client.
type Order struct {
	For   string `json:"for"`
	Item  string `json:"item"`
	Count int    `json:"count"`
}

// order sends the order and its client, and closes.
func order(ctx context.Context, conn *wsroute.Conn[string, Order], in input) error {
	count := 1
	if in.Count != nil {
		count = *in.Count
	}
	return conn.Send(ctx, Order{in.Claims.Subject, in.Item, count})
}

func newApp(key []byte, config *wsroute.Config, middleware ...gin.HandlerFunc) (*wsroute.Router, *gin.Engine, error) {
	deps := depends.New()
	security.Use(deps, security.JWT[Claims]{
		Keys: []security.Key{security.HS256(key)}, Issuer: "https://id.example.com", Audience: "orders",
		Sources: []depends.Source{security.QueryToken("token")},
	})
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/items/:item", order)
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.Use(middleware...)
	return ws, engine, ws.Mount(engine)
}

// token is good for five minutes: a token in a URL should not live long.
func token(key []byte) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, Claims{jwt.RegisteredClaims{
		Issuer: "https://id.example.com", Audience: jwt.ClaimStrings{"orders"}, Subject: "ada",
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(5 * time.Minute)),
	}}).SignedString(key)
}

func run(ctx context.Context) error {
	key := []byte(rand.Text() + rand.Text())
	ws, engine, err := newApp(key, nil, gin.Logger())
	if err != nil {
		return err
	}
	signed, err := token(key)
	if err != nil {
		return err
	}
	fmt.Println("ws://127.0.0.1:8080/items/tea?count=2&token=" + signed)
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
