package main

import (
	"bytes"
	"flag"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(m)
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

var position = regexp.MustCompile(`(\w+\.go):\d+`)

// TestExplain: the lines of the program are left out, so that it may be changed.
func TestExplain(t *testing.T) {
	ws := newRouter(log.New(io.Discard, "", 0), nil)
	if err := ws.Mount(gin.New()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.Deps().Close(t.Context()) }()
	var b strings.Builder
	if err := ws.Explain(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/explain.txt", position.ReplaceAllString(b.String(), "$1:N"))
}

var quiet = &wsroute.Config{Logger: slog.New(slog.DiscardHandler)}

// TestOrder: what is made when, and released when.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		logger := log.New(&b, "", 0)
		srv := wstest.Start(t, newRouter(logger, quiet))
		logger.Print("- a handshake")
		peer := wstest.Dial[string, string](t, srv, "/stations/oslo")
		logger.Print("- " + peer.Receive())
		peer.Close(1000, "")
		synctest.Wait()
		logger.Print("- a handshake that is refused")
		wstest.Refused(t, srv, "/stations/rome")
		synctest.Wait()
		logger.Print("- the end of the program")
		srv.Stop()
		golden(t, "testdata/order.txt", b.String())
	})
}

func TestParameters(t *testing.T) {
	srv := wstest.Start(t, newRouter(log.New(io.Discard, "", 0), quiet))
	for query, want := range map[string]string{
		"":                                   "a guest watches oslo every 10s, [], metric",
		"?every=1m&units=imperial":           "a guest watches oslo every 1m0s, [], imperial",
		"?kind=wind&kind=rain":               "a guest watches oslo every 10s, [wind rain], metric",
		"?from=2026-01-01T00:00:00Z&raw=yes": "a guest watches oslo every 10s, [], metric",
	} {
		peer := wstest.Dial[string, string](t, srv, "/stations/oslo"+query)
		if got := peer.Receive(); got != want {
			t.Errorf("%s: got %q", query, got)
		}
	}
	refusal := wstest.Refused(t, srv, "/stations/oslo?every=0s&kind=snow&kind=rain&from=today&units=odd&raw=perhaps")
	if refusal.Status != http.StatusUnprocessableEntity {
		t.Errorf("got %d", refusal.Status)
	}
	golden(t, "testdata/invalid.txt", string(refusal.Body))
}

func TestKeeper(t *testing.T) {
	t.Setenv("KEEPER_KEY", "k")
	srv := wstest.Start(t, newRouter(log.New(io.Discard, "", 0), quiet))
	const path = "/stations/oslo/calibrate?offset=0.5"
	if got := wstest.Refused(t, srv, path); got.Status != 401 {
		t.Errorf("nobody: %d", got.Status)
	}
	if got := wstest.Refused(t, srv, "/stations/oslo", wstest.Header("X-API-Key", "x")); got.Status != 401 {
		t.Errorf("a bad key where none is needed: %d", got.Status)
	}
	peer := wstest.Dial[string, string](t, srv, path, wstest.Header("X-API-Key", "k"))
	if got := peer.Receive(); got != "oslo is off by 0.5" {
		t.Errorf("got %q", got)
	}
}
