package graph

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"time"
)

// MakeApp calls the App providers of a tree, what they need first, and keeps
// their values until CloseApp. If one fails, those that were made are undone.
// A tree whose values are there already keeps them.
func (g *Graph) MakeApp(budget time.Duration) *Fault {
	shared := g.shared
	if shared.app != nil {
		return nil
	}
	scope := &Scope{Budget: budget, Report: func(err error) {
		slog.Error("App cleanup failed", "error", err)
	}}
	ctx, end := context.WithCancel(context.Background())
	ctx = scope.Context(ctx)
	for _, p := range shared.providers {
		if failed := g.makeApp(ctx, p); failed != nil {
			end()
			scope.End(context.Background(), failed.Err)
			for _, undo := range shared.providers {
				if undo.In != nil {
					undo.Value = reflect.Value{}
				}
			}
			return failed
		}
	}
	shared.app, shared.endApp = scope, end
	return nil
}

// makeApp makes p's value if p is an App provider that has none yet.
func (g *Graph) makeApp(ctx context.Context, p *Provider) *Fault {
	if p.Lifetime != App || p.Value.IsValid() {
		return nil
	}
	in := reflect.New(p.In).Elem()
	for i := range p.input.fields {
		f := &p.input.fields[i]
		if f.embedded {
			continue
		}
		need := p.graph.lookup(f.typ)[0]
		if failed := g.makeApp(ctx, need); failed != nil {
			return failed
		}
		switch to := at(in, f.index); {
		case f.guard:
		case f.optional:
			to.Field(0).Set(need.Value)
			to.Field(1).SetBool(true)
		default:
			to.Set(need.Value)
		}
	}
	out := reflect.New(p.Out).Elem()
	err := Protect(p.Func.Name, func() error {
		return p.Invoke(ctx, in.Addr().Interface(), out.Addr().Interface())
	})
	if err == nil && isNil(out) && (out.Kind() == reflect.Pointer || out.Kind() == reflect.Interface) {
		err = errors.New("returned nil without an error")
	}
	if err != nil {
		return &Fault{
			Kind: "failed", Type: p.Out, Err: err,
			Fact: p.Func.Name + ": " + err.Error(), Path: []string{"provided by " + p.String()},
		}
	}
	p.Value = out
	return nil
}

// CloseApp ends the App lifetime of the tree: the context of its providers ends, then their
// cleanups run in reverse order. It returns their errors, joined, or ctx's if that ends first.
func (g *Graph) CloseApp(ctx context.Context) error {
	scope := g.shared.app
	if scope == nil {
		return nil
	}
	g.shared.endApp()
	var errs []error
	scope.Report = func(err error) { errs = append(errs, err) }
	if err := within(ctx, func() { scope.End(ctx, nil) }); err != nil {
		return err
	}
	return errors.Join(errs...)
}
