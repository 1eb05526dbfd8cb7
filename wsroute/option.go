package wsroute

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"example.com/usher/internal/graph"
	"example.com/usher/internal/wsconn"
)

// RouteOption modifies a route, or all routes of a group.
type RouteOption interface{ apply(*route) }

// option is a RouteOption, with the name that [Router.Explain] gives it; a guard has none.
type option struct {
	name string
	set  func(*route)
}

func (o option) apply(rt *route) {
	o.set(rt)
	if o.name != "" {
		rt.Options = append(rt.Options, o.name)
	}
}

// route is a registered handler.
type route struct {
	Route // of which Routes fills in the rest; Path has no prefix of a mount

	target   graph.Target // the same
	messages []string     // what is wrong with the message types
	receives reflect.Type
	sends    reflect.Type
	codec    codec
	channel  *channel                       // of HandleMessages; nil for a loop
	calls    []*call                        // for its messages
	given    map[reflect.Type]func(any) any // what their handlers may take beside
	limits   Limits                         // that the route and its groups set

	// One of them is set: serve for a WebSocket, answer for plain HTTP.
	serve  func(ctx context.Context, p *peer, in any) error
	answer func(http.ResponseWriter, *http.Request, any) error
}

// Require guards a route or a group with the provider of T: it must succeed,
// its value is not taken. So T is no bool and no error, and no App value: a guard refuses by
// the error of its provider. Guards run before the handler's own dependencies, the
// outermost group's first.
//
// As an option of a message, Require runs the provider anew for each: what it makes then ends
// with the message, and its refusal is the answer.
func Require[T any]() Option {
	guard := graph.Guard{Type: reflect.TypeFor[T](), Site: graph.Caller()}
	return demand{"", func(t *graph.Target) { t.Guards = append(t.Guards, guard) }}
}

// Diagnose lets a plain GET of the route tell why a WebSocket would be refused,
// which a browser hides from a page: the dependencies are resolved as for a
// handshake, released with the cause [ErrDiagnose], and the answer is the
// refusal, or 426 when all is well. Pages of other origins that may connect can read the
// answer, too (CORS). Without it a plain GET is 426 at once.
var Diagnose RouteOption = option{"Diagnose", func(rt *route) { rt.Diagnose = true }}

// DropOldest is for streams of which the newest message is worth the most, such as
// positions or prices: when a slow reader's queue is full, the oldest message that
// waits is dropped. Without it the handler's own Send waits for room, and a message
// from anybody else closes the connection with 1013. It is for loops: on a [HandleMessages]
// route, whose answers it would drop, it is a wiring fault.
var DropOldest RouteOption = option{"DropOldest", func(rt *route) { rt.DropOldest = true }}

// Compress lets a client negotiate permessage-deflate (RFC 7692) without context
// takeover. Limits.ReadLimit then bounds a message both as it comes and as it is
// inflated. It costs processor time and memory for each message. A message must not
// hold a secret beside what a stranger can choose: its length would tell (RFC 7692
// §8). By default, nothing is compressed.
var Compress RouteOption = option{"Compress", func(rt *route) { rt.Compress = true }}

// AcceptThenClose lets a page learn why it is refused: browsers hide an HTTP
// refusal (they report 1006), so the connection is accepted and closed with the
// refusal's close code and reason. It holds for what is refused behind the cheap
// checks, that is by credentials, parameters and providers; a malformed handshake
// or a foreign Origin is refused with HTTP as ever. A page that offers subprotocols must
// offer one that the route speaks, since no other is selected. Nothing that the peer sends is
// delivered, and the closing handshake has 1 s. Peers that are refused so do not count for
// Config.MaxConnections: they have a tenth as many places of their own, and beyond them a
// refusal is one of HTTP.
//
// It costs a stranger's handshake more than a refusal does. [Diagnose] and tickets
// tell a page the same without it.
var AcceptThenClose RouteOption = option{"AcceptThenClose", func(rt *route) {
	rt.AcceptThenClose = true
}}

