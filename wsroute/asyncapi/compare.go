package asyncapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"example.com/usher/wsroute/asyncapi/internal/schema"
)

// comparison is of two documents. Values are as encoding/json makes them.
type comparison struct {
	before, after map[string]any
	changes       []Change
	seen          map[string]bool // pairs of schemas that are being compared
}

type values = map[string]any

func (c *comparison) note(breaking bool, path, format string, args ...any) {
	change := Change{path, fmt.Sprintf(format, args...), breaking}
	if !slices.Contains(c.changes, change) {
		c.changes = append(c.changes, change)
	}
}

// members calls f for each name that either object has.
func members(before, after any, f func(name string, old, now any, was, is bool)) {
	a, _ := before.(values)
	b, _ := after.(values)
	all := values{}
	for _, m := range []values{a, b} {
		for name := range m {
			all[name] = nil
		}
	}
	for _, name := range sortedKeys(all) {
		old, was := a[name]
		now, is := b[name]
		f(name, old, now, was, is)
	}
}

// document compares the parts of the two documents.
func (c *comparison) document() {
	c.seen = map[string]bool{}
	c.same("info", c.before["info"], c.after["info"])
	members(c.before["servers"], c.after["servers"], func(name string, old, now any, was, is bool) {
		switch path := "servers/" + name; {
		case !was:
			c.note(false, path, "added")
		case !is:
			c.note(true, path, "removed")
		case !reflect.DeepEqual(old, now):
			c.note(true, path, "was %s, is %s", show(old), show(now))
		}
	})
	members(c.before["channels"], c.after["channels"], func(name string, old, now any, was, is bool) {
		switch path := "channels/" + name; {
		case !was:
			c.note(false, path, "added")
		case !is:
			c.note(true, path, "removed")
		default:
			a, _ := old.(values)
			b, _ := now.(values)
			c.channel(path, a, b)
		}
	})
	members(c.before["operations"], c.after["operations"], func(name string, old, now any, _, _ bool) {
		a, was := old.(values)
		b, is := now.(values)
		if was && is { // one that comes or goes does so with its message
			c.operation("operations/"+name, a, b)
		}
	})
}

// same notes additive differences.
func (c *comparison) same(path string, old, now any) {
	if !reflect.DeepEqual(old, now) {
		c.note(false, path, "was %s, is %s", show(old), show(now))
	}
}

func show(v any) string {
	if v == nil {
		return "absent"
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v) // what json has made itself
	text := strings.TrimSpace(out.String())
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}

func (c *comparison) channel(path string, old, now values) {
	at := func(name string) string { return path + "/" + name }
	for _, name := range []string{"address", "x-kind", "x-type-member"} {
		if !reflect.DeepEqual(old[name], now[name]) {
			c.note(true, at(name), "was %s, is %s", show(old[name]), show(now[name]))
		}
	}
	c.same(at("description"), old["description"], now["description"])
	members(old["parameters"], now["parameters"], func(name string, a, b any, was, is bool) {
		if was && is { // others change the address
			c.schema(at("parameters/"+name), of(a, "x-schema"), of(b, "x-schema"), schema.Received)
		}
	})
	for _, kind := range []string{"query", "headers"} {
		c.parameters(at(kind), of(old, "bindings", "ws", kind), of(now, "bindings", "ws", kind))
	}
	c.parameters(at("cookies"), old["x-cookies"], now["x-cookies"])
	c.messages(path, old, now)
	c.security(at("x-security"), list(old["x-security"]), list(now["x-security"]))
	c.names(at("x-guards"), old["x-guards"], now["x-guards"], true, false)
	c.names(at("x-subprotocols"), old["x-subprotocols"], now["x-subprotocols"], false, true)
	c.names(at("x-origins"), old["x-origins"], now["x-origins"], old["x-origins"] == nil, true)
	for _, name := range []string{
		"x-public", "x-diagnose", "x-accept-then-close", "x-renewable", "x-compress",
	} {
		if old[name] != now[name] {
			c.note(old[name] == true, at(name), "was %s, is %s", show(old[name]), show(now[name]))
		}
	}
	members(old["x-limits"], now["x-limits"], func(name string, a, b any, _, _ bool) {
		if a != b {
			before, bounded := a.(float64)
			after, bounds := b.(float64)
			sinks := bounds && (!bounded || after < before)
			c.note(sinks, at("x-limits/"+name), "was %s, is %s", show(a), show(b))
		}
	})
	for _, name := range []string{"x-errors", "x-handshake-errors", "x-close-codes"} {
		c.outcomes(at(name), list(old[name]), list(now[name]))
	}
}

