package wsroute

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
	"example.com/usher/internal/plan"
)

// HandleHTTP registers a handler for plain HTTP requests, beside the WebSockets that
// the same providers guard: one currentUser for the whole program. The method is one
// of net/http's constants.
//
// In is what it is for [Handle], and what cannot be had refuses the request with the
// same problem document. An *http.Request in it has the body. Out is answered as JSON
// with 200; an http.Handler, such as [http.HandlerFunc], writes the answer itself, to the
// request without the route's credentials, and struct{} is 204. The error of the handler
// refuses as a provider's would, with Config.MapError.
//
// Values of both the Connection and the Handshake lifetime are released when the
// answer is written. Config.ResolveTimeout bounds the dependencies, not the handler.
// Where a scheme takes a cookie, a method other than GET, HEAD and OPTIONS demands an
// allowed Origin, so that no other site's page can ask in a user's name; where one takes
// a name and a password, it must be allowed if a browser has sent them. The options
// of a route that are about WebSockets do nothing here.
func HandleHTTP[In, Out any](r *Router, method, path string, handler func(context.Context, In) (Out, error), options ...RouteOption) {
	if handler == nil {
		panic("wsroute: HandleHTTP " + path + " with a nil handler at " + plan.Caller().String()) //nolint:forbidigo // a mistake of the program's own, with its place
	}
	var messages []string
	if !writes(reflect.TypeFor[Out]()) {
		messages = encodingFaults[Out]()
	}
	r.add(path, options, &route{
		in:       reflect.TypeFor[In](),
		fn:       plan.DescribeFunc(handler),
		method:   method,
		sends:    plan.TypeName(reflect.TypeFor[Out]()),
		messages: messages,
		answer:   func(ctx context.Context, in any) (any, error) { return handler(ctx, *in.(*In)) },
	})
}

// writes says whether a type writes a response by itself.
func writes(t reflect.Type) bool { return t.Implements(reflect.TypeFor[http.Handler]()) }

// plainRequest is one plain request.
type plainRequest struct {
	e        *endpoint
	w        http.ResponseWriter
	r        *http.Request
	request  bind.Request
	scope    plan.Scope // of both lifetimes
	standing authorisation
	begun    bool     // the handler has begun to answer by itself
	taken    net.Conn // what it has hijacked
	cut      func()   // closes the connection, if Serve knows it
	called   bool     // the handler was
}

// plain answers a plain request.
func (e *endpoint) plain(w http.ResponseWriter, r *http.Request, path []bind.PathValue, c *gin.Context) {
	config := &e.shared.config
	query, offers := e.raw(r)
	h := &plainRequest{e: e, w: w, r: r, request: bind.Request{
		Plan: e.plan, HTTP: r, Path: path, RawQuery: query, Client: e.shared.proxies.client(r), Protocols: bind.Offers(offers), WithBody: true, Foreign: c,
	}}
	if rejection := h.check(); rejection != nil {
		e.refuse(w, r, rejection)
		return
	}
	if a, ok := r.Context().Value(askedKey{}).(*asked); ok {
		if cut := a.cutter(); r.Context().Err() == nil { // or it may be the next request's
			h.cut = cut
		}
	}
	h.scope = plan.Scope{Budget: config.CleanupTimeout, Authorisation: &h.standing, Report: func(err error) {
		e.log(slog.LevelError, "cleanup failed", e.shared.proxies.remote(r), err)
	}}
	ctx, cancel := context.WithCancelCause(r.Context())
	err := errGoexit
	defer func() {
		if h.scope.Pending() {
			_ = http.NewResponseController(w).Flush() // nobody waits for the cleanups
		}
		h.scope.End(ctx, err)
		cancel(err)
	}()
	var answer any
	if answer, err = h.run(ctx, cancel); err == nil {
		err = h.write(answer)
	}
	if why := over(r); err != nil && h.overrules(why, err) {
		err = why
	}
	switch {
	case err == nil:
	case h.begun: // a half that ends properly would be taken for the whole
		if !errors.Is(err, errGone) {
			e.log(slog.LevelError, "answer broke off", e.shared.proxies.remote(r), err)
		}
		cutOff(w, r, h.taken, h.cut)
	default:
		e.answerError(w, r, &h.request, err)
	}
}

