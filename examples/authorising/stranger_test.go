package main

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestWhatAStrangerSees gets one step further with each try. The peer learns little, and the log
// has the cause.
func TestWhatAStrangerSees(t *testing.T) {
	var told strings.Builder
	var log bytes.Buffer
	var host string
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "remote" {
			return slog.Attr{}
		}
		return a
	}}))
	synctest.Test(t, func(t *testing.T) {
		srv := wstest.Start(t, newRouter(key, &wsroute.Config{Logger: logger}))
		host = srv.Host
		old := bearer(t, "1", "")
		time.Sleep(61 * time.Minute)
		fresh, suspended := bearer(t, "1", ""), bearer(t, "2", "")
		tell := func(who string, r *wstest.Refusal) {
			fmt.Fprintf(&told, "%-44s %d %s\n", who, r.Status, r.Problem.Reason)
		}
		evil := wstest.Header("Origin", "https://evil.example")
		tell("a plain GET with a good token", wstest.Get(t, srv, "/say", fresh))
		tell("a page of another site, a good token", wstest.Refused(t, srv, "/say", fresh, evil))
		tell("no token, and a bad parameter", wstest.Refused(t, srv, "/say?times=none"))
		tell("a forged token", wstest.Refused(t, srv, "/say", wstest.Header("Authorization", "Bearer forged")))
		tell("a token that has expired", wstest.Refused(t, srv, "/say", old))
		tell("two good tokens", wstest.Refused(t, srv, "/say", fresh, suspended))
		tell("a good token of a suspended account", wstest.Refused(t, srv, "/say", suspended))
		tell("a good token, and a bad parameter", wstest.Refused(t, srv, "/say?times=none", fresh))
		peer := wstest.Dial[string, string](t, srv, "/say", fresh)
		fmt.Fprintf(&told, "%-44s %d\n", "a good token of an account in good standing", peer.Response.StatusCode)
		peer.Close(1000, "")
		srv.Stop()
	})
	golden(t, "testdata/told.txt", told.String())
	golden(t, "testdata/log.txt", strings.ReplaceAll(log.String(), host, "127.0.0.1:8080"))
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
