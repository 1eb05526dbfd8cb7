package wsroute_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// drainable serves an echo, and a handler that returns when stuck is closed.
func drainable(t *testing.T, config *wsroute.Config, stuck chan struct{}) (*wsroute.Router, *wstest.Server) {
	ws := wsroute.New(depends.New(), config)
	wsroute.Handle(ws, "/", echo[string], wsroute.Public)
	wsroute.Handle(ws, "/stuck", func(context.Context, *wsroute.Conn[string, string], none) error {
		<-stuck
		return nil
	}, wsroute.Public)
	handler, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	return ws, wstest.StartHandler(t, ws, handler)
}

// TestDrainOfMany: all are told 1012, not all at once; one that never answers is
// cut off at its bound, a handler that does not return is counted, and the rest end
// cleanly.
func TestDrainOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		ws, srv := drainable(t, quiet(), stuck)
		if !ws.Ready() {
			t.Error("it is not ready")
		}
		const many = 300
		var reading sync.WaitGroup
		var mu sync.Mutex
		told := map[time.Duration]int{}
		start := time.Now()
		watch := func(path string) {
			c := wstest.Dial[string, string](t, srv, path)
			reading.Go(func() {
				if got := untilClosed(c); got == nil || got.Code != 1012 || got.Reason != "server_restart" {
					t.Errorf("%s: %v", path, got)
				}
				mu.Lock()
				defer mu.Unlock()
				told[time.Since(start)]++
			})
		}
		for range many {
			watch("/")
		}
		watch("/stuck")
		wstest.Dial[string, string](t, srv, "/") // never reads, nor answers
		synctest.Wait()

		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		drained, err := ws.Drain(ctx)
		if want := (wsroute.Drained{Clean: many, Forced: 1, Stuck: 1}); drained != want || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%+v, %v", drained, err)
		}
		if ws.Ready() {
			t.Error("it is still ready")
		}
		reading.Wait()
		if len(told) < many/4 {
			t.Errorf("they were told in %d moments", len(told))
		}
		for at := range told {
			if at > 2*many*time.Second/10_000 {
				t.Errorf("one was told after %v", at)
			}
		}
		close(stuck)
		if drained, err = ws.Drain(t.Context()); err != nil || drained != (wsroute.Drained{Clean: many + 1, Forced: 1}) {
			t.Errorf("in the end: %+v, %v", drained, err)
		}
	})
}

// TestDrainWindow: a shorter one is kept to.
func TestDrainWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := quiet()
		config.DrainWindow = time.Millisecond
		ws, srv := drainable(t, config, nil)
		for range 200 {
			c := wstest.Dial[string, string](t, srv, "/")
			go func() { _ = untilClosed(c) }()
		}
		synctest.Wait()
		start := time.Now()
		if drained, err := ws.Drain(t.Context()); err != nil || drained.Clean != 200 {
			t.Errorf("%+v, %v", drained, err)
		}
		if d := time.Since(start); d == 0 || d > 2*time.Millisecond {
			t.Errorf("it took %v", d)
		}
	})
}

// TestAPlainRequestOutlivesADrain: it is answered, though the last connection has gone.
func TestAPlainRequestOutlivesADrain(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	begun, drained := make(chan struct{}), make(chan struct{})
	wsroute.HandleHTTP(ws, http.MethodGet, "/page", func(w http.ResponseWriter, _ *http.Request, _ none) error {
		close(begun)
		<-drained
		_, err := io.WriteString(w, "whole")
		return err
	})
	srv := wstest.Start(t, ws)
	go func() {
		<-begun
		_, _ = ws.Drain(context.Background())
		close(drained)
	}()
	if r := wstest.Get(t, srv, "/page"); r.Status != 200 || string(r.Body) != "whole" {
		t.Errorf("got %d %s", r.Status, r.Body)
	}
}
