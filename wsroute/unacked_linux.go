package wsroute

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unacked returns how many bytes that were written to a socket the peer has not taken: its
// kernel acknowledges what the program behind it makes room for. ok is false where nobody
// knows.
func unacked(raw syscall.RawConn) (n int, ok bool) {
	if raw == nil {
		return 0, false
	}
	err := raw.Control(func(fd uintptr) {
		var failed error
		n, failed = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) //nolint:gosec // a descriptor
		ok = failed == nil
	})
	return n, ok && err == nil
}
