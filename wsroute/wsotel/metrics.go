package wsotel

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"

	"example.com/usher/wsroute"
)

// metrics are those of a router.
type metrics struct {
	*cache

	handshakes, opened, closed           metric.Int64Counter
	received, receivedBytes              metric.Int64Counter
	sent, sentBytes                      metric.Int64Counter
	dropped, droppedBytes                metric.Int64Counter
	messageErrors, broker                metric.Int64Counter
	handshakeTime, connectionTime        metric.Float64Histogram
	messageTime, providerTime, roundTrip metric.Float64Histogram
}

// Buckets in seconds, those of wsprom, which has the reasons for them.
var (
	workBuckets = []float64{
		.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10,
	}
	pingBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	lifeBuckets = []float64{.1, 1, 10, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600}
)

func newMetrics(ws *wsroute.Router, of *cache, meter metric.Meter) (*metrics, error) {
	m, errs := &metrics{cache: of}, []error(nil)
	counter := func(to *metric.Int64Counter, name, unit, description string) {
		var err error
		*to, err = meter.Int64Counter("usher."+name,
			metric.WithUnit(unit), metric.WithDescription(description))
		errs = append(errs, err)
	}
	seconds := func(to *metric.Float64Histogram, name string, buckets []float64, description string) {
		var err error
		*to, err = meter.Float64Histogram("usher."+name, metric.WithUnit("s"),
			metric.WithDescription(description), metric.WithExplicitBucketBoundaries(buckets...))
		errs = append(errs, err)
	}
	counter(&m.handshakes, "websocket.handshakes", "{handshake}", "Handshakes that were answered.")
	seconds(&m.handshakeTime, "websocket.handshake.duration", workBuckets,
		"Time from a request to its 101 or its refusal.")
	counter(&m.opened, "websocket.connections.opened", "{connection}",
		"Connections that were opened.")
	counter(&m.closed, "websocket.connections.closed", "{connection}",
		"Connections that have ended.")
	seconds(&m.connectionTime, "websocket.connection.duration", lifeBuckets,
		"Time from the 101 to the end of the last cleanup.")
	counter(&m.received, "websocket.received.messages", "{message}", "Messages of peers.")
	counter(&m.receivedBytes, "websocket.received.size", "By", "Payload of messages of peers.")
	counter(&m.sent, "websocket.sent.messages", "{message}", "Messages that were queued for peers.")
	counter(&m.sentBytes, "websocket.sent.size", "By",
		"Payload of messages that were queued for peers.")
	counter(&m.dropped, "websocket.dropped.messages", "{message}",
		"Messages that were queued and not sent.")
	counter(&m.droppedBytes, "websocket.dropped.size", "By",
		"Frames of messages that were queued and not sent.")
	seconds(&m.messageTime, "websocket.message.duration", workBuckets,
		"Time from a message with a handler to its answer.")
	counter(&m.messageErrors, "websocket.message.errors", "{message}",
		"Messages that were answered by an error.")
	seconds(&m.providerTime, "provider.duration", workBuckets, "Time of a call of a provider.")
	seconds(&m.roundTrip, "websocket.ping.round_trip", pingBuckets, "Time from a ping to its answer.")
	counter(&m.broker, "broker.events", "{event}",
		"Errors of the broker, and times when its messages may be missing.")
	return m, errors.Join(append(errs, m.observe(ws, meter))...)
}

// observe lets the router's Stats be read whenever metrics are collected.
func (m *metrics) observe(ws *wsroute.Router, meter metric.Meter) error {
	var errs []error
	var all []metric.Observable
	now := func(name, unit, description string) metric.Int64ObservableUpDownCounter {
		made, err := meter.Int64ObservableUpDownCounter("usher.websocket."+name,
			metric.WithUnit(unit), metric.WithDescription(description))
		errs, all = append(errs, err), append(all, made)
		return made
	}
	inProgress := now("handshakes.in_progress", "{handshake}",
		"Handshakes whose dependencies are resolved now.")
	open := now("connections.open", "{connection}", "Connections that are open now.")
	running := now("handlers.running", "{handler}", "Handlers that run now.")
	queued := now("queue.messages", "{message}", "Messages that wait for their peers now.")
	queuedBytes := now("queue.size", "By", "Bytes of frames that wait for their peers now.")
	if err := errors.Join(errs...); err != nil {
		return err
	}
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		stats := ws.Stats()
		o.ObserveInt64(inProgress, int64(stats.Handshakes))
		for _, r := range stats.Routes {
			route := m.with(routeKey.String(m.route(r.Route).path)).measure
			o.ObserveInt64(open, int64(r.Open), route)
			o.ObserveInt64(running, int64(r.Handlers), route)
			o.ObserveInt64(queued, int64(r.QueuedMessages), route)
			o.ObserveInt64(queuedBytes, int64(r.QueuedBytes), route)
		}
		return nil
	}, all...)
	return err
}

