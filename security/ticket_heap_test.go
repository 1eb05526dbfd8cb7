package security

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
)

// TestManyAccountsFillTheMemory with tickets of the largest size to its bound and no further, and
// it is given back without a new ticket.
func TestManyAccountsFillTheMemory(t *testing.T) {
	heap := func() float64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	synctest.Test(t, func(t *testing.T) {
		var memory memoryTickets[string]
		before, refused := heap(), 0
		for i := range maxTickets + 1000 {
			err := memory.put(hashOf(fmt.Sprint(i)), ticket[string]{
				Who: depends.Identity{Subject: fmt.Sprint(i)}, Path: strings.Repeat("x", maxTicketPath),
				Origin: strings.Repeat("x", maxTicketOrigin), Expires: time.Now().Add(ticketTTL),
			})
			if r, ok := errors.AsType[*depends.Rejection](err); ok && r.Status == 503 {
				refused++
			}
		}
		full := heap() - before
		time.Sleep(2*ticketTTL + 1)
		synctest.Wait()
		left := heap() - before
		if t.Logf("%.1f MiB, and %.1f are left", full, left); refused != 1000 || full > 110 || left > 25 {
			t.Errorf("%d were refused", refused)
		}
		if len(memory.tickets) > 0 || len(memory.byWhom) > 0 {
			t.Error("some are left")
		}
	})
}
