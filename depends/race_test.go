//go:build race

package depends_test

// raceEnabled: under the race detector a sync.Pool drops what it is given at
// random, so that the validator's allocations cannot be counted.
const raceEnabled = true
