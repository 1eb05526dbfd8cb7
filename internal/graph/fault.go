package graph

import (
	"fmt"
	"reflect"
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

	Target *Target // the first route that it was met on; nil for the graph itself
	More   int     // on how many further routes it was met
	key    string
}

// String is the fault as the report shows it, without indentation.
func (f *Fault) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", f.Kind, f.Fact)
	for _, line := range f.Path {
		b.WriteString("\n  " + line)
	}
	if f.More == 1 {
		b.WriteString("\n  and 1 more route")
	} else if f.More > 1 {
		fmt.Fprintf(&b, "\n  and %d more routes", f.More)
	}
	if f.Hint != "" {
		b.WriteString("\n  hint: " + f.Hint)
	}
	return b.String()
}

// faults collects what is wrong, each thing once, in the order it was found.
type faults struct {
	list []*Fault
	seen map[string]*Fault
}

func (c *faults) add(t *Target, f *Fault) {
	if f.key == "" {
		f.key = f.Kind + "\x00" + f.Fact
	}
	if first := c.seen[f.key]; first != nil {
		if t != nil && first.Target != nil && !first.metOn(t) {
			first.More++
		}
		return
	}
	if c.seen == nil {
		c.seen = map[string]*Fault{}
	}
	f.Target = t
	c.seen[f.key] = f
	c.list = append(c.list, f)
	if t != nil {
		t.met = append(t.met, f)
	}
}

// metOn says whether f was met on t before, and remembers that it now is.
func (f *Fault) metOn(t *Target) bool {
	for _, known := range t.met {
		if known == f {
			return true
		}
	}
	t.met = append(t.met, f)
	return false
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
	groups := map[*Target][]*Fault{}
	r := &report{}
	for _, f := range list {
		groups[f.Target] = append(groups[f.Target], f)
	}
	var blocks []string
	for _, t := range append([]*Target{nil}, targets...) {
		if len(groups[t]) == 0 {
			continue
		}
		heading := "in the dependencies, on no route alone"
		if t != nil {
			heading = t.String()
		}
		block := heading + ": " + count(len(groups[t]), "problem")
		for _, f := range groups[t] {
			r.errs = append(r.errs, hooks.Fault(f))
			block += "\n\n  " + strings.ReplaceAll(f.String(), "\n", "\n  ")
		}
		blocks = append(blocks, block)
	}
	r.text = fmt.Sprintf("wsroute: %s in the wiring, nothing is mounted\n\n%s\n",
		count(len(r.errs), "problem"), strings.Join(blocks, "\n\n"))
	return r
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// where lists the known places of a function and its registration.
func where(defined, registered Site) string {
	var parts []string
	if s := defined.String(); s != "" {
		parts = append(parts, s)
	}
	if s := registered.String(); s != "" && registered != defined {
		parts = append(parts, "registered "+s)
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// String names the provider and its places.
func (p *Provider) String() string { return p.Func.Name + where(p.Func.Site, p.Site) }
