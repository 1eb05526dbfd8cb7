package plan

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"sync"
	"time"
)

// calls are the results of a provider that answers equal inputs once for all
// connections.
type calls struct {
	mu   sync.Mutex
	made map[any]*call
}

type call struct {
	done     chan struct{}
	begun    time.Time
	value    reflect.Value
	standing Standing // what was said of the connections that share it
	err      error
}

// longestShared is how long an answer is good at most: as long as it is known who was
// revoked since then.
const longestShared = 5 * time.Minute

// share sets output to the result of a call with an equal input that was begun
// less than half an interval ago, or makes one, which belongs to no connection. What that
// says of a connection counts for each that shares it. begun is when the call was.
func (c *calls) share(ctx context.Context, p *Provider, budget time.Duration, input, output reflect.Value) (begun time.Time, err error) {
	key, now := input.Interface(), time.Now()
	c.mu.Lock()
	for k, old := range c.made {
		if now.Sub(old.begun) >= min(p.Revalidate/2, longestShared) {
			delete(c.made, k)
		}
	}
	one := c.made[key]
	if one == nil {
		one = &call{done: make(chan struct{}), begun: now, value: reflect.New(output.Type())}
		if c.made == nil {
			c.made = map[any]*call{}
		}
		c.made[key] = one
		go one.run(p, budget, input)
	}
	c.mu.Unlock()
	select {
	case <-one.done:
	case <-ctx.Done():
		return one.begun, context.Cause(ctx)
	}
	if one.err != nil {
		return one.begun, one.err
	}
	output.Set(one.value.Elem())
	if s := StandingOf(ctx); s != nil {
		s.Set(one.standing.Identity())
		if until := one.standing.Until(); !until.IsZero() {
			s.Limit(until)
		}
	}
	return one.begun, nil
}

func (o *call) run(p *Provider, budget time.Duration, input reflect.Value) {
	defer close(o.done)
	o.err = fmt.Errorf("%s called runtime.Goexit", p.Func.Name)
	ctx, cancel := context.WithTimeout(WithStanding(context.Background(), &o.standing), budget)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			o.err = &Panic{Value: v, Stack: debug.Stack(), In: p.Func.Name}
		}
	}()
	in := reflect.New(input.Type())
	in.Elem().Set(input)
	o.err = p.Invoke(ctx, in.Interface(), o.value.Interface())
}
