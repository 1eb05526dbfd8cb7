package wsroute

import (
	"bufio"
	"net"
	"net/http"
)

// answerWriter notes that an http.Handler has begun to answer, and what it has hijacked.
type answerWriter struct {
	http.ResponseWriter
	begun *bool
	taken *net.Conn
}

// hijackableAnswer is one over a writer that can be hijacked.
type hijackableAnswer struct{ *answerWriter }

// answering notes when something is written to w, or its connection is taken.
func answering(w http.ResponseWriter, begun *bool, taken *net.Conn) http.ResponseWriter {
	watched := &answerWriter{w, begun, taken}
	if hijackable(w) {
		return hijackableAnswer{watched}
	}
	return watched
}

func (w *answerWriter) WriteHeader(status int) {
	*w.begun = *w.begun || status >= http.StatusOK // others are not the answer
	w.ResponseWriter.WriteHeader(status)
}

func (w *answerWriter) Write(b []byte) (int, error) {
	*w.begun = true
	return w.ResponseWriter.Write(b)
}

// Flush implements [http.Flusher], for handlers that ask for it.
func (w *answerWriter) Flush() { _ = w.FlushError() }

// FlushError is for [http.ResponseController].
func (w *answerWriter) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	*w.begun = *w.begun || err == nil
	return err
}

// Unwrap is for [http.ResponseController].
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack implements [http.Hijacker], for handlers that ask for it.
func (w hijackableAnswer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		*w.begun, *w.taken = true, conn
	}
	return conn, rw, err
}

// cutOff ends a connection whose answer is not whole; taken is what the handler has
// hijacked. net/http does so for a panic with http.ErrAbortHandler, of which gin.Recovery
// would make a proper end and a line of log with the request's cookies.
//
// Behind a writer that has no Unwrap and cannot be hijacked, as gin's once a body was
// written, it is left to that panic all the same: middleware that keeps what it has seen
// must not take it for the whole. There, cut ends the connection before, if it is not nil.
func cutOff(w http.ResponseWriter, r *http.Request, taken net.Conn, cut func()) {
	if conn := connOf(w, r, taken); conn != nil {
		_ = conn.Close()
		return
	}
	if cut != nil && r.ProtoMajor == 1 { // in HTTP/2 it has other requests
		cut()
	}
	panic(http.ErrAbortHandler) //nolint:forbidigo // see above
}

// connOf returns the connection to close, if there is one to be had.
func connOf(w http.ResponseWriter, r *http.Request, taken net.Conn) net.Conn {
	if taken != nil || r.ProtoMajor != 1 {
		return taken
	}
	for {
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = inner.Unwrap()
	}
	if h, ok := w.(http.Hijacker); ok {
		if conn, _, err := h.Hijack(); err == nil {
			return conn
		}
	}
	return nil
}
