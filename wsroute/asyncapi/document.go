package asyncapi

import (
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/asyncapi/internal/schema"
)

// Document is an AsyncAPI 3.0.0 document. It is safe for concurrent use.
type Document struct {
	info     Info
	channels []*channel
	root     *schema.Object
	json     []byte
}

// Page returns a handler of a page that shows the document and opens its sockets. It works below
// any path of the same host as the routes, without another file or server:
//
//	engine.GET("/docs", gin.WrapH(doc.Page())) // goes to /docs/
//	engine.GET("/docs/*any", gin.WrapH(doc.Page()))
//
// It serves the document beside itself, as asyncapi.json. Its Content-Security-Policy lets it load
// its own files and connect to its own host and the servers of the document. It stores nothing.
func (d *Document) Page() http.Handler { return page(d.json) }

// JSON returns the document as indented JSON, which must not be changed.
func (d *Document) JSON() []byte { return d.json }

// ServeHTTP answers GET and HEAD with the document.
func (d *Document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	newPageFile("asyncapi.json", d.json).ServeHTTP(w, r)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// obj makes an object of names and values in turn.
func obj(pairs ...any) *schema.Object {
	o := &schema.Object{}
	for i := 0; i < len(pairs); i += 2 {
		o.Set(pairs[i].(string), pairs[i+1]) //nolint:forcetypeassert // of this package alone
	}
	return o
}

// add sets a member, unless its value says nothing.
func add(o *schema.Object, name string, value any) {
	v := reflect.ValueOf(value)
	list, isObject := value.(*schema.Object)
	switch {
	case !v.IsValid() || v.IsZero(), v.Kind() == reflect.Slice && v.Len() == 0:
	case isObject && len(list.Names()) == 0:
	default:
		o.Set(name, value)
	}
}

// root makes the document of what was collected.
func (d *describer) root() *schema.Object {
	info := obj("title", d.info.Title, "version", d.info.Version)
	add(info, "description", d.info.Description)
	root := obj("asyncapi", "3.0.0", "info", info, "defaultContentType", "application/json")
	add(root, "servers", d.servers())
	channels, operations, messages, security := obj(), obj(), obj(), obj()
	for _, c := range d.doc.channels {
		channels.Set(c.id, d.channel(c))
		for _, m := range c.receives {
			operations.Set("receive."+m.ref, c.receive(m))
		}
		if len(c.sends) > 0 {
			operations.Set("send."+c.id, c.send())
		}
		for _, m := range c.all() {
			messages.Set(m.ref, m.component())
		}
		for _, cred := range c.Credentials {
			for _, source := range cred.Sources {
				security.Set(schemeName(cred, source), securityScheme(cred, source))
			}
		}
	}
	root.Set("channels", channels)
	root.Set("operations", operations)
	components := obj()
	add(components, "messages", messages)
	add(components, "schemas", d.schemas.Components())
	add(components, "securitySchemes", security)
	root.Set("components", components)
	return root
}

func (d *describer) servers() *schema.Object {
	list := obj()
	for _, name := range sortedKeys(d.info.Servers) {
		u, _ := url.Parse(d.info.Servers[name]) // checkInfo has seen that it can be
		server := obj("host", u.Host, "protocol", u.Scheme)
		add(server, "pathname", strings.TrimSuffix(u.Path, "/"))
		list.Set(name, server)
	}
	return list
}

// all are the messages of a channel, both ways.
func (c *channel) all() []*message {
	list := slices.Concat(c.receives, c.sends)
	if c.errs != nil {
		list = append(list, c.errs)
	}
	return list
}

func ref(path ...string) *schema.Object {
	return obj("$ref", "#/"+strings.Join(path, "/"))
}

func (d *describer) channel(c *channel) *schema.Object {
	out := obj("address", c.address)
	add(out, "description", c.Doc)
	params := map[string]*schema.Object{}
	for _, p := range c.Params {
		if params[p.In] == nil {
			params[p.In] = obj()
		}
		params[p.In].Set(p.Name, d.parameter(c, p))
	}
	add(out, "parameters", c.parameters(params["path"]))
	messages := obj()
	for _, m := range c.all() {
		messages.Set(m.id, ref("components", "messages", m.ref))
	}
	add(out, "messages", messages)
	ws := obj("method", c.Method)
	add(ws, "query", c.of("query", params))
	add(ws, "headers", c.of("header", params))
	ws.Set("bindingVersion", "0.1.0")
	out.Set("bindings", obj("ws", ws))
	add(out, "x-cookies", c.of("cookie", params))
	out.Set("x-kind", c.Kind)
	add(out, "x-type-member", c.TypeMember)
	add(out, "x-security", d.security(c))
	add(out, "x-guards", guards(c.Guards))
	add(out, "x-subprotocols", c.Subprotocols)
	add(out, "x-origins", c.Origins)
	add(out, "x-public", c.Public)
	add(out, "x-diagnose", c.Diagnose)
	add(out, "x-accept-then-close", c.AcceptThenClose)
	add(out, "x-renewable", c.Renewable)
	add(out, "x-compress", c.Compress)
	out.Set("x-limits", limits(c.Limits))
	if c.Kind == "messages" {
		out.Set("x-errors", []*schema.Object{
			obj("reason", "unknown_type", "description", "no message has this type"),
			obj("reason", "invalid_message", "description", "the type or the ref is wrong"),
			obj("reason", "invalid_json", "description", "the message is no JSON object"),
			obj("reason", "binary_not_accepted", "description", "the message is binary"),
		})
	}
	out.Set("x-handshake-errors", c.handshakeErrors())
	out.Set("x-close-codes", c.closeCodes())
	return out
}

// parameter is the schema of one in the query, a header, a cookie or the path.
func (d *describer) parameter(c *channel, p wsroute.Param) *schema.Object {
	out, err := d.schemas.Parameter(p.Type, p.Rules, p.Default)
	if err != nil {
		d.fault("%s %s, %s parameter %s: %w", c.Method, c.Path, p.In, p.Name, err)
		return nil
	}
	add(out, "description", p.Doc)
	if p.Example != "" {
		out.Set("examples", []string{p.Example})
	}
	return out
}

// parameters are those of the path, in the form that AsyncAPI has for them.
func (c *channel) parameters(schemas *schema.Object) *schema.Object {
	list := obj()
	for segment := range strings.SplitSeq(c.Path, "/") {
		if !isParameter(segment) {
			continue
		}
		name := segment[1:]
		out := obj()
		if schemas != nil && schemas.Get(name) != nil {
			s := schemas.Get(name).(*schema.Object) //nolint:forcetypeassert // see parameter
			for _, word := range []string{"description", "examples", "enum"} {
				add(out, word, s.Get(word))
			}
			out.Set("x-schema", s)
		}
		if segment[0] == '*' {
			out.Set("x-rest", true) // it may hold slashes
		}
		list.Set(name, out)
	}
	return list
}

// of is the schema of all parameters of a kind, or nothing.
func (c *channel) of(in string, params map[string]*schema.Object) *schema.Object {
	if params[in] == nil {
		return nil
	}
	required := []string{}
	for _, p := range c.Params {
		if p.In == in && p.Required {
			required = append(required, p.Name)
		}
	}
	out := obj("type", "object", "properties", params[in])
	add(out, "required", required)
	return out
}

// security tells all of a channel's credentials: one of its sources each.
func (d *describer) security(c *channel) (list []*schema.Object) {
	for _, cred := range c.Credentials {
		out := obj("scheme", cred.Scheme)
		add(out, "format", cred.Format)
		out.Set("challenge", cred.Challenge)
		add(out, "optional", cred.Optional)
		add(out, "scopes", cred.Scopes)
		var sources []*schema.Object
		for _, s := range cred.Sources {
			source := obj("in", s.In, "name", s.Name)
			add(source, "prefix", s.Prefix)
			source.Set("wire", s.Wire)
			if s.Once {
				ticket := obj("once", true)
				add(ticket, "url", d.info.Tickets)
				source.Set("x-ticket", ticket)
			}
			if s.In == "subprotocol" {
				source.Set("x-subprotocol", obj("plain", true, "encoded", s.Prefix == ""))
			}
			sources = append(sources, source)
		}
		list = append(list, out.Set("sources", sources))
	}
	return list
}

func schemeName(c wsroute.CredentialInfo, s wsroute.CredentialSource) string {
	parts := []string{c.Scheme, s.In, s.Name}
	first := slices.IndexFunc(c.Sources, func(o wsroute.CredentialSource) bool {
		return o.In == s.In && o.Name == s.Name
	})
	if c.Sources[first] != s {
		parts = append(parts, s.Prefix) // two words in one header, such as Bearer and Token
	}
	return illegal.ReplaceAllString(strings.Join(parts, "."), "-")
}

// securityScheme is a source of a credential in the form that AsyncAPI has for it.
func securityScheme(c wsroute.CredentialInfo, s wsroute.CredentialSource) *schema.Object {
	scheme, in, name := strings.ToLower(s.Prefix), s.In, s.Name
	switch {
	case s.In == "header" && scheme == "bearer":
		out := obj("type", "http", "scheme", scheme)
		add(out, "bearerFormat", c.Format)
		return out
	case s.In == "header" && scheme == "basic":
		return obj("type", "http", "scheme", scheme)
	case s.In == "subprotocol":
		in, name = "header", "Sec-WebSocket-Protocol"
	}
	return obj("type", "httpApiKey", "name", name, "in", in, "description", s.Wire)
}

// demands are the security of an operation: AsyncAPI has no word for several credentials, nor
// for one that may be missing.
func (c *channel) demands() (list []*schema.Object) {
	if len(c.Credentials) != 1 || c.Credentials[0].Optional {
		return nil
	}
	for _, s := range c.Credentials[0].Sources {
		list = append(list, ref("components", "securitySchemes", schemeName(c.Credentials[0], s)))
	}
	return list
}

func guards(list []wsroute.Guard) (names []string) {
	for _, g := range list {
		names = append(names, g.Type.String())
	}
	return names
}

// limits are what a client may have to know of them.
func limits(l wsroute.Limits) *schema.Object {
	out := obj("readLimit", l.ReadLimit)
	add(out, "messageRate", l.MessageRate)
	add(out, "messageBurst", l.MessageBurst)
	return out
}

// by is who is behind an outcome. Names of functions are nothing for clients.
func (c *channel) by(name string) string {
	ofScheme := func(cred wsroute.CredentialInfo) bool { return cred.Scheme == name }
	if name == "usher" || slices.ContainsFunc(c.Credentials, ofScheme) {
		return name
	}
	return "program"
}

func (c *channel) handshakeErrors() (out []*schema.Object) {
	for _, r := range c.Refusals {
		one := obj("status", r.Status, "reason", r.Reason)
		add(one, "code", r.CloseCode)
		add(one, "description", r.Doc)
		out = append(out, one.Set("by", c.by(r.By)))
	}
	return out
}

func (c *channel) closeCodes() (out []*schema.Object) {
	for _, end := range c.Closes {
		one := obj("code", end.Code)
		add(one, "reason", end.Reason)
		add(one, "description", end.Doc)
		out = append(out, one.Set("by", c.by(end.By)).Set("reconnect", end.Reconnect))
	}
	return out
}

// message refers to a message within a channel.
func (c *channel) message(m *message) *schema.Object {
	return ref("channels", pointer(c.id), "messages", pointer(m.id))
}

// pointer escapes a name for a JSON pointer (RFC 6901 §3).
func pointer(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

// receive is the operation of a message that the program receives.
func (c *channel) receive(m *message) *schema.Object {
	out := obj("action", "receive", "channel", ref("channels", c.id))
	add(out, "description", m.Doc)
	add(out, "security", c.demands())
	out.Set("messages", []*schema.Object{c.message(m)})
	if c.errs != nil && m.Frame == "text" {
		var answers []*schema.Object
		for _, answer := range c.sends {
			if slices.Contains([]string{"any", answer.Name}, m.Answer) ||
				slices.Contains([]string{"any", answer.Name}, m.Streams) {
				answers = append(answers, c.message(answer))
			}
		}
		answers = append(answers, c.message(c.errs))
		out.Set("reply", obj("channel", ref("channels", c.id), "messages", answers))
	}
	add(out, "x-answer", m.Answer)
	add(out, "x-streams", m.Streams)
	add(out, "x-scopes", m.Scopes)
	add(out, "x-guards", guards(m.Guards))
	var reasons []*schema.Object
	for _, r := range m.Reasons {
		one := obj("reason", r.Reason)
		add(one, "description", r.Doc)
		reasons = append(reasons, one.Set("by", c.by(r.By)))
	}
	add(out, "x-errors", reasons)
	if m.Within > 0 {
		out.Set("x-within", m.Within.String())
	}
	add(out, "x-concurrent", m.Concurrent)
	return out
}

// send is the operation of all that the program sends.
func (c *channel) send() *schema.Object {
	out := obj("action", "send", "channel", ref("channels", c.id))
	add(out, "security", c.demands())
	var list []*schema.Object
	for _, m := range c.sends {
		list = append(list, c.message(m))
	}
	out.Set("messages", list)
	return out
}

// raw says that a message is a text as it is, and no JSON.
func (m *message) raw() bool { return m.Type == reflect.TypeFor[string]() }

// component is a message among the components.
func (m *message) component() *schema.Object {
	out := obj("name", m.id)
	add(out, "description", m.Doc)
	switch {
	case m.raw():
		out.Set("contentType", "text/plain")
	case m.Frame == "text":
		out.Set("contentType", "application/json")
	default:
		out.Set("contentType", "application/octet-stream")
		out.Set("x-frame", m.Frame)
	}
	out.Set("payload", m.payload)
	if m.example != nil {
		out.Set("examples", []*schema.Object{obj("payload", m.example)})
	}
	return out
}
