package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"example.com/usher/wsroute/asyncapi"
	"example.com/usher/wsroute/wstest"
)

// TestTheContractIsKept: a change of what clients know stands in testdata/asyncapi.json, where a
// review sees it.
func TestTheContractIsKept(t *testing.T) {
	doc := document(t)
	asyncapi.Check(t, doc, "testdata/asyncapi.json")
}

// TestEachStartHasTheSameContract, byte for byte.
func TestEachStartHasTheSameContract(t *testing.T) {
	var first []byte
	for range 100 {
		ws, _, err := newChat(testSettings, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := describe(ws)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = doc.JSON()
		}
		if !bytes.Equal(first, doc.JSON()) {
			t.Fatal("the document differs from that of the first start")
		}
	}
}

// TestTheClientIsUpToDate: client.ts is what the document makes. The page has it as
// static/client.js, which a test in e2e compiles.
func TestTheClientIsUpToDate(t *testing.T) {
	const file, update = "client.ts", "ASYNCAPI_UPDATE"
	var want bytes.Buffer
	if err := document(t).TypeScript(&want); err != nil {
		t.Fatal(err)
	}
	if os.Getenv(update) != "" {
		if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil { //nolint:gosec // a file of the repo
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not the client of the document: run this test with %s=additive (%v)", file, update, err)
	}
}

func document(t *testing.T) *asyncapi.Document {
	t.Helper()
	ws, _, err := newChat(testSettings, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := describe(ws)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestTheContractIsServed: the document, and the page under a policy of its own.
func TestTheContractIsServed(t *testing.T) {
	srv, _ := start(t)
	if _, text := get(t, srv, "/asyncapi.json"); !strings.Contains(text, `"asyncapi": "3.0.0"`) {
		t.Errorf("got %.100s", text)
	}
	header, text := get(t, srv, "/docs/")
	if moved, err := srv.Client().Get("http://" + srv.Host + "/docs"); err != nil || moved.Header.Get("Location") != "./docs/" {
		t.Errorf("/docs goes to %v, %v", moved, err)
	} else {
		_ = moved.Body.Close()
	}
	if policy := header.Get("Content-Security-Policy"); !strings.Contains(policy, "connect-src 'self'") || !strings.Contains(text, "page.js") {
		t.Errorf("got %.100s with %q", text, policy)
	}
}

func get(t *testing.T, srv *wstest.Server, path string) (http.Header, string) {
	t.Helper()
	r, err := srv.Client().Get("http://" + srv.Host + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", path, r.StatusCode, err)
	}
	return r.Header, string(body)
}
