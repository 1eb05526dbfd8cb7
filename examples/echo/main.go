// Command echo returns every message untouched, text as text and binary as binary.
// It is a server for suites that test WebSocket servers:
//
//	go run ./examples/echo -addr 127.0.0.1:9001
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9001", "the address to listen on")
	largest := flag.Int64("max-message", 16<<20, "the largest message, in bytes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	ws, engine, err := newEcho(*largest, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err == nil {
		err = wsroute.Serve(ctx, *addr, ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func newEcho(largest int64, logger *slog.Logger) (*wsroute.Router, *gin.Engine, error) {
	if largest < 1 {
		return nil, nil, fmt.Errorf("-max-message is %d: a message has at least one byte", largest)
	}
	ws := wsroute.New(depends.New(), &wsroute.Config{Logger: logger, Limits: wsroute.Limits{ReadLimit: largest}})
	wsroute.Handle(ws, "/", echo, wsroute.Public)
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	return ws, engine, ws.Mount(engine)
}

func echo(ctx context.Context, conn *wsroute.Conn[wsroute.Message, wsroute.Message], _ struct{}) error {
	for {
		message, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		if err := conn.Send(ctx, message); err != nil {
			return err
		}
	}
}
