// Command testing is a small program whose tests are the example: a handler without a
// network, a route with overrides, refusals, and an hour on a fake clock.
//
//	go test -v ./examples/testing
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// User is the owner of a key.
type User struct{ Name string }

// Prices is a service that tests override.
type Prices interface {
	Price(ctx context.Context, item string) (cents int, err error)
}

// ErrUnknown is an item that has no price.
var ErrUnknown = errors.New("unknown item")

type list map[string]int

func (l list) Price(_ context.Context, item string) (int, error) {
	if cents, ok := l[item]; ok {
		return cents, nil
	}
	return 0, ErrUnknown
}

// Trial ends a connection after an hour.
type Trial struct{}

func trial(ctx context.Context, _ struct{}) (Trial, error) {
	depends.ValidUntil(ctx, time.Now().Add(time.Hour))
	return Trial{}, nil
}

type input struct {
	User   User
	Prices Prices
	_      Trial
}

// quote answers each item with its price.
func quote(ctx context.Context, conn *wsroute.Conn[string, string], in input) error {
	for {
		item, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		cents, err := in.Prices.Price(ctx, item)
		if err != nil {
			return &depends.Rejection{Status: 404, CloseCode: 4404, Reason: "unknown_item", Err: err}
		}
		if err := conn.Send(ctx, fmt.Sprintf("%s, %d cents for %s", in.User.Name, cents, item)); err != nil {
			return err
		}
	}
}

func newRouter() *wsroute.Router {
	deps := depends.New()
	depends.Supply[Prices](deps, list{"tea": 250})
	depends.Provide(deps, trial)
	security.Use(deps, security.APIKey[User]{
		Sources: []depends.Source{security.Header("X-API-Key")},
		Find: func(_ context.Context, hash [sha256.Size]byte) (User, error) {
			if hash == sha256.Sum256([]byte(os.Getenv("ADA_KEY"))) {
				return User{"ada"}, nil
			}
			return User{}, depends.ErrAbsent
		},
	})
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/quote", quote)
	return ws
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	gin.SetMode(gin.ReleaseMode)
	ws, engine := newRouter(), gin.New()
	err := ws.Mount(engine)
	if err == nil {
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
