package graph

import (
	"context"
	"fmt"
	"reflect"
	"slices"
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
	"*websocket.Conn":     "the handler's second argument is the connection",
}

// hint says what could be done about a missing provider, or nothing.
func (c *checker) hint(f *field) string {
	if say := instead[TypeName(f.typ)]; say != "" {
		return say
	}
	if parse, _ := parserFor(f.typ); parse != nil && f.typ.PkgPath() == "" {
		return fmt.Sprintf("if it is a parameter, say where it comes from: `query:%q`", snake(f.name))
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
	best, bestDistance := "", 3
	for _, c := range candidates {
		if d := distance(word, c); d < bestDistance && d < len(c) {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete or replace to turn a into b
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j]+1, row[j+1]+1, change)
		}
	}
	return row[len(b)]
}
