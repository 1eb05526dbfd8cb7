package wsroute

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
	"example.com/usher/internal/graph"
	"example.com/usher/internal/wsconn"
)

// retryAfter is what a peer is asked to wait when the fault is ours and passes.
const retryAfter = 2 * time.Second

// statusGone is what a log calls a request whose client left before the answer.
const statusGone = 499

func refusal(status int, reason string, err error) *depends.Rejection {
	return &depends.Rejection{Status: status, Reason: reason, Err: err}
}

// invalidToken refuses a credential that was valid when the request came.
func invalidToken(reason string, err error) *depends.Rejection {
	r := depends.Unauthorized(`Bearer error="invalid_token"`, err)
	r.Reason = reason
	return r
}

// retryLater refuses for what passes.
func retryLater(status int, reason string, err error) *depends.Rejection {
	return &depends.Rejection{Status: status, Reason: reason, RetryAfter: retryAfter, Err: err}
}

func draining() *depends.Rejection {
	r := retryLater(http.StatusServiceUnavailable, "draining", ErrDraining)
	r.Header = http.Header{"Connection": {"close"}}
	return r
}

// rejection returns the refusal for an error that ended a handshake, and the error for the log.
func (e *endpoint) rejection(err error) (*depends.Rejection, error) {
	r, err := e.declared(err)
	switch {
	case r != nil && r.Status != r.StatusBeforeUpgrade():
		out := *r
		out.Status = r.StatusBeforeUpgrade()
		if r.Status != 0 || r.CloseCode == 0 {
			err = fmt.Errorf("wsroute: status %d refuses nothing, so %d is sent: "+
				"400 to 599 refuse, and a redirect with a Location: %w", r.Status, out.Status, err)
		}
		return &out, err
	case r != nil:
		return r, err
	case isPanic(err): // what it wraps was not said on purpose
	case errors.Is(err, ErrDraining):
		return draining(), err
	case errors.Is(err, ErrRevoked):
		return invalidToken("revoked", err), err
	case isTimeout(err):
		return retryLater(http.StatusServiceUnavailable, "timeout", err), err
	}
	return refusal(http.StatusInternalServerError, "internal_error", err), err
}

// closing returns the close code and reason for what a handler returned, and the error for the
// log.
func (e *endpoint) closing(err error) (code int, reason string, logged error) {
	r, err := e.declared(err)
	message, bad := errors.AsType[*MessageError](err)
	switch {
	case err == nil:
		return wsconn.CodeNormal, "", nil
	case r != nil:
		return r.CodeAfterUpgrade(), r.Reason, err
	case bad && !isPanic(err):
		return message.Code, message.Reason, err
	}
	return wsconn.CodeInternal, "", err
}

// declared returns the refusal that MapError or the error itself declares, or nil, and the error
// for the log: a panic of MapError is added to it.
func (e *endpoint) declared(err error) (r *depends.Rejection, logged error) {
	ask := e.shared.config.MapError
	if err != nil && ask != nil && !isOurs(err) && !isPanic(err) {
		if failed := protect("MapError", func() { r = ask(err) }); failed != nil {
			return nil, errors.Join(err, failed)
		}
	}
	if r == nil && !isPanic(err) {
		r, _ = errors.AsType[*depends.Rejection](err)
	}
	return r, err
}

// mapped returns the refusal that MapError makes of an error, with the error as its cause, or the
// error if it makes none.
func (e *endpoint) mapped(err error) error {
	r, logged := e.declared(err)
	if own, ok := errors.AsType[*depends.Rejection](err); r == nil || ok && own == r {
		return logged
	}
	out := *r
	if out.Err == nil {
		out.Err = err
	}
	return &out
}

// isOurs reports whether an error is one that usher ends a request with, which has its refusal.
func isOurs(err error) bool {
	return errors.Is(err, ErrDraining) || errors.Is(err, ErrRevoked) || isTimeout(err)
}

