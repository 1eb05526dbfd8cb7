package depends_test

import (
	"context"
	"reflect"

	"example.com/usher/depends"
)

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
