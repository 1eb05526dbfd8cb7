// Command handshake sends each client what its handshake carried: a path, a query, a header and
// a cookie, as any HTTP request has them.
//
//	go run ./examples/handshake
//
// It prints where to connect to. docs/start.md says how to see the bytes.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

type tellInput struct {
	Room  string `path:"room"`
	Since int    `query:"since" default:"0"`
	Agent string `header:"User-Agent" default:"somebody"`
	Theme string `cookie:"theme" default:"light"`
}

// tell sends the values back, and closes.
func tell(ctx context.Context, conn *wsroute.Conn[string, string], in tellInput) error {
	return conn.Send(ctx, fmt.Sprintf("%s in %s, since %d, theme %s", in.Agent, in.Room, in.Since, in.Theme))
}

func newRouter() *wsroute.Router {
	ws := wsroute.New(depends.New(), nil)
	wsroute.Handle(ws, "/rooms/:room", tell, wsroute.Public)
	return ws
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	gin.SetMode(gin.ReleaseMode)
	ws, engine := newRouter(), gin.New()
	err := ws.Mount(engine)
	if err == nil {
		fmt.Println("ws://127.0.0.1:8080/rooms/lobby?since=7")
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
