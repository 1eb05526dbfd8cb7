package depends_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strconv"
	"testing"

	"github.com/go-playground/validator/v10"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
	"example.com/usher/internal/graph"
)

func benchPlan(tb testing.TB, n int) *graph.Run {
	tb.Helper()
	deps := depends.New()
	last := provideChain(deps, n)
	in := reflect.StructOf([]reflect.StructField{{Name: "Last", Type: last}})
	p := mustMount(tb, deps, route{path: "/", in: in, deps: deps})[0]
	return newRun(p, "/")
}

func newRun(p *graph.Plan, target string) *graph.Run {
	r := httptest.NewRequest("GET", target, nil)
	req := &bind.Request{Plan: bind.NewPlan(p), HTTP: r, RawQuery: r.URL.RawQuery}
	if err := req.Parse(); err != nil {
		panic(err)
	}
	var connection, handshake graph.Scope
	return &graph.Run{Plan: p, Request: req, Connection: connection.Context(context.Background()), Handshake: handshake.Context(context.Background())}
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

// BenchmarkParams reads and checks four parameters of a kind.
func BenchmarkParams(b *testing.B) {
	type ints struct {
		A int `query:"a" validate:"gte=0"`
		B int `query:"b" validate:"lte=99"`
		C int `query:"c" validate:"gte=0"`
		D int `query:"d" validate:"lte=99"`
	}
	type texts struct {
		A string `query:"a" validate:"max=64"`
		B string `query:"b" validate:"max=64"`
		C string `query:"c" validate:"max=64"`
		D string `query:"d" validate:"max=64"`
	}
	type words struct {
		A string `query:"a" validate:"alphanum,max=64"` // a regular expression
		B string `query:"b" validate:"alphanum,max=64"`
		C string `query:"c" validate:"alphanum,max=64"`
		D string `query:"d" validate:"alphanum,max=64"`
	}
	b.Run("int", benchParams[ints])
	b.Run("string", benchParams[texts])
	b.Run("alphanum", benchParams[words])
}

func benchParams[In any](b *testing.B) {
	deps := depends.New()
	run := newRun(mustMount(b, deps, to[In](deps, "/"))[0], "/?a=12&b=34&c=56&d=78")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := run.Resolve(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4, "ns/param")
}

// BenchmarkParamsByHand is the same without usher.
func BenchmarkParamsByHand(b *testing.B) {
	validate := validator.New(validator.WithRequiredStructEnabled())
	number := func(text, rule string) error {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		return validate.Var(n, rule)
	}
	text := func(text, rule string) error { return validate.Var(text, rule) }
	b.Run("int", benchByHand(number, "gte=0", "lte=99"))
	b.Run("string", benchByHand(text, "max=64", "max=64"))
	b.Run("alphanum", benchByHand(text, "alphanum,max=64", "alphanum,max=64"))
}

func benchByHand(check func(text, rule string) error, odd, even string) func(*testing.B) {
	return func(b *testing.B) {
		for b.Loop() {
			query, err := url.ParseQuery("a=12&b=34&c=56&d=78")
			if err != nil {
				b.Fatal(err)
			}
			for i, name := range [...]string{"a", "b", "c", "d"} {
				if err := check(query.Get(name), [...]string{odd, even}[i%2]); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4, "ns/param")
	}
}

func TestAllocationsOfResolving(t *testing.T) {
	for _, n := range []int{1, 5, 25, 100} {
		run := benchPlan(t, n)
		got := testing.AllocsPerRun(200, func() { _, _ = run.Resolve() })
		if got > 1 {
			t.Errorf("%d dependencies: %v allocations, want at most 1", n, got)
		}
	}
	if raceEnabled {
		return
	}
	// Two lifetimes may cost two; the record that both share costs one.
	deps := depends.New()
	depends.Provide(deps, func(context.Context, none) (a, error) { return a{1}, nil }, depends.Handshake)
	depends.Provide(deps, func(context.Context, struct {
		A a `depends:"handshake-only"`
	},
	) (b, error) {
		return b{}, nil
	})
	type in struct {
		S2 b
		A  int    `query:"a" validate:"gte=0"`
		B  string `query:"b" validate:"alphanum"`
	}
	run := newRun(mustMount(t, deps, to[in](deps, "/"))[0], "/?a=300&b=lobby")
	if got := testing.AllocsPerRun(200, func() { _, _ = run.Resolve() }); got > 2 {
		t.Errorf("two lifetimes and two parameters: %v allocations, want at most 2", got)
	}
}

// value is a family of distinct types, a hundred of which make the longest chain
// that the benchmarks resolve.
type value[A, B any] struct{ n int }

// Digits name the members of the family.
type (
	d0 struct{}
	d1 struct{}
	d2 struct{}
	d3 struct{}
	d4 struct{}
	d5 struct{}
	d6 struct{}
	d7 struct{}
	d8 struct{}
	d9 struct{}
)

// needs provides Out from Before.
func needs[A, B, C, D any](deps *depends.Graph, options []depends.ProvideOption) reflect.Type {
	depends.Provide(deps, func(_ context.Context, in struct{ Before value[A, B] }) (value[C, D], error) {
		return value[C, D]{in.Before.n + 1}, nil
	}, options...)
	return reflect.TypeFor[value[C, D]]()
}

// provideChain provides a chain of n and returns the type of its last.
func provideChain(deps *depends.Graph, n int, options ...depends.ProvideOption) reflect.Type {
	depends.Provide(deps, func(context.Context, none) (value[d0, d0], error) { return value[d0, d0]{1}, nil }, options...)
	last := reflect.TypeFor[value[d0, d0]]()
	for _, provide := range chain[:n-1] {
		last = provide(deps, options)
	}
	return last
}

var chain = [...]func(*depends.Graph, []depends.ProvideOption) reflect.Type{
	needs[d0, d0, d0, d1],
	needs[d0, d1, d0, d2],
	needs[d0, d2, d0, d3],
	needs[d0, d3, d0, d4],
	needs[d0, d4, d0, d5],
	needs[d0, d5, d0, d6],
	needs[d0, d6, d0, d7],
	needs[d0, d7, d0, d8],
	needs[d0, d8, d0, d9],
	needs[d0, d9, d1, d0],
	needs[d1, d0, d1, d1],
	needs[d1, d1, d1, d2],
	needs[d1, d2, d1, d3],
	needs[d1, d3, d1, d4],
	needs[d1, d4, d1, d5],
	needs[d1, d5, d1, d6],
	needs[d1, d6, d1, d7],
	needs[d1, d7, d1, d8],
	needs[d1, d8, d1, d9],
	needs[d1, d9, d2, d0],
	needs[d2, d0, d2, d1],
	needs[d2, d1, d2, d2],
	needs[d2, d2, d2, d3],
	needs[d2, d3, d2, d4],
	needs[d2, d4, d2, d5],
	needs[d2, d5, d2, d6],
	needs[d2, d6, d2, d7],
	needs[d2, d7, d2, d8],
	needs[d2, d8, d2, d9],
	needs[d2, d9, d3, d0],
	needs[d3, d0, d3, d1],
	needs[d3, d1, d3, d2],
	needs[d3, d2, d3, d3],
	needs[d3, d3, d3, d4],
	needs[d3, d4, d3, d5],
	needs[d3, d5, d3, d6],
	needs[d3, d6, d3, d7],
	needs[d3, d7, d3, d8],
	needs[d3, d8, d3, d9],
	needs[d3, d9, d4, d0],
	needs[d4, d0, d4, d1],
	needs[d4, d1, d4, d2],
	needs[d4, d2, d4, d3],
	needs[d4, d3, d4, d4],
	needs[d4, d4, d4, d5],
	needs[d4, d5, d4, d6],
	needs[d4, d6, d4, d7],
	needs[d4, d7, d4, d8],
	needs[d4, d8, d4, d9],
	needs[d4, d9, d5, d0],
	needs[d5, d0, d5, d1],
	needs[d5, d1, d5, d2],
	needs[d5, d2, d5, d3],
	needs[d5, d3, d5, d4],
	needs[d5, d4, d5, d5],
	needs[d5, d5, d5, d6],
	needs[d5, d6, d5, d7],
	needs[d5, d7, d5, d8],
	needs[d5, d8, d5, d9],
	needs[d5, d9, d6, d0],
	needs[d6, d0, d6, d1],
	needs[d6, d1, d6, d2],
	needs[d6, d2, d6, d3],
	needs[d6, d3, d6, d4],
	needs[d6, d4, d6, d5],
	needs[d6, d5, d6, d6],
	needs[d6, d6, d6, d7],
	needs[d6, d7, d6, d8],
	needs[d6, d8, d6, d9],
	needs[d6, d9, d7, d0],
	needs[d7, d0, d7, d1],
	needs[d7, d1, d7, d2],
	needs[d7, d2, d7, d3],
	needs[d7, d3, d7, d4],
	needs[d7, d4, d7, d5],
	needs[d7, d5, d7, d6],
	needs[d7, d6, d7, d7],
	needs[d7, d7, d7, d8],
	needs[d7, d8, d7, d9],
	needs[d7, d9, d8, d0],
	needs[d8, d0, d8, d1],
	needs[d8, d1, d8, d2],
	needs[d8, d2, d8, d3],
	needs[d8, d3, d8, d4],
	needs[d8, d4, d8, d5],
	needs[d8, d5, d8, d6],
	needs[d8, d6, d8, d7],
	needs[d8, d7, d8, d8],
	needs[d8, d8, d8, d9],
	needs[d8, d9, d9, d0],
	needs[d9, d0, d9, d1],
	needs[d9, d1, d9, d2],
	needs[d9, d2, d9, d3],
	needs[d9, d3, d9, d4],
	needs[d9, d4, d9, d5],
	needs[d9, d5, d9, d6],
	needs[d9, d6, d9, d7],
	needs[d9, d7, d9, d8],
	needs[d9, d8, d9, d9],
}
