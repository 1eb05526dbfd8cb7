package graph

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// The tags of an input struct's field. parseTag is the only place that reads them.
var (
	knownTags   = []string{"path", "query", "header", "cookie", "validate", "default", "depends", "scopes"}
	foreignTags = []string{"json", "xml", "yaml", "toml", "bson", "db", "doc", "example"}
	edgeOptions = []string{"fresh", "handshake-only"}
)

// tag is a field's tag, read.
type tag struct {
	in, name      string // source tag and the parameter's name
	validate      string
	def           string
	hasDefault    bool
	fresh         bool
	handshakeOnly bool
	scopes        []string
}

// says reports whether the tag asks anything of a field, wherever it comes from.
func (t *tag) says() bool {
	return t.validate != "" || t.hasDefault || t.fresh || t.handshakeOnly || t.scopes != nil
}

// problem is what is wrong with a field.
type problem struct{ fact, hint string }

// parseTag reads a struct tag. Foreign tags that encoders use are let be; any
// other unknown key is a mistake that would silently do nothing.
func parseTag(st reflect.StructTag) (tag, []problem) {
	var t tag
	var bad []problem
	pairs, ok := splitTag(string(st))
	if !ok {
		return t, []problem{{"the tag is malformed", "write key:\"value\" pairs with one space between them"}}
	}
	seen := map[string]bool{}
	for _, pair := range pairs {
		key, value := pair[0], pair[1]
		if seen[key] {
			bad = append(bad, problem{fmt.Sprintf("tag %q stands twice", key), "keep one"})
			continue
		}
		seen[key] = true
		bad = append(bad, t.set(key, value)...)
	}
	return t, bad
}

func (t *tag) set(key, value string) []problem {
	switch key {
	case "path", "query", "header", "cookie":
		if t.in != "" {
			return []problem{{fmt.Sprintf("the parameter comes from %q and from %q", t.in, key), "keep one source"}}
		}
		t.in, t.name = key, value
		if value == "" || strings.ContainsAny(value, " ,;\t") {
			return []problem{{fmt.Sprintf("%q is no name of a parameter", value), fmt.Sprintf("write %s:\"name\"", key)}}
		}
	case "validate":
		t.validate = value
	case "default":
		t.def, t.hasDefault = value, true
	case "depends":
		return t.edge(value)
	case "scopes":
		t.scopes = strings.Fields(value)
		if bad := badScopes(t.scopes); bad != "" {
			return []problem{{bad, `write names with one space between them: scopes:"rooms:read rooms:write"`}}
		}
	default:
		return unknownTag(key)
	}
	return nil
}

func (t *tag) edge(value string) []problem {
	var bad []problem
	for _, option := range strings.Split(value, ",") {
		switch option {
		case "fresh":
			t.fresh = true
		case "handshake-only":
			t.handshakeOnly = true
		default:
			p := problem{fact: fmt.Sprintf("unknown option %q of tag \"depends\"", option), hint: `the options are "fresh" and "handshake-only"`}
			if near := closest(option, edgeOptions); near != "" {
				p.hint = fmt.Sprintf("did you mean %q?", near)
			}
			bad = append(bad, p)
		}
	}
	return bad
}

func unknownTag(key string) []problem {
	for _, foreign := range foreignTags {
		if key == foreign {
			return nil
		}
	}
	p := problem{fact: fmt.Sprintf("unknown tag %q", key), hint: "the tags are " + strings.Join(knownTags, ", ")}
	if key == "binding" {
		p.hint = `rules stand in validate:"..."`
	} else if near := closest(key, knownTags); near != "" {
		p.hint = fmt.Sprintf("did you mean %q?", near)
	}
	return []problem{p}
}

// badScopes says why names are no scopes (RFC 6749 §3.3), or nothing.
func badScopes(names []string) string {
	if len(names) == 0 {
		return "no scope is named"
	}
	for _, name := range names {
		for i := range len(name) {
			if c := name[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
				return fmt.Sprintf("%q is no name of a scope", name)
			}
		}
	}
	return ""
}

// splitTag reads the conventional format strictly, where reflect's Lookup would
// stop in silence.
func splitTag(text string) (pairs [][2]string, ok bool) {
	for {
		text = strings.TrimLeft(text, " ")
		if text == "" {
			return pairs, true
		}
		key, rest, found := strings.Cut(text, ":")
		if !found || key == "" || strings.ContainsAny(key, " \"\t") {
			return nil, false
		}
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil || quoted[0] != '"' {
			return nil, false
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, false
		}
		text = rest[len(quoted):]
		if text != "" && text[0] != ' ' {
			return nil, false
		}
		pairs = append(pairs, [2]string{key, value})
	}
}
