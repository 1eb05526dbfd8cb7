package depends_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"reflect"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/internal/plan"
)

// five typed steps, as a program has them.
type (
	s1 struct{ n int }
	s2 struct{ n int }
	s3 struct{ n int }
	s4 struct{ n int }
	s5 struct{ n int }
)

func provideFive(deps *depends.Graph, options ...depends.ProvideOption) {
	depends.Provide(deps, func(context.Context, none) (s1, error) { return s1{1}, nil }, options...)
	depends.Provide(deps, func(_ context.Context, in struct{ S s1 }) (s2, error) { return s2{in.S.n + 1}, nil }, options...)
	depends.Provide(deps, func(_ context.Context, in struct{ S s2 }) (s3, error) { return s3{in.S.n + 1}, nil }, options...)
	depends.Provide(deps, func(_ context.Context, in struct{ S s3 }) (s4, error) { return s4{in.S.n + 1}, nil }, options...)
	depends.Provide(deps, func(_ context.Context, in struct{ S s4 }) (s5, error) { return s5{in.S.n + 1}, nil }, options...)
}

// provideN provides a chain of n and returns the type of its last: five typed
// steps, and behind them steps whose types are made for the occasion.
func provideN(deps *depends.Graph, n int) reflect.Type {
	provideFive(deps)
	last := [...]reflect.Type{1: reflect.TypeFor[s1](), 5: reflect.TypeFor[s5]()}[min(n, 5)]
	for i := 5; i < n; i++ {
		last = addStep(deps, i, last)
	}
	return last
}

func addStep(deps *depends.Graph, i int, before reflect.Type) reflect.Type {
	out := reflect.StructOf([]reflect.StructField{{Name: fmt.Sprintf("N%d", i), Type: reflect.TypeFor[int]()}})
	in := reflect.StructOf([]reflect.StructField{{Name: "Before", Type: before}})
	p := &plan.Provider{
		In: in, Out: out, Func: plan.Func{Name: fmt.Sprintf("step%d", i)},
		Invoke: func(context.Context, any, any) error { return nil },
	}
	deps.Inner().Add(p)
	return out
}

func benchPlan(tb testing.TB, n int) *plan.Run {
	tb.Helper()
	deps := depends.New()
	last := provideN(deps, n)
	in := reflect.StructOf([]reflect.StructField{{Name: "Last", Type: last}})
	p := mustMount(tb, deps, route{path: "/", in: in, deps: deps})[0]
	return newRun(p, "/")
}

func newRun(p *plan.Plan, target string) *plan.Run {
	r := httptest.NewRequest("GET", target, nil)
	req := &plan.Request{HTTP: r, RawQuery: r.URL.RawQuery}
	if err := req.Parse(p); err != nil {
		panic(err)
	}
	var connection, handshake plan.Scope
	return &plan.Run{Plan: p, Request: req, Connection: connection.Context(context.Background()), Handshake: handshake.Context(context.Background())}
}

// BenchmarkResolve resolves chains of providers that only compute.
func BenchmarkResolve(b *testing.B) {
	for _, n := range []int{1, 5, 25, 100} {
		b.Run(fmt.Sprintf("deps=%d", n), func(b *testing.B) {
			run := benchPlan(b, n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := run.Resolve(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/dep")
		})
	}
}

// BenchmarkParams reads and checks parameters of the usual types.
func BenchmarkParams(b *testing.B) {
	type four struct {
		A int    `query:"a" validate:"gte=0"`
		B string `query:"b" validate:"alphanum,max=64"`
		C int    `query:"c" default:"3" validate:"lte=9"`
		D string `header:"X-D" validate:"max=8"`
	}
	deps := depends.New()
	run := newRun(mustMount(b, deps, to[four](deps, "/"))[0], "/?a=12&b=lobby")
	run.Request.HTTP.Header.Set("X-D", "d")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := run.Resolve(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4, "ns/param")
}

func TestAllocationsOfResolving(t *testing.T) {
	for _, n := range []int{1, 5, 25, 100} {
		run := benchPlan(t, n)
		got := testing.AllocsPerRun(200, func() { _, _ = run.Resolve() })
		if got > 1 {
			t.Errorf("%d dependencies: %v allocations, want at most 1", n, got)
		}
	}
	// Two lifetimes may cost two; the record that both share costs one.
	deps := depends.New()
	depends.Provide(deps, func(context.Context, none) (s1, error) { return s1{1}, nil }, depends.Handshake)
	depends.Provide(deps, func(context.Context, struct {
		S s1 `depends:"handshake-only"`
	}) (s2, error) {
		return s2{}, nil
	})
	type in struct {
		S2 s2
		A  int    `query:"a" validate:"gte=0"`
		B  string `query:"b" validate:"alphanum"`
	}
	run := newRun(mustMount(t, deps, to[in](deps, "/"))[0], "/?a=300&b=lobby")
	if got := testing.AllocsPerRun(200, func() { _, _ = run.Resolve() }); got > 2 {
		t.Errorf("two lifetimes and two parameters: %v allocations, want at most 2", got)
	}
}
