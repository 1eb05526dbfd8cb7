// Command lifecycle has values that live as long as they are needed. A database connection is
// borrowed for the handshake alone: a hundred thousand open sockets must not hold a hundred
// thousand of them. A seat is taken as long as the socket is open, and given back however it ends.
// On SIGTERM the program is no longer ready, lets each handler finish, closes every connection with
// 1012 (Service Restart), so that clients come back to another process, and exits with 0.
//
//	go run ./examples/lifecycle
//
// Connect to ws://127.0.0.1:8080/seat?name=ada, look at http://127.0.0.1:8080/readyz, and press
// Ctrl-C.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
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

// Seats counts the taken seats, and says why each was left.
type Seats struct {
	taken atomic.Int32
	left  func(why string)
}

// Seat is one of them. Its handler counts the seconds.
type Seat struct {
	Number  int32
	seconds int
}

// sit takes a seat. The cleanup runs after the handler has returned, whatever the end; its cause is
// a restart, or a peer that went.
func sit(ctx context.Context, in struct {
	Seats *Seats
	_     Adult // a child gets none
},
) (*Seat, error) {
	seat := &Seat{Number: in.Seats.taken.Add(1)}
	depends.Cleanup(ctx, func(_ context.Context, cause error) error {
		in.Seats.taken.Add(-1)
		why := "gone"
		if errors.Is(cause, wsroute.ErrDraining) {
			why = "draining"
		}
		in.Seats.left(fmt.Sprintf("seat %d, %d s, %s", seat.Number, seat.seconds, why))
		return nil
	})
	return seat, nil
}

// stay tells the number each second, until the connection ends.
func stay(ctx context.Context, conn *wsroute.Conn[string, int32], in struct{ Seat *Seat }) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		if err := conn.Send(ctx, in.Seat.Number); err != nil {
			return err
		}
		select {
		case <-ticker.C:
			in.Seat.seconds++
		case <-ctx.Done(): // the peer went, or the program ends
			return context.Cause(ctx)
		}
	}
}

func newApp(pool *Pool, seats *Seats) (*wsroute.Router, *gin.Engine, error) {
	deps := depends.New()
	depends.Supply(deps, pool)
	depends.Supply(deps, seats)
	depends.Provide(deps, borrow, depends.Handshake)
	depends.Provide(deps, adult)
	depends.Provide(deps, sit, depends.Connection)
	ws := wsroute.New(deps, &wsroute.Config{DrainTimeout: 10 * time.Second, DrainWindow: 2 * time.Second})
	wsroute.Handle(ws, "/seat", stay, wsroute.Public)

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
	ws, engine, err := newApp(NewPool(2), &Seats{left: func(why string) { fmt.Println(why) }})
	if err != nil {
		log.Fatal(err)
	}
	if err := wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine); err != nil {
		log.Fatal(err)
	}
}
