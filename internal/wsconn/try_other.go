//go:build !unix

package wsconn

import (
	"net"
	"syscall"
)

// newTryWriter returns nil: here everything goes through the queue.
func newTryWriter(net.Conn, syscall.RawConn) func([]byte) int { return nil }
