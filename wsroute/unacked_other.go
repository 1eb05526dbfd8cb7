//go:build !linux

package wsroute

import "syscall"

// unacked does not know here how much the peer has taken.
func unacked(syscall.RawConn) (n int, ok bool) { return 0, false }
