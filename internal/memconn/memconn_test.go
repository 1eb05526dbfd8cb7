package memconn_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/internal/memconn"
)

func TestBytesArriveInOrderAndThenEOF(t *testing.T) {
	a, b := memconn.Pipe()
	sent := bytes.Repeat([]byte("0123456789"), 50_000)
	go func() {
		_, _ = a.Write(sent)
		_ = a.Close()
	}()
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes of %d, %v", len(got), len(sent), err)
	}
	if _, err := b.Write([]byte("x")); err == nil {
		t.Error("a write to a closed peer succeeded")
	}
}

func TestDeadlinesPassInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memconn.Pipe()
		defer a.Close()
		defer b.Close()
		start := time.Now()
		_ = a.SetReadDeadline(start.Add(time.Hour))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Hour {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		_ = a.SetWriteDeadline(time.Now().Add(time.Minute))
		n, err := a.Write(make([]byte, 1<<20))
		if n != 64<<10 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v", n, err)
		}
	})
}

// TestPastDeadlines: what has passed is known at once, and without a timer: net/http sets
// such a deadline after each handshake.
func TestPastDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all sync.WaitGroup
		for range 500 {
			all.Go(func() {
				a, b := memconn.Pipe()
				defer a.Close()
				defer b.Close()
				for range 50 {
					_ = a.SetReadDeadline(time.Now().Add(time.Millisecond))
					_ = b.SetDeadline(time.Unix(1, 0))
					if _, err := b.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("a read after the deadline: %v", err)
					}
					if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("a read before the deadline: %v", err)
					}
				}
			})
		}
		all.Wait()
	})
}

func TestResetAndVanish(t *testing.T) {
	a, b := memconn.Pipe()
	_, _ = a.Write([]byte("lost"))
	a.Reset()
	if _, err := b.Read(make([]byte, 9)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v", err)
	}
	a, b = memconn.Pipe()
	a.Vanish()
	_, _ = a.Write([]byte("lost"))
	_ = a.Close()
	_ = b.SetReadDeadline(time.Now())
	if _, err := b.Read(make([]byte, 9)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestAnHTTPServerRunsInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memconn.Listen()
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hi")) })}
		go func() { _ = server.Serve(l) }()
		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.Dial(ctx) }}
		r, err := (&http.Client{Transport: transport}).Get("http://localhost/")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if string(body) != "hi" {
			t.Errorf("got %q", body)
		}
		transport.CloseIdleConnections()
		_ = server.Close()
		if _, err := l.Dial(t.Context()); err == nil {
			t.Error("a closed listener took a connection")
		}
	})
}

// TestADeadlineBehindAHole holds although the other end is closed.
func TestADeadlineBehindAHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memconn.Pipe()
		_ = a.SetReadDeadline(time.Now().Add(time.Second))
		b.Vanish()
		_ = b.Close()
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}
