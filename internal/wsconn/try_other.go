//go:build !unix

package wsconn

import (
	"net"
	"syscall"
)

// tryWriter writes what the socket takes at once.
type tryWriter interface {
	TryWrite(b []byte) (int, error)
}

// newTryWriter returns nil: here everything goes through the queue.
func newTryWriter(net.Conn, syscall.RawConn) tryWriter { return nil }
