// Command transactions moves money in a database. Each message of a socket has a transaction of its
// own, which is committed before the message is answered.
//
//	go -C examples/transactions run .
//
// It prints a key. With it in the header X-Key connect to ws://127.0.0.1:8080/accounts, and send
// {"type":"transfer","ref":1,"id":"a-1","to":"bob","cents":7}, or POST id=a-2&to=bob&cents=7 to
// http://127.0.0.1:8080/transfers. The database is SQLite, in a file that is gone at the end.
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
	"path/filepath"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	_ "modernc.org/sqlite" // without cgo

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// User is the owner of a key, and of the account with that name.
type User struct{ Name string }

// Tx is the transaction of one message.
type Tx struct{ *sql.Tx }

// begin begins it. It is committed if the message was handled without an error, and the connection
// is still there. When ctx ends, database/sql rolls back by itself.
func begin(ctx context.Context, in struct{ DB *sql.DB }) (Tx, error) {
	tx, err := in.DB.BeginTx(ctx, nil)
	if err != nil {
		return Tx{}, depends.Unavailable(time.Second, err)
	}
	depends.Cleanup(ctx, func(_ context.Context, cause error) error {
		if cause == nil {
			return tx.Commit()
		}
		return rollback(tx)
	})
	return Tx{tx}, nil
}

// rollback takes back what is not committed.
func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}

// Transfer says how much to give to whom. ID is the client's own: what is sent twice is done once.
type Transfer struct {
	ID    string `json:"id"    validate:"required,max=40"`
	To    string `json:"to"    validate:"required,max=40"`
	Cents int64  `json:"cents" validate:"gt=0"`
}

// Event is what the server sends.
type Event interface{ event() }

// The events.
type (
	Balance struct {
		Cents int64 `json:"cents"`
	}
	Closed struct{}
)

func (Balance) event() {}
func (Closed) event()  {}

// Screening is a service that may refuse a transfer. It takes its time.
type Screening func(ctx context.Context, m Transfer) error

func screen(_ context.Context, m Transfer) error {
	if m.Cents > 50_00 {
		return depends.Forbidden("suspicious", nil)
	}
	return nil
}

// move does the work of one transaction. Whatever it returns, all of it is done or nothing.
func move(ctx context.Context, tx *sql.Tx, from string, m Transfer, screening Screening) error {
	const insert = "INSERT INTO transfers (id, payer, payee, cents) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
	if n, err := changed(tx.ExecContext(ctx, insert, m.ID, from, m.To, m.Cents)); err != nil || n == 0 {
		return err // without one, it was done before
	}
	const debit = "UPDATE accounts SET cents = cents - ?1 WHERE name = ?2 AND cents >= ?1"
	switch n, err := changed(tx.ExecContext(ctx, debit, m.Cents, from)); {
	case err != nil:
		return err
	case n == 0:
		return &depends.Rejection{Status: http.StatusConflict, Reason: "not_enough"}
	}
	if err := screening(ctx, m); err != nil {
		return err
	}
	const credit = "UPDATE accounts SET cents = cents + ? WHERE name = ?"
	switch n, err := changed(tx.ExecContext(ctx, credit, m.Cents, m.To)); {
	case err != nil:
		return err
	case n == 0:
		return depends.NotFound("no_such_account", nil)
	}
	return nil
}

func changed(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

type input struct {
	User      User
	Tx        Tx
	Screening Screening
}

// transfer is answered when its transaction is committed.
func transfer(ctx context.Context, m Transfer, in input) (balance Balance, err error) {
	if err := move(ctx, in.Tx.Tx, in.User.Name, m, in.Screening); err != nil {
		return balance, err
	}
	row := in.Tx.QueryRowContext(ctx, "SELECT cents FROM accounts WHERE name = ?", in.User.Name)
	return balance, row.Scan(&balance.Cents)
}

// closeAccount deletes the account. One with transfers cannot be deleted, which the database says
// at the commit.
func closeAccount(ctx context.Context, _ struct{}, in input) (Closed, error) {
	_, err := in.Tx.ExecContext(ctx, "DELETE FROM accounts WHERE name = ?", in.User.Name)
	return Closed{}, err
}

// beginRequest begins the transaction of a plain request. What is not committed when the handler
// has returned is rolled back.
func beginRequest(ctx context.Context, in struct{ DB *sql.DB }) (*sql.Tx, error) {
	tx, err := in.DB.BeginTx(ctx, nil)
	if err != nil {
		return nil, depends.Unavailable(time.Second, err)
	}
	depends.Cleanup(ctx, func(context.Context, error) error { return rollback(tx) })
	return tx, nil
}

// post commits, and then answers. If the commit fails, its error is the answer.
func post(w http.ResponseWriter, r *http.Request, in struct {
	User      User
	Tx        *sql.Tx
	Screening Screening
},
) error {
	cents, _ := strconv.ParseInt(r.FormValue("cents"), 10, 64)
	m := Transfer{r.FormValue("id"), r.FormValue("to"), max(cents, 0)}
	if err := move(r.Context(), in.Tx, in.User.Name, m, in.Screening); err != nil {
		return err
	}
	if err := in.Tx.Commit(); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func newRouter(db *sql.DB, key string, config *wsroute.Config) *wsroute.Router {
	deps := depends.New()
	depends.Supply(deps, db)
	depends.Supply[Screening](deps, screen)
	depends.Provide(deps, begin, depends.Message)
	depends.Provide(deps, beginRequest, depends.Handshake)
	security.Use(deps, security.APIKey[User]{
		Sources: []depends.Source{security.Header("X-Key")},
		Find: func(_ context.Context, hash [sha256.Size]byte) (User, error) {
			if hash == sha256.Sum256([]byte(key)) {
				return User{"ada"}, nil
			}
			return User{}, depends.ErrAbsent
		},
	})
	ws := wsroute.New(deps, config)
	accounts := wsroute.HandleMessages(ws, "/accounts",
		wsroute.Union[Event]{"balance": Balance{}, "closed": Closed{}}, wsroute.Require[User]())
	wsroute.Answer(accounts, "transfer", transfer, wsroute.Within(5*time.Second))
	wsroute.Answer(accounts, "close", closeAccount)
	wsroute.HandleHTTP(ws, http.MethodPost, "/transfers", post)
	return ws
}

// schema has a rule that is checked at the commit: both sides of a transfer have an account.
const schema = `
CREATE TABLE accounts (name TEXT PRIMARY KEY, cents INTEGER NOT NULL CHECK (cents >= 0));
CREATE TABLE transfers (
	id TEXT PRIMARY KEY,
	payer TEXT NOT NULL REFERENCES accounts DEFERRABLE INITIALLY DEFERRED,
	payee TEXT NOT NULL REFERENCES accounts DEFERRABLE INITIALLY DEFERRED,
	cents INTEGER NOT NULL
);
INSERT INTO accounts VALUES ('ada', 10000), ('bob', 0);`

// open opens a new database, in a file of a directory.
func open(ctx context.Context, dir string) (*sql.DB, error) {
	name := filepath.ToSlash(filepath.Join(dir, "accounts.db"))
	db, err := sql.Open("sqlite", "file:"+name+"?_pragma=foreign_keys(1)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer
	_, err = db.ExecContext(ctx, schema)
	return db, err
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := os.MkdirTemp("", "accounts")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := open(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	gin.SetMode(gin.ReleaseMode)
	key := rand.Text()
	ws, engine := newRouter(db, key, &wsroute.Config{Logger: slog.Default()}), gin.New()
	if err := ws.Mount(engine); err != nil {
		return err
	}
	fmt.Println(key)
	return wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