// isTimeout reports whether a request was not resolved in its time.
func isTimeout(err error) bool { return errors.Is(err, errBudget) || errors.Is(err, errLate) }

// protect calls what may panic, and returns the panic as an error.
func protect(in string, f func()) (err error) {
	defer graph.Recover(in, &err)
	f()
	return nil
}

func isPanic(err error) bool {
	_, ok := errors.AsType[*graph.Panic](err)
	return ok
}

// ended prefers the cause of a connection's end to an error that its end brought about: a
// provider that is cancelled returns all sorts of errors. A panic stays one.
func ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && err != nil && !isPanic(err) {
		return cause
	}
	return err
}

// answerError answers a failed request, unless its client has left, and reports whether it
// wrote a response.
func (e *endpoint) answerError(
	w http.ResponseWriter, r *http.Request, asked *bind.Request, err error,
) (written bool) {
	if errors.Is(err, errUpgrade) || errors.Is(err, errGone) {
		e.logRefusal(w, r, &depends.Rejection{Status: statusGone}, err, func() {})
		return false
	}
	rejection, err := e.rejection(err)
	e.logRefusal(w, r, rejection, err, func() {
		if e.route.AcceptThenClose && !asked.Diagnose && e.acceptThenClose(w, r, asked, rejection) {
			return
		}
		e.writeRejection(w, r, rejection)
		written = true
	})
	return written
}

// refuse answers a request for which no provider was called.
func (e *endpoint) refuse(w http.ResponseWriter, r *http.Request, rejection *depends.Rejection) {
	e.logRefusal(w, r, rejection, rejection.Err, func() { e.writeRejection(w, r, rejection) })
}

// writeRejection answers a request with a refusal, as the program does or with a problem
// document. It sets a write deadline, because the server's may be missing, or over by now. A
// refused handshake keeps no socket, which no limit would count.
func (e *endpoint) writeRejection(
	w http.ResponseWriter, r *http.Request, rejection *depends.Rejection,
) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(e.settings.WriteTimeout))
	if wantsUpgrade(r) {
		w.Header()["Connection"] = connectionClose
	}
	if e.shared.config.WriteRefusal == nil || !e.writeOwn(w, r, rejection) {
		rejection.ServeHTTP(w, r)
	}
}

// writeOwn answers as the program does, and reports whether that has written anything. The
// answer goes out whole: the request's goroutine may be busy for long.
func (e *endpoint) writeOwn(
	w http.ResponseWriter, r *http.Request, rejection *depends.Rejection,
) bool {
	own := &recorder{ResponseWriter: w}
	rejection.ServeHTTP(own, r) // for its header
	*own = recorder{ResponseWriter: w}
	w.Header().Del("Content-Type")
	err := protect("WriteRefusal", func() {
		asked := &bind.Request{Plan: e.plan, HTTP: r}
		e.shared.config.WriteRefusal(own, asked.Snapshot(), rejection)
	})
	if err != nil {
		e.log(slog.LevelError, "WriteRefusal failed", e.shared.proxies.remote(r), err, nil)
		return false
	}
	if !own.begun {
		return false
	}
	w.Header().Set("Content-Length", strconv.Itoa(own.body.Len()))
	w.WriteHeader(cmp.Or(own.status, rejection.StatusBeforeUpgrade()))
	_, _ = w.Write(own.body.Bytes())
	return true
}

// recorder holds an answer back, but for its header.
type recorder struct {
	http.ResponseWriter
	begun  bool
	status int // 0 unless it is set
	body   bytes.Buffer
}

// WriteHeader implements [http.ResponseWriter].
func (w *recorder) WriteHeader(status int) { w.begun, w.status = true, status }

// Write implements [http.ResponseWriter].
func (w *recorder) Write(b []byte) (int, error) {
	w.begun = true
	return w.body.Write(b)
}

var connectionClose = []string{"close"}
