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
