package graph

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
)

// Request is the request that a resolution is for.
type Request interface {
	// Values returns what stands under a parameter's name, in order. The result is valid
	// until the next call.
	Values(in, name string) []string
	// BadParam notes a parameter that is refused, and returns the refusal of all that were.
	BadParam(loc []string, code string) error
	// Authenticate calls a provider that has a Scheme with the credential of that, and
	// refuses a value that does not grant the scopes.
	Authenticate(ctx context.Context, p *Provider, scopes []string, out any) error
}

// Run is one resolution of a plan.
type Run struct {
	Plan    *Plan
	Request Request
	// Connection and Handshake are the contexts of the providers of these
	// lifetimes. Handshake may be nil if the plan has no such provider.
	Connection, Handshake context.Context

	// Scope is where the budget and the report of cleanups are taken from when
	// something is resolved anew.
	Scope *Scope
	// Accept is then told what each step says of the connection, before anybody sees the new
	// values, and may refuse them. Failed is told why there are none, before what was made is
	// released.
	Accept func([]any) error
	Failed func(error)
	// Retire calls release once nothing uses the values that were replaced.
	Retire func(release func())

	at    *Provider // being called
	state *state    // if the values are kept
	kept  *Kept     // then
}

// At names the provider that is being called, or "". It tells who called
// runtime.Goexit, after which Resolve does not return.
func (r *Run) At() string {
	if r.at == nil {
		return ""
	}
	return r.at.Func.Name
}

// Resolve fills a new record and returns a pointer to the handler's input in it.
// The record is garbage as soon as the caller lets go of that pointer. A panic
// of a provider is returned as a *Panic.
func (r *Run) Resolve() (in any, err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			err = &Panic{Value: v, Stack: debug.Stack(), In: r.At()}
		}
	}()
	p := r.Plan
	rec := reflect.New(p.record).Elem()
	if r.state != nil {
		r.state.record = rec
	}
	badAt, bad := r.readParams(rec)
	for i := range p.steps {
		if i == badAt {
			break
		}
		if err = r.step(rec, i); err != nil {
			returned = true
			return nil, err
		}
	}
	returned = true
	if bad != nil {
		return nil, bad
	}
	input := rec.Field(p.input)
	r.fill(rec, input, p.fills)
	return input.Addr().Interface(), nil
}

// readParams parses and checks every parameter of the route. It returns the first step that
// cannot run for a bad one, and the refusal of all that are bad.
func (r *Run) readParams(rec reflect.Value) (badAt int, bad error) {
	p := r.Plan
	badAt = -1
	for i := range p.params {
		ps := &p.params[i]
		values := r.Request.Values(ps.param.in, ps.param.key)
		code, at := ps.param.read(p.graph.validate, at(rec.Field(ps.input), ps.index), values)
		if code == "" {
			continue
		}
		if badAt < 0 || ps.owner < badAt {
			badAt = ps.owner
		}
		loc := []string{ps.param.in, ps.param.name}
		if at >= 0 {
			loc = append(loc, fmt.Sprint(at))
		}
		bad = r.Request.BadParam(loc, code)
	}
	return badAt, bad
}

// step calls the provider of one step.
func (r *Run) step(rec reflect.Value, i int) error {
	p, s := r.Plan, &r.Plan.steps[i]
	for _, need := range s.needs {
		if rec.Field(p.absent).Index(need).Bool() {
			rec.Field(p.absent).Index(i).SetBool(true)
			return nil
		}
	}
	ctx := r.Connection
	if s.provider.Lifetime == Handshake {
		ctx = r.Handshake
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if r.state != nil {
		ctx = r.state.contextOf(ctx, i)
	}
	r.at = s.provider
	err := r.call(ctx, rec, s)
	if err == nil && s.nilable && rec.Field(s.output).IsNil() {
		err = errors.New("returned nil without an error")
	}
	switch {
	case err == nil:
	case s.soft && errors.Is(err, hooks.Absent):
		rec.Field(p.absent).Index(i).SetBool(true)
		err = nil
	default:
		err = Failed(s.provider.Func.Name, err) // while the provider still stands for a panic
	}
	r.at = nil
	return err
}

func (r *Run) call(ctx context.Context, rec reflect.Value, s *step) error {
	output := rec.Field(s.output).Addr().Interface()
	switch {
	case s.provider.Scheme != nil:
		return r.Request.Authenticate(ctx, s.provider, s.scopes, output)
	case s.provider.Foreign:
		return s.provider.Invoke(ctx, r.Request, output)
	}
	input := rec.Field(s.input)
	r.fill(rec, input, s.fills)
	return s.provider.Invoke(ctx, input.Addr().Interface(), output)
}

// fill copies the values that an input declares into it.
func (r *Run) fill(rec, input reflect.Value, fills []fill) {
	for i := range fills {
		f := &fills[i]
		to := at(input, f.index)
		var value reflect.Value
		switch {
		case f.live:
			r.bind(rec, to, f)
			continue
		case f.from >= 0:
			value = rec.Field(f.from)
		case f.app != nil:
			value = f.app.Value
		default:
			value = reflect.ValueOf(f.own(r.Request))
		}
		if !f.optional {
			to.Set(value)
			continue
		}
		if f.soft < 0 || !rec.Field(r.Plan.absent).Index(f.soft).Bool() {
			to.Field(0).Set(value)
			to.Field(1).SetBool(true)
		}
	}
}

// bind lets a Live field of the handler's input read what is current.
func (r *Run) bind(rec, to reflect.Value, f *fill) {
	if f.app != nil {
		value := f.app.Value
		pointer := reflect.New(value.Type())
		pointer.Elem().Set(value)
		hooks.Bind(to.Addr().Interface(), func() any { return pointer.Interface() })
		return
	}
	kept, slot := r.kept, f.from
	hooks.Bind(to.Addr().Interface(), func() any { return kept.Value(slot) })
}

// at returns the field of v at an index path.
func at(v reflect.Value, index []int) reflect.Value {
	for _, i := range index {
		v = v.Field(i)
	}
	return v
}
