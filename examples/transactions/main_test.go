package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

var rewrite = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s has\n%s\nand not\n%s", name, want, got)
	}
}

// page collects what several goroutines log.
type page struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// config logs lines without times and addresses.
func (p *page) config() *wsroute.Config {
	return &wsroute.Config{Logger: slog.New(slog.NewTextHandler(p, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "remote" {
				return slog.Attr{}
			}
			return a
		},
	}))}
}

// accounts opens a database for a test.
func accounts(t *testing.T) *sql.DB {
	t.Helper()
	db, err := open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := db.Stats().InUse; n != 0 {
			t.Errorf("%d transactions are open at the end", n)
		}
		_ = db.Close()
	})
	return db
}

// consistent checks that no transfer is half done, and returns what bob has.
func consistent(t *testing.T, db *sql.DB) (bob int64) {
	t.Helper()
	var ada, given int64
	const query = "SELECT (SELECT cents FROM accounts WHERE name = 'ada'), " +
		"(SELECT cents FROM accounts WHERE name = 'bob'), (SELECT coalesce(sum(cents), 0) FROM transfers)"
	if err := db.QueryRowContext(t.Context(), query).Scan(&ada, &bob, &given); err != nil {
		t.Fatal(err)
	}
	if ada+bob != 10000 || bob != given {
		t.Errorf("ada has %d, bob %d, and the transfers are %d", ada, bob, given)
	}
	return bob
}

func dial(t *testing.T, srv *wstest.Server) *wstest.Peer[string, string] {
	t.Helper()
	return wstest.Dial[string, string](t, srv, "/accounts", wstest.Header("X-Key", "k"))
}

func lines(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// TestAnswersTellOfTheCommit: an error half-way and a commit that fails are answers, and the
// connection lives on.
func TestAnswersTellOfTheCommit(t *testing.T) {
	var p page
	db := accounts(t)
	srv := wstest.Start(t, newRouter(db, "k", p.config()))
	c := dial(t, srv)
	wstest.Converse(t, c, lines(t, "testdata/orders.txt")...)
	if bob := consistent(t, db); bob != 10 {
		t.Errorf("bob has %d", bob)
	}
	c.Close(1000, "")
	var failed strings.Builder
	for line := range strings.Lines(p.String()) {
		if strings.Contains(line, "ERROR") {
			failed.WriteString(line)
		}
	}
	golden(t, "testdata/log.txt", failed.String())
}

// TestEachEnd: only nil commits. Each begins a transfer, and ends in its middle.
func TestEachEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		screening Screening
		reason    string
	}{
		"error": {func(context.Context, Transfer) error { return errors.New("the service is down") }, "internal"},
		"panic": {func(context.Context, Transfer) error { panic("no service") }, "internal"},
		"Within": {func(ctx context.Context, _ Transfer) error {
			<-ctx.Done()
			return ctx.Err()
		}, "timeout"},
		"Within, ignored": {func(ctx context.Context, _ Transfer) error {
			<-ctx.Done()
			return nil
		}, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var p page
				db := accounts(t)
				srv := wstest.Start(t, newRouter(db, "k", p.config()), depends.OverrideValue(tt.screening))
				got := wstest.AskFailure(t, dial(t, srv), "transfer", Transfer{"a-1", "bob", 7})
				if bob := consistent(t, db); got.Reason != tt.reason || bob != 0 {
					t.Errorf("answered %q, and bob has %d", got.Reason, bob)
				}
			})
		})
	}
}

// post returns the status and the reason.
func posted(t *testing.T, srv *wstest.Server, path, form string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+srv.Host+path, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("X-Key", "k")
	response, err := srv.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(body), `"reason":"`)
	reason, _, _ := strings.Cut(after, `"`)
	return strings.TrimSpace(fmt.Sprintf("%d %s", response.StatusCode, reason))
}

