package main

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ready(t *testing.T, srv *wstest.Server) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+srv.Host+"/readyz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := srv.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// TestShutdown: nothing is lost, and each end has its cause.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := &Ledger{make(chan string, 3)}
		ws, engine, err := newApp(ledger)
		if err != nil {
			t.Fatal(err)
		}
		srv := wstest.StartHandler(t, ws, engine)
		if got := ready(t, srv); got != 200 {
			t.Errorf("readiness is %d", got)
		}
		gone := wstest.Dial[string, int](t, srv, "/ticks")
		gone.Receive()
		gone.Close(1000, "")
		if got := <-ledger.Closed; got != "0 ticks, gone" {
			t.Errorf("the ledger says %q", got)
		}
		c := wstest.Dial[string, int](t, srv, "/ticks")
		for want := range 3 {
			if got := c.Receive(); got != want {
				t.Errorf("tick %d, want %d", got, want)
			}
		}
		start := time.Now()
		end := make(chan wsroute.Drained)
		go func() {
			drained, _ := ws.Drain(t.Context())
			end <- drained
		}()
		if closed := c.Closed(); closed.Code != 1012 {
			t.Errorf("closed with %v", closed)
		}
		if got := <-ledger.Closed; got != "2 ticks, draining" {
			t.Errorf("the ledger says %q", got)
		}
		if got := <-end; got != (wsroute.Drained{Clean: 1}) || time.Since(start) > 3*time.Second {
			t.Errorf("%+v after %v", got, time.Since(start))
		}
		if got := ready(t, srv); got != 503 {
			t.Errorf("readiness is %d", got)
		}
		if got := wstest.Refused(t, srv, "/ticks"); got.Status != 503 {
			t.Errorf("a late client: %d", got.Status)
		}
	})
}