// Public lets a WebSocket route authenticate nobody: everybody may connect whose Origin is
// allowed. Without it such a route does not start, so that none is open by mistake. A route
// authenticates by a scheme or a value of [FromGin] that it or one of its providers needs,
// or by a guard whose provider reads the request; what nothing but Optional fields need
// lets everybody pass, and a value that is no guard proves nothing. As an option of a
// group, Public changes nothing for those of its routes that authenticate, nor for
// [HandleHTTP].
var Public RouteOption = option{"Public", func(rt *route) { rt.Public = true }}

// Scopes demands OAuth 2.0 scopes (RFC 6749 §3.3) of every scheme that a route
// uses: what authenticated must grant them, or the connection is refused with 403
// "insufficient_scope". A scopes tag on a field demands them of the schemes behind
// that field; all that are demanded on the ways to a scheme are united. A value
// grants what its method Scopes() []string returns. A scheme that nothing but Optional
// fields need cannot be the only one: whoever has no credential would pass.
//
// As an option of a message, Scopes demands them of what the schemes of its route say at the
// moment of each message; a peer without a credential is answered "unauthorized".
func Scopes(names ...string) Option {
	return demand{"Scopes(" + strings.Join(names, ", ") + ")", func(t *graph.Target) {
		t.Scopes = slices.Concat(t.Scopes, names)
	}}
}

// Subprotocols names what a route speaks, the preferred one first. The first
// that the client offers too is selected, else none (RFC 6455 §4.2.2). By
// default, a route selects none.
func Subprotocols(names ...string) RouteOption {
	return option{"Subprotocols(" + strings.Join(names, ", ") + ")", func(rt *route) {
		rt.Subprotocols = names
	}}
}

// selectSubprotocol returns the route's first choice among the client's offers. The marker
// of a token is selected if nothing else is: a browser that offered it would fail otherwise.
func (rt *route) selectSubprotocol(offers []string, marker string) string {
	for _, name := range rt.Subprotocols {
		if slices.Contains(offers, name) {
			return name
		}
	}
	return marker
}

// check adds what is wrong with the route by itself.
func (rt *route) check(t *graph.Target, found *faults, c *Config) {
	for _, text := range slices.Concat(rt.messages, rt.checkUnions()) {
		found.add(t, "bad message", text, "")
	}
	if rt.channel != nil && rt.DropOldest {
		found.add(t, "bad route", "DropOldest would drop answers", "send what may be dropped by a loop")
	}
	if rt.channel != nil && slices.ContainsFunc(rt.calls, func(c *call) bool { return c.alone }) {
		found.add(t, "bad route", "Calls is for loops", "add the handler by On or Answer")
	}
	if !isToken(rt.Method) || strings.ToUpper(rt.Method) != rt.Method {
		found.add(t, "bad route", fmt.Sprintf("%q is no HTTP method", rt.Method),
			"use the constants of net/http, such as http.MethodPost")
	}
	if rt.limits != (Limits{}) {
		for _, text := range rt.limits.over(c.Limits).faults("Limits") {
			found.add(t, "bad route", text, "")
		}
	}
	for _, end := range rt.Closes {
		if !wsconn.Sendable(end.Code) || len(end.Reason) > wsconn.MaxReason {
			text := fmt.Sprintf("Closes(%d, %q) declares what is never sent", end.Code, end.Reason)
			found.add(t, "bad route", text,
				"use 4000 to 4999 for the program's own codes, and a reason of at most 123 bytes")
		}
	}
	for _, name := range rt.Subprotocols {
		if !isToken(name) {
			found.add(t, "bad route", fmt.Sprintf("%q is no name of a subprotocol", name),
				"use letters, digits, '.', '-' and '_'")
		}
	}
}

var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// isToken reports whether text is a token of RFC 9110 §5.6.2.
func isToken(text string) bool { return token.MatchString(text) }
