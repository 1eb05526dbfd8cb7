// Package wsprom counts what happens on usher's WebSockets, for Prometheus.
//
//	ws := wsroute.New(deps, nil)
//	err := wsprom.Watch(ws, nil) // before Mount
//
// No label has a value that a peer could choose: docs/observability.md lists the metrics with
// their labels.
package wsprom

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/usher/wsroute"
)

// Watch counts what happens on the WebSockets of a router, and registers the metrics, by default
// with prometheus.DefaultRegisterer. Call it before Mount. An error says that they are registered
// already, or that it comes too late.
//
// If a program has several routers, each needs a label:
//
//	prometheus.WrapRegistererWith(prometheus.Labels{"router": "admin"}, registerer)
func Watch(ws *wsroute.Router, r prometheus.Registerer) error {
	if len(ws.Routes()) > 0 {
		return errors.New("wsprom: Watch comes after Mount")
	}
	c := newCollector(ws)
	if err := cmp.Or(r, prometheus.DefaultRegisterer).Register(c); err != nil {
		return err
	}
	ws.Watch(c.trace())
	return nil
}

// collector has the metrics of a router.
type collector struct {
	router *wsroute.Router
	labels labels

	handshakes, opened, closed           *prometheus.CounterVec
	received, receivedBytes              *prometheus.CounterVec
	sent, sentBytes                      *prometheus.CounterVec
	dropped, droppedBytes                *prometheus.CounterVec
	messageErrors, broker                *prometheus.CounterVec
	handshakeTime, connectionTime        *prometheus.HistogramVec
	messageTime, providerTime, roundTrip *prometheus.HistogramVec

	inProgress, open, running, queued, queuedBytes *prometheus.Desc

	vectors []prometheus.Collector
}

// Buckets in seconds.
var (
	// A handshake, a provider and a message take less than a millisecond if they only compute,
	// some of them if they ask a database, and seconds if that is down: ResolveTimeout is 5 s.
	workBuckets = []float64{
		.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10,
	}
	// A round trip takes a millisecond in a data centre, a tenth of a second across an ocean, and
	// less than PongTimeout - PingInterval, which is 10 s.
	pingBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	// A connection ends at once if its handler fails, after a minute if a proxy thinks it idle,
	// after some if its token expires, and otherwise with the working day.
	lifeBuckets = []float64{.1, 1, 10, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600}
)

