package wsroute

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
	"example.com/usher/internal/graph"
)

// Route is a route as it was mounted: what [Router.Explain] prints, for documents and tests.
type Route struct {
	Method, Path string // the path as gin writes it, with the prefix of the mount
	Group        string // the prefix of its groups
	Site         string // where it was registered: folder/file:line
	Kind         string // "messages", "loop", "send-only" for a Conn that discards, or "http"
	Handler      string // the name of the function
	Params       []Param
	Credentials  []CredentialInfo // all must be had, but for those that are optional
	Guards       []Guard          // outermost first
	Receives     []MessageInfo
	Sends        []MessageInfo
	Calls        []MessageInfo // of a loop; their names are those of the handlers
	TypeMember   string        // that holds the type of a message; empty without a Union
	Subprotocols []string
	Origins      []string // Config.Origins; nil for the default
	Limits       Limits   // none of them zero but where that is the default
	Options      []string
	Doc          string    // see the function Doc
	Refusals     []Refusal // of the handshake
	Closes       []Close   // with a code and reason, or with a code alone

	Public, Diagnose, AcceptThenClose, Renewable, Compress, DropOldest bool
}

// Param is a parameter of a request.
type Param struct {
	In, Name string // In is "path", "query", "header" or "cookie"
	Type     reflect.Type
	Rules    string  // those of go-playground/validator
	Default  *string // nil for none
	Required bool
	List     bool // it may come more than once

	Doc, Example string // of the tags doc and example; may be empty
}

// Refusal is how a handshake may be refused.
type Refusal struct {
	Status    int
	Reason    string
	CloseCode int // in place of the status, on a route with AcceptThenClose
	Doc       string
	By        string // "usher", or the name of a scheme or of a provider's function
}

// Close is how a connection may end.
type Close struct {
	Code      int
	Reason    string // empty for any
	Doc       string
	By        string // "usher", "program" for what [Closes] declares, or a provider's function
	Reconnect Reconnect
}

// Reason is why a message may be answered by an error.
type Reason struct {
	Reason, Doc string
	By          string // "usher", "program" for what [Fails] declares, or a provider's function
}

// CredentialInfo is what a scheme of a route asks for.
type CredentialInfo struct {
	Scheme    string
	Type      reflect.Type // of the value that the scheme makes of it
	Optional  bool         // without it a peer is let in, too
	Scopes    []string     // that it must grant
	Challenge string
	Format    string // such as "JWT"; may be empty
	Sources   []CredentialSource
}

// CredentialSource is one of the places where a credential may stand.
type CredentialSource struct {
	depends.Source
	Wire string // as it is on the wire, such as "Authorization: Bearer <credential>"
}

// Guard is a dependency that must be had, and whose value nobody takes.
type Guard struct {
	Type      reflect.Type
	Asks      bool // something of the request; otherwise it refuses all peers or none
	MayRefuse bool // no value of a test stands in its place
}

// MessageInfo is a type of messages.
type MessageInfo struct {
	Name  string // empty if the route has one type, and for binary ones
	Type  reflect.Type
	Frame string // "text", "binary", or "any" for a Message

	// Of one that has a handler of its own.
	Handler    string
	Answer     string // the name of its answer, "any" for one of several, a Call's type; empty for none
	Scopes     []string
	Guards     []Guard
	Within     time.Duration
	Concurrent int
	Streams    string // the type of what a [Reply] sends before the answer; empty for none
	Doc        string
	Reasons    []Reason
}

// Routes returns the routes of the router and its groups in the order of their registration,
// once they are mounted.
func (r *Router) Routes() (list []Route) {
	for _, e := range r.shared.mounted.Load().endpoints {
		rt, t := e.route, e.target
		route := rt.Route
		route.Path, route.Kind = t.Label[len(rt.Method)+1:], "http"
		route.Site, route.Handler = t.Site.String(), t.Func.Name
		route.Options, route.Subprotocols = slices.Clone(rt.Options), slices.Clone(rt.Subprotocols)
		route.Params = each(e.plan.Params(), func(p graph.ParamInfo) Param { return Param(p) })
		route.Credentials = each(e.plan.Plan.Schemes(), credentialInfo)
		route.Guards = each(e.plan.Guards(), func(g graph.GuardInfo) Guard { return Guard(g) })
		route.Refusals = e.refusals()
		if rt.answer == nil {
			route.Closes = e.closes(route.Refusals)
			route.Kind, route.Sends = "loop", messageInfo(rt.sends, rt.codec.out)
			if u := cmp.Or(rt.codec.in, rt.codec.out); u != nil {
				route.TypeMember = u.member
			}
			handled := each(rt.calls, func(c *call) MessageInfo {
				return c.info(e, e.plan.Messages[c.index])
			})
			if rt.channel == nil {
				route.Calls = handled
			}
			switch {
			case rt.channel != nil:
				route.Kind, route.Receives = "messages", handled
			case rt.receives == reflect.TypeFor[Discard]():
				route.Kind = "send-only"
			default:
				route.Receives = messageInfo(rt.receives, rt.codec.in)
			}
			route.Origins, route.Limits = slices.Clone(r.shared.origins.list), Limits(e.settings.Limits)
		}
		list = append(list, route)
	}
	return list
}

func credentialInfo(s graph.SchemeInfo) CredentialInfo {
	scheme := bind.SchemeOf(s.Provider)
	return CredentialInfo{
		Scheme: scheme.Name, Type: s.Provider.Out, Optional: s.Optional, Scopes: slices.Clone(s.Scopes),
		Challenge: scheme.Challenge, Format: scheme.Format,
		Sources: each(scheme.Sources, func(source depends.Source) CredentialSource {
			return CredentialSource{source, bind.Wire(source)}
		}),
	}
}

// each returns what f makes of each item of a list.
func each[A, B any](list []A, f func(A) B) (made []B) {
	for _, item := range list {
		made = append(made, f(item))
	}
	return made
}

// messageInfo is that of a loop's one type, or of its union.
func messageInfo(t reflect.Type, u *union) (list []MessageInfo) {
	if u != nil {
		for _, name := range slices.Sorted(maps.Keys(u.types)) {
			list = append(list, MessageInfo{Name: name, Type: u.types[name].typ, Frame: "text"})
		}
		return list
	}
	if t == reflect.TypeFor[Discard]() {
		return nil
	}
	frames := map[reflect.Type]string{
		reflect.TypeFor[Message](): "any", reflect.TypeFor[[]byte](): "binary",
	}
	return []MessageInfo{{Type: t, Frame: cmp.Or(frames[t], "text")}}
}

// info is that of a type of messages with its handler.
func (c *call) info(e *endpoint, plan *graph.Plan) MessageInfo {
	u := e.route.codec.out
	m := MessageInfo{
		Doc: c.doc, Reasons: c.fails(e, plan),
		Name: c.name, Type: c.target.Message, Frame: "text", Handler: c.target.Func.Name,
		Scopes: slices.Clone(c.target.Scopes), Within: c.within, Concurrent: c.concurrent,
		Guards: each(plan.Guards(), func(g graph.GuardInfo) Guard { return Guard(g) }),
	}
	if c.isBinary() {
		m.Name, m.Frame = "", "binary"
	}
	if c.delta != nil && u != nil {
		m.Streams = cmp.Or(u.names[pointed(c.delta)], "any")
	}
	switch {
	case c.answer == nil:
	case c.of != nil:
		m.Answer = graph.TypeName(c.answer)
	default:
		m.Answer = cmp.Or(u.names[pointed(c.answer)], "any")
	}
	return m
}

// pointed returns what a type points to.
func pointed(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}
