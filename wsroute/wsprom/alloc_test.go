//go:build !race

package wsprom_test

import (
	"testing"

	"example.com/usher/wsroute"
)

// TestAllocations that the metrics add, which the page promises.
func TestAllocations(t *testing.T) {
	ws, _ := watched(t, wsroute.Config{})
	allocations(t, 0, newProgram(wsroute.Config{}).cost(t), ws.cost(t))
}
