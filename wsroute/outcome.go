package wsroute

import (
	"net/http"
	"slices"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
	"example.com/usher/internal/graph"
	"example.com/usher/internal/wsconn"
)

// Doc says what a route or a type of messages is for, in documents that are made of
// [Router.Routes].
func Doc(text string) Option { return doc(text) }

type doc string

func (d doc) apply(rt *route)      { rt.Doc = string(d) }
func (d doc) applyMessage(c *call) { c.doc = string(d) }

// Reconnect says what a client does after a close.
type Reconnect string

// What a client does after a close: it stays away, connects again at once with a new credential,
// or connects again after a while, the longer the more often.
const (
	ReconnectNever Reconnect = "never"
	ReconnectNow   Reconnect = "now"
	ReconnectLater Reconnect = "later"
)

// Closes declares that the handlers and providers of a route may close a connection with this
// code and reason, which may be empty for any, and what a client then does; doc says what it
// means. [Router.Routes] lists it, and so do the documents and clients that are made of that.
// Under wstest, a route of which anything is declared may close with nothing else.
func Closes(code int, reason string, reconnect Reconnect, doc string) RouteOption {
	return option{"", func(rt *route) {
		rt.Closes = append(rt.Closes, Close{code, reason, doc, "program", reconnect})
	}}
}

// Fails declares that the handler of a message, or what guards it, may answer with an error of
// this reason; doc says what it means. Providers declare theirs by [depends.Refuses]. See
// [Closes].
func Fails(reason, doc string) MessageOption { return fails{reason, doc} }

type fails struct{ reason, doc string }

func (f fails) applyMessage(c *call) {
	c.reasons = append(c.reasons, Reason{f.reason, f.doc, "program"})
	if f.reason == "" {
		c.bad = append(c.bad, "Fails names no reason")
	}
}

// byUsher is who is behind what this package itself decides.
const byUsher = "usher"

// refusals lists how requests for the route may be refused.
func (e *endpoint) refusals() (list []Refusal) {
	add := func(when bool, status int, reason, doc, by string) {
		r := Refusal{status, reason, 0, doc, by}
		if when && !slices.Contains(list, r) {
			list = append(list, r)
		}
	}
	c, socket := e.shared.config, e.route.answer == nil
	own := func(when bool, status int, reason, doc string) {
		add(when, status, reason, doc, byUsher)
	}
	own(socket, 400, "http_version", "the handshake is of HTTP/1.0")
	own(socket, 400, "connection_header", "Connection says no Upgrade: did a proxy drop it?")
	own(socket, 400, "websocket_key", "Sec-WebSocket-Key is not 16 bytes in base64")
	own(socket, 400, "unexpected_body", "the handshake has a body")
	own(socket, 400, "too_many_subprotocols", "more than 32 subprotocols are offered")
	own(socket, 426, "websocket_version", "Sec-WebSocket-Version is not 13")
	own(socket, 426, "upgrade_required", "the request is no handshake")
	own(socket, 405, "method_not_allowed", "a WebSocket is a GET")
	own(c.RequireTLS, 403, "tls_required", "the connection is not encrypted")
	own(true, 403, "origin_not_allowed", "pages of this origin may not connect")
	own(true, 400, "invalid_query", "a query parameter does not decode")
	own(socket, 503, "draining", "the server is about to stop")
	own(socket, 503, "too_many_connections", "the server has all the connections that it takes")
	own(socket, 503, "too_many_handshakes", "too many handshakes are in progress")
	own(socket && c.MaxPerAddress > 0, 429, "too_many_from_address", "too many from one address")
	cheap := len(list) // these are HTTP on every route
	for _, s := range e.plan.Plan.Schemes() {
		scheme := bind.SchemeOf(s.Provider)
		from := func(when bool, status int, reason, doc string) {
			add(when, status, reason, doc, scheme.Name)
		}
		from(!s.Optional, 401, "credentials_required", "there is no credential")
		from(true, 400, "invalid_request", "two credentials, or one that cannot be read")
		from(s.Scopes != nil, 403, "insufficient_scope", "the credential does not grant the scopes")
		for _, r := range scheme.Refuses {
			from(true, r.Status, r.Reason, r.Doc)
		}
		own(socket, 401, "token_expired", "the credential has expired meanwhile")
		own(socket, 401, "revoked", "the credential was revoked meanwhile")
	}
	own(e.plan.Params() != nil, 422, "invalid_parameters", "parameters are not valid: see errors")
	e.plan.Refusals(func(by *graph.Provider, r graph.Refusal) {
		add(true, r.Status, r.Reason, r.Doc, by.Func.Name)
	})
	own(socket && c.MaxPerPrincipal > 0, 429, "too_many_of_principal", "too many of one account")
	own(true, 503, "timeout", "the server took too long")
	own(true, 500, "internal_error", "the server has failed")
	if e.route.AcceptThenClose {
		for i := range list[cheap:] {
			r := &list[cheap+i]
			r.CloseCode = (&depends.Rejection{Status: r.Status}).CodeAfterUpgrade()
		}
	}
	return list
}

