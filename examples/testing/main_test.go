package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestHandler calls the handler as the function that it is: a pipe stands for the
// connection, and nothing is resolved.
func TestHandler(t *testing.T) {
	conn, peer := wstest.Pipe[string, string](t)
	end := make(chan error, 1)
	go func() { end <- quote(t.Context(), conn, input{User: User{"bob"}, Prices: list{"jam": 1}}) }()
	peer.Send("jam")
	if got := peer.Receive(); got != "bob, 1 cents for jam" {
		t.Errorf("got %q", got)
	}
	peer.Send("gold")
	if err := <-end; !errors.Is(err, ErrUnknown) {
		t.Errorf("the handler returned %v", err)
	}
}

// TestRoute replaces the user and what answers, and leaves everything else: the
// handshake, the limits and the frames are real.
func TestRoute(t *testing.T) {
	srv := wstest.Start(t, newRouter(),
		depends.OverrideValue(User{"eve"}),
		depends.OverrideValue[Prices](list{"tea": 1}),
	)
	peer := wstest.Dial[string, string](t, srv, "/quote")
	peer.Send("tea")
	if got := peer.Receive(); got != "eve, 1 cents for tea" {
		t.Errorf("got %q", got)
	}
	peer.Send("gold")
	if closed := peer.Closed(); *closed != (wsroute.CloseError{Code: 4404, Reason: "unknown_item"}) {
		t.Errorf("closed with %v", closed)
	}
}

// TestProviderFails stands in for a store that is down.
func TestProviderFails(t *testing.T) {
	down := func(context.Context, struct{}) (User, error) {
		return User{}, depends.Unavailable(3*time.Second, errors.New("no route to host"))
	}
	srv := wstest.Start(t, newRouter(), depends.Override(down))
	if got := wstest.Refused(t, srv, "/quote"); got.Status != 503 || got.Header.Get("Retry-After") != "3" {
		t.Errorf("%d, after %s", got.Status, got.Header.Get("Retry-After"))
	}
}

// TestWrapped replaces a provider by one that calls it.
func TestWrapped(t *testing.T) {
	trials := 0
	counted := func(ctx context.Context, in struct{}) (Trial, error) {
		trials++
		return trial(ctx, in)
	}
	srv := wstest.Start(t, newRouter(), depends.OverrideValue(User{"eve"}), depends.Override(counted))
	wstest.Dial[string, string](t, srv, "/quote").Close(1000, "")
	if trials != 1 {
		t.Errorf("%d trials", trials)
	}
}

// TestRefused replaces nothing.
func TestRefused(t *testing.T) {
	t.Setenv("ADA_KEY", "k")
	srv := wstest.Start(t, newRouter())
	if got := wstest.Refused(t, srv, "/quote"); got.Status != 401 || got.Problem.Reason != "credentials_required" {
		t.Errorf("no key: %d %q", got.Status, got.Problem.Reason)
	}
	if got := wstest.Refused(t, srv, "/quote", wstest.Header("X-API-Key", "x")); got.Status != 401 || got.Problem.Reason != "invalid_key" {
		t.Errorf("another key: %d %q", got.Status, got.Problem.Reason)
	}
	wstest.Dial[string, string](t, srv, "/quote", wstest.Header("X-API-Key", "k")).Close(1000, "")
}

// TestAnHour takes none: in a bubble of testing/synctest, time passes when everybody waits.
func TestAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := wstest.Start(t, newRouter(), depends.OverrideValue(User{"eve"}))
		peer := wstest.Dial[string, string](t, srv, "/quote")
		start := time.Now()
		peer.NothingSent(59 * time.Minute)
		peer.Timeout = 2 * time.Minute
		if got := peer.Closed(); time.Since(start) != time.Hour || got.Reason != "token_expired" {
			t.Errorf("after %v: %v", time.Since(start), got)
		}
	})
}

// failing is a test whose failure is looked at.
type failing struct {
	testing.TB
	text string
}

func (f *failing) Helper() {}

func (f *failing) Fatal(args ...any) { f.Fatalf("%s", fmt.Sprint(args...)) }

func (f *failing) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// TestFailures: a test that fails says what the server has said.
func TestFailures(t *testing.T) {
	srv := wstest.Start(t, newRouter())
	for name, test := range map[string]func(t testing.TB){
		"testdata/refused.txt": func(t testing.TB) { wstest.Dial[string, string](t, srv, "/quote") },
		"testdata/unused.txt":  func(t testing.TB) { wstest.Start(t, newRouter(), depends.OverrideValue(&User{"eve"})) },
	} {
		f, done := &failing{TB: t}, make(chan struct{})
		go func() {
			defer close(done)
			test(f)
		}()
		<-done
		golden(t, name, regexp.MustCompile(`(\w+\.go):\d+`).ReplaceAllString(f.text, "$1:N")+"\n")
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
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
