package graph

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// instead says what to do for types that people ask for out of habit.
var instead = map[string]string{
	"context.Context":     "a function's first argument is the context",
	"http.Request":        "take *http.Request",
	"http.ResponseWriter": "a handshake has one answer: return an error to refuse",
	"*gin.Context":        "gin recycles it: take *http.Request, or a parameter",
	"gin.Context":         "gin recycles it: take *http.Request, or a parameter",
	"wsroute.Sender":      "take the channel's own: its type argument is the interface of the Union",
	"*wsroute.Conn":       "take a wsroute.Sender of the channel's Union",
	"*websocket.Conn":     "the handler's second argument is the connection",
}

// hint says what could be done about a missing provider, or nothing.
func (c *checker) hint(f *field) string {
	generic, _, _ := strings.Cut(TypeName(f.typ), "[")
	if say := instead[generic]; say != "" && !c.gives[f.typ] {
		return say
	}
	if parse, _ := parserFor(f.typ); parse != nil && f.typ.PkgPath() == "" {
		return fmt.Sprintf("if it is a parameter, say where it comes from: `query:%q`", snake(f.name))
	}
	if c.gives[f.typ] {
		return "it is there once a connection is open: take it in OnOpen, in a message's handler, " +
			"or in a provider that is depends.Message"
	}
	if p := c.providerOf(f.typ); p != nil {
		return fmt.Sprintf("%s provides it for a group that this place is not in", p)
	}
	return c.similar(f.typ)
}

// similar looks for a provider whose type was probably meant.
func (c *checker) similar(t reflect.Type) string {
	var names, provides []string
	for _, p := range c.graph.shared.providers {
		name := TypeName(p.Out)
		says := fmt.Sprintf("%s provides %s", p, name)
		switch {
		case p.Out == reflect.PointerTo(t), t.Kind() == reflect.Pointer && p.Out == t.Elem():
			return says + "; did you mean that?"
		case t.Kind() == reflect.Interface && t.NumMethod() > 0 && p.Out.Implements(t):
			return says + ", which implements it; provide it as " + TypeName(t)
		}
		names, provides = append(names, name), append(provides, says)
	}
	if i := slices.Index(names, closest(TypeName(t), names)); i >= 0 {
		return provides[i] + "; did you mean that?"
	}
	return ""
}

// providerOf returns a provider of t in some graph of the tree, or nil.
func (c *checker) providerOf(t reflect.Type) *Provider {
	for _, p := range c.graph.shared.providers {
		if p.Out == t {
			return p
		}
	}
	return nil
}

// didYouMean suggests a candidate or, if none is near, says something else.
func didYouMean(word string, candidates []string, otherwise string) string {
	if near := closest(word, candidates); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return otherwise
}

// closest returns the candidate that word is probably a misspelling of, or "".
func closest(word string, candidates []string) string {
	for edits := range 3 {
		for _, c := range candidates {
			if edits < len(c) && near(word, c, edits) {
				return c
			}
		}
	}
	return ""
}

// near says whether at most so many letters must be inserted, deleted or replaced to turn a
// into b.
func near(a, b string, edits int) bool {
	switch {
	case edits < 0:
		return false
	case a == "" || b == "":
		return len(a)+len(b) <= edits
	case a[0] == b[0]:
		return near(a[1:], b[1:], edits)
	}
	return near(a[1:], b, edits-1) || near(a, b[1:], edits-1) || near(a[1:], b[1:], edits-1)
}