// closes lists how connections of the route may end.
func (e *endpoint) closes(refusals []Refusal) (list []Close) {
	add := func(when bool, end Close) {
		same := func(o Close) bool { return o.Code == end.Code && o.Reason == end.Reason }
		if when && !slices.ContainsFunc(list, same) {
			list = append(list, end)
		}
	}
	for _, end := range e.route.Closes {
		add(true, end)
	}
	for _, r := range refusals {
		again := e.plan.Keeps && r.By != byUsher // by a renewal, or a provider that runs again
		code := (&depends.Rejection{Status: r.Status}).CodeAfterUpgrade()
		add(again || r.CloseCode != 0, Close{code, r.Reason, r.Doc, r.By, afterRefusal(r)})
	}
	rt, limits := e.route, e.settings.Limits
	const never, now, later = ReconnectNever, ReconnectNow, ReconnectLater
	own := func(when bool, code int, reason string, reconnect Reconnect, doc string) {
		add(when, Close{code, reason, doc, byUsher, reconnect})
	}
	loop, renews := rt.channel == nil, rt.Renewable
	signsIn := renews && e.guests() && e.shared.config.MaxPerPrincipal > 0
	own(true, 3000, "token_expired", now, "the authorisation is over")
	own(true, 3000, "revoked", never, "the authorisation was taken back")
	own(renews, 3003, "other_principal", never, "the new credential is another account's")
	own(renews, 1008, "renewing", now, "a renewal came before the last was done")
	own(renews, 1008, "too_many_renewals", later, "a renewal came too soon after the last")
	own(renews, 1008, "nothing_to_renew", never, "there is nothing that a credential could renew")
	own(signsIn, 1013, "too_many_of_principal", later, "too many of one account")
	own(e.plan.Keeps, 1013, "timeout", later, "the authorisation could not be looked at in time")
	own(true, 1012, "server_restart", later, "the server stops")
	own(true, 1013, "slow_reader", later, "the client does not read what is sent to it")
	own(true, 1008, "handler_stalled", later, "the server does not get through the messages")
	own(true, 1009, "message_too_big", never, "a message is longer than the limit")
	own(true, 1008, "message_timeout", later, "a message took too long to arrive")
	own(limits.MessageRate > 0, 1008, "too_many_messages", later, "messages come too fast")
	own(true, 1008, "too_many_control_frames", later, "pings come too fast")
	own(true, 1008, "too_many_fragments", never, "a message has too many empty fragments")
	own(true, 1007, "invalid_utf8", never, "text is not UTF-8")
	own(loop, 1007, "invalid_json", never, "a message is no JSON")
	own(loop, 1008, "invalid_message", never, "a message does not fit its type")
	own(loop && rt.codec.in != nil, 1008, "unknown_type", never, "a message has no known type")
	own(loop, 1003, "binary_not_accepted", never, "a message is binary")
	own(loop, 1003, "text_not_accepted", never, "a message is text")
	own(!loop, 1008, "too_many_bad_messages", never, "too many messages could not be read")
	own(true, 1002, "protocol_error", never, "what came is no WebSocket frame")
	own(true, wsconn.CodeNormal, "", never, "the conversation is over")
	own(true, wsconn.CodeInternal, "", later, "the server has failed")
	own(true, 1001, "", later, "one side is leaving")
	own(true, 1005, "", later, "closed without a code")
	own(true, wsconn.CodeAbnormal, "", later, "the connection was lost")
	return list
}

// guests says whether peers are let in without a credential that others bring.
func (e *endpoint) guests() bool {
	optional := func(s graph.SchemeInfo) bool { return s.Optional }
	return slices.ContainsFunc(e.plan.Plan.Schemes(), optional)
}

// afterRefusal says what a client does that was told a refusal by a close frame.
func afterRefusal(r Refusal) Reconnect {
	switch {
	case r.Reason == "token_expired":
		return ReconnectNow
	case r.Status == http.StatusTooManyRequests, r.Status >= http.StatusInternalServerError:
		return ReconnectLater
	}
	return ReconnectNever
}

// fails lists why a message of a route may be answered by an error.
func (c *call) fails(e *endpoint, plan *graph.Plan) (list []Reason) {
	own := func(when bool, reason, doc string) {
		if when {
			list = append(list, Reason{reason, doc, byUsher})
		}
	}
	list = append(list, c.reasons...)
	plan.Refusals(func(by *graph.Provider, r graph.Refusal) {
		list = append(list, Reason{r.Reason, r.Doc, by.Func.Name})
	})
	own(!c.isBinary() && !c.alone, "invalid_message", "the message does not fit its type")
	own(plan.Target.Scoped, "insufficient_scope", "the credential does not grant the scopes")
	own(e.guests(), "unauthorized", "nobody is signed in")
	own(c.within > 0, "timeout", "the server took too long")
	own(c.cancels(), "cancelled", "the client has cancelled it")
	own(true, "internal", "the server has failed")
	return list
}
