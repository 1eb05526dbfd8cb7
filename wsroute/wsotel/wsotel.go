// Package wsotel tells OpenTelemetry what happens on usher's WebSockets, in spans and metrics.
//
//	ws := wsroute.New(deps, nil)
//	err := wsotel.Watch(ws, nil) // before Mount
//	…
//	err = wsroute.Serve(ctx, addr, ws, wsotel.Propagate(engine, nil))
//
// A handshake has a span, which ends with its 101 or its refusal. A message that is handled has
// a trace of its own, linked to the handshake's: a connection that is open for a day is no trace.
// No attribute has a value that a peer could choose: docs/observability.md lists all of them.
package wsotel

import (
	"errors"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"example.com/usher/wsroute"
)

// scope is the name of the instrumentation.
const scope = "example.com/usher/wsroute/wsotel"

// Config says where spans and metrics go. To have only one of them, set the other's provider to
// that of OpenTelemetry's package noop: then nothing is done for it.
type Config struct {
	TracerProvider trace.TracerProvider // by default, the global one
	MeterProvider  metric.MeterProvider // by default, the global one
}

// Watch tells OpenTelemetry what happens on the WebSockets of a router. Call it before Mount; a
// nil *Config has the defaults. An error says that an instrument cannot be made, or that Watch
// comes too late.
func Watch(ws *wsroute.Router, c *Config) error {
	if len(ws.Routes()) > 0 {
		return errors.New("wsotel: Watch comes after Mount")
	}
	var config Config
	if c != nil {
		config = *c
	}
	if config.TracerProvider == nil {
		config.TracerProvider = otel.GetTracerProvider()
	}
	if config.MeterProvider == nil {
		config.MeterProvider = otel.GetMeterProvider()
	}
	shared := &cache{labels: labels{router: ws}}
	m, err := newMetrics(ws, shared, config.MeterProvider.Meter(scope))
	if err != nil {
		return err
	}
	s := &spans{cache: shared, tracer: config.TracerProvider.Tracer(scope)}
	if _, off := config.TracerProvider.(tracenoop.TracerProvider); !off {
		ws.Watch(s.trace())
	}
	if _, off := config.MeterProvider.(metricnoop.MeterProvider); !off {
		ws.Watch(m.trace())
	}
	return nil
}

// Propagate returns a handler that reads the trace of a request from its headers, such as
// traceparent, before next gets it. By default, p is the global propagator. It is not needed
// behind a middleware that does the same, such as otelgin's or otelhttp's. A client that may
// reach the program directly can name any trace, and ask that it is sampled.
func Propagate(next http.Handler, p propagation.TextMapPropagator) http.Handler {
	if p == nil {
		p = otel.GetTextMapPropagator()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := p.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
