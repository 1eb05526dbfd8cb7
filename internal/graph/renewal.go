package graph

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Values are what a connection keeps of its resolution: for its messages, and so that parts of
// it can run again, when a credential is renewed or a provider with Revalidate is due. Other
// connections keep nothing.
type Values struct {
	plan    *Plan
	current atomic.Pointer[state]
	free    chan struct{} // holds a token while nothing is being resolved; nil if nothing ever is
	due     []time.Time
	retired sync.WaitGroup // values that were replaced and are not released yet

	pinning sync.Mutex
	epoch   *epoch
	before  chan struct{} // of the epoch before: its values are released
}

// state is one complete set of values. It never changes once it is the current one.
type state struct {
	record         reflect.Value
	authorisations []any    // each an *Authorisation by one step, or nil
	scopes         []*Scope // of the steps that have run again; nil for the others
}

// Keep prepares a run whose values are kept, and whose steps may run again.
func (r *Run) Keep() *Values {
	r.values = &Values{plan: r.Plan}
	if !r.Plan.Keeps {
		return r.values
	}
	n := len(r.Plan.steps)
	r.state = &state{authorisations: make([]any, n), scopes: make([]*Scope, n)}
	r.values.free, r.values.epoch, r.values.before = make(chan struct{}, 1), newEpoch(), released
	r.values.Unlock()
	return r.values
}

