// Command ticket signs a page in over HTTP and lets it connect with a ticket: a secret
// for one handshake within thirty seconds. The long-lived credential never stands in a
// URL, and a page can read why it gets no ticket; it cannot read the refusal of a handshake.
//
//	go run ./examples/ticket
//
// POST path=/board to http://127.0.0.1:8080/ticket as ada with the password that it prints
// (curl -u ada -d path=/board), and connect to ws://127.0.0.1:8080/board?ticket=….
package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net/http"
	"os"
	"os/signal"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// Account is the owner of a ticket.
type Account struct{ Name string }

// board greets the account, and closes.
func board(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Account Account }) error {
	return conn.Send(ctx, "welcome, "+in.Account.Name)
}

// signIn authenticates the request for a ticket. A real program may use its session here.
func signIn(password string) security.Scheme[Account] {
	return security.Basic[Account]{
		Realm: "board",
		Verify: func(_ context.Context, name, given string) (Account, error) {
			if subtle.ConstantTimeCompare([]byte(given), []byte(password)) == 0 {
				return Account{}, depends.ErrAbsent
			}
			return Account{name}, nil
		},
	}
}

func newApp(password string) (*wsroute.Router, *gin.Engine, error) {
	tickets := &security.Tickets[Account]{}
	deps := depends.New()
	security.Use(deps, security.Scheme[Account](tickets))
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/board", board)

	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	scheme := signIn(password)
	engine.POST("/ticket", gin.WrapH(tickets.Handler(func(r *http.Request) (Account, error) {
		return security.Authenticate(r, scheme)
	})))
	return ws, engine, ws.Mount(engine)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	password := rand.Text()
	ws, engine, err := newApp(password)
	if err == nil {
		fmt.Println(password)
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