// overrules reports whether the end of a request says more than what came of it: nobody
// hears that any more or, at a deadline, it came of that alone.
func (h *plainRequest) overrules(why, err error) bool {
	switch {
	case why == nil, isPanic(err) && !errors.Is(err, http.ErrAbortHandler):
		return false
	case errors.Is(why, errGone):
		return true
	}
	return !h.called || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Cause(h.r.Context()))
}

// check is what comes before the dependencies.
func (h *plainRequest) check() *depends.Rejection {
	e, r := h.e, h.r
	if e.shared.config.RequireTLS && !e.shared.proxies.secure(r) {
		return tlsRequired()
	}
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	if !safe && !e.ownPage(r) {
		return &depends.Rejection{Status: http.StatusForbidden, Reason: "origin_not_allowed", Err: &originError{r.Header["Origin"], r.Host}}
	}
	if h.request.Parse() != nil {
		return badQuery()
	}
	return nil
}

// ownPage reports whether no other site's page can have caused a request that changes
// something: a browser adds cookies by itself, and a password that it was told once.
func (e *endpoint) ownPage(r *http.Request) bool {
	if e.cookies {
		return e.allows(r, false)
	}
	if !e.basic || !bind.ShowsBasic(r.Header) {
		return true
	}
	switch site := r.Header.Get("Sec-Fetch-Site"); {
	case site == "same-origin":
		return true
	case site != "" && len(r.Header["Origin"]) == 0: // from a browser, which does not say whose page it is
		return false
	}
	return e.allows(r, false)
}

// run resolves the dependencies and calls the handler. Its panic is returned.
func (h *plainRequest) run(ctx context.Context, cancel context.CancelCauseFunc) (answer any, err error) {
	scoped := h.scope.Context(ctx)
	run := &plan.Run{Plan: h.e.plan.Plan, Request: &h.request, Connection: scoped, Handshake: scoped}
	var kept *plan.Kept
	if run.Plan.Keeps {
		kept = run.Keep()
	}
	began := time.Now()
	budget := time.AfterFunc(h.e.shared.config.ResolveTimeout, func() { cancel(errBudget) })
	in, err := run.Resolve()
	if !budget.Stop() && err == nil {
		err = errBudget
	}
	if err != nil {
		return nil, ended(ctx, err)
	}
	if kept != nil {
		kept.Hold(run)
		h.standing.Replace(united(kept.Said()))
	}
	if who := h.standing.Identity(); who != (depends.Identity{}) {
		if err := h.e.shared.hub.caught(who, knownSince(who, began), began); err != nil {
			return nil, err
		}
	}
	depends.Identify(scoped, depends.Identity{Since: began}) // for whom a ticket is given to
	if until := h.standing.Until(); !until.IsZero() && !time.Now().Before(until) {
		return nil, expiredRejection()
	}
	defer func() {
		if v := recover(); v != nil {
			err = &plan.Panic{Value: v, Stack: debug.Stack(), In: h.e.route.fn.Name}
		}
	}()
	h.called = true
	if answer, err = h.e.route.answer(ctx, in); err != nil {
		plan.Try(err)
	}
	return answer, err
}

// write answers with what the handler returned. An error means that nothing is written.
func (h *plainRequest) write(answer any) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &plan.Panic{Value: v, Stack: debug.Stack(), In: h.e.route.fn.Name}
		}
	}()
	switch answer := answer.(type) {
	case http.Handler:
		r := h.request.Snapshot().WithContext(plan.WithAuthorisation(h.r.Context(), &h.standing))
		defer func() {
			if r.MultipartForm != nil { // net/http removes the files of its own request alone
				_ = r.MultipartForm.RemoveAll()
			}
		}()
		answer.ServeHTTP(answering(h.w, &h.begun, &h.taken), r)
		return nil
	case struct{}:
		h.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(answer); err != nil {
		plan.Try(err)
		return err
	}
	header := h.w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	_, _ = h.w.Write(body.Bytes()) // the client may have left
	return nil
}
