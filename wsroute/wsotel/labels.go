package wsotel

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// This file is the same in wsotel and wsprom, which are modules of their own; a test compares them.

// other stands for every value that is not declared.
const other = "_other"

// labels knows the values that labels may have: no peer can add one.
type labels struct {
	router *wsroute.Router
	once   sync.Once
	routes map[string]*routeLabels
}

// routeLabels are those of a route, or of several with the same method and path.
type routeLabels struct {
	label, path string // "GET /rooms/:room" and "/rooms/:room"
	refusals    set
	closes      map[int]set            // reasons by code
	types       map[string]*typeLabels // of messages
}

// typeLabels are those of a type of messages.
type typeLabels struct {
	name    string
	reasons set
}

type set map[string]bool

// value is a declared value, empty, or other.
func (s set) value(v string) string {
	if v == "" || s[v] {
		return v
	}
	return other
}

// ownTypes are the messages of usher itself, and what stands for those without a name.
var ownTypes = []string{
	"", "_binary", other, "error", "ping", "pong", "renew", "renewed", "cancel",
}

// statusWords stand for the reason of a Rejection that has none.
var statusWords = func() set {
	words := set{}
	for status := 300; status < 600; status++ {
		text := strings.ToLower(http.StatusText(status))
		words[strings.ReplaceAll(text, " ", "_")] = true
	}
	return words
}()

// route returns the labels of a route. The routes are known when the first request comes.
func (l *labels) route(label string) *routeLabels {
	l.once.Do(l.read)
	if r := l.routes[label]; r != nil {
		return r
	}
	return l.routes[other]
}

func (l *labels) read() {
	l.routes = map[string]*routeLabels{}
	l.add(other)
	for _, route := range l.router.Routes() {
		r := l.add(route.Method + " " + route.Path)
		for _, refusal := range route.Refusals {
			r.refusals[refusal.Reason] = true
		}
		for _, end := range route.Closes {
			if r.closes[end.Code] == nil {
				r.closes[end.Code] = set{}
			}
			r.closes[end.Code][end.Reason] = true
		}
		for _, list := range [][]wsroute.MessageInfo{route.Receives, route.Calls, route.Sends} {
			for _, m := range list {
				r.addType(m)
			}
		}
	}
}

func (l *labels) add(label string) *routeLabels {
	if r := l.routes[label]; r != nil {
		return r
	}
	r := &routeLabels{
		label: label, path: label[strings.Index(label, " ")+1:],
		refusals: set{}, closes: map[int]set{}, types: map[string]*typeLabels{},
	}
	for _, name := range ownTypes {
		r.addType(wsroute.MessageInfo{Name: name})
	}
	l.routes[label] = r
	return r
}

func (r *routeLabels) addType(m wsroute.MessageInfo) {
	name := m.Name
	if name == "" && m.Frame == "binary" && m.Handler != "" {
		name = "_binary"
	}
	if r.types[name] == nil {
		r.types[name] = &typeLabels{name, set{}}
	}
	for _, reason := range m.Reasons {
		r.types[name].reasons[reason.Reason] = true
	}
}

// message returns the labels of a type of messages.
func (r *routeLabels) message(name string) *typeLabels {
	if t := r.types[name]; t != nil {
		return t
	}
	return r.types[other]
}

// reason is why a message was answered by an error.
func (t *typeLabels) reason(reason string) string { return reasonOf(t.reasons, reason) }

// refusal is why a handshake was refused.
func (r *routeLabels) refusal(reason string) string { return reasonOf(r.refusals, reason) }

func reasonOf(declared set, reason string) string {
	if statusWords[reason] {
		return reason
	}
	return declared.value(reason)
}

// status is that of a handshake; one without a name is its class, such as 400 (RFC 9110 §15).
func status(code int) int {
	switch {
	case http.StatusText(code) != "" || code == 499:
		return code
	case code >= 300 && code < 600:
		return code / 100 * 100
	}
	return http.StatusInternalServerError
}

// end is the code and the reason with which a connection ended, which may be the peer's choice.
// A code that is neither declared nor in RFC 6455 §7.4.1 is its class, such as "4xxx".
func (r *routeLabels) end(code int, reason string) (string, string) {
	reasons, declared := r.closes[code]
	switch {
	case declared, code >= 1000 && code <= 1015:
		return strconv.Itoa(code), reasons.value(reason)
	case code >= 1000 && code < 5000:
		return strconv.Itoa(code/1000) + "xxx", set(nil).value(reason)
	}
	return other, set(nil).value(reason)
}

// initiator is who ended a connection.
func initiator(cause error) string {
	switch {
	case errors.As(cause, new(*wsroute.CloseError)):
		return "client"
	case errors.Is(cause, wsroute.ErrPeerLost):
		return "none"
	}
	return "server"
}

// handshakeOutcome is how a handshake went.
func handshakeOutcome(status int) string {
	switch {
	case status == http.StatusSwitchingProtocols:
		return "accepted"
	case status == 499:
		return "abandoned"
	case status >= http.StatusInternalServerError:
		return "failed"
	}
	return "refused"
}

// providerOutcome is how the call of a provider went.
func providerOutcome(err error) string {
	r, rejected := errors.AsType[*depends.Rejection](err)
	switch {
	case err == nil:
		return "ok"
	case rejected && r.StatusBeforeUpgrade() < http.StatusInternalServerError,
		errors.Is(err, depends.ErrAbsent):
		return "refused"
	case errors.Is(err, context.Canceled):
		return "abandoned"
	}
	return "failed"
}

// dropCause is why messages were dropped.
func dropCause(cause error) string {
	if cause == nil {
		return "replaced"
	}
	return "ended"
}
