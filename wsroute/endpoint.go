package wsroute

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/internal/plan"
)

// ErrDiagnose is the cause that cleanups are given when the dependencies were
// resolved for a plain GET of a route with [Diagnose].
var ErrDiagnose = errors.New("wsroute: resolved to diagnose, not to connect")

var (
	errBudget = errors.New("wsroute: the dependencies took longer than ResolveTimeout")
	errGone   = errors.New("wsroute: the client left during the handshake")
	errGoexit = errors.New("wsroute: runtime.Goexit was called")
)

// endpoint is a route, mounted.
type endpoint struct {
	shared   *shared
	route    *route
	target   *plan.Target
	segments []segment
	plan     *plan.Plan
	secrets  []string // query parameters that hold credentials
	offers   []string // for what subprotocols carry tokens
	cookies  bool     // a scheme takes a cookie
}

// handshake is what a connection needs until it is upgraded or refused. Two
// goroutines share it: the request's, which owns the ResponseWriter and returns
// when the answer is written, and the connection's, which runs the providers.
type handshake struct {
	peer     *peer
	request  plan.Request
	scope    plan.Scope  // of the Handshake lifetime
	decided  atomic.Bool // one of the two goroutines has decided the outcome
	settled  chan error  // the resolver's outcome, if it decided
	answered chan error  // what became of the answer: nil is an open connection
}

// serve answers one request. It returns as soon as the answer is written, so
// that net/http frees the goroutine, its buffers and the request.
func (e *endpoint) serve(w http.ResponseWriter, r *http.Request, path []plan.PathValue, c *gin.Context) {
	upgrade, rejection := e.check(w, r)
	if rejection != nil {
		e.refuse(w, r, rejection)
		return
	}
	h := &handshake{
		request: plan.Request{HTTP: r, Path: path, RawQuery: rawQuery(r), Client: e.shared.proxies.client(r)},
	}
	h.request.Protocols, h.request.Diagnose = plan.Offers(rawOffers(r)), !upgrade
	if err := h.request.Parse(e.plan); err != nil {
		e.refuse(w, r, &depends.Rejection{Status: http.StatusBadRequest, Reason: "invalid_query", Err: errors.New("the query does not decode")})
		return
	}
	if err := h.request.Refused(e.plan); err != nil && !e.shared.hub.closed() {
		e.answerError(w, r, &h.request, err)
		return
	}
	h.request.ReadHanded(e.plan, c)
	h.peer = newPeer(e, e.shared.proxies.remote(r))
	if refusal := e.shared.hub.enter(h.peer, &e.shared.config, h.request.Client); refusal != nil {
		if errors.Is(refusal, ErrDraining) {
			w.Header().Set("Connection", "close")
		}
		e.refuse(w, r, refusal)
		return
	}
	h.settled, h.answered = make(chan error, 1), make(chan error, 1)
	go h.peer.run(h)
	err, abandoned := h.await(r.Context(), e.shared.config.ResolveTimeout)
	if abandoned {
		e.answerError(w, r, &h.request, err)
		return
	}
	h.answer(w, r, err, upgrade)
}

// check runs the checks that need nothing of the program, the cheapest first.
// upgrade is false for a plain request of a route that diagnoses.
func (e *endpoint) check(w http.ResponseWriter, r *http.Request) (upgrade bool, rejection *depends.Rejection) {
	if rejection = checkMethod(r); rejection != nil {
		return false, rejection
	}
	upgrade = wantsUpgrade(r)
	switch {
	case upgrade:
		rejection = checkHandshake(r)
	case !e.route.diagnose:
		rejection = upgradeRequired()
	}
	if rejection != nil {
		return upgrade, rejection
	}
	if !e.allows(r, upgrade) {
		return upgrade, &depends.Rejection{
			Status: http.StatusForbidden, Reason: "origin_not_allowed", Err: &originError{r.Header["Origin"], r.Host},
		}
	}
	if upgrade && !hijackable(w) {
		return upgrade, &depends.Rejection{
			Status: http.StatusInternalServerError, Reason: "internal_error",
			Err: fmt.Errorf("wsroute: a %T cannot be upgraded: some middleware or HTTP/2 hides the connection", w),
		}
	}
	return upgrade, nil
}

