// Command from-fastapi is the Go side of docs/from-fastapi.md: what a FastAPI program
// declares with Depends, Query, yield, Security and exception_handler, as usher has it.
//
//	go run ./examples/from-fastapi
//
// It prints a token. Connect to ws://127.0.0.1:8080/boards/news?since=1 with the header
// "Authorization: Bearer <token>", and send {"text":"hi"}.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// me sends the user's name, and closes.
func me(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ User User }) error {
	return conn.Send(ctx, "you are "+in.User.Name)
}

// Note is received, and Noted sent.
type (
	Note struct {
		Text string `json:"text" validate:"required,max=200"`
	}
	Noted struct {
		From string `json:"from"`
		Text string `json:"text"`
	}
)

type boardInput struct {
	User    User
	Session *Session
	Board   string  `path:"board" validate:"alpha,max=20"`
	Since   int     `query:"since" default:"0" validate:"gte=0"`
	Lang    string  `header:"Accept-Language" default:"en"`
	Theme   *string `cookie:"theme"`
}

func board(ctx context.Context, conn *wsroute.Conn[Note, Noted], in boardInput) error {
	notes, err := in.Session.notes(in.Board, in.Since)
	if err != nil {
		return err
	}
	for _, text := range notes {
		if err := conn.Send(ctx, Noted{"board", text}); err != nil {
			return err
		}
	}
	return talk(ctx, conn, in.User.Name)
}

func talk(ctx context.Context, conn *wsroute.Conn[Note, Noted], name string) error {
	for {
		note, err := conn.Receive(ctx)
		if err != nil {
			return err // the peer's close, too
		}
		if err := conn.Send(ctx, Noted{name, note.Text}); err != nil {
			return err
		}
	}
}

type pinInput struct {
	User  User   `scopes:"boards:write"`
	Board string `path:"board" validate:"alpha,max=20"`
}

// pin is for everybody with a token that may write.
func pin(ctx context.Context, conn *wsroute.Conn[string, string], in pinInput) error {
	return conn.Send(ctx, in.Board+" pinned by "+in.User.Name)
}

// shut is for staff with a token that may write.
func shut(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Staff Staff }) error {
	return conn.Send(ctx, "shut by "+in.Staff.Name)
}

func mapError(err error) *depends.Rejection {
	if errors.Is(err, ErrNoBoard) {
		return depends.NotFound("no_such_board", err)
	}
	return nil
}

func newRouter(key []byte) *wsroute.Router {
	deps := depends.New()
	useTokens(deps, key)
	depends.Supply(deps, Users{"1": {Name: "ada", Staff: true}, "2": {Name: "bob"}})
	depends.Provide(deps, openPool, depends.App)
	depends.Provide(deps, session)
	depends.Provide(deps, currentUser)
	depends.Provide(deps, staff)

	ws := wsroute.New(deps, &wsroute.Config{MapError: mapError})
	wsroute.Handle(ws, "/me", me)
	wsroute.Handle(ws, "/boards/:board", board)
	wsroute.Handle(ws, "/boards/:board/pin", pin)
	admin := ws.Group("/admin", wsroute.Require[Staff]())
	wsroute.Handle(admin, "/shut", shut, wsroute.Scopes("boards:write"))
	return ws
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	gin.SetMode(gin.ReleaseMode)
	key := []byte(rand.Text() + rand.Text())
	ws, engine := newRouter(key), gin.New()
	if err := ws.Mount(engine); err != nil {
		log.Fatal(err)
	}
	signed, err := token(key, "1", "boards:write")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(signed)
	if err := wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine); err != nil {
		log.Fatal(err)
	}
}
