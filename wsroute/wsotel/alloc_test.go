//go:build !race

package wsotel_test

import (
	"testing"

	"example.com/usher/wsroute"
)

// TestAllocations that metrics and spans add, which the page promises.
func TestAllocations(t *testing.T) {
	plain := newProgram(wsroute.Config{}).cost(t)
	for i, kind := range []string{"metrics alone", "sampled", "unsampled"} {
		t.Run(kind, func(t *testing.T) {
			allocations(t, i+1, plain, newCostly(t, kind).cost(t))
		})
	}
}
