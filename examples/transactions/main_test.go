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

	"github.com/google/go-cmp/cmp"
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
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
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

// logger writes lines without times and addresses.
func (p *page) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(p, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "remote" {
			return slog.Attr{}
		}
		return a
	}}))
}

// open opens a database for a test, in whose bubble it closes.
func open(t *testing.T, m *memory) *sql.DB {
	t.Helper()
	db := sql.OpenDB(m)
	t.Cleanup(func() {
		if n := db.Stats().InUse; n != 0 {
			t.Errorf("%d transactions are open at the end", n)
		}
		_ = db.Close()
	})
	return db
}

func (m *memory) has(name string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cents[name]
}

func (m *memory) committing(commit func(apply func()) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commit = commit
}

// post returns the status and the reason.
func post(t *testing.T, srv *wstest.Server, path, form string) string {
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

// TestWhatTheClientIsTold: an answer behind the commit says whether it worked, an answer before
// it does not.
func TestWhatTheClientIsTold(t *testing.T) {
	var p page
	var b strings.Builder
	synctest.Test(t, func(t *testing.T) {
		db := newMemory()
		srv := wstest.Start(t, newRouter(open(t, db), "k", p.logger()))
		c := wstest.Dial[Order, string](t, srv, "/orders", wstest.Header("X-Key", "k"))
		say := func(cents int64) string {
			c.Send(Order{"bob", cents})
			return c.Receive()
		}
		table := func(title string, cents int64) {
			fmt.Fprintf(&b, "%s\n", title)
			form := fmt.Sprintf("to=bob&cents=%d", cents)
			for _, one := range []struct {
				what string
				ask  func() string
			}{
				{"POST /transfers", func() string { return post(t, srv, "/transfers", form) }},
				{"POST /transfers/late", func() string { return post(t, srv, "/transfers/late", form) }},
				{"a message at /orders", func() string { return say(cents) }},
			} {
				answer := one.ask()
				synctest.Wait()
				fmt.Fprintf(&b, "  %-22s %-40s bob has %d\n", one.what, answer, db.has("bob"))
			}
		}
		table("the commit works", 7)
		table("the work is refused", 700)
		db.committing(func(func()) error { return errors.New("the disk is full") })
		table("the commit fails", 7)
		db.committing(func(apply func()) error { apply(); return errors.New("the connection to the database broke") })
		table("the commit works, and the database's answer is lost", 7)
		c.Close(1000, "")
		srv.Stop()
	})
	golden(t, "testdata/told.txt", b.String())
	var cleanups []string
	for line := range strings.Lines(p.text.String()) {
		if strings.Contains(line, "disk") {
			cleanups = append(cleanups, line)
		}
	}
	golden(t, "testdata/log.txt", strings.Join(cleanups, ""))
}

// TestASocketCannotKeepTheTransaction: its lifetime ends before the handler begins.
func TestASocketCannotKeepTheTransaction(t *testing.T) {
	deps := depends.New()
	depends.Supply(deps, open(t, newMemory()))
	depends.Provide(deps, begin, depends.Handshake)
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ Tx *sql.Tx }) error { return nil }, wsroute.Public)
	if _, err := ws.Handler(); err == nil || !strings.Contains(err.Error(), "captive") {
		t.Errorf("got %v, want a report of a captive transaction", err)
	}
}

// TestATransactionOfAnOpenSocket holds a connection to the database as long as the socket is open,
// and a peer that closes is a cause to roll back.
func TestATransactionOfAnOpenSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		db := open(t, m)
		db.SetMaxOpenConns(1)
		deps := depends.New()
		depends.Supply(deps, db)
		depends.Provide(deps, beginLate, depends.Connection)
		ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
		wsroute.Handle(ws, "/ws", func(ctx context.Context, conn *wsroute.Conn[Order, bool], in struct{ Tx Late }) error {
			for {
				order, err := conn.Receive(ctx)
				if err != nil {
					return err
				}
				if err := conn.Send(ctx, move(ctx, in.Tx.Tx, "ada", order) == nil); err != nil {
					return err
				}
			}
		}, wsroute.Public)
		srv := wstest.Start(t, ws)
		c := wstest.Dial[Order, bool](t, srv, "/ws")
		c.Send(Order{"bob", 7})
		if !c.Receive() {
			t.Error("the work failed")
		}
		refused := make(chan int)
		go func() { refused <- wstest.Refused(t, srv, "/ws").Status }()
		if status := <-refused; status != 503 {
			t.Errorf("a second socket: %d", status)
		}
		c.Close(1000, "")
		time.Sleep(time.Second)
		if has := m.has("bob"); has != 0 {
			t.Errorf("bob has %d: it was committed", has)
		}
	})
}

