package graph

import (
	"cmp"
	"context"
	"errors"
	"reflect"
	"slices"
	"strconv"
)

// Request is the request that a resolution is for.
type Request interface {
	// Values returns what stands under a parameter's name, in order. The result is valid
	// until the next call.
	Values(in, name string) []string
	// BadParam notes a parameter that is refused, with the bound of a rule that has one, and
	// returns the refusal of all that were.
	BadParam(loc []string, code, bound string) error
	// Authenticate calls a provider that has a Scheme with the credential of that. Granted
	// refuses a value of its type that does not grant the scopes.
	Authenticate(ctx context.Context, p *Provider, out any) error
	Granted(p *Provider, scopes []string, value any) error
}

// Run is one resolution of a plan.
type Run struct {
	Plan    *Plan
	Request Request
	// Connection and Handshake are the contexts of the providers of these
	// lifetimes. Handshake may be nil if the plan has no such provider.
	Connection, Handshake context.Context

	// Scope has the budget and the report of cleanups for steps that run again.
	Scope *Scope
	// Accept gets the authorisations of a run again, and may refuse its values before they
	// are used. Failed gets the error of one before its values are released.
	Accept func([]any) error
	Failed func(error)
	// Trace is told of each call of a provider, and returns the context of the call and what is
	// told of its end; nil tells nobody.
	Trace func(context.Context, *Provider) (_ context.Context, done func(error))
	// Retire calls release once nothing uses the values that were replaced.
	Retire func(release func())

	// Conn is what Target.Given makes values of.
	Conn any

	record reflect.Value // that is filled
	pinned *state        // the route's values, for a message
	state  *state        // if the values are kept
	values *Values       // then
}

// Resolve fills a new record and returns a pointer to the handler's input in it.
// The record is garbage as soon as the caller lets go of that pointer. A panic
// of a provider is returned as a *Panic.
func (r *Run) Resolve() (in any, err error) {
	p := r.Plan
	if p.route == nil { // Begin makes that of a message
		r.record = reflect.New(p.record).Elem()
	}
	if r.state != nil {
		r.state.record = r.record
	}
	good, bad := r.readParams()
	for i := 0; i < good && err == nil; i++ {
		err = r.step(i)
	}
	if err = cmp.Or(err, bad); err != nil {
		return nil, err
	}
	for i := range p.owns {
		r.set(at(r.record.Field(p.owns[i].input), p.owns[i].index), &p.owns[i].fill)
	}
	return r.filled(&p.inputs), nil
}

// ErrLacking is the error of a message that needs what its connection has opened without.
var ErrLacking = errors.New("the connection is open without it")

// Begin is called before Resolve for a message of an open connection, with the values that its
// route has at this moment. It refuses a message that these do not allow, and returns a pointer
// to an empty one.
func (r *Run) Begin(pinned Pinned) (message any, err error) {
	r.pinned = pinned.state
	for _, d := range r.Plan.scopes {
		s := &r.Plan.route.steps[d.step]
		if r.routeLacks(d.step) {
			return nil, Failed(s.provider.Func.Name, ErrLacking)
		}
		value := r.pinned.record.Field(s.output).Addr().Interface()
		if err := r.Request.Granted(s.provider.real, d.scopes, value); err != nil {
			return nil, Failed(s.provider.Func.Name, err)
		}
	}
	for _, i := range r.Plan.routeNeeds {
		if r.routeLacks(i) {
			return nil, Failed(r.Plan.route.steps[i].provider.Func.Name, ErrLacking)
		}
	}
	r.record = reflect.New(r.Plan.record).Elem()
	return r.record.Field(r.Plan.message).Addr().Interface(), nil
}

// routeLacks says whether a step of the route has no value.
func (r *Run) routeLacks(step int) bool {
	route := Run{Plan: r.Plan.route, record: r.pinned.record}
	return route.Plan.steps[step].optional && route.absent(step).Bool()
}

// readParams parses and checks every parameter of the route. It returns how many steps can run
// before a bad one is needed, and the refusal of all that are bad. If none is, a panic of a
// type's own decoding is an error at the same place.
func (r *Run) readParams() (good int, bad error) {
	var panicked error
	p := r.Plan
	good = len(p.steps)
	for i := range p.params {
		ps := &p.params[i]
		values := r.Request.Values(ps.param.In, ps.param.key)
		to := at(r.record.Field(ps.input), ps.index)
		wrong, err := ps.param.read(to, values)
		if wrong.code == "" && err == nil {
			continue
		}
		good = min(good, ps.owner)
		if err != nil {
			panicked = err
			continue
		}
		loc := []string{ps.param.In, ps.param.Name}
		if wrong.index > 0 {
			loc = append(loc, strconv.Itoa(wrong.index-1))
		}
		bad = r.Request.BadParam(loc, wrong.code, wrong.bound)
	}
	return good, cmp.Or(bad, panicked)
}

