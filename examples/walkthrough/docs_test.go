package main

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/usher/wsroute/wstest"
)

var (
	update = flag.Bool("update", false, "rewrite the golden files")
	line   = regexp.MustCompile(`\.go:\d+`)
	// In a test the package has its path's name, and in a program it is main.
	run = strings.NewReplacer("walkthrough/", "", " walkthrough.", " main.")
)

// shown compares what docs/walkthrough.md shows with what there is.
func shown(t *testing.T, file, got string) {
	t.Helper()
	got = run.Replace(line.ReplaceAllString(got, ".go:N"))
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); -update rewrites it\n%s", file, diff)
	}
}

func TestExplain(t *testing.T) {
	ws := router(key)
	if _, err := ws.Handler(); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := ws.Explain(&text); err != nil {
		t.Fatal(err)
	}
	shown(t, "testdata/explain.txt", text.String())
}

func TestNoKey(t *testing.T) {
	if _, err := router(nil).Handler(); err == nil {
		t.Error("it starts without a key")
	} else {
		shown(t, "testdata/nokey.txt", err.Error()+"\n")
	}
}

func TestShownRefusal(t *testing.T) {
	srv := wstest.Start(t, router(key))
	shown(t, "testdata/why.txt", string(wstest.Get(t, srv, "/greet/ada?times=9").Body))
}
