package graph

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Kept is what a connection keeps of its resolution, so that parts of it can be
// resolved anew: when a credential is renewed, or a provider asks for it. Other
// connections keep nothing.
type Kept struct {
	plan    *Plan
	now     atomic.Pointer[state]
	turn    chan struct{} // holds a token while nothing is being resolved
	due     []time.Time
	retired sync.WaitGroup // values that were replaced and are not released
}

// state is one complete set of values; it is never changed once it is Kept's.
type state struct {
	record reflect.Value
	said   []any    // what each step has said of the connection; nil for nothing
	scopes []*Scope // of the steps that were resolved anew; nil for the others
}

// Keep prepares a run for a connection that will be resolved anew.
func (r *Run) Keep() *Kept {
	n := len(r.Plan.steps)
	r.state = &state{said: make([]any, n), scopes: make([]*Scope, n)}
	r.kept = &Kept{plan: r.Plan, turn: make(chan struct{}, 1)}
	r.kept.Pass()
	return r.kept
}

// Turn waits until nothing else is being resolved, or ctx has ended. [Kept.Pass] must
// follow.
func (k *Kept) Turn(ctx context.Context) error {
	select {
	case <-k.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if ctx.Err() != nil { // both were ready
		k.Pass()
		return context.Cause(ctx)
	}
	return nil
}

// Pass lets the next one have its turn. Who waits for one waits for a provider, so it
// is no mutex.
func (k *Kept) Pass() { k.turn <- struct{}{} }

// Hold takes over what a run has resolved. The time until the first checks runs
// from now.
func (k *Kept) Hold(r *Run) {
	for i := range k.plan.steps { // they are gone with the handshake
		if s := &k.plan.steps[i]; s.provider.Lifetime == Handshake {
			r.state.record.Field(s.output).SetZero()
		}
	}
	k.due = make([]time.Time, len(k.plan.steps))
	now := time.Now()
	for i := range k.plan.steps {
		k.schedule(i, now)
	}
	k.now.Store(r.state)
}

// schedule sets when a step is due again, with some jitter: not all connections at once.
func (k *Kept) schedule(i int, now time.Time) {
	if every := k.plan.steps[i].provider.Revalidate; every > 0 {
		k.due[i] = now.Add(time.Duration((0.9 + 0.2*rand.Float64()) * float64(every)))
	}
}

// Due returns when the next step must be resolved anew; zero is never. It is called
// before the first Check or in the caller's turn.
func (k *Kept) Due() time.Time {
	var first time.Time
	for _, t := range k.due {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// Value returns a pointer to what a step of the plan has made last.
func (k *Kept) Value(slot int) any { return k.now.Load().record.Field(slot).Addr().Interface() }

// Said returns what each step says of the connection, an *Authorisation or nil.
func (k *Kept) Said() []any { return k.now.Load().said }

// Renew authenticates anew, and resolves anew what depends on that. It is the caller's turn.
func (k *Kept) Renew(run *Run) error {
	seed := slices.IndexFunc(k.plan.steps, func(s step) bool { return s.provider.Scheme != nil })
	return k.again(run, map[int]bool{seed: true})
}

// Check resolves anew what is due, and what depends on it. It is the caller's turn.
func (k *Kept) Check(run *Run) error {
	now, seeds := time.Now(), map[int]bool{}
	for i, t := range k.due {
		if !t.IsZero() && !t.After(now) {
			seeds[i] = true
		}
	}
	err := k.again(run, seeds)
	for i := range seeds {
		k.schedule(i, time.Now())
	}
	return err
}

// again runs the seeds and all that depends on them, and puts the new values in
// place of the old ones, all at once; it is the caller's turn.
func (k *Kept) again(run *Run, seeds map[int]bool) (err error) {
	old := k.now.Load()
	next := &state{
		record: reflect.New(k.plan.record).Elem(), said: slices.Clone(old.said), scopes: slices.Clone(old.scopes),
	}
	next.record.Set(old.record)
	run.Plan, run.state = k.plan, next
	steps := k.plan.affected(seeds)
	returned := false
	defer func() {
		if !returned {
			err = fmt.Errorf("%s called runtime.Goexit", run.At())
		}
		if err != nil {
			run.Failed(err)
		}
		k.release(run, steps, old, next, err)
	}()
	if err = run.again(steps); err == nil {
		err = run.Accept(next.said)
	}
	if err == nil {
		k.now.Store(next)
	}
	returned = true
	return err
}

// release ends what was replaced or, after an error, what should have replaced it: some
// steps may not have run, and theirs is still in use.
func (k *Kept) release(run *Run, steps []int, old, next *state, err error) {
	var over []*Scope
	for _, i := range steps {
		switch {
		case err == nil && k.plan.steps[i].provider.Lifetime == Handshake:
			over = append(over, next.scopes[i], old.scopes[i])
		case err == nil:
			over = append(over, old.scopes[i])
		case next.scopes[i] != old.scopes[i]:
			over = append(over, next.scopes[i])
		}
	}
	if err != nil {
		run.endAll(over, err)
		return
	}
	k.retired.Add(1)
	run.Retire(func() {
		defer k.retired.Done()
		run.endAll(over, nil)
	})
}

// endAll ends scopes, and waits for their cleanups: what these were made with is released
// after them, unless one does not return.
func (r *Run) endAll(over []*Scope, cause error) {
	pending := 1
	for _, s := range over {
		pending += s.pending()
	}
	done := make(chan struct{})
	go func() { // a cleanup may end its goroutine, and must not end the caller's
		defer close(done)
		endAll(r.Connection, over, cause)
	}()
	limit := time.NewTimer(time.Duration(pending) * r.Scope.Budget)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		r.Scope.report(errors.New("a cleanup has not returned long after its time; nobody waits for it any more"))
	}
}

// End releases what was resolved anew. Nothing of it is used any more.
func (k *Kept) End(ctx context.Context, cause error) {
	<-k.turn
	defer k.Pass()
	k.retired.Wait()
	if now := k.now.Load(); now != nil {
		endAll(ctx, now.scopes, cause)
	}
}

// endAll ends scopes in reverse order, also when a cleanup calls runtime.Goexit.
func endAll(ctx context.Context, scopes []*Scope, cause error) {
	n := len(scopes)
	defer func() {
		if n > 0 {
			endAll(ctx, scopes[:n], cause)
		}
	}()
	for n > 0 {
		n--
		if scopes[n] != nil {
			scopes[n].End(ctx, cause)
		}
	}
}

// affected returns the steps that must run when the seeds do, in order: all that
// depend on them, and the Handshake values that these need, which are gone.
func (p *Plan) affected(seeds map[int]bool) []int {
	runs := make([]bool, len(p.steps))
	for i := range p.steps {
		runs[i] = seeds[i] || slices.ContainsFunc(p.steps[i].uses, func(used int) bool { return runs[used] })
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

// again runs some steps. A panic is returned.
func (r *Run) again(steps []int) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			err = &Panic{Value: v, Stack: debug.Stack(), In: r.At()}
		}
	}()
	r.record = r.state.record
	for _, i := range steps {
		r.state.said[i] = nil
		r.state.scopes[i] = &Scope{Budget: r.Scope.Budget, Report: r.Scope.Report}
		if r.Plan.absent >= 0 {
			r.state.record.Field(r.Plan.absent).Index(i).SetBool(false)
		}
		if err = r.step(i); err != nil {
			break
		}
	}
	returned = true
	return err
}

// contextOf returns the context of a step whose values are kept: it knows which
// step speaks, and when it runs anew, where its cleanups go.
func (s *state) contextOf(ctx context.Context, i int) context.Context {
	if a, ok := AuthorisationOf(ctx).(interface{ Empty() any }); ok {
		s.said[i] = a.Empty()
	}
	return &stepContext{ctx, s.said[i], s.scopes[i]}
}

type stepContext struct {
	context.Context
	said  any
	scope *Scope // nil for that of the lifetime
}

func (c *stepContext) Value(key any) any {
	switch key {
	case authorisationKey{}:
		return c.said
	case scopeKey{}:
		if c.scope != nil {
			return c.scope
		}
	}
	return c.Context.Value(key)
}