func newCollector(ws *wsroute.Router) *collector {
	c := &collector{router: ws, labels: labels{router: ws}}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: "usher_" + name, Help: help}, labels)
		c.vectors = append(c.vectors, v)
		return v
	}
	histogram := func(
		name, help string, buckets []float64, labels ...string,
	) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(
			prometheus.HistogramOpts{Name: "usher_" + name, Help: help, Buckets: buckets}, labels)
		c.vectors = append(c.vectors, v)
		return v
	}
	gauge := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("usher_"+name, help, labels, nil)
	}
	c.handshakes = counter("handshakes_total", "Handshakes that were answered.",
		"route", "status", "reason")
	c.handshakeTime = histogram("handshake_duration_seconds",
		"Time from a request to its 101 or its refusal.", workBuckets, "route", "outcome")
	c.inProgress = gauge("handshakes_in_progress", "Handshakes whose dependencies are resolved now.")
	c.opened = counter("connections_opened_total", "Connections that were opened.", "route")
	c.closed = counter("connections_closed_total", "Connections that have ended.",
		"route", "code", "reason", "initiator")
	c.connectionTime = histogram("connection_duration_seconds",
		"Time from the 101 to the end of the last cleanup.", lifeBuckets, "route")
	c.open = gauge("connections_open", "Connections that are open now.", "route")
	c.running = gauge("handlers_running", "Handlers that run now.", "route")
	c.queued = gauge("queued_messages", "Messages that wait for their peers now.", "route")
	c.queuedBytes = gauge("queued_bytes", "Bytes of frames that wait for their peers now.", "route")
	c.received = counter("messages_received_total", "Messages of peers.", "route", "type")
	c.receivedBytes = counter("received_bytes_total", "Payload of messages of peers.",
		"route", "type")
	c.sent = counter("messages_sent_total", "Messages that were queued for peers.",
		"route", "type")
	c.sentBytes = counter("sent_bytes_total", "Payload of messages that were queued for peers.",
		"route", "type")
	c.dropped = counter("messages_dropped_total", "Messages that were queued and not sent.",
		"route", "cause")
	c.droppedBytes = counter("dropped_bytes_total",
		"Frames of messages that were queued and not sent.", "route", "cause")
	c.messageTime = histogram("message_duration_seconds",
		"Time from a message with a handler to its answer.", workBuckets, "route", "type")
	c.messageErrors = counter("message_errors_total", "Messages that were answered by an error.",
		"route", "type", "reason")
	c.providerTime = histogram("provider_duration_seconds", "Time of a call of a provider.",
		workBuckets, "provider", "outcome")
	c.roundTrip = histogram("ping_round_trip_seconds", "Time from a ping to its answer.",
		pingBuckets, "route")
	c.broker = counter("broker_events_total",
		"Errors of the broker, and times when its messages may be missing.", "topic", "event")
	return c
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, v := range c.vectors {
		v.Describe(to)
	}
	for _, d := range []*prometheus.Desc{c.inProgress, c.open, c.running, c.queued, c.queuedBytes} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(to chan<- prometheus.Metric) {
	for _, v := range c.vectors {
		v.Collect(to)
	}
	gauge := func(d *prometheus.Desc, value int, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	stats := c.router.Stats()
	gauge(c.inProgress, stats.Handshakes)
	for _, r := range stats.Routes {
		gauge(c.open, r.Open, r.Route)
		gauge(c.running, r.Handlers, r.Route)
		gauge(c.queued, r.QueuedMessages, r.Route)
		gauge(c.queuedBytes, r.QueuedBytes, r.Route)
	}
}

func (c *collector) trace() *wsroute.Trace {
	return &wsroute.Trace{
		HandshakeDone: func(
			_ context.Context, h wsroute.HandshakeInfo, result wsroute.HandshakeResult,
		) {
			r, code := c.labels.route(h.Route), status(result.Status)
			c.handshakes.WithLabelValues(r.label, strconv.Itoa(code), r.refusal(result.Reason)).Inc()
			c.handshakeTime.WithLabelValues(r.label, handshakeOutcome(code)).
				Observe(result.Took.Seconds())
		},
		Opened: func(ctx context.Context, info wsroute.ConnInfo) context.Context {
			c.opened.WithLabelValues(c.labels.route(info.Route).label).Inc()
			return ctx
		},
		ProviderDone: func(
			_ context.Context, p wsroute.ProviderInfo, took time.Duration, err error,
		) {
			c.providerTime.WithLabelValues(p.Name, providerOutcome(err)).Observe(took.Seconds())
		},
		Received: func(_ context.Context, info wsroute.ReceivedInfo) {
			r := c.labels.route(info.Route)
			name := r.message(info.Type).name
			c.received.WithLabelValues(r.label, name).Inc()
			c.receivedBytes.WithLabelValues(r.label, name).Add(float64(info.Bytes))
		},
		MessageDone: func(
			_ context.Context, m wsroute.HandledInfo, took time.Duration, reason string, _ error,
		) {
			r := c.labels.route(m.Route)
			t := r.message(m.Type)
			c.messageTime.WithLabelValues(r.label, t.name).Observe(took.Seconds())
			if reason != "" {
				c.messageErrors.WithLabelValues(r.label, t.name, t.reason(reason)).Inc()
			}
		},
		Sent: func(_ context.Context, info wsroute.SentInfo) {
			r := c.labels.route(info.Route)
			name := r.message(info.Type).name
			c.sent.WithLabelValues(r.label, name).Inc()
			c.sentBytes.WithLabelValues(r.label, name).Add(float64(info.Bytes))
		},
		Dropped: func(_ context.Context, d wsroute.DropInfo) {
			r, cause := c.labels.route(d.Route), dropCause(d.Cause)
			c.dropped.WithLabelValues(r.label, cause).Add(float64(d.Messages))
			c.droppedBytes.WithLabelValues(r.label, cause).Add(float64(d.Bytes))
		},
		Pong: func(_ context.Context, route string, took time.Duration) {
			c.roundTrip.WithLabelValues(c.labels.route(route).label).Observe(took.Seconds())
		},
		Closed: func(_ context.Context, info wsroute.ClosedInfo) {
			r := c.labels.route(info.Route)
			code, reason := r.end(info.Code, info.Reason)
			c.closed.WithLabelValues(r.label, code, reason, initiator(info.Cause)).Inc()
			c.connectionTime.WithLabelValues(r.label).Observe(info.Took.Seconds())
		},
		Broker: func(_ context.Context, b wsroute.BrokerInfo) {
			c.broker.WithLabelValues(b.Topic, b.Event).Inc()
		},
	}
}
