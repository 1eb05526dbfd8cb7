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
	err  error
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

// TryWrite writes without waiting. Taking nothing is no error.
func (w *rawWriter) TryWrite(b []byte) (int, error) {
	w.data, w.n, w.err = b, 0, nil
	err := w.conn.Write(w.once)
	w.data = nil
	if err == nil {
		err = w.err
	}
	return w.n, err
}

// write is called with the descriptor; true says not to wait for it.
func (w *rawWriter) write(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), w.data) //nolint:gosec // a descriptor
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
		case err != nil:
			w.err = err
		default:
			w.n = n
		}
		return true
	}
}
