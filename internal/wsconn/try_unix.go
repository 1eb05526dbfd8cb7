//go:build unix

package wsconn

import (
	"errors"
	"net"
	"syscall"
)

// rawWriter writes to a socket's descriptor, which net has made non-blocking.
// It is used under the wire's lock only; its fields spare a closure for each write.
type rawWriter struct {
	conn syscall.RawConn
	data []byte
	n    int
	once func(fd uintptr) bool
}

func newTryWriter(c net.Conn, raw syscall.RawConn) tryWriter {
	if _, ok := c.(*net.TCPConn); !ok || raw == nil { // TLS must not be written below its layer
		return nil
	}
	w := &rawWriter{conn: raw}
	w.once = w.write
	return w
}

// TryWrite writes without waiting. An error takes nothing: the next write returns it, too.
func (w *rawWriter) TryWrite(b []byte) int {
	w.data, w.n = b, 0
	_ = w.conn.Write(w.once)
	w.data = nil
	return w.n
}

// write is called with the descriptor; true says not to wait for it.
func (w *rawWriter) write(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), w.data) //nolint:gosec // a descriptor
		if !errors.Is(err, syscall.EINTR) {
			w.n = max(n, 0)
			return true
		}
	}
}
