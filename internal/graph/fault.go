package graph

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with the wiring.
type Fault struct {
	Kind string       // "missing", "cycle", "ambiguous", …: the word before the colon
	Fact string       // the sentence behind it
	Type reflect.Type // the type it is about, if there is one
	Path []string     // lines that lead from the fault to the route, innermost first
	Hint string       // what to do about it; may be empty
	Err  error        // the cause, where user code failed

	Target *Target // the first route with this fault; nil for the graph itself
	routes map[*Target]bool
}

// String is the fault as the report shows it, without indentation.
func (f *Fault) String() string {
	text := f.Kind + ": " + f.Fact
	for _, line := range f.Path {
		text += "\n  " + line
	}
	if more := len(f.routes) - 1; f.Target != nil && more > 0 {
		text += "\n  and " + count(more, "more route")
	}
	if f.Hint != "" {
		text += "\n  hint: " + f.Hint
	}
	return text
}

// note adds a fault to the list or, if it is there already, its route to that one.
func (c *checker) note(f *Fault) {
	key := f.Kind + "\x00" + f.Fact
	if f.Kind == "ambiguous" { // groups differ in their providers of one type
		key += strings.Join(f.Path, "\x00")
	}
	first := c.seen[key]
	if first == nil {
		first = f
		f.routes = map[*Target]bool{}
		c.seen[key], c.faults = f, append(c.faults, f)
	}
	if f.Target != nil {
		first.routes[f.Target] = true
	}
}

// add notes a fault of the route that is being checked.
func (c *checker) add(kind string, t reflect.Type, fact, hint string, path ...string) {
	c.note(&Fault{Kind: kind, Type: t, Fact: fact, Hint: hint, Path: path, Target: c.target})
}

// report is the joined error of Mount.
type report struct {
	errs []error
	text string
}

func (r *report) Error() string   { return r.text }
func (r *report) Unwrap() []error { return r.errs }

// Report joins faults into one error whose text is read in a terminal: the
// faults of each route under its heading, those of the graph first. It is nil
// without faults.
func Report(targets []*Target, list []*Fault) error {
	if len(list) == 0 {
		return nil
	}
	total := count(len(list), "problem")
	r := &report{text: "wsroute: " + total + " in the wiring, nothing is mounted\n"}
	all := []*Target{nil}
	for _, t := range targets {
		all = append(append(all, t), t.Messages...)
	}
	for _, t := range all {
		group := slices.DeleteFunc(slices.Clone(list), func(f *Fault) bool { return f.Target != t })
		if len(group) == 0 {
			continue
		}
		heading := "in the dependencies, on no route alone"
		if t != nil {
			heading = t.String()
		}
		r.text += "\n" + heading + ": " + count(len(group), "problem") + "\n"
		for _, f := range group {
			r.errs = append(r.errs, hooks.Fault(f))
			r.text += "\n  " + strings.ReplaceAll(f.String(), "\n", "\n  ") + "\n"
		}
	}
	return r
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
