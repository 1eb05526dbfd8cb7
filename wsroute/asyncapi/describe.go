package asyncapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/asyncapi/internal/schema"
)

// Info is what a document says of the program itself.
type Info struct {
	// Title and Version are those of the program's interface. Both are required.
	Title, Version string
	// Description may be CommonMark.
	Description string
	// Servers are where the program runs, by a name of letters, digits, '.', '_' and '-': such as
	// "wss://chat.example.com", or "wss://example.com/chat" where a proxy puts a path in front. By
	// default, none: the page connects to the host that serves it.
	Servers map[string]string
	// Tickets is the path at which pages get the tickets of a security.Tickets scheme, such as
	// "/ticket". By default, none is named.
	Tickets string
}

// Describe makes the document of the WebSocket routes of a router and its groups, which must be
// mounted. Routes of wsroute.HandleHTTP stay out. It changes nothing, and the same program has the
// same document, byte for byte.
//
// The error says what is wrong with info, which types have no schema, with their places, and which
// examples do not fit their type: all of it at once.
func Describe(r *wsroute.Router, info Info) (*Document, error) {
	d := &describer{
		info: info, schemas: schema.New(), doc: &Document{info: info}, refs: map[string]bool{},
	}
	d.checkInfo()
	routes := r.Routes()
	if routes == nil {
		d.fault("the router has no mounted routes: call Describe after Mount")
	}
	d.doc.channels = d.channels(routes)
	if err := errors.Join(d.faults...); err != nil {
		return nil, fmt.Errorf("asyncapi: the document cannot be made:\n%w", err)
	}
	d.doc.root = d.root()
	var err error
	if d.doc.json, err = d.doc.root.Indent(); err != nil {
		return nil, fmt.Errorf("asyncapi: %w", err)
	}
	return d.doc, nil
}

// describer is a document in the making.
type describer struct {
	info    Info
	schemas *schema.Schemas
	doc     *Document
	faults  []error
	refs    map[string]bool // of the components of messages
}

func (d *describer) fault(format string, args ...any) {
	d.faults = append(d.faults, fmt.Errorf("  "+format, args...))
}

var componentName = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

func (d *describer) checkInfo() {
	if d.info.Title == "" || d.info.Version == "" {
		d.fault("Info has no Title or no Version, such as \"1.0.0\"")
	}
	for _, name := range sortedKeys(d.info.Servers) {
		u, err := url.Parse(d.info.Servers[name])
		switch {
		case !componentName.MatchString(name):
			d.fault("%q is no name of a server: use letters, digits, '.', '_' and '-'", name)
		case err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" || u.User != nil ||
			u.RawQuery != "" || u.Fragment != "":
			d.fault("the server %q has the address %q: write one such as wss://chat.example.com",
				name, d.info.Servers[name])
		}
	}
}

// channel is a route, for the document and the clients.
type channel struct {
	wsroute.Route
	id       string // in the document
	name     string // of the clients' functions, such as "Room"
	address  string // with {room} for a parameter
	receives []*message
	sends    []*message
	errs     *message // of usher's own; nil for a loop
}

// message is a type of messages of a channel.
type message struct {
	wsroute.MessageInfo
	id      string // within the channel
	payload *schema.Object
	body    *schema.Object // of its type alone; nil for binary ones
	ref     string         // of its component
	example json.RawMessage
}

func (d *describer) channels(routes []wsroute.Route) (list []*channel) {
	taken := map[string]bool{}
	for _, route := range routes {
		if route.Kind == "http" {
			continue
		}
		c := &channel{Route: route, address: address(route.Path)}
		if c.id = channelID(route.Path, ""); taken[c.id] {
			c.id = channelID(route.Path, "by-")
		}
		c.id = free(taken, c.id)
		list = append(list, c)
	}
	names := map[string]bool{}
	for _, c := range list {
		c.name = freeChannel(names, clientName(c, list))
		c.receives = d.messages(c, c.Receives, schema.Received)
		c.sends = d.messages(c, c.Sends, schema.Sent)
		if c.Kind == "messages" {
			c.errs = d.errorMessage(c)
		}
	}
	return list
}

// free returns a word that is not taken, and takes it: the word itself, or with a number behind it.
func free(taken map[string]bool, word string) string {
	found := word
	for n := 2; taken[found]; n++ {
		found = word + strconv.Itoa(n)
	}
	taken[found] = true
	return found
}

// address is gin's path with the parameters as AsyncAPI writes them.
func address(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if isParameter(part) {
			parts[i] = "{" + part[1:] + "}"
		}
	}
	return strings.Join(parts, "/")
}

func isParameter(segment string) bool {
	return strings.HasPrefix(segment, ":") || strings.HasPrefix(segment, "*")
}

// illegal are the characters that names of components do not have.
var illegal = regexp.MustCompile(`[^a-zA-Z0-9._-]+`)

