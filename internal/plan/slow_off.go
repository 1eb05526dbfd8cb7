//go:build !usherslow

package plan

// plantedSlowdown does nothing, and the compiler leaves it out. With the build
// tag usherslow it spins, to see that internal/bench notices.
func plantedSlowdown() {}