// Lock waits until nothing else is being resolved, or ctx has ended. Without an error,
// [Values.Unlock] must follow.
func (v *Values) Lock(ctx context.Context) error {
	select {
	case <-v.free:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Unlock lets the next one in. It is no mutex: a wait for a provider must end with its context.
func (v *Values) Unlock() { v.free <- struct{}{} }

// Start takes over what a run has resolved. The intervals of Revalidate begin.
func (v *Values) Start(r *Run) {
	now := r.state
	if now == nil {
		now = &state{record: r.record}
	} else {
		v.due = make([]time.Time, len(v.plan.steps))
	}
	for i := range v.plan.steps {
		if v.due != nil {
			v.schedule(i)
		}
		if s := &v.plan.steps[i]; s.provider.Lifetime == Handshake { // it is released
			now.record.Field(s.output).SetZero()
		}
	}
	v.current.Store(now)
}

// Granted says whether each scheme of the route has let the peer in and grants a scope now, and
// there is one that can.
func (v *Values) Granted(scope string) (granted bool) {
	now := Run{Plan: v.plan, record: v.current.Load().record}
	for i := range v.plan.steps {
		s := &v.plan.steps[i]
		if s.provider.real.Granted == nil {
			continue
		}
		out := now.record.Field(s.output).Addr().Interface()
		if s.optional && now.absent(i).Bool() || !slices.Contains(s.provider.real.Granted(out), scope) {
			return false
		}
		granted = true
	}
	return granted
}

// schedule sets when a step is due again, with some jitter: not all connections at once.
func (v *Values) schedule(i int) {
	if every := v.plan.steps[i].provider.Revalidate; every > 0 {
		v.due[i] = time.Now().Add(time.Duration((0.9 + 0.2*rand.Float64()) * float64(every)))
	}
}

// Due returns when the next step must run again; zero is never. It is called before the
// first Check or under the lock.
func (v *Values) Due() time.Time {
	var first time.Time
	for _, t := range v.due {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// Authorisations returns what each step says of the connection, an *Authorisation or nil.
func (v *Values) Authorisations() []any { return v.current.Load().authorisations }

// Renew runs the scheme again, and what depends on it. The caller has the lock.
func (v *Values) Renew(run *Run) error {
	seed := slices.IndexFunc(v.plan.steps, func(s step) bool { return s.provider.Scheme != nil })
	return v.rerun(run, map[int]bool{seed: true})
}

// Check runs again what is due, or all that ever is, and what depends on it. The caller has the
// lock.
func (v *Values) Check(run *Run, all bool) error {
	now, seeds := time.Now(), map[int]bool{}
	for i, t := range v.due {
		if !t.IsZero() && (all || !t.After(now)) {
			seeds[i] = true
		}
	}
	err := v.rerun(run, seeds)
	for i := range seeds {
		v.schedule(i)
	}
	return err
}

// rerun runs the seeds and all that depends on them, and replaces the old values by the new
// ones, all at once.
func (v *Values) rerun(run *Run, seeds map[int]bool) (err error) {
	old := v.current.Load()
	next := &state{
		record:         reflect.New(v.plan.record).Elem(),
		authorisations: slices.Clone(old.authorisations),
		scopes:         slices.Clone(old.scopes),
	}
	next.record.Set(old.record)
	run.Plan, run.state = v.plan, next
	steps := v.plan.affected(seeds)
	err = ErrGoexit // until a provider returns
	defer func() {
		if err != nil {
			run.Failed(err)
		}
		v.release(run, steps, old, next, err)
	}()
	if err = run.rerun(steps); err == nil {
		err = run.Accept(next.authorisations)
	}
	if err == nil {
		v.current.Store(next)
	}
	return err
}

// release ends what was replaced or, after an error, what should have replaced it: some
// steps may not have run, and theirs is still in use.
func (v *Values) release(run *Run, steps []int, old, next *state, err error) {
	var over []*Scope
	for _, i := range steps {
		gone := err != nil || v.plan.steps[i].provider.Lifetime == Handshake
		if gone && next.scopes[i] != old.scopes[i] {
			over = append(over, next.scopes[i])
		}
		if err == nil {
			over = append(over, old.scopes[i])
		}
	}
	if err != nil {
		run.endAll(over, err)
		return
	}
	v.retired.Add(1)
	run.Retire(func() {
		defer v.retired.Done()
		run.endAll(over, nil)
	})
}

// endAll ends scopes and waits for their cleanups, unless one does not return: the values
// that theirs were made from are released later.
func (r *Run) endAll(over []*Scope, cause error) {
	pending := 1
	for _, s := range over {
		pending += s.Pending()
	}
	limit, cancel := context.WithTimeout(context.Background(), time.Duration(pending)*r.Scope.Budget)
	defer cancel()
	if within(limit, func() { endAll(r.Connection, over, cause) }) != nil {
		r.Scope.Report(errors.New("a cleanup has not returned long after its time, " +
			"and is not waited for any more"))
	}
}

// End releases what has been made since Start. Nothing of it is used any more.
func (v *Values) End(ctx context.Context, cause error) {
	if v.free == nil {
		return
	}
	<-v.free
	defer v.Unlock()
	v.retired.Wait()
	endAll(ctx, v.current.Load().scopes, cause)
}

// endAll ends scopes in reverse order, also when a cleanup calls runtime.Goexit.
func endAll(ctx context.Context, scopes []*Scope, cause error) {
	for _, s := range scopes {
		if s != nil {
			defer s.End(ctx, cause)
		}
	}
}

// affected returns the steps that must run when the seeds do, in order: all that
// depend on them, and the Handshake values that these need, which are gone.
func (p *Plan) affected(seeds map[int]bool) []int {
	runs := make([]bool, len(p.steps))
	for i := range p.steps {
		runs[i] = seeds[i]
		for _, used := range p.steps[i].uses {
			runs[i] = runs[i] || runs[used]
		}
	}
	var list []int
	for i := len(p.steps) - 1; i >= 0; i-- {
		if !runs[i] {
			continue
		}
		list = append(list, i)
		for _, used := range p.steps[i].uses {
			runs[used] = runs[used] || p.steps[used].provider.Lifetime == Handshake
		}
	}
	slices.Reverse(list)
	return list
}

// rerun runs some steps.
func (r *Run) rerun(steps []int) error {
	r.record = r.state.record
	for _, i := range steps {
		r.state.authorisations[i] = nil
		r.state.scopes[i] = &Scope{Budget: r.Scope.Budget, Report: r.Scope.Report}
		if r.Plan.absent >= 0 {
			r.absent(i).SetBool(false)
		}
		if err := r.step(i); err != nil {
			return err
		}
	}
	return nil
}

// contextOf returns the context of a step whose value is kept. It has an Authorisation of
// its own and, if the step runs again, a Scope of its own.
func (s *state) contextOf(ctx context.Context, i int) context.Context {
	if a, ok := AuthorisationOf(ctx).(interface{ Empty() any }); ok {
		s.authorisations[i] = a.Empty()
	}
	if s.scopes[i] != nil {
		ctx = s.scopes[i].Context(ctx)
	}
	return WithAuthorisation(ctx, s.authorisations[i])
}
