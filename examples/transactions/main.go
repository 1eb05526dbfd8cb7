// Command transactions moves money in a database. A plain request has a transaction of its own, and
// so has each message of a socket; the answer says whether it was committed.
//
//	go run ./examples/transactions
//
// It prints a key. With it in the header X-Key, POST to=bob&cents=7 to
// http://127.0.0.1:8080/transfers, or send {"to":"bob","cents":7} at ws://127.0.0.1:8080/orders.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// User is the owner of a key.
type User struct{ Name string }

// Order says how much to give to whom.
type Order struct {
	To    string `json:"to"    validate:"required"`
	Cents int64  `json:"cents" validate:"gt=0"`
}

// Answer is sent for each order.
type Answer struct {
	Done  bool   `json:"done"`
	Error string `json:"error,omitempty"`
}

var errRefused = errors.New("there is no such account, or not enough in it")

const update = "UPDATE accounts SET cents = cents + $1 WHERE name = $2 AND cents + $1 >= 0"

// move does the work of one transaction.
func move(ctx context.Context, tx *sql.Tx, from string, order Order) error {
	for _, change := range []struct {
		name  string
		cents int64
	}{{from, -order.Cents}, {order.To, order.Cents}} {
		result, err := tx.ExecContext(ctx, update, change.cents, change.name)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, errRefused)
		}
	}
	return nil
}

// begin begins the transaction of a plain request. What is not committed when the handler has
// returned is rolled back.
func begin(ctx context.Context, in struct{ DB *sql.DB }) (*sql.Tx, error) {
	tx, err := in.DB.BeginTx(ctx, nil)
	if err != nil {
		return nil, depends.Unavailable(time.Second, err)
	}
	depends.Cleanup(ctx, func(context.Context, error) error {
		if err := tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
			return err
		}
		return nil // it is committed
	})
	return tx, nil
}

// transfer commits, and then answers. If the commit fails, its error is the answer.
func transfer(w http.ResponseWriter, r *http.Request, in struct {
	User User
	Tx   *sql.Tx
},
) error {
	if err := move(r.Context(), in.Tx, in.User.Name, posted(r)); err != nil {
		return err
	}
	if err := in.Tx.Commit(); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Late is a transaction that a cleanup commits.
type Late struct{ *sql.Tx }

// beginLate begins a transaction that is committed if nothing went wrong. database/sql rolls back
// when the context ends, which is before the cleanup, so the context here does not end.
func beginLate(ctx context.Context, in struct{ DB *sql.DB }) (Late, error) {
	tx, err := in.DB.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return Late{}, depends.Unavailable(time.Second, err)
	}
	depends.Cleanup(ctx, func(_ context.Context, cause error) error {
		if cause != nil {
			return tx.Rollback()
		}
		return tx.Commit()
	})
	return Late{tx}, nil
}

// transferLate answers before anybody knows whether the commit works.
func transferLate(w http.ResponseWriter, r *http.Request, in struct {
	User User
	Tx   Late
},
) error {
	if err := move(r.Context(), in.Tx.Tx, in.User.Name, posted(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func posted(r *http.Request) Order {
	cents, _ := strconv.ParseInt(r.FormValue("cents"), 10, 64)
	return Order{r.FormValue("to"), max(cents, 0)}
}

// inTx does the work of one message in a transaction of its own. The work is committed if it
// returns nil.
func inTx(ctx context.Context, db *sql.DB, work func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if err := work(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// orders answers each order when its transaction is over.
func orders(ctx context.Context, conn *wsroute.Conn[Order, Answer], in struct {
	User User
	DB   *sql.DB
	Log  *slog.Logger
},
) error {
	for {
		order, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		answer := Answer{Done: true}
		err = inTx(ctx, in.DB, func(tx *sql.Tx) error { return move(ctx, tx, in.User.Name, order) })
		if errors.Is(err, errRefused) {
			answer = Answer{Error: "refused"}
		} else if err != nil {
			in.Log.Error("order failed", "error", err)
			answer = Answer{Error: "internal_error"}
		}
		if err := conn.Send(ctx, answer); err != nil {
			return err
		}
	}
}

func newRouter(db *sql.DB, key string, logger *slog.Logger) *wsroute.Router {
	deps := depends.New()
	depends.Supply(deps, db)
	depends.Supply(deps, logger)
	depends.Provide(deps, begin, depends.Handshake)
	depends.Provide(deps, beginLate, depends.Handshake)
	security.Use(deps, security.APIKey[User]{
		Sources: []depends.Source{security.Header("X-Key")},
		Find: func(_ context.Context, hash [sha256.Size]byte) (User, error) {
			if hash == sha256.Sum256([]byte(key)) {
				return User{"ada"}, nil
			}
			return User{}, depends.ErrAbsent
		},
	})
	ws := wsroute.New(deps, &wsroute.Config{
		Logger: logger,
		MapError: func(err error) *depends.Rejection {
			if errors.Is(err, errRefused) {
				return &depends.Rejection{Status: http.StatusConflict, Reason: "refused", Err: err}
			}
			return nil
		},
	})
	wsroute.HandleHTTP(ws, http.MethodPost, "/transfers", transfer)
	wsroute.HandleHTTP(ws, http.MethodPost, "/transfers/late", transferLate)
	wsroute.Handle(ws, "/orders", orders)
	return ws
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	gin.SetMode(gin.ReleaseMode)
	key := rand.Text()
	ws, engine := newRouter(sql.OpenDB(newMemory()), key, slog.Default()), gin.New()
	err := ws.Mount(engine)
	if err == nil {
		fmt.Println(key)
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
