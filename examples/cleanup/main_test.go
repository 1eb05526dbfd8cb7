package main

import (
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestOnePoolForMany: three sockets are open at once with a pool of one, since none of
// them holds it; each holds its seat.
func TestOnePoolForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, seats := NewPool(1), &Seats{}
		srv := wstest.Start(t, newRouter(pool, seats, &wsroute.Config{
			Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), ResolveTimeout: time.Second,
		}))
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
