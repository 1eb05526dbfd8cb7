// Command refusing refuses in each way: with a status and a reason of its own, with an error
// that the configuration maps, and with an unexpected one.
// The same seats are behind three routes, for three kinds of client.
//
//	go run ./examples/refusing
//
// Ask for rows a, b, c and d of ws://127.0.0.1:8080/seats/a, /asked/a and /page/a.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// ErrNoRow is an error of the program, which knows nothing of WebSockets.
var ErrNoRow = errors.New("no such row")

// Seat is the seat of a connection.
type Seat struct{ Row string }

func takeSeat(_ context.Context, in struct {
	Row string `path:"row" validate:"len=1"`
},
) (Seat, error) {
	switch in.Row {
	case "a":
		return Seat{in.Row}, nil
	case "b":
		return Seat{}, &depends.Rejection{
			Status: http.StatusConflict, CloseCode: 4009, Reason: "sold_out", Detail: "Row b is sold out.",
			RetryAfter: time.Minute, Err: errors.New("40 of 40 are taken, the last by ada"),
		}
	case "c":
		return Seat{}, errors.New("dial tcp 10.0.0.7:5432: connection refused")
	}
	return Seat{}, ErrNoRow
}

// sit tells the row, and stays until the peer goes.
func sit(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Seat Seat }) error {
	if err := conn.Send(ctx, "a seat in row "+in.Seat.Row); err != nil {
		return err
	}
	_, err := conn.Receive(ctx)
	return err
}

// refusal maps the program's errors to what the peer gets.
func refusal(err error) *depends.Rejection {
	if errors.Is(err, ErrNoRow) {
		return depends.NotFound("no_such_row", err)
	}
	return nil // unchanged: a Rejection refuses with its own status, any other error with 500
}

func newRouter(config wsroute.Config) *wsroute.Router {
	config.MapError = refusal
	deps := depends.New()
	depends.Provide(deps, takeSeat)
	ws := wsroute.New(deps, &config)
	wsroute.Handle(ws, "/seats/:row", sit, wsroute.Public)
	wsroute.Handle(ws, "/asked/:row", sit, wsroute.Diagnose, wsroute.Public)
	wsroute.Handle(ws, "/page/:row", sit, wsroute.AcceptThenClose, wsroute.Public)
	return ws
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	gin.SetMode(gin.ReleaseMode)
	ws, engine := newRouter(wsroute.Config{}), gin.New()
	err := ws.Mount(engine)
	if err == nil {
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
