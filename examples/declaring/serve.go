package main

import (
	"context"
	"crypto/sha256"
	"log"
	"os"
	"os/signal"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// owner knows one key.
func owner(_ context.Context, hash [sha256.Size]byte) (User, error) {
	if key := os.Getenv("KEEPER_KEY"); key != "" && hash == sha256.Sum256([]byte(key)) {
		return User{"ada"}, nil
	}
	return User{}, depends.ErrAbsent
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	gin.SetMode(gin.ReleaseMode)
	logger := log.New(os.Stdout, "", 0)
	ws, engine := newRouter(logger, nil), gin.New()
	err := ws.Mount(engine)
	if err == nil {
		err = ws.Explain(os.Stdout)
	}
	if err == nil {
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		logger.Fatal(err)
	}
}
