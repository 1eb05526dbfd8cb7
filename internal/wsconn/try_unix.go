//go:build unix

package wsconn

import (
	"errors"
	"net"
	"syscall"
)

// newTryWriter returns a function that writes to a socket what it takes without waiting, for
// one goroutine at a time; nil for a socket that cannot be tried.
func newTryWriter(c net.Conn, raw syscall.RawConn) func([]byte) int {
	if _, ok := c.(*net.TCPConn); !ok || raw == nil { // TLS must not be written below its layer
		return nil
	}
	var data []byte
	var n int
	once := func(fd uintptr) bool { // net has made it non-blocking; true says not to wait
		err := error(syscall.EINTR)
		for errors.Is(err, syscall.EINTR) {
			n, err = syscall.Write(int(fd), data) //nolint:gosec // a descriptor
		}
		return true
	}
	return func(b []byte) int {
		data, n = b, 0
		_ = raw.Write(once) // an error takes nothing: the next write returns it, too
		data = nil
		return max(n, 0)
	}
}
