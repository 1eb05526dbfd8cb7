package wsroute

import (
	"context"
	"errors"
	"net/http"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/graph"
	"example.com/usher/internal/wsconn"
)

// retryAfter is what a peer is asked to wait when the fault is ours and passes.
const retryAfter = 2 * time.Second

// rejection says what a peer is told of an error that ended its handshake, and
// returns the error as it is to be logged.
func (e *endpoint) rejection(err error) (*depends.Rejection, error) {
	if errors.Is(err, ErrDraining) || errors.Is(err, ErrRevoked) || isTimeout(err) {
		return rejectionFor(err), err // no error of the program
	}
	r, err := e.mapped(err)
	if r == nil {
		return rejectionFor(err), err
	}
	return valid(r), err
}

// closing says with which code a connection closes whose handler returned err,
// and returns the error as it is to be logged.
func (e *endpoint) closing(err error) (code int, reason string, _ error) {
	r, err := e.mapped(err)
	if r != nil {
		return r.CodeAfterUpgrade(), r.Reason, err
	}
	code, reason = closeFor(err)
	return code, reason, err
}

// mapped asks the program what its error means to a peer; nil leaves it as it is.
// A panic of MapError is added to the error, and told as one.
func (e *endpoint) mapped(err error) (r *depends.Rejection, logged error) {
	ask := e.shared.config.MapError
	if ask == nil || err == nil || isPanic(err) {
		return nil, err
	}
	failed := graph.Protect("MapError", func() error {
		r = ask(err)
		return nil
	})
	if failed != nil {
		return nil, errors.Join(err, failed)
	}
	return r, err
}

// valid returns r with a status that refuses.
func valid(r *depends.Rejection) *depends.Rejection {
	if r.Status >= 400 && r.Status <= 599 {
		return r
	}
	out := *r
	out.Status = http.StatusInternalServerError
	return &out
}

func drainingRejection(err error) *depends.Rejection {
	r := depends.Unavailable(retryAfter, err)
	r.Reason = "draining"
	return r
}

// rejectionFor says what a peer is told of an error that ended its handshake.
func rejectionFor(err error) *depends.Rejection {
	r, rejected := errors.AsType[*depends.Rejection](err)
	switch {
	case isPanic(err): // whatever it wraps, it was not said on purpose
		return &depends.Rejection{Status: http.StatusInternalServerError, Reason: "internal_error", Err: err}
	case rejected:
		return valid(r)
	case errors.Is(err, ErrDraining):
		return drainingRejection(err)
	case errors.Is(err, ErrRevoked):
		return revokedRejection(err)
	case isTimeout(err):
		r = depends.Unavailable(retryAfter, err)
		r.Reason = "timeout"
		return r
	}
	return &depends.Rejection{Status: http.StatusInternalServerError, Reason: "internal_error", Err: err}
}

// closeFor says with which code a connection closes whose handler returned err.
func closeFor(err error) (code int, reason string) {
	if err == nil {
		return wsconn.CodeNormal, ""
	}
	if isPanic(err) {
		return wsconn.CodeInternal, ""
	}
	if m, ok := errors.AsType[*MessageError](err); ok {
		return m.Code, m.Reason
	}
	if r, ok := errors.AsType[*depends.Rejection](err); ok {
		return r.CodeAfterUpgrade(), r.Reason
	}
	return wsconn.CodeInternal, ""
}

// isTimeout reports whether a request was not resolved in its time.
func isTimeout(err error) bool { return errors.Is(err, errBudget) || errors.Is(err, errLate) }

func isPanic(err error) bool {
	_, ok := errors.AsType[*graph.Panic](err)
	return ok
}

// writeRejection answers a request with a refusal, which has a time of its own to be
// written: the server may set none, or its own may be over by now, as middleware and
// providers have worked meanwhile.
func writeRejection(w http.ResponseWriter, r *http.Request, rejection *depends.Rejection, timeout time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout))
	rejection.ServeHTTP(w, r)
}

// ended prefers why a connection ended to what its end made of err: a provider
// that is cancelled returns all sorts of errors. A panic stays one.
func ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && err != nil && !isPanic(err) {
		return cause
	}
	return err
}
