package main

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, pool *Pool) (*wsroute.Router, *Seats, chan string, *wstest.Server) {
	t.Helper()
	left := make(chan string, 8)
	seats := &Seats{left: func(why string) { left <- why }}
	ws, engine, err := newApp(pool, seats)
	if err != nil {
		t.Fatal(err)
	}
	return ws, seats, left, wstest.StartHandler(t, ws, engine)
}

// TestOnePoolForMany: three sockets are open at once with a pool of one, since none of
// them holds it; each holds its seat.
func TestOnePoolForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := NewPool(1)
		_, seats, _, srv := start(t, pool)
		var peers []*wstest.Peer[string, int32]
		for number := int32(1); number <= 3; number++ {
			c := wstest.Dial[string, int32](t, srv, "/seat?name=ada")
			if got := c.Receive(); got != number {
				t.Errorf("seat %d, want %d", got, number)
			}
			peers = append(peers, c)
		}
		if got := wstest.Refused(t, srv, "/seat?name=bob"); got.Status != 403 {
			t.Errorf("a child: %d", got.Status)
		}
		synctest.Wait() // the refusal is told first
		if n := len(pool.free); n != 1 {
			t.Errorf("after a refusal, %d are free", n)
		}
		for _, c := range peers {
			c.Close(1000, "")
		}
		synctest.Wait()
		if n := seats.taken.Load(); n != 0 {
			t.Errorf("%d seats are still taken", n)
		}
		db := <-pool.free // somebody else has it
		if got := wstest.Refused(t, srv, "/seat?name=ada"); got.Status != 503 {
			t.Errorf("an empty pool: %d", got.Status)
		}
		pool.free <- db
	})
}

// TestShutdown: nothing is lost, and each end has its cause.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws, _, left, srv := start(t, NewPool(1))
		if got := wstest.Get(t, srv, "/readyz").Status; got != 200 {
			t.Errorf("readiness is %d", got)
		}
		gone := wstest.Dial[string, int32](t, srv, "/seat?name=ada")
		gone.Receive()
		gone.Close(1000, "")
		if got := <-left; got != "seat 1, 0 s, gone" {
			t.Errorf("the seat was left: %q", got)
		}
		c := wstest.Dial[string, int32](t, srv, "/seat?name=ada")
		for range 3 {
			c.Receive()
		}
		begun := time.Now()
		end := make(chan wsroute.Drained)
		go func() {
			drained, _ := ws.Drain(t.Context())
			end <- drained
		}()
		if closed := c.Closed(); closed.Code != 1012 {
			t.Errorf("closed with %v", closed)
		}
		if got := <-left; got != "seat 1, 2 s, draining" {
			t.Errorf("the seat was left: %q", got)
		}
		if got := <-end; got != (wsroute.Drained{Clean: 1}) || time.Since(begun) > 3*time.Second {
			t.Errorf("%+v after %v", got, time.Since(begun))
		}
		if got := wstest.Get(t, srv, "/readyz").Status; got != 503 {
			t.Errorf("readiness is %d", got)
		}
		if got := wstest.Refused(t, srv, "/seat?name=ada"); got.Status != 503 {
			t.Errorf("a late client: %d", got.Status)
		}
	})
}