// of returns what stands at the end of a path of members, or nil.
func of(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(values)
		v = m[name]
	}
	return v
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// names compares lists of names, of which a new or a missing one may break clients.
func (c *comparison) names(path string, old, now any, newBreaks, missingBreaks bool) {
	for _, name := range list(now) {
		if !slices.Contains(list(old), name) {
			c.note(newBreaks, path, "%s is new", show(name))
		}
	}
	for _, name := range list(old) {
		if !slices.Contains(list(now), name) {
			c.note(missingBreaks, path, "%s is gone", show(name))
		}
	}
}

// outcomes compares lists of reasons and codes, which clients must expect to grow.
func (c *comparison) outcomes(path string, old, now []any) {
	key := func(v any) string {
		return fmt.Sprint(of(v, "status"), " ", of(v, "code"), " ", of(v, "reason"))
	}
	was, is := values{}, values{}
	for _, v := range old {
		was[key(v)] = v
	}
	for _, v := range now {
		is[key(v)] = v
	}
	members(was, is, func(_ string, a, b any, before, after bool) {
		switch {
		case !before:
			c.note(false, path, "%s is new", show(b))
		case !after:
			c.note(false, path, "%s is gone", show(a))
		default:
			c.same(path, a, b)
		}
	})
}

// security compares what a client must have, and where it may stand.
func (c *comparison) security(path string, old, now []any) {
	byScheme := func(list []any) values {
		m := values{}
		for _, v := range list {
			name := fmt.Sprint(of(v, "scheme"))
			for m[name] != nil {
				name += "'"
			}
			m[name] = v
		}
		return m
	}
	members(byScheme(old), byScheme(now), func(name string, a, b any, was, is bool) {
		at := path + "/" + name
		optional := func(v any) bool { return of(v, "optional") == true }
		switch {
		case !was:
			c.note(!optional(b), at, "added")
			return
		case !is:
			c.note(false, at, "removed")
			return
		case optional(a) != optional(b):
			c.note(optional(a), at, "optional was %t, is %t", optional(a), optional(b))
		}
		c.names(at+"/scopes", of(a, "scopes"), of(b, "scopes"), true, false)
		wires := func(v any) any {
			var out []any
			for _, source := range list(of(v, "sources")) {
				wire := fmt.Sprint(of(source, "wire"))
				if of(source, "x-ticket", "once") == true {
					wire += ", once"
				}
				out = append(out, wire)
			}
			return out
		}
		c.names(at+"/sources", wires(a), wires(b), false, true)
		for _, name := range []string{"format", "challenge"} {
			if !reflect.DeepEqual(of(a, name), of(b, name)) {
				c.note(name == "format", at+"/"+name, "was %s, is %s",
					show(of(a, name)), show(of(b, name)))
			}
		}
	})
}

// parameters compares those of a kind: without any, a client may send what it likes.
func (c *comparison) parameters(path string, old, now any) {
	for _, side := range []*any{&old, &now} {
		if *side == nil {
			*side = values{"type": "object"}
		}
	}
	c.schema(path, old, now, schema.Received)
}

// messages compares those of a channel that go the same way under the same name on the wire.
func (c *comparison) messages(path string, old, now values) {
	a, b := wired(c.before, path, old), wired(c.after, path, now)
	members(a, b, func(_ string, x, y any, was, is bool) {
		before, _ := x.(wire)
		after, _ := y.(wire)
		switch at := path + "/messages/"; {
		case !was:
			c.note(false, at+after.id, "added")
		case !is:
			c.note(true, at+before.id, "removed")
		default:
			c.message(at+before.id, before, after)
		}
	})
}

func (c *comparison) message(at string, before, after wire) {
	a, b := before.message, after.message
	for _, word := range []string{"contentType", "x-frame"} {
		if !reflect.DeepEqual(of(a, word), of(b, word)) {
			c.note(true, at, "%s was %s, is %s", word, show(of(a, word)), show(of(b, word)))
		}
	}
	for _, word := range []string{"description", "examples"} {
		c.same(at+"/"+word, of(a, word), of(b, word))
	}
	c.schema(at, of(a, "payload"), of(b, "payload"), before.dir)
}

// wire is a message of a channel.
type wire struct {
	id      string
	dir     schema.Direction
	message any
}

// wired are the messages of a channel by name and direction: their ids may be others if a name
// goes both ways.
func wired(root values, path string, channel values) values {
	all := values{}
	messages, _ := channel["messages"].(values)
	member, _ := channel["x-type-member"].(string)
	for _, id := range sortedKeys(messages) {
		m := wire{id, schema.Sent, resolve(root, messages[id])}
		if receives(root, "#/"+path+"/messages/"+pointer(id)) {
			m.dir = schema.Received
		}
		name, ok := of(m.message, "payload", "properties", member, "const").(string)
		if !ok || all[name+" "+string(m.dir)] != nil {
			name = id
		}
		all[name+" "+string(m.dir)] = m
	}
	return all
}

