// Command cleanup borrows a database connection for the handshake alone: a hundred thousand open
// sockets must not hold a hundred thousand of them. A seat is borrowed for as long as the socket
// is open, and given back when it closes, however it ends.
//
//	go run ./examples/cleanup
//
// Connect to ws://127.0.0.1:8080/seat?name=ada.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// Pool has a fixed number of database connections.
type Pool struct{ free chan *DB }

// NewPool returns a pool of n.
func NewPool(n int) *Pool {
	pool := &Pool{make(chan *DB, n)}
	for range n {
		pool.free <- &DB{ages: map[string]int{"ada": 36, "bob": 7}}
	}
	return pool
}

// DB is a connection to the database.
type DB struct{ ages map[string]int }

// borrow takes a connection from the pool, and gives it back when the handshake is over: before
// the handler runs, or with the refusal.
func borrow(ctx context.Context, in struct{ Pool *Pool }) (*DB, error) {
	select {
	case db := <-in.Pool.free:
		depends.Cleanup(ctx, func(context.Context, error) error {
			in.Pool.free <- db
			return nil
		})
		return db, nil
	case <-ctx.Done():
		return nil, depends.Unavailable(time.Second, context.Cause(ctx))
	}
}

// Adult is somebody of age.
type Adult struct{ Name string }

func adult(_ context.Context, in struct {
	DB   *DB    `depends:"handshake-only"` // it is released before the Adult
	Name string `query:"name"`
},
) (Adult, error) {
	if in.DB.ages[in.Name] < 18 {
		return Adult{}, depends.Forbidden("too_young", nil)
	}
	return Adult{in.Name}, nil
}

// Seats counts the taken seats.
type Seats struct{ taken atomic.Int32 }

// Seat is one of them.
type Seat struct{ Number int32 }

// sit takes a seat for as long as the connection is open.
func sit(ctx context.Context, in struct {
	Seats *Seats
	_     Adult // a child gets none
},
) (Seat, error) {
	depends.Cleanup(ctx, func(context.Context, error) error {
		in.Seats.taken.Add(-1)
		return nil
	})
	return Seat{in.Seats.taken.Add(1)}, nil
}

// seat tells the number, and stays until the peer goes.
func seat(ctx context.Context, conn *wsroute.Conn[string, int32], in struct{ Seat Seat }) error {
	if err := conn.Send(ctx, in.Seat.Number); err != nil {
		return err
	}
	_, err := conn.Receive(ctx)
	return err
}

func newRouter(pool *Pool, seats *Seats, config *wsroute.Config) *wsroute.Router {
	deps := depends.New()
	depends.Supply(deps, pool)
	depends.Supply(deps, seats)
	depends.Provide(deps, borrow, depends.Handshake)
	depends.Provide(deps, adult)
	depends.Provide(deps, sit, depends.Connection)
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/seat", seat)
	return ws
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	gin.SetMode(gin.ReleaseMode)
	ws, engine := newRouter(NewPool(2), &Seats{}, nil), gin.New()
	err := ws.Mount(engine)
	if err == nil {
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