// TestAHandshakesTransaction is committed before the handler runs; if that fails, the connection is
// open all the same.
func TestAHandshakesTransaction(t *testing.T) {
	type paid struct{}
	for _, fails := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var p page
			m := newMemory()
			if fails {
				m.commit = func(func()) error { return errors.New("the disk is full") }
			}
			deps := depends.New()
			depends.Supply(deps, open(t, m))
			depends.Provide(deps, beginLate, depends.Handshake)
			depends.Provide(deps, func(ctx context.Context, in struct {
				Tx    Late  `depends:"handshake-only"`
				Cents int64 `query:"cents"`
			},
			) (paid, error) {
				return paid{}, move(ctx, in.Tx.Tx, "ada", Order{"bob", in.Cents})
			})
			ws := wsroute.New(deps, &wsroute.Config{Logger: p.logger()})
			wsroute.Handle(ws, "/ws", func(ctx context.Context, conn *wsroute.Conn[string, int64], _ struct{ _ paid }) error {
				return conn.Send(ctx, m.has("bob"))
			}, wsroute.Public, wsroute.Diagnose)
			srv := wstest.Start(t, ws)
			if r := wstest.Refused(t, srv, "/ws?cents=700"); r.Status != 500 {
				t.Errorf("the work fails: %d", r.Status)
			}
			if r := wstest.Get(t, srv, "/ws?cents=7"); r.Status != 426 {
				t.Errorf("a GET: %d", r.Status)
			}
			synctest.Wait()
			if has := m.has("bob"); has != 0 {
				t.Errorf("a refusal and a GET that diagnoses have given bob %d", has)
			}
			want := map[bool]int64{false: 7, true: 0}[fails]
			if got := wstest.Dial[string, int64](t, srv, "/ws?cents=7").Receive(); got != want {
				t.Errorf("the commit fails %v: the handler finds %d, want %d", fails, got, want)
			}
			srv.Stop()
			if logged := strings.Contains(p.text.String(), "cleanup failed"); logged != fails {
				t.Errorf("the commit fails %v: the log has %s", fails, p.text.String())
			}
		})
	}
}

// TestAContextThatEnds rolls back before a cleanup can commit.
func TestAContextThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p page
		m := newMemory()
		deps := depends.New()
		depends.Supply(deps, open(t, m))
		depends.Provide(deps, func(ctx context.Context, in struct{ DB *sql.DB }) (Late, error) {
			tx, err := in.DB.BeginTx(ctx, nil)
			if err == nil {
				depends.Cleanup(ctx, func(context.Context, error) error { return tx.Commit() })
			}
			return Late{tx}, err
		}, depends.Handshake)
		ws := wsroute.New(deps, &wsroute.Config{Logger: p.logger()})
		wsroute.HandleHTTP(ws, http.MethodPost, "/", func(_ http.ResponseWriter, r *http.Request, in struct{ Tx Late }) error {
			return move(r.Context(), in.Tx.Tx, "ada", Order{"bob", 7})
		})
		srv := wstest.Start(t, ws)
		if got := post(t, srv, "/", ""); got != "200" {
			t.Errorf("the answer is %s", got)
		}
		synctest.Wait()
		log := p.text.String()
		told := strings.Contains(log, "context canceled") || strings.Contains(log, "transaction has already been committed or rolled back")
		if has := m.has("bob"); has != 0 || !strings.Contains(log, "cleanup failed") || !told {
			t.Errorf("bob has %d, the log %s", has, log)
		}
	})
}
