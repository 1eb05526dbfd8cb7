package graph

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// The tags of an input struct's field. parseTag is the only place that reads them.
var (
	knownTags = []string{
		"path", "query", "header", "cookie", "validate", "default", "depends", "scopes",
		"doc", "example",
	}
	foreignTags = []string{"json", "xml", "yaml", "toml", "bson", "db"}
	edgeOptions = []string{"fresh", "handshake-only"}
)

// tag is a field's tag, read.
type tag struct {
	in, name string // source tag and the parameter's name
	validate string
	def      *string

	doc, example string
	edge
}

// edge is what a tag says of a dependency.
type edge struct {
	fresh, handshakeOnly bool
	scopes               []string // that a scheme behind it must grant
}

// problems are what is wrong with a field.
type problems []problem

type problem struct{ fact, hint string }

func (bad *problems) note(fact, hint string) { *bad = append(*bad, problem{fact, hint}) }

// parseTag reads a struct tag. Foreign tags that encoders use are let be; any
// other unknown key is a mistake that would silently do nothing.
func parseTag(st reflect.StructTag) (t tag, bad problems) {
	pairs, ok := splitTag(string(st))
	if !ok {
		bad.note("the tag is malformed", "write key:\"value\" pairs with one space between them")
	}
	seen := map[string]bool{}
	for _, pair := range pairs {
		if key := pair[0]; seen[key] {
			bad.note(fmt.Sprintf("tag %q stands twice", key), "keep one")
			continue
		}
		seen[pair[0]] = true
		t.set(pair[0], pair[1], &bad)
	}
	return t, bad
}

func (t *tag) set(key, value string, bad *problems) {
	switch key {
	case "path", "query", "header", "cookie":
		if t.in != "" {
			bad.note(fmt.Sprintf("the parameter comes from %q and from %q", t.in, key), "keep one source")
			return
		}
		t.in, t.name = key, value
		if value == "" || strings.ContainsAny(value, " ,;\t") {
			bad.note(fmt.Sprintf("%q is no name of a parameter", value), "write "+key+`:"name"`)
		}
	case "validate":
		t.validate = value
	case "default":
		t.def = &value
	case "doc":
		t.doc = value
	case "example":
		t.example = value
	case "depends":
		for option := range strings.SplitSeq(value, ",") {
			t.fresh = t.fresh || option == "fresh"
			t.handshakeOnly = t.handshakeOnly || option == "handshake-only"
			if !slices.Contains(edgeOptions, option) {
				bad.note(fmt.Sprintf("unknown option %q of tag \"depends\"", option),
					didYouMean(option, edgeOptions, `the options are "fresh" and "handshake-only"`))
			}
		}
	case "scopes":
		t.scopes = strings.Fields(value)
		if fact := badScopes(t.scopes); fact != "" {
			bad.note(fact, `write names with one space between them: scopes:"rooms:read rooms:write"`)
		}
	case "binding":
		bad.note(`unknown tag "binding"`, `rules stand in validate:"..."`)
	default:
		if !slices.Contains(foreignTags, key) {
			bad.note(fmt.Sprintf("unknown tag %q", key),
				didYouMean(key, knownTags, "the tags are "+strings.Join(knownTags, ", ")))
		}
	}
}

// badScopes says why names are no scopes (RFC 6749 §3.3), or nothing.
func badScopes(names []string) string {
	if len(names) == 0 {
		return "no scope is named"
	}
	bad := func(c rune) bool { return c < 0x21 || c > 0x7e || c == '"' || c == '\\' }
	for _, name := range names {
		if strings.ContainsFunc(name, bad) {
			return fmt.Sprintf("%q is no name of a scope", name)
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
		key, rest, _ := strings.Cut(text, ":")
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil || quoted[0] != '"' || key == "" || strings.ContainsAny(key, " \"\t") {
			return nil, false
		}
		value, _ := strconv.Unquote(quoted) // QuotedPrefix has seen that it can be
		if text = rest[len(quoted):]; text != "" && text[0] != ' ' {
			return nil, false
		}
		pairs = append(pairs, [2]string{key, value})
	}
}
