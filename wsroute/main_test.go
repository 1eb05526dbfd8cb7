package wsroute_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	"example.com/usher/wsroute"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(m)
}

type none = struct{}

// journal records what happens, in order, from any goroutine.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, " ")
}

func (j *journal) want(t *testing.T, want string) {
	t.Helper()
	if got := j.String(); got != want {
		t.Errorf("journal\n got %q\nwant %q", got, want)
	}
}

// quiet is a configuration whose log goes nowhere.
func quiet() *wsroute.Config {
	return &wsroute.Config{Logger: textLogger(io.Discard)}
}

// echo sends back what it receives.
func echo[T any](ctx context.Context, conn *wsroute.Conn[T, T], _ none) error {
	for {
		m, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		if err := conn.Send(ctx, m); err != nil {
			return err
		}
	}
}

// textLogger writes what a test reads.
func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
