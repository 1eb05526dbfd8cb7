package depends_test

import (
	"context"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
	"example.com/usher/internal/graph"
)

// route stands for a WebSocket route: depends knows none, and its tests compile
// plans as wsroute does.
type route struct {
	path   string
	in     reflect.Type
	deps   *depends.Graph
	guards []reflect.Type
}

func to[In any](deps *depends.Graph, path string, guards ...reflect.Type) route {
	return route{path: path, in: reflect.TypeFor[In](), deps: deps, guards: guards}
}

// mount compiles routes as Mount does.
func mount(deps *depends.Graph, routes ...route) ([]*graph.Plan, error) {
	var targets []*graph.Target
	for _, r := range routes {
		t := &graph.Target{
			Label: "GET " + r.path, Func: graph.Func{Name: "main.join", Site: graph.Site{File: "main.go", Line: 1}},
			In: r.in, Graph: graph.Of(r.deps),
		}
		for _, g := range r.guards {
			t.Guards = append(t.Guards, graph.Guard{Type: g, Site: graph.Site{File: "main.go", Line: 2}})
		}
		for part := range strings.SplitSeq(r.path, "/") {
			if name, ok := strings.CutPrefix(part, ":"); ok {
				t.PathNames = append(t.PathNames, name)
			}
		}
		targets = append(targets, t)
	}
	inner := graph.Of(deps)
	faults := graph.Check(inner, targets, nil)
	if len(faults) == 0 {
		if f := inner.MakeApp(time.Second); f != nil {
			faults = append(faults, f)
		}
	}
	if err := graph.Report(targets, faults); err != nil {
		return nil, err
	}
	var plans []*graph.Plan
	for _, t := range targets {
		plans = append(plans, graph.Build(t))
	}
	return plans, nil
}

func mustMount(tb testing.TB, deps *depends.Graph, routes ...route) []*graph.Plan {
	tb.Helper()
	plans, err := mount(deps, routes...)
	if err != nil {
		tb.Fatal(err)
	}
	return plans
}

// visit is one handshake without a network.
type visit struct {
	connection, handshake graph.Scope
	errs                  []error
}

// resolve runs a plan on a request line such as "/rooms/go?since=1".
func resolve[In any](tb testing.TB, p *graph.Plan, target string, headers ...string) (In, *visit, error) {
	tb.Helper()
	r := httptest.NewRequest("GET", target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	req := &bind.Request{Plan: bind.NewPlan(p), HTTP: r, RawQuery: r.URL.RawQuery}
	pattern := strings.Split(strings.TrimPrefix(p.Target.Label, "GET "), "/")
	for i, part := range strings.Split(r.URL.Path, "/") {
		if i < len(pattern) && strings.HasPrefix(pattern[i], ":") {
			req.Path = append(req.Path, bind.PathValue{Name: pattern[i][1:], Value: part})
		}
	}
	if err := req.Parse(); err != nil {
		tb.Fatal(err)
	}
	v := &visit{}
	report := func(err error) { v.errs = append(v.errs, err) }
	v.connection = graph.Scope{Budget: time.Second, Report: report}
	v.handshake = graph.Scope{Budget: time.Second, Report: report}
	run := &graph.Run{Plan: p, Request: req, Connection: v.connection.Context(context.Background()), Handshake: v.handshake.Context(context.Background())}
	in, err := run.Resolve()
	if err != nil {
		var zero In
		return zero, v, err
	}
	return *in.(*In), v, nil
}

func (v *visit) end(cause error) {
	v.handshake.End(context.Background(), cause)
	v.connection.End(context.Background(), cause)
}
