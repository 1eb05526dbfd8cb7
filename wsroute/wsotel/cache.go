package wsotel

import (
	"slices"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// cache knows the labels of a router, and keeps what is made of them: there are few, and a message
// should not pay for it again.
type cache struct {
	labels
	mu   sync.RWMutex
	made map[attributes]*options
}

// attributes are those of a series or a span, in their order; the rest is zero.
type attributes [4]attribute.KeyValue

// options carry attributes.
type options struct {
	start   []trace.SpanStartOption
	measure metric.MeasurementOption
	add     []metric.AddOption
	record  []metric.RecordOption
}

// with returns the options for attributes, none of which has a value that a peer could choose.
func (c *cache) with(pairs ...attribute.KeyValue) *options {
	var key attributes
	copy(key[:], pairs)
	c.mu.RLock()
	made := c.made[key]
	c.mu.RUnlock()
	if made != nil {
		return made
	}
	list := slices.Clone(pairs)
	measure := metric.WithAttributeSet(attribute.NewSet(slices.Clone(pairs)...))
	made = &options{
		start: []trace.SpanStartOption{trace.WithAttributes(list...)}, measure: measure,
		add: []metric.AddOption{measure}, record: []metric.RecordOption{measure},
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == nil {
		c.made = map[attributes]*options{}
	}
	c.made[key] = made
	return made
}

// message returns the labels of a type of messages, and the options for them.
func (c *cache) message(route, name string) (*routeLabels, *typeLabels, *options) {
	r := c.route(route)
	t := r.message(name)
	return r, t, c.with(routeKey.String(r.path), typeKey.String(t.name))
}