// TestAPlainRequest: the handler commits before it answers. A cleanup would commit behind the
// answer, and its error would not be told.
func TestAPlainRequest(t *testing.T) {
	var p page
	db := accounts(t)
	ws := newRouter(db, "k", p.config())
	type closing struct {
		_  User
		Tx *sql.Tx
	}
	const del = "DELETE FROM accounts WHERE name = 'ada'"
	wsroute.HandleHTTP(ws, http.MethodPost, "/close", func(w http.ResponseWriter, r *http.Request, in closing) error {
		if _, err := in.Tx.ExecContext(r.Context(), del); err != nil {
			return err
		}
		return in.Tx.Commit()
	})
	wsroute.HandleHTTP(ws, http.MethodPost, "/close/late", func(w http.ResponseWriter, r *http.Request, in struct {
		_  User
		Tx Tx
	},
	) error {
		_, err := in.Tx.ExecContext(r.Context(), del)
		return err
	})
	srv := wstest.Start(t, ws)
	var b strings.Builder
	for _, one := range []struct{ path, form string }{
		{"/transfers", "id=a-1&to=bob&cents=7"},
		{"/transfers", "id=a-2&to=bob&cents=20000"},
		{"/transfers", "id=a-3&to=eve&cents=7"},
		{"/close", ""},
		{"/close/late", ""},
	} {
		answer := posted(t, srv, one.path, one.form)
		fmt.Fprintf(&b, "POST %-12s %-26s %-20s bob has %d\n", one.path, one.form, answer, consistent(t, db))
	}
	golden(t, "testdata/requests.txt", b.String())
	srv.Stop()
	if !strings.Contains(p.String(), `msg="cleanup failed" route="POST /close/late"`) {
		t.Errorf("the log does not say that the late commit failed:\n%s", p.String())
	}
}

// TestALoopCannotKeepATransaction: a Handshake value is gone when it begins, a Message value is of
// one message.
func TestALoopCannotKeepATransaction(t *testing.T) {
	ws := newRouter(accounts(t), "k", nil)
	wsroute.Handle(ws, "/a", func(context.Context, *wsroute.Conn[string, string], struct{ Tx *sql.Tx }) error { return nil })
	wsroute.Handle(ws, "/b", func(context.Context, *wsroute.Conn[string, string], struct{ Tx Tx }) error { return nil })
	if _, err := ws.Handler(); err == nil || strings.Count(err.Error(), "captive") != 2 {
		t.Errorf("got %v, want two reports of a captive transaction", err)
	}
}

// TestATransactionOfAnOpenSocket holds a connection to the database as long as the socket is open,
// and a peer that closes is a cause to roll back.
func TestATransactionOfAnOpenSocket(t *testing.T) {
	db := accounts(t)
	deps := depends.New()
	depends.Supply(deps, db)
	depends.Provide(deps, begin, depends.Connection)
	ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler), ResolveTimeout: 50 * time.Millisecond})
	moved := make(chan error, 1)
	wsroute.Handle(ws, "/ws", func(ctx context.Context, conn *wsroute.Conn[string, bool], in struct{ Tx Tx }) error {
		moved <- move(ctx, in.Tx.Tx, "ada", Transfer{"a-1", "bob", 7}, screen)
		_, err := conn.Receive(ctx)
		return err
	}, wsroute.Public)
	srv := wstest.Start(t, ws)
	c := wstest.Dial[string, bool](t, srv, "/ws")
	if err := <-moved; err != nil {
		t.Error(err)
	}
	if got := wstest.Refused(t, srv, "/ws"); got.Status != 503 {
		t.Errorf("a second socket: %d", got.Status)
	}
	c.Close(1000, "")
	srv.Stop()
	if bob := consistent(t, db); bob != 0 {
		t.Errorf("bob has %d: it was committed", bob)
	}
}

// TestAHandshakesTransaction is committed before the handler runs; if that fails, the connection is
// open all the same.
func TestAHandshakesTransaction(t *testing.T) {
	type done struct{}
	var p page
	db := accounts(t)
	deps := depends.New()
	depends.Supply(deps, db)
	depends.Provide(deps, begin, depends.Handshake)
	depends.Provide(deps, func(ctx context.Context, in struct {
		Tx    Tx     `depends:"handshake-only"`
		Query string `query:"query"` // of this test alone
	},
	) (done, error) {
		_, err := in.Tx.ExecContext(ctx, in.Query)
		return done{}, err
	})
	ws := wsroute.New(deps, p.config())
	wsroute.Handle(ws, "/ws", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{ _ done }) error {
		return conn.Send(ctx, "open")
	}, wsroute.Public)
	srv := wstest.Start(t, ws)
	if r := wstest.Refused(t, srv, "/ws?query=nonsense"); r.Status != 500 {
		t.Errorf("the work fails: %d", r.Status)
	}
	const stranger = "INSERT+INTO+transfers+VALUES+('a-1','nobody','bob',7)"
	c := wstest.Dial[string, string](t, srv, "/ws?query="+stranger)
	if got := c.Receive(); got != "open" || c.Closed().Code != 1000 {
		t.Errorf("got %q", got)
	}
	srv.Stop()
	if bob := consistent(t, db); bob != 0 || !strings.Contains(p.String(), "cleanup failed") {
		t.Errorf("bob has %d, and the log is\n%s", bob, p.String())
	}
}
