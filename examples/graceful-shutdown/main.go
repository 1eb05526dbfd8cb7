// Command graceful-shutdown stops in order: on SIGTERM it is no longer ready, lets each handler
// finish, closes every connection with 1012 (Service Restart), so that clients come back to
// another process, and exits with 0.
//
//	go run ./examples/graceful-shutdown
//
// Connect to ws://127.0.0.1:8080/ticks, look at http://127.0.0.1:8080/readyz, and press
// Ctrl-C.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// Ledger must not be left half written.
type Ledger struct{ Closed chan string }

// Account is a connection's part of the ledger.
type Account struct{ Ticks *int }

// openAccount is released after the handler has returned, whatever the end; its cause is a
// restart, or a peer that went.
func openAccount(ctx context.Context, in struct{ Ledger *Ledger }) (Account, error) {
	account := Account{new(int)}
	depends.Cleanup(ctx, func(_ context.Context, cause error) error {
		why := "gone"
		if errors.Is(cause, wsroute.ErrDraining) {
			why = "draining"
		}
		in.Ledger.Closed <- fmt.Sprintf("%d ticks, %s", *account.Ticks, why)
		return nil
	})
	return account, nil
}

// ticks counts seconds until the connection ends.
func ticks(ctx context.Context, conn *wsroute.Conn[string, int], in struct{ Account Account }) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		if err := conn.Send(ctx, *in.Account.Ticks); err != nil {
			return err
		}
		select {
		case <-ticker.C:
			*in.Account.Ticks++
		case <-ctx.Done(): // the peer went, or the program ends
			return context.Cause(ctx)
		}
	}
}

func newApp(ledger *Ledger) (*wsroute.Router, *gin.Engine, error) {
	deps := depends.New()
	depends.Supply(deps, ledger)
	depends.Provide(deps, openAccount, depends.Connection)
	ws := wsroute.New(deps, &wsroute.Config{DrainTimeout: 10 * time.Second, DrainWindow: 2 * time.Second})
	wsroute.Handle(ws, "/ticks", ticks, wsroute.Public)

	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/readyz", func(c *gin.Context) { // for the load balancer
		if !ws.Ready() {
			c.Status(http.StatusServiceUnavailable)
			return
		}
		c.Status(http.StatusOK)
	})
	return ws, engine, ws.Mount(engine)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ledger := &Ledger{make(chan string, 1)}
	ws, engine, err := newApp(ledger)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		for line := range ledger.Closed {
			fmt.Println(line)
		}
	}()
	if err := wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
