package depends

import (
	"net/http"
	"net/netip"
	"reflect"

	"example.com/usher/internal/graph"
)

// WiringError is one thing that is wrong with the dependencies of a program.
// Mount returns all of them joined: errors.As finds the first, and the joined
// error's Unwrap() []error lists them.
type WiringError struct {
	// Kind is the sort of fault: "missing", "cycle", "ambiguous", "captive",
	// "bad tag", "bad field", "bad input", "bad provider", "unsafe", "conflict",
	// "bad route", "bad message", "failed" or "unused override".
	Kind string
	// Fact says what is wrong, in a sentence.
	Fact string
	// Type is the type that it is about; nil if there is none.
	Type reflect.Type
	// Path leads from the fault to the route, innermost first, one line a step
	// with function, file and line.
	Path []string
	// Hint says what to do, where something can be said; may be empty.
	Hint string
	// Route is the first route that it was met on, such as "GET /rooms/:room";
	// empty for a fault of the graph itself.
	Route string
	// Err is the error of an App provider that failed; else nil.
	Err error

	text string
}

// Error returns the fault as the report shows it.
func (e *WiringError) Error() string { return e.text }

// Unwrap returns the error of an App provider that failed.
func (e *WiringError) Unwrap() error { return e.Err }

// ownRequest is what fields of usher's own types are filled from.
type ownRequest interface {
	Snapshot() *http.Request
	ClientAddr() netip.Addr
}

type (
	optionalField interface{ optional() reflect.Type }
	liveField     interface{ live() reflect.Type }
)

// inner returns a function that asks a field's type, if it is such a struct, for the type
// within it.
func inner[Field any](ask func(Field) reflect.Type) func(reflect.Type) reflect.Type {
	return func(t reflect.Type) reflect.Type {
		field, ok := reflect.Zero(t).Interface().(Field)
		if !ok || t.Kind() != reflect.Struct { // such as a pointer to one
			return nil
		}
		return ask(field)
	}
}

// These hooks give usher's own packages what this one alone can do with its types.
var _ = graph.SetHooks(graph.Hooks{
	Graph:       func(deps any) *graph.Graph { return deps.(*Graph).graph },
	Replacement: func(replacement any) *graph.Provider { return replacement.(Replacement).provider },
	Credential: func(source any, value string, from any) any {
		return &Credential{*source.(*Source), value, from.(request)}
	},
	Own: map[reflect.Type]func(request any) any{
		reflect.TypeFor[*http.Request](): func(r any) any { return r.(ownRequest).Snapshot() },
		reflect.TypeFor[ClientAddr](): func(r any) any {
			return ClientAddr{r.(ownRequest).ClientAddr()}
		},
	},
	Absent:   ErrAbsent,
	Optional: inner(optionalField.optional),
	Live:     inner(liveField.live),
	Bind:     func(live any, get func() any) { live.(interface{ bind(get func() any) }).bind(get) },
	Fault: func(f *graph.Fault) error {
		e := &WiringError{
			Kind: f.Kind, Fact: f.Fact, Type: f.Type, Path: f.Path, Hint: f.Hint, Err: f.Err,
			text: f.String(),
		}
		if f.Target != nil {
			e.Route = f.Target.RouteLabel()
		}
		return e
	},
})
