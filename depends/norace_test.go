//go:build !race

package depends_test

const raceEnabled = false
