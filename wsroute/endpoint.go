package wsroute

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
	"example.com/usher/internal/graph"
	"example.com/usher/internal/wsconn"
)

// endpoint is a route, mounted.
type endpoint struct {
	shared   *shared
	route    *route
	target   *graph.Target
	segments []segment
	plan     *bind.Plan
	settings *wsconn.Settings
	open     bool // it authenticates nobody

	// traces is [graph.Run]'s, nil without a Trace.
	traces func(context.Context, *graph.Provider) (_ context.Context, done func(error))

	strange sync.Once // a message that cannot be sent

	page       *endpoint // answers a plain GET or HEAD of a WebSocket's path; nil for none
	sharesPath bool      // it is the page of a WebSocket, which passes requests on
}

// serve answers one request. It returns as soon as the answer is written, so
// that net/http frees the goroutine, its stack, its buffers and the request.
func (e *endpoint) serve(w http.ResponseWriter, r *http.Request, c *gin.Context) {
	growStack()
	e.shared.checkServed(r.Context())
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	if e.page != nil && get && !isHandshake(r) {
		e = e.page
	}
	if e.route.answer != nil {
		e.servePlain(w, r, c)
		return
	}
	if e.shared.config.Trace != nil && (wantsUpgrade(r) || !e.route.Diagnose) {
		r = e.traced(r)
	}
	h, rejection := e.begin(w, r, c)
	switch {
	case rejection != nil:
		e.refuse(w, r, rejection)
	case h != nil:
		h.run()
	}
}

// begin does all that comes before the resolver. It returns neither a resolution nor a
// rejection if the request is answered.
func (e *endpoint) begin(
	w http.ResponseWriter, r *http.Request, c *gin.Context,
) (*resolution, *depends.Rejection) {
	upgrade := wantsUpgrade(r)
	if e.route.Diagnose && !upgrade {
		if _, answered := e.shared.cors(w, r, e.open); answered {
			return nil, nil
		}
	}
	if rejection := e.check(w, r, upgrade); rejection != nil {
		return nil, rejection
	}
	h := e.newResolution(w, r, c)
	h.request.Diagnose = !upgrade
	unread := h.request.Parse()
	switch {
	case len(h.request.Protocols) > bind.MaxOffers:
		return nil, refusal(http.StatusBadRequest, "too_many_subprotocols",
			fmt.Errorf("more than %d subprotocols are offered", bind.MaxOffers))
	case h.request.Forged(e.allows):
		return nil, e.originRefused(r)
	case unread != nil:
		return nil, badQuery()
	}
	address := h.request.ClientAddr()
	if err := h.request.Refused(); err != nil {
		if full := e.shared.hub.refuses(address); full != nil {
			return nil, full
		}
		e.answerError(w, r, &h.request, err)
		return nil, nil
	}
	h.peer = newPeer(e, r)
	if e.shared.config.MaxPerAddress > 0 && !address.IsValid() {
		e.shared.unknown.Do(func() {
			h.peer.log(slog.LevelWarn, "MaxPerAddress does not count peers without an address", nil)
		})
	}
	return h, e.shared.hub.enter(h.peer, address)
}

// newResolution reads what a resolution needs of a request.
func (e *endpoint) newResolution(
	w http.ResponseWriter, r *http.Request, c *gin.Context,
) *resolution {
	query, lines := e.raw(r)
	return &resolution{w: w, r: r, header: settable(w.Header()), request: bind.Request{
		Plan: e.plan, HTTP: r, Path: e.pathValues(r.URL.Path), RawQuery: query,
		Client: e.shared.client, Protocols: bind.Offers(lines), Foreign: c,
	}}
}

func badQuery() *depends.Rejection {
	return refusal(http.StatusBadRequest, "invalid_query", errors.New("the query has a bad % or a ;"))
}

func (e *endpoint) tlsRequired(r *http.Request) *depends.Rejection {
	refused := refusal(http.StatusForbidden, "tls_required", fmt.Errorf(
		"no TLS: X-Forwarded-Proto is %.200q, from %s, which is in Config.TrustedProxies: %t",
		strings.Join(r.Header["X-Forwarded-Proto"], ", "), r.RemoteAddr,
		e.shared.proxies.trust(otherEnd(r))))
	refused.Detail = "connect over TLS"
	return refused
}

func (e *endpoint) originRefused(r *http.Request) *depends.Rejection {
	err := &originError{r.Header["Origin"], e.shared.proxies.host(r)}
	return refusal(http.StatusForbidden, "origin_not_allowed", err)
}

// check runs the checks that need nothing of the program, the cheapest first.
// upgrade is false for a plain request.
func (e *endpoint) check(
	w http.ResponseWriter, r *http.Request, upgrade bool,
) (rejection *depends.Rejection) {
	switch {
	case r.Method != http.MethodGet:
		rejection = refusal(http.StatusMethodNotAllowed, "method_not_allowed", nil)
		rejection.Header = http.Header{"Allow": {http.MethodGet}}
	case upgrade:
		rejection = checkHandshake(r)
	case !e.route.Diagnose:
		rejection = upgradeRequired(r)
	}
	switch {
	case rejection != nil:
	case e.shared.config.RequireTLS && !e.shared.proxies.secure(r):
		rejection = e.tlsRequired(r)
	case !e.allows(r):
		rejection = e.originRefused(r)
	case upgrade && !hijackable(w):
		rejection = refusal(http.StatusInternalServerError, "internal_error", fmt.Errorf(
			"wsroute: a %T cannot be upgraded: some middleware or HTTP/2 hides the connection", w))
	}
	return rejection
}

// allows decides by the Origin.
func (e *endpoint) allows(r *http.Request) bool {
	return e.shared.origins.allows(r, e.shared.proxies, e.open)
}
