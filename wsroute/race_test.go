//go:build race

package wsroute_test

// raceEnabled: the race detector allocates, and a sync.Pool drops what it is
// given at random.
const raceEnabled = true