// channelID makes a name of a path, with a word in front of parameters.
func channelID(path, by string) string {
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		if isParameter(part) {
			part = by + part[1:]
		}
		if part = illegal.ReplaceAllString(part, "-"); part != "" {
			parts = append(parts, part)
		}
	}
	if parts == nil {
		return "root"
	}
	return strings.Join(parts, ".")
}

// clientName is the last segment of a channel's path, and as many of those before as tell it
// apart.
func clientName(c *channel, all []*channel) string {
	for n := 1; ; n++ {
		name := ending(c, n)
		rival := func(other *channel) bool { return other != c && ending(other, n) == name }
		if !slices.ContainsFunc(all, rival) || n > strings.Count(c.id, ".") {
			return name
		}
	}
}

// ending is the last parts of a channel's id as one word in camel case.
func ending(c *channel, n int) string {
	parts := strings.Split(c.id, ".")
	return camel(strings.Join(parts[max(0, len(parts)-n):], "."))
}

// camel makes one word of several, such as RoomMembers of room-members. It begins with a letter.
func camel(text string) (word string) {
	parts := func(r rune) bool { return !isLetter(r) && !isDigit(r) }
	for part := range strings.FieldsFuncSeq(text, parts) {
		word += strings.ToUpper(part[:1]) + part[1:]
	}
	if word == "" || isDigit(rune(word[0])) {
		word = "N" + word
	}
	return word
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
func isDigit(r rune) bool  { return r >= '0' && r <= '9' }

// messages are those that go one way on a channel.
func (d *describer) messages(
	c *channel, infos []wsroute.MessageInfo, dir schema.Direction,
) (list []*message) {
	taken := map[string]bool{}
	for _, m := range c.receives {
		taken[m.id] = true
	}
	for _, info := range infos {
		m := &message{MessageInfo: info, id: info.Name}
		switch {
		case info.Frame == "binary":
			m.id = "binary"
		case info.Name == "" && dir == schema.Received:
			m.id = "received"
		case info.Name == "":
			m.id = "sent"
		}
		if taken[m.id] {
			m.id += "." + string(dir) // a type that goes both ways
		}
		m.id = free(taken, m.id)
		m.ref = free(d.refs, c.id+"."+strings.ReplaceAll(m.id, ":", "-"))
		d.payload(c, m, dir)
		list = append(list, m)
	}
	return list
}

// payload makes the schema of a message, and its example.
func (d *describer) payload(c *channel, m *message, dir schema.Direction) {
	if m.Frame != "text" {
		m.payload = obj()
		return
	}
	place := fmt.Sprintf("%s %s, message %q", c.Method, c.Path, m.id)
	var err error
	if m.body, err = d.schemas.Of(m.Type, dir); err != nil {
		d.fault("%s: %w", place, err)
		return
	}
	if m.example, err = d.schemas.Example(m.Type, dir); err != nil {
		d.fault("%s: %w", place, err)
	}
	if m.payload = m.body; m.Name == "" {
		return
	}
	head := obj()
	head.Set(c.TypeMember, obj("const", m.Name))
	if c.Kind == "messages" {
		head.Set("ref", refSchema)
	}
	m.payload = obj(
		"type", "object", "properties", head, "required", []string{c.TypeMember},
		"allOf", []any{m.body},
	)
	if m.example != nil {
		m.example = withType(c, m)
	}
}

// withType puts the type of a message in front of the members of an example.
func withType(c *channel, m *message) json.RawMessage {
	head := fmt.Sprintf("{%q:%q", c.TypeMember, m.Name)
	if members := strings.TrimSpace(string(m.example))[1:]; strings.TrimSpace(members) != "}" {
		return json.RawMessage(head + "," + members)
	}
	return json.RawMessage(head + "}")
}

// refSchema is what a client may call a message.
var refSchema = obj("anyOf", []any{
	obj("type", "integer"),
	obj("type", "string", "maxLength", 64, "pattern", `^[^"\\\x00-\x1f]*$`),
})

// errorMessage is usher's answer to what cannot be answered.
func (d *describer) errorMessage(c *channel) *message {
	text := obj("type", "string")
	wrong := obj(
		"type", "object",
		"properties", obj(
			"loc", obj("type", "array", "items", obj("type", []string{"string", "integer"})),
			"code", text, "param", text,
		),
		"required", []string{"loc", "code"},
	)
	ref := "error"
	if c.TypeMember != "type" {
		ref += "." + illegal.ReplaceAllString(c.TypeMember, "-")
	}
	return &message{
		MessageInfo: wsroute.MessageInfo{
			Name: "error", Frame: "text", Doc: "why a message is not answered",
		},
		id: "error", ref: ref,
		payload: obj(
			"type", "object",
			"properties", obj(
				c.TypeMember, obj("const", "error"), "ref", refSchema,
				"reason", text, "detail", text,
				"retry_after", obj("type", "integer", "description", "in seconds"),
				"errors", obj("type", "array", "items", wrong),
			),
			"required", []string{c.TypeMember, "reason"},
		),
	}
}