// receives says whether a program receives a message.
func receives(root values, message string) bool {
	operations, _ := root["operations"].(values)
	for _, operation := range operations {
		named := func(m any) bool { return of(m, "$ref") == message }
		receives := of(operation, "action") == "receive"
		if receives && slices.ContainsFunc(list(of(operation, "messages")), named) {
			return true
		}
	}
	return false
}

func (c *comparison) operation(path string, old, now values) {
	at := func(name string) string { return path + "/" + name }
	c.same(at("description"), old["description"], now["description"])
	for _, name := range []string{"x-answer", "x-streams"} {
		if !reflect.DeepEqual(old[name], now[name]) {
			c.note(true, at(name), "was %s, is %s", show(old[name]), show(now[name]))
		}
	}
	c.names(at("x-scopes"), old["x-scopes"], now["x-scopes"], true, false)
	c.names(at("x-guards"), old["x-guards"], now["x-guards"], true, false)
	c.outcomes(at("x-errors"), list(old["x-errors"]), list(now["x-errors"]))
	for _, name := range []string{"x-within", "x-concurrent"} {
		c.same(at(name), old[name], now[name])
	}
}

// resolve follows a $ref within its document.
func resolve(root values, v any) any {
	for range 100 { // they may name each other
		target, ok := of(v, "$ref").(string)
		if !ok {
			return v
		}
		v = root
		for name := range strings.SplitSeq(strings.TrimPrefix(target, "#/"), "/") {
			v = of(v, strings.NewReplacer("~1", "/", "~0", "~").Replace(name))
		}
	}
	return nil
}

// orNothing parts null from a schema that lets it stand for what it describes.
func orNothing(root values, v any) (s values, null bool) {
	s, _ = resolve(root, v).(values)
	if options := list(s["anyOf"]); len(options) == 2 && of(options[1], "type") == "null" {
		s, _ = resolve(root, options[0]).(values)
		return s, true
	}
	if kinds := list(s["type"]); slices.Contains(kinds, any("null")) {
		s = maps.Clone(s)
		isNull := func(kind any) bool { return kind == "null" }
		s["type"] = slices.DeleteFunc(slices.Clone(kinds), isNull)
		return s, true
	}
	judges := func(name string) bool { return s[name] != nil }
	judging := []string{"type", "const", "enum", "not", "allOf", "anyOf", "oneOf"}
	return s, !slices.ContainsFunc(judging, judges)
}

// schema compares two schemas. A narrower one breaks clients whose messages it is for, a wider
// one those that read what it describes.
func (c *comparison) schema(path string, before, after any, dir schema.Direction) {
	pair := show(of(before, "$ref")) + show(of(after, "$ref")) + string(dir)
	if of(before, "$ref") != nil && of(after, "$ref") != nil {
		if c.seen[pair] {
			return
		}
		c.seen[pair] = true
		defer delete(c.seen, pair)
	}
	a, wasNull := orNothing(c.before, before)
	b, isNull := orNothing(c.after, after)
	narrower := func(format string, args ...any) {
		c.note(dir == schema.Received, path, format, args...)
	}
	wider := func(format string, args ...any) { c.note(dir == schema.Sent, path, format, args...) }
	either := func(format string, args ...any) { c.note(true, path, format, args...) }
	changed := func(name string) string {
		return fmt.Sprintf("%s was %s, is %s", name, show(a[name]), show(b[name]))
	}
	switch {
	case isNull && !wasNull:
		wider("may be null")
	case wasNull && !isNull:
		narrower("may not be null any more")
	}
	members(a, b, func(name string, old, now any, was, is bool) {
		if reflect.DeepEqual(old, now) && !nests(name) {
			return
		}
		switch name {
		case "type":
			c.sets(changed(name), types(old), types(now), narrower, wider, either)
		case "enum", "const":
			c.sets(changed(name), oneOrMany(old), oneOrMany(now), narrower, wider, either)
		case "required":
			c.required(list(old), list(now), "", narrower, wider)
		case "properties":
			c.properties(path, old, now, dir)
		case "items", "additionalProperties", "propertyNames", "contains":
			c.nested(path+"/"+name, old, now, was && is, dir, changed(name), narrower, wider)
		case "allOf", "anyOf", "oneOf", "not":
			c.combined(path, name, old, now, dir, changed(name))
		case "dependencies":
			members(old, now, func(name string, a, b any, _, _ bool) {
				c.required(list(a), list(b), " beside "+show(name), narrower, wider)
			})
		case "minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties":
			bound(changed(name), old, now, 1, narrower, wider)
		case "maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties":
			bound(changed(name), old, now, -1, narrower, wider)
		case "pattern", "format", "multipleOf", "uniqueItems", "x-validate":
			switch {
			case !was || old == false:
				narrower("%s", changed(name))
			case !is || now == false:
				wider("%s", changed(name))
			default:
				either("%s", changed(name))
			}
		case "default":
			c.note(was, path, "%s", changed(name)) // a new one stands for what was not promised
		case "contentEncoding":
			either("%s", changed(name))
		default:
			c.same(path+"/"+name, old, now)
		}
	})
}

