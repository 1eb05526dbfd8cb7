package wsroute

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"reflect"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/internal/graph"
)

// HandleHTTP registers a handler for plain HTTP requests, beside the WebSockets that
// the same providers guard: one currentUser for the whole program. The method is one
// of net/http's constants.
//
// In is what it is for [Handle], and what cannot be had refuses the request with the same
// problem document, within the same Config.ResolveTimeout. The handler answers as any
// [http.HandlerFunc] does; r is the request without the route's credentials. An error
// refuses as a provider's would, with Config.MapError, if the handler has not begun to
// answer; otherwise it is logged, and the answer is cut off.
//
// A GET may have the path of a WebSocket, unless that has [Diagnose]: it answers what is no
// handshake, in place of a 426. On gin, HEAD is a method of its own; without gin, a GET
// answers it.
//
// Values of the Connection and the Handshake lifetime are released when the handler has
// returned. Where the credential is a cookie, a method other than GET, HEAD and OPTIONS
// demands an allowed Origin or "Sec-Fetch-Site: same-origin", so that no other site's page
// can ask in a user's name; so does a name and a password if a browser has sent them. The
// limits on connections do not count plain requests, and options of a route that are about
// WebSockets do nothing here.
func HandleHTTP[In any](
	r *Router, method, path string, handler func(http.ResponseWriter, *http.Request, In) error,
	options ...RouteOption,
) {
	if handler == nil {
		misuse("HandleHTTP %s with a nil handler", path)
	}
	r.add(path, options, &route{
		Route: Route{Method: cmp.Or(method, http.MethodGet)},
		target: graph.Target{
			In: reflect.TypeFor[In](), Func: graph.DescribeFunc(handler), Plain: true,
		},
		answer: func(w http.ResponseWriter, r *http.Request, in any) error {
			return handler(w, r, *in.(*In))
		},
	})
}

// servePlain resolves and answers a plain request.
func (e *endpoint) servePlain(w http.ResponseWriter, r *http.Request, c *gin.Context) {
	h := e.newResolution(w, r, c)
	h.request.WithBody = true
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	unread := h.request.Parse()
	switch {
	case e.shared.config.RequireTLS && !e.shared.proxies.secure(r):
		e.refuse(w, r, e.tlsRequired(r))
	case !safe && h.request.Forged(e.allows):
		e.refuse(w, r, e.originRefused(r))
	case unread != nil:
		e.refuse(w, r, badQuery())
	default:
		h.peer = newPeer(e, r)
		h.run()
	}
}

// answer calls the handler of a plain request, unless err refuses it, and releases what was
// resolved for it.
func (h *resolution) answer(in any, err error) {
	w := &answerWriter{ResponseWriter: h.w}
	cause := graph.ErrGoexit
	defer func() {
		if h.pending() && !w.cut {
			w.Flush() // the client need not wait for the cleanups
		}
		h.release(cause)
		if w.cut {
			abort(h.w)
		}
	}()
	if err = cmp.Or(err, h.checkHeader()); err == nil {
		maps.DeleteFunc(h.w.Header(), func(name string, _ []string) bool { return !ofHandshake(name) })
		maps.Copy(h.w.Header(), h.header)
		stop := context.AfterFunc(h.r.Context(), func() { h.peer.conn.End(requestEnd(h.r), 0, "", true) })
		defer stop()
		err = h.handle(w, in)
	}
	cause = err
	switch {
	case err == nil:
	case !w.begun && !errors.Is(err, http.ErrAbortHandler):
		h.refuse(err)
	default:
		w.cut = true
		if !errors.Is(err, errGone) {
			h.peer.log(slog.LevelError, "answer broke off", err)
		}
	}
}

// handle calls the handler of a plain request. It returns the end of the request if nobody
// hears the handler's error, or if the error comes of it.
func (h *resolution) handle(w http.ResponseWriter, in any) error {
	p := h.peer
	r := h.request.Snapshot().WithContext(graph.WithAuthorisation(h.r.Context(), &p.authorised))
	depends.Identify(r.Context(), depends.Identity{Since: p.since}) // for whom a ticket is given to
	defer func() {
		if r.MultipartForm != nil { // net/http removes the files of its own request alone
			_ = r.MultipartForm.RemoveAll()
		}
	}()
	rt := p.endpoint.route
	err := graph.Protect(rt.target.Func.Name, func() error { return rt.answer(w, r, in) })
	if err == nil || isPanic(err) {
		return err
	}
	why := requestEnd(h.r)
	late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Cause(h.r.Context()))
	if errors.Is(why, errGone) || why != nil && late {
		return why
	}
	return err
}

// answerWriter notes that a handler has begun to answer.
type answerWriter struct {
	http.ResponseWriter
	begun bool
	cut   bool // the answer broke off
}

func (w *answerWriter) WriteHeader(status int) {
	w.begun = w.begun || status >= http.StatusOK // others are not the answer
	w.ResponseWriter.WriteHeader(status)
}

func (w *answerWriter) Write(b []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(b)
}

// Flush implements [http.Flusher].
func (w *answerWriter) Flush() {
	w.begun = true
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements [http.Hijacker]: the connection is the handler's then.
func (w *answerWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.begun = true
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Unwrap is for [http.ResponseController].
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// abort ends the connection of an answer that is not whole. net/http does so for a panic
// with [http.ErrAbortHandler], of which gin.Recovery would make a proper end.
func abort(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(innermost(w)).Hijack()
	switch {
	case err == nil:
		_ = conn.Close()
	case !errors.Is(err, http.ErrHijacked):
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's own word
	}
}