// step calls the provider of one step, unless something that it needs is absent. The path to
// a provider is kept shallow: a decoder of tokens needs much of a stack.
func (r *Run) step(i int) (err error) {
	s := &r.Plan.steps[i]
	if slices.ContainsFunc(s.needs, func(need int) bool { return r.absent(need).Bool() }) {
		r.absent(i).SetBool(true)
		return nil
	}
	if slices.ContainsFunc(s.routeNeeds, r.routeLacks) {
		if s.optional {
			r.absent(i).SetBool(true)
			return nil
		}
		return Failed(s.provider.Func.Name, ErrLacking)
	}
	ctx := r.Connection
	if s.provider.Lifetime != Connection {
		ctx = r.Handshake
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if r.state != nil {
		ctx = r.state.contextOf(ctx, i)
	}
	if r.Trace != nil {
		var done func(error)
		ctx, done = r.Trace(ctx, s.provider)
		err = ErrGoexit // until the provider returns
		defer func() { done(err) }()
	}
	return r.result(i, r.call(ctx, s))
}

// absent is the mark of a step that has no value, in a plan where one may have none.
func (r *Run) absent(i int) reflect.Value { return r.record.Field(r.Plan.absent).Index(i) }

// result returns what the call of a step's provider comes to: a nil is an error, and absence
// may be none.
func (r *Run) result(i int, err error) error {
	s := &r.Plan.steps[i]
	if err == nil && s.nilable && r.record.Field(s.output).IsNil() {
		err = errors.New("returned nil without an error")
	}
	switch {
	case err == nil:
		return nil
	case s.optional && errors.Is(err, hooks.Absent):
		r.absent(i).SetBool(true)
		return nil
	}
	return Failed(s.provider.Func.Name, err)
}

func (r *Run) call(ctx context.Context, s *step) (err error) {
	defer Recover(s.provider.Func.Name, &err)
	out := r.record.Field(s.output).Addr().Interface()
	switch p := s.provider; {
	case p.Scheme != nil:
		err = r.Request.Authenticate(ctx, p, out)
	case p.In == nil:
		err = p.Invoke(ctx, r.Request, out)
	default:
		err = p.Invoke(ctx, r.filled(&s.inputs), out)
	}
	if err == nil && s.scopes != nil {
		err = r.Request.Granted(s.provider.real, s.scopes, out)
	}
	return err
}

// filled copies the values that an input declares into it, a field of the record, and returns
// a pointer to that.
func (r *Run) filled(in *inputs) any {
	input := r.record.Field(in.input)
	if in.template >= 0 {
		input.Set(r.pinned.record.Field(in.template))
	}
	for i := range in.fills {
		f := &in.fills[i]
		if to := at(input, f.index); f.live != nil {
			r.bind(to, f)
		} else {
			r.set(to, f)
		}
	}
	return input.Addr().Interface()
}

// set sets a field of an input, or an Optional, to the value that it declares.
func (r *Run) set(to reflect.Value, f *fill) {
	var value reflect.Value
	switch {
	case f.route:
		value = r.pinned.record.Field(f.from)
	case f.from >= 0:
		value = r.record.Field(f.from)
	case f.given != nil:
		value = reflect.ValueOf(f.given(r.Conn))
	case f.part != nil:
		value = at(r.record.Field(r.Plan.message), f.part)
	case f.app != nil:
		value = f.app.Value
	default:
		value = reflect.ValueOf(f.own(r.Request))
	}
	switch {
	case !f.optional:
		to.Set(value)
	case f.route && f.step >= 0 && r.routeLacks(f.step):
	case f.route || f.step < 0 || !r.absent(f.step).Bool():
		to.Field(0).Set(value)
		to.Field(1).SetBool(true)
	}
}

// bind lets a Live field of the handler's input read what is current.
func (r *Run) bind(to reflect.Value, f *fill) {
	values := r.values
	hooks.Bind(to.Addr().Interface(), func() any {
		now, to := Run{Plan: values.plan, record: values.current.Load().record}, reflect.New(f.live)
		now.set(to.Elem(), f)
		return to.Interface()
	})
}

// at returns the field of v at an index path.
func at(v reflect.Value, index []int) reflect.Value {
	for _, i := range index {
		v = v.Field(i)
	}
	return v
}
