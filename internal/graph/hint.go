package graph

import (
	"context"
	"fmt"
	"reflect"
)

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// strangers are types that people ask for out of habit, and what to do instead.
var strangers = map[string]string{
	"context.Context":     "a function's first argument is the context",
	"http.Request":        "take *http.Request",
	"http.ResponseWriter": "a handshake has one answer: return an error to refuse",
	"*gin.Context":        "gin recycles it: take *http.Request, or a parameter",
	"gin.Context":         "gin recycles it: take *http.Request, or a parameter",
	"*websocket.Conn":     "the handler's second argument is the connection",
}

// hint says what could be done about a missing provider, or nothing.
func (c *checker) hint(f *field) string {
	name := TypeName(f.typ)
	if say, ok := strangers[name]; ok {
		return say
	}
	if parse, _ := parserFor(f.typ); parse != nil && f.typ.PkgPath() == "" {
		return fmt.Sprintf("if it is a parameter, say where it comes from: `query:%q`", snake(f.name))
	}
	if p := c.providedAnywhere(f.typ); p != nil {
		return fmt.Sprintf("%s provides it for a group that this place is not in", p)
	}
	return c.similar(f.typ)
}

// similar looks for a provider whose type was probably meant.
func (c *checker) similar(t reflect.Type) string {
	var names []string
	byName := map[string]*Provider{}
	for _, p := range c.root.all() {
		switch {
		case p.Out == reflect.PointerTo(t), t.Kind() == reflect.Pointer && p.Out == t.Elem():
			return fmt.Sprintf("%s provides %s; did you mean that?", p, TypeName(p.Out))
		case t.Kind() == reflect.Interface && t.NumMethod() > 0 && p.Out.Implements(t):
			return fmt.Sprintf("%s provides %s, which implements it; provide it as %s", p, TypeName(p.Out), TypeName(t))
		}
		name := TypeName(p.Out)
		names, byName[name] = append(names, name), p
	}
	if near := closest(TypeName(t), names); near != "" {
		return fmt.Sprintf("%s provides %s; did you mean that?", byName[near], near)
	}
	return ""
}

// providedAnywhere returns a provider of t in some graph of the tree, or nil.
func (c *checker) providedAnywhere(t reflect.Type) *Provider {
	for _, p := range c.root.all() {
		if p.Out == t {
			return p
		}
	}
	return nil
}
