package wsroute

import (
	"bufio"
	"net"
	"net/http"
)

// answerWriter notes that an http.Handler has begun to answer.
type answerWriter struct {
	http.ResponseWriter
	begun *bool
}

// hijackableAnswer is one over a writer that can be hijacked.
type hijackableAnswer struct{ *answerWriter }

// answering notes when something is written to w.
func answering(w http.ResponseWriter, begun *bool) http.ResponseWriter {
	watched := &answerWriter{w, begun}
	if _, ok := w.(http.Hijacker); ok {
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
	*w.begun = *w.begun || err == nil
	return conn, rw, err
}

// cutOff ends a connection whose answer is not whole. net/http does so for a panic with
// http.ErrAbortHandler, of which gin.Recovery would make a proper end and a line of log
// with the request's cookies; so it is left to that where nothing else is possible.
func cutOff(w http.ResponseWriter) {
	for {
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = inner.Unwrap()
	}
	if h, ok := w.(http.Hijacker); ok {
		if conn, _, err := h.Hijack(); err == nil {
			_ = conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler) //nolint:forbidigo // see above
}
