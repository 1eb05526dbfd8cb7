//go:build usherslow

package plan

import "time"

// slowdown is what internal/bench is tried with: it must show in the ratios.
const slowdown = 20 * time.Microsecond

// plantedSlowdown keeps the processor busy.
func plantedSlowdown() {
	for begin := time.Now(); time.Since(begin) < slowdown; {
	}
}