// allows decides by the Origin. Where a cookie counts, a request without one is
// no program but a browser's navigation or fetch: a page of ours says so itself.
func (e *endpoint) allows(r *http.Request, upgrade bool) bool {
	if e.cookies && len(r.Header["Origin"]) == 0 {
		return !upgrade && r.Header.Get("Sec-Fetch-Site") == "same-origin"
	}
	return e.shared.origins.allows(r.Header["Origin"], r.Host)
}

// await waits for the resolver, but not longer than the budget or the client.
func (h *handshake) await(client context.Context, budget time.Duration) (err error, abandoned bool) { //nolint:revive // the error is the outcome, not a failure of await
	timer := time.NewTimer(budget)
	defer timer.Stop()
	select {
	case err = <-h.settled:
		return err, false
	case <-timer.C:
		err = errBudget
	case <-client.Done():
		err = errGone
	}
	if h.decided.CompareAndSwap(false, true) {
		h.peer.session.end(err, 0, "", true)
		return err, true
	}
	return <-h.settled, false
}

// settle tells the request's goroutine how resolving ended, waits for its
// answer, and returns what became of the connection: nil if it is open.
func (h *handshake) settle(err error) error {
	if !h.decided.CompareAndSwap(false, true) {
		return context.Cause(h.peer.session.ctx) // somebody has answered already
	}
	h.settled <- err
	return <-h.answered
}

// answer writes the 101 or the refusal, and hands the connection over.
func (h *handshake) answer(w http.ResponseWriter, r *http.Request, err error, upgrade bool) {
	outcome, told := errGone, false // if writing the answer panics
	tell := func() {
		if !told {
			told = true
			h.answered <- outcome
		}
	}
	defer tell()
	e := h.peer.endpoint
	switch {
	case err == nil && !upgrade:
		outcome = ErrDiagnose
		writeRejection(w, upgradeRequired(), e.shared.config.WriteTimeout)
		return
	case err == nil:
		err = h.upgrade(w, r)
	}
	outcome = err
	if err == nil {
		return
	}
	if e.route.tells {
		tell() // what was resolved need not wait for the stranger
	}
	e.answerError(w, r, &h.request, err)
}

// upgrade hijacks the connection and writes the 101. It is the last moment at
// which the client's or the server's leaving is still a refusal.
func (h *handshake) upgrade(w http.ResponseWriter, r *http.Request) error {
	e, s := h.peer.endpoint, h.peer.session
	if r.Context().Err() != nil {
		return errGone
	}
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	if written, ok := w.(interface{ Written() bool }); ok && written.Written() {
		return errors.New("wsroute: middleware has written a response already; one that refuses must abort")
	}
	header, err := h.header(w)
	if err != nil {
		return err
	}
	if protocol := e.route.selectSubprotocol(h.request.Selectable(e.plan)); protocol != "" {
		header["Sec-Websocket-Protocol"] = []string{protocol}
	}
	if g, ok := w.(gin.ResponseWriter); ok {
		g.WriteHeader(http.StatusSwitchingProtocols) // writes nothing: it is what gin's logger prints
	}
	ws, wire, hijacked, err := upgrade(w, r, header, s.lim.WriteTimeout)
	if hijacked && err != nil {
		return &upgradeError{err}
	}
	if err != nil {
		return err
	}
	s.attach(ws, wire)
	return nil
}

// upgradeError is a failure behind the hijack, when there is nobody to answer.
type upgradeError struct{ err error }

func (e *upgradeError) Error() string { return "wsroute: upgrade: " + e.err.Error() }
func (e *upgradeError) Unwrap() error { return e.err }

// originError is a refused Origin; its hint is the line to add.
type originError struct {
	origins []string
	host    string
}

func (e *originError) Error() string {
	return fmt.Sprintf("wsroute: origin %.200q is not allowed for host %.200q", e.origins, e.host)
}

func (e *originError) hint() string {
	if len(e.origins) != 1 {
		return ""
	}
	if _, ok := parseOrigin(e.origins[0]); !ok {
		return ""
	}
	return fmt.Sprintf("to allow it: Origins: []string{%q}", e.origins[0])
}
