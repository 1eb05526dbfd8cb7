package wsotel

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"example.com/usher/wsroute"
)

// Attributes of spans and metrics.
const (
	methodKey  = attribute.Key("http.request.method")
	routeKey   = attribute.Key("http.route")
	statusKey  = attribute.Key("http.response.status_code")
	reasonKey  = attribute.Key("usher.reason")
	outcomeKey = attribute.Key("usher.outcome")
	typeKey    = attribute.Key("usher.message.type")
	nameKey    = attribute.Key("usher.provider.name")
	lifeKey    = attribute.Key("usher.provider.lifetime")
	codeKey    = attribute.Key("usher.close.code")
	whoKey     = attribute.Key("usher.close.initiator")
	causeKey   = attribute.Key("usher.drop.cause")
	topicKey   = attribute.Key("usher.broker.topic")
	eventKey   = attribute.Key("usher.broker.event")
)

// spans makes those of a router.
type spans struct {
	*cache
	tracer trace.Tracer
}

// within is the context of a handshake, a connection, a provider or a message.
type within struct {
	context.Context
	span trace.Span            // that ends with it; nil for a connection
	link trace.SpanStartOption // to the handshake; nil until the connection is open
}

type withinKey struct{}

// Value implements [context.Context].
func (w *within) Value(key any) any {
	if key == (withinKey{}) {
		return w
	}
	return w.Context.Value(key)
}

func withinOf(ctx context.Context) *within {
	w, _ := ctx.Value(withinKey{}).(*within)
	return w
}

// start begins a span: a child of the context's, or the root of a trace that is linked to the
// connection's handshake.
func (s *spans) start(
	ctx context.Context, name string, kind trace.SpanKind, of *options,
) context.Context {
	w := &within{}
	options := make([]trace.SpanStartOption, 0, 3)
	options = append(append(options, of.start...), trace.WithSpanKind(kind))
	if around := withinOf(ctx); around != nil && around.link != nil {
		w.link = around.link
		options = append(options, w.link)
	}
	w.Context, w.span = s.tracer.Start(ctx, name, options...)
	return w
}

func (s *spans) trace() *wsroute.Trace {
	return &wsroute.Trace{
		HandshakeStart: s.handshakeStart,
		HandshakeDone:  s.handshakeDone,
		Opened:         s.opened,
		ProviderStart:  s.providerStart,
		ProviderDone:   s.providerDone,
		MessageStart:   s.messageStart,
		MessageDone:    s.messageDone,
	}
}

func (s *spans) handshakeStart(ctx context.Context, h wsroute.HandshakeInfo) context.Context {
	r := s.route(h.Route)
	kind := trace.SpanKindServer
	if parent := trace.SpanContextFromContext(ctx); parent.IsValid() && !parent.IsRemote() {
		kind = trace.SpanKindInternal // the server's is that of a middleware
	}
	return s.start(ctx, r.label, kind,
		s.with(methodKey.String(http.MethodGet), routeKey.String(r.path)))
}

func (s *spans) handshakeDone(
	ctx context.Context, h wsroute.HandshakeInfo, result wsroute.HandshakeResult,
) {
	w, code := withinOf(ctx), status(result.Status)
	if w.span.IsRecording() {
		w.span.SetAttributes(statusKey.Int(code))
		fail(w.span, s.route(h.Route).refusal(result.Reason),
			handshakeOutcome(code) == "failed")
	}
	w.span.End()
}

// fail notes why something was refused, if it was, and whether that is an error of the program.
func fail(span trace.Span, reason string, failed bool) {
	if reason != "" {
		span.SetAttributes(reasonKey.String(reason))
	}
	if failed {
		span.SetStatus(codes.Error, reason)
	}
}

// opened leaves the trace of the handshake, which has ended.
func (s *spans) opened(ctx context.Context, _ wsroute.ConnInfo) context.Context {
	handshake := trace.Link{SpanContext: withinOf(ctx).span.SpanContext()}
	return &within{
		Context: trace.ContextWithSpanContext(ctx, trace.SpanContext{}),
		link:    trace.WithLinks(handshake),
	}
}

// providerStart begins no trace for a provider of a plain request.
func (s *spans) providerStart(ctx context.Context, p wsroute.ProviderInfo) context.Context {
	if withinOf(ctx) == nil && !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	return s.start(ctx, p.Name, trace.SpanKindInternal, s.with(
		routeKey.String(s.route(p.Route).path),
		nameKey.String(p.Name), lifeKey.String(p.Lifetime.String())))
}

func (s *spans) providerDone(
	ctx context.Context, _ wsroute.ProviderInfo, _ time.Duration, err error,
) {
	w := withinOf(ctx)
	if w == nil {
		return
	}
	if w.span.IsRecording() {
		outcome := providerOutcome(err)
		w.span.SetAttributes(outcomeKey.String(outcome))
		fail(w.span, "", outcome == "failed")
	}
	w.span.End()
}

func (s *spans) messageStart(ctx context.Context, m wsroute.HandledInfo) context.Context {
	r, t, of := s.message(m.Route, m.Type)
	return s.start(ctx, r.label+" "+t.name, trace.SpanKindServer, of)
}

func (s *spans) messageDone(
	ctx context.Context, m wsroute.HandledInfo, _ time.Duration, reason string, _ error,
) {
	w := withinOf(ctx)
	if w.span.IsRecording() {
		reason = s.route(m.Route).message(m.Type).reason(reason)
		fail(w.span, reason, reason == "internal" || reason == "timeout")
	}
	w.span.End()
}