// nests says whether a keyword of a schema holds schemas, which may hold references.
func nests(name string) bool {
	return slices.Contains([]string{
		"properties", "items", "additionalProperties", "allOf", "anyOf", "oneOf", "not",
		"propertyNames", "contains",
	}, name)
}

type noting = func(format string, args ...any)

// types are those that a schema allows; number holds integer.
func types(v any) []any {
	all := oneOrMany(v)
	if slices.Contains(all, any("number")) {
		all = append(all, "integer")
	}
	return all
}

func oneOrMany(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return slices.Clone(v)
	}
	return []any{v}
}

// sets compares what is allowed; nil is everything.
func (c *comparison) sets(text string, old, now []any, narrower, wider, either noting) {
	lacks := func(a, b []any) bool { // whether b has something that a lacks
		missing := func(v any) bool { return !contains(a, v) }
		return a != nil && (b == nil || slices.ContainsFunc(b, missing))
	}
	switch less, more := lacks(now, old), lacks(old, now); {
	case less && more:
		either("%s", text)
	case less:
		narrower("%s", text)
	case more:
		wider("%s", text)
	}
}

func contains(list []any, v any) bool {
	return slices.ContainsFunc(list, func(other any) bool { return reflect.DeepEqual(other, v) })
}

func (c *comparison) required(old, now []any, beside string, narrower, wider noting) {
	for _, name := range now {
		if !slices.Contains(old, name) {
			narrower("%s is required%s", show(name), beside)
		}
	}
	for _, name := range old {
		if !slices.Contains(now, name) {
			wider("%s is not required any more%s", show(name), beside)
		}
	}
}

// properties compares members: one that comes breaks nobody, one that goes is missed by readers.
func (c *comparison) properties(path string, old, now any, dir schema.Direction) {
	members(old, now, func(name string, a, b any, was, is bool) {
		switch at := path + "/" + name; {
		case !was:
			c.note(false, at, "added")
		case !is:
			c.note(dir == schema.Sent, at, "removed")
		default:
			c.schema(at, a, b, dir)
		}
	})
}

func (c *comparison) nested(
	path string, old, now any, both bool, dir schema.Direction, text string, narrower, wider noting,
) {
	_, a := old.(values)
	_, b := now.(values)
	switch {
	case both && a && b:
		c.schema(path, old, now, dir)
	case now == false, old == nil && now != true:
		narrower("%s", text)
	case old == false, now == nil || now == true:
		wider("%s", text)
	default:
		narrower("%s", text)
	}
}

// combined compares the parts of a combination, pair by pair if there are as many. With more
// parts, anyOf allows more and the others less.
func (c *comparison) combined(path, name string, old, now any, dir schema.Direction, text string) {
	a, b := oneOrMany(old), oneOrMany(now)
	if len(a) == len(b) && name != "not" {
		for i := range a {
			c.schema(path, a[i], b[i], dir)
		}
		return
	}
	same := func(x, y any) bool {
		probe := comparison{before: c.before, after: c.after, seen: maps.Clone(c.seen)}
		probe.schema("", x, y, dir)
		return len(probe.changes) == 0
	}
	less := slices.ContainsFunc(a, func(x any) bool {
		return !slices.ContainsFunc(b, func(y any) bool { return same(x, y) })
	})
	more := slices.ContainsFunc(b, func(y any) bool {
		return !slices.ContainsFunc(a, func(x any) bool { return same(x, y) })
	})
	switch wider := name == "anyOf" && old != nil && now != nil; {
	case !more && !less:
	case more && less && old != nil && now != nil:
		c.note(true, path, "%s", text)
	case more == wider:
		c.note(dir == schema.Sent, path, "%s", text)
	default:
		c.note(dir == schema.Received, path, "%s", text)
	}
}

// bound compares limits; sign is 1 where a larger one is narrower.
func bound(text string, old, now any, sign float64, narrower, wider noting) {
	a, was := old.(float64)
	b, is := now.(float64)
	if is && (!was || sign*(b-a) > 0) {
		narrower("%s", text)
	} else {
		wider("%s", text)
	}
}