func (m *metrics) trace() *wsroute.Trace {
	return &wsroute.Trace{
		HandshakeDone: func(
			ctx context.Context, h wsroute.HandshakeInfo, result wsroute.HandshakeResult,
		) {
			r, code := m.route(h.Route), status(result.Status)
			route := routeKey.String(r.path)
			m.handshakes.Add(ctx, 1, m.with(route, statusKey.Int(code),
				reasonKey.String(r.refusal(result.Reason))).add...)
			m.handshakeTime.Record(ctx, result.Took.Seconds(),
				m.with(route, outcomeKey.String(handshakeOutcome(code))).record...)
		},
		Opened: func(ctx context.Context, info wsroute.ConnInfo) context.Context {
			m.opened.Add(ctx, 1, m.with(routeKey.String(m.route(info.Route).path)).add...)
			return ctx
		},
		ProviderDone: func(
			ctx context.Context, p wsroute.ProviderInfo, took time.Duration, err error,
		) {
			m.providerTime.Record(ctx, took.Seconds(),
				m.with(nameKey.String(p.Name), outcomeKey.String(providerOutcome(err))).record...)
		},
		Received: func(ctx context.Context, info wsroute.ReceivedInfo) {
			_, _, of := m.message(info.Route, info.Type)
			m.received.Add(ctx, 1, of.add...)
			m.receivedBytes.Add(ctx, int64(info.Bytes), of.add...)
		},
		MessageDone: func(
			ctx context.Context, h wsroute.HandledInfo, took time.Duration, reason string, _ error,
		) {
			r, t, of := m.message(h.Route, h.Type)
			m.messageTime.Record(ctx, took.Seconds(), of.record...)
			if reason != "" {
				m.messageErrors.Add(ctx, 1, m.with(routeKey.String(r.path), typeKey.String(t.name),
					reasonKey.String(t.reason(reason))).add...)
			}
		},
		Sent: func(ctx context.Context, info wsroute.SentInfo) {
			_, _, of := m.message(info.Route, info.Type)
			m.sent.Add(ctx, 1, of.add...)
			m.sentBytes.Add(ctx, int64(info.Bytes), of.add...)
		},
		Dropped: func(ctx context.Context, d wsroute.DropInfo) {
			route := routeKey.String(m.route(d.Route).path)
			of := m.with(route, causeKey.String(dropCause(d.Cause)))
			m.dropped.Add(ctx, int64(d.Messages), of.add...)
			m.droppedBytes.Add(ctx, int64(d.Bytes), of.add...)
		},
		Pong: func(ctx context.Context, route string, took time.Duration) {
			m.roundTrip.Record(ctx, took.Seconds(),
				m.with(routeKey.String(m.route(route).path)).record...)
		},
		Closed: func(ctx context.Context, info wsroute.ClosedInfo) {
			r := m.route(info.Route)
			route := routeKey.String(r.path)
			code, reason := r.end(info.Code, info.Reason)
			m.closed.Add(ctx, 1, m.with(route, codeKey.String(code), reasonKey.String(reason),
				whoKey.String(initiator(info.Cause))).add...)
			m.connectionTime.Record(ctx, info.Took.Seconds(), m.with(route).record...)
		},
		Broker: func(ctx context.Context, b wsroute.BrokerInfo) {
			m.broker.Add(ctx, 1, m.with(topicKey.String(b.Topic), eventKey.String(b.Event)).add...)
		},
	}
}
