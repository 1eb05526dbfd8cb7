package wsotel_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wsotel"
	"example.com/usher/wsroute/wstest"
)

// watched is a program, and what OpenTelemetry is told of it.
type watched struct {
	*program
	exporter *tracetest.InMemoryExporter
	traces   *sdktrace.TracerProvider
	reader   *sdkmetric.ManualReader
}

func watch(t testing.TB, config wsroute.Config) *watched {
	t.Helper()
	w := &watched{
		program: newProgram(config), exporter: tracetest.NewInMemoryExporter(),
		reader: sdkmetric.NewManualReader(),
	}
	w.traces = sdktrace.NewTracerProvider(sdktrace.WithSyncer(w.exporter))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(w.reader))
	if err := wsotel.Watch(w.Router, &wsotel.Config{TracerProvider: w.traces, MeterProvider: meters}); err != nil {
		t.Fatal(err)
	}
	return w
}

// point is a series: its attributes and its value, or its count for a histogram.
type point struct {
	attributes attribute.Set
	value      float64
}

type instrument struct {
	metricdata.Metrics
	kind   string
	points []point
}

func (w *watched) metrics(t testing.TB) map[string]instrument {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := w.reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	byName := map[string]instrument{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			i := instrument{Metrics: m}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				i.kind = map[bool]string{true: "counter", false: "gauge"}[data.IsMonotonic]
				for _, p := range data.DataPoints {
					i.points = append(i.points, point{p.Attributes, float64(p.Value)})
				}
			case metricdata.Histogram[float64]:
				i.kind = "histogram"
				for _, p := range data.DataPoints {
					i.points = append(i.points, point{p.Attributes, float64(p.Count)})
				}
			default:
				t.Fatalf("%s is a %T", m.Name, data)
			}
			byName[m.Name] = i
		}
	}
	return byName
}

// total adds up the points with all of these attributes, as "key=value".
func (i instrument) total(wanted ...string) (sum float64) {
	for _, p := range i.points {
		has := func(pair string) bool {
			key, value, _ := strings.Cut(pair, "=")
			v, ok := p.attributes.Value(attribute.Key(key))
			return ok && v.String() == value
		}
		if !slices.ContainsFunc(wanted, func(pair string) bool { return !has(pair) }) {
			sum += p.value
		}
	}
	return sum
}

// series are the attributes of each point, with the name of the metric.
func (w *watched) series(t testing.TB) (all []string) {
	t.Helper()
	for name, m := range w.metrics(t) {
		for _, p := range m.points {
			all = append(all, name+" "+p.attributes.Encoded(attribute.DefaultEncoder()))
		}
	}
	slices.Sort(all)
	return all
}

// only are the spans of a name.
func (w *watched) only(name string) (spans tracetest.SpanStubs) {
	for _, s := range w.exporter.GetSpans() {
		if s.Name == name {
			spans = append(spans, s)
		}
	}
	return spans
}

func valueOf(s tracetest.SpanStub, key string) string {
	for _, a := range s.Attributes {
		if string(a.Key) == key {
			return a.Value.String()
		}
	}
	return ""
}

// TestTheTableOfMetrics is what is emitted, with all names, types, units, attributes and meanings.
func TestTheTableOfMetrics(t *testing.T) {
	w := watch(t, everyConfig())
	w.everything(t)
	attributes := map[string]string{}
	for _, r := range documented(t, "label") {
		attributes[r.codes("label")[0]] = r.codes("attribute")[0]
	}
	var got, want []row
	for name, m := range w.metrics(t) {
		var keys []string
		for _, a := range m.points[0].attributes.ToSlice() {
			keys = append(keys, string(a.Key))
		}
		slices.Sort(keys)
		got = append(got, row{
			"OpenTelemetry": "`" + name + "`", "type": m.kind, "unit": "`" + m.Unit + "`",
			"labels": strings.Join(keys, ", "), "meaning": strings.TrimSuffix(m.Description, "."),
		})
	}
	for _, r := range documented(t, "Prometheus") {
		keys := r.codes("labels")
		for i := range keys {
			keys[i] = attributes[keys[i]]
		}
		slices.Sort(keys)
		want = append(want, row{
			"OpenTelemetry": r["OpenTelemetry"], "type": r["type"], "unit": r["unit"],
			"labels": strings.Join(keys, ", "), "meaning": r["meaning"],
		})
	}
	byName := func(a, b row) int { return strings.Compare(a["OpenTelemetry"], b["OpenTelemetry"]) }
	slices.SortFunc(got, byName)
	slices.SortFunc(want, byName)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/observability.md and the metrics differ (-docs +metrics):\n%s", diff)
	}
}

// TestTheTableOfSpans is what is emitted, with all attributes.
func TestTheTableOfSpans(t *testing.T) {
	w := watch(t, everyConfig())
	w.everything(t)
	kinds := []string{"handshake", "provider", "message"}
	got := map[string]map[string]bool{}
	for _, s := range w.exporter.GetSpans() {
		kind := kinds[0]
		if valueOf(s, "usher.provider.name") != "" {
			kind = kinds[1]
		} else if s.Attributes[1].Key == "usher.message.type" {
			kind = kinds[2]
		}
		if got[kind] == nil {
			got[kind] = map[string]bool{}
		}
		for _, a := range s.Attributes {
			got[kind][string(a.Key)] = true
		}
	}
	want := map[string]map[string]bool{}
	for i, r := range documented(t, "span") {
		want[kinds[i]] = map[string]bool{}
		for _, key := range r.codes("attributes") {
			want[kinds[i]][key] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/observability.md and the spans differ (-docs +spans):\n%s", diff)
	}
}

// TestNoSecretAnywhere: whatever a client sends is in no span and no metric.
func TestNoSecretAnywhere(t *testing.T) {
	w := watch(t, everyConfig())
	w.everything(t)
	for _, s := range w.exporter.GetSpans() {
		text := fmt.Sprint(s.Name, s.Attributes, s.Events, s.Status, s.Links, s.Resource, s.InstrumentationScope)
		if strings.Contains(text, canary) {
			t.Errorf("a span holds what a client sent: %s", text)
		}
		if len(s.Events) > 0 {
			t.Errorf("%s has events, which the docs do not list: %v", s.Name, s.Events)
		}
	}
	for _, line := range w.series(t) {
		if strings.Contains(line, canary) {
			t.Errorf("an attribute holds what a client sent: %s", line)
		}
	}
	if len(w.exporter.GetSpans()) < 10 || len(w.series(t)) < 40 {
		t.Error("there is too little to look at")
	}
}

// TestOneOpenAndOneClose for each connection, whatever ends it; and every span ends once.
func TestOneOpenAndOneClose(t *testing.T) {
	w := watch(t, wsroute.Config{})
	opened := w.connections(t, wstest.Start(t, w.Router))
	all := w.metrics(t)
	accepted := all["usher.websocket.handshakes"].total("http.response.status_code=101")
	opens, closed := all["usher.websocket.connections.opened"].total(), all["usher.websocket.connections.closed"]
	if n := float64(opened); accepted != n || opens != n || closed.total() != n {
		t.Errorf("%v were accepted, %v opened, %v closed; want %v", accepted, opens, closed.total(), n)
	}
	for _, how := range []string{
		"usher.close.initiator=none", "usher.close.initiator=client", "usher.close.code=1011",
		"usher.reason=revoked", "usher.reason=server_restart",
	} {
		if closed.total(how) == 0 {
			t.Errorf("none was closed with %s", how)
		}
	}
	if lasted := all["usher.websocket.connection.duration"].total(); lasted != float64(opened) {
		t.Errorf("%v durations, want %d", lasted, opened)
	}
	if open := all["usher.websocket.connections.open"]; len(open.points) == 0 || open.total() != 0 {
		t.Errorf("some are open: %v", open.points)
	}
	ids := map[trace.SpanID]int{}
	handshakes := 0
	for _, s := range w.only("GET /loop/:room") {
		ids[s.SpanContext.SpanID()]++
		if valueOf(s, "http.response.status_code") == "101" {
			handshakes++
		}
	}
	if handshakes != opened {
		t.Errorf("%d spans of a 101, want %d", handshakes, opened)
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("span %s ended %d times", id, n)
		}
	}
}

// TestNoPeerMakesASeries: 10,000 random paths, types, close codes and reasons add no series, and
// no name of a span.
func TestNoPeerMakesASeries(t *testing.T) {
	w := watch(t, wsroute.Config{})
	srv := wstest.Start(t, w.Router)
	look := func() (seen []string) {
		names := map[string]bool{}
		for _, s := range w.exporter.GetSpans() {
			attributes := attribute.NewSet(s.Attributes...)
			names[s.Name+" "+attributes.Encoded(attribute.DefaultEncoder())] = true
		}
		for name := range names {
			seen = append(seen, name)
		}
		slices.Sort(seen)
		return append(seen, w.series(t)...)
	}
	w.strangers(t, srv, 1, 3_000)
	before := look()
	w.strangers(t, srv, 2, 10_000)
	if diff := cmp.Diff(before, look()); diff != "" {
		t.Errorf("after 10,000 more (-before +after):\n%s", diff)
	}
	t.Logf("%d series and kinds of spans", len(before))
}

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// startWith starts the program with a handler around it.
func (w *watched) startWith(t *testing.T, around func(http.Handler) http.Handler) *wstest.Server {
	t.Helper()
	engine := gin.New()
	if err := w.Mount(engine); err != nil {
		t.Fatal(err)
	}
	return wstest.StartHandler(t, w.Router, around(engine))
}

// TestATrace from traceparent to the providers of a message: the handshake's ends, each message
// has one of its own.
func TestATrace(t *testing.T) {
	w := watch(t, wsroute.Config{})
	srv := w.startWith(t, func(next http.Handler) http.Handler {
		return wsotel.Propagate(next, propagation.TraceContext{})
	})
	p := wstest.Dial[any, map[string]any](t, srv, "/rooms/a", key, wstest.Header("Traceparent", parent))
	until(t, "the handshake's span has ended", func() bool { return len(w.only("GET /rooms/:room")) == 1 }) // soon after the 101
	h := w.only("GET /rooms/:room")[0]
	if h.SpanContext.TraceID().String() != parent[3:35] || h.Parent.SpanID().String() != parent[36:52] || !h.Parent.IsRemote() {
		t.Errorf("the handshake's span is %v of %v", h.SpanContext, h.Parent)
	}
	if h.SpanKind != trace.SpanKindServer || valueOf(h, "http.route") != "/rooms/:room" || valueOf(h, "http.response.status_code") != "101" || valueOf(h, "http.request.method") != "GET" {
		t.Errorf("the handshake's span is a %v with %v", h.SpanKind, h.Attributes)
	}
	for _, name := range []string{"APIKey", "wsotel_test.openGate"} {
		spans := w.only(name)
		if len(spans) != 1 || spans[0].Parent.SpanID() != h.SpanContext.SpanID() || valueOf(spans[0], "usher.outcome") != "ok" {
			t.Errorf("the spans of %s are %+v", name, spans)
		}
	}
	p.Send(map[string]any{"type": "say", "text": "hello"})
	p.Receive()
	p.Send(map[string]any{"type": "say", "text": "panic:" + canary})
	p.Receive()
	p.Close(1000, "")
	srv.Stop()
	messages := w.only("GET /rooms/:room say")
	if len(messages) != 2 {
		t.Fatalf("%d spans of messages, want 2", len(messages))
	}
	for i, m := range messages {
		if m.Parent.IsValid() || m.SpanContext.TraceID() == h.SpanContext.TraceID() || m.SpanKind != trace.SpanKindServer {
			t.Errorf("message %d is in the trace of %v: %v", i, m.Parent, m.SpanContext)
		}
		if len(m.Links) != 1 || !m.Links[0].SpanContext.Equal(h.SpanContext) {
			t.Errorf("message %d is linked to %v, want %v", i, m.Links, h.SpanContext)
		}
	}
	if messages[0].SpanContext.TraceID() == messages[1].SpanContext.TraceID() {
		t.Error("two messages have one trace")
	}
	if got := messages[0].Status.Code; got != codes.Unset {
		t.Errorf("the first message is %v", got)
	}
	if got := messages[1]; got.Status != (sdktrace.Status{Code: codes.Error, Description: "internal"}) || valueOf(got, "usher.reason") != "internal" {
		t.Errorf("a panic is %v with %v", got.Status, got.Attributes)
	}
	voices := 0
	for _, s := range w.exporter.GetSpans() {
		if strings.HasPrefix(s.Name, "func literal") && valueOf(s, "usher.provider.lifetime") == "Message" {
			voices++
			if s.Parent.SpanID() != messages[0].SpanContext.SpanID() && s.Parent.SpanID() != messages[1].SpanContext.SpanID() {
				t.Errorf("a provider of a message is a child of %v", s.Parent)
			}
		}
	}
	if voices != 2 {
		t.Errorf("%d spans of the message's provider, want 2", voices)
	}
}

// TestRefusals are no errors of the program, and failures are.
func TestRefusals(t *testing.T) {
	w := watch(t, wsroute.Config{})
	srv := wstest.Start(t, w.Router)
	for _, test := range []struct {
		path, status, reason string
		code                 codes.Code
	}{
		{"/wild/a", "401", "credentials_required", codes.Unset},
		{"/wild/a?key=" + canary + "&fate=any:404:", "404", "", codes.Unset},
		{"/wild/a?key=" + canary + "&fate=full", "403", "_other", codes.Unset},
		{"/wild/a?key=" + canary + "&fate=panic", "500", "internal_error", codes.Error},
		{"/wild/a?key=" + canary + "&fate=fail", "500", "internal_error", codes.Error},
	} {
		w.exporter.Reset()
		wstest.Refused(t, srv, test.path)
		var spans tracetest.SpanStubs
		until(t, "the handshake's span has ended", func() bool {
			spans = w.only("GET /wild/:room")
			return len(spans) == 1
		})
		s := spans[0]
		if valueOf(s, "http.response.status_code") != test.status || valueOf(s, "usher.reason") != test.reason || s.Status.Code != test.code {
			t.Errorf("%s: %v, %v", test.path, s.Attributes, s.Status)
		}
		for _, provider := range w.only("wsotel_test.openGate") {
			if provider.Status.Code != test.code {
				t.Errorf("%s: the provider is %v", test.path, provider.Status)
			}
		}
	}
}

// TestBehindOtelgin: the handshake's span is a child of otelgin's, and both end with the 101. A
// message's is a trace of its own.
func TestBehindOtelgin(t *testing.T) {
	for _, path := range []string{"/rooms/:room", "/loop/:room"} {
		w := watch(t, wsroute.Config{})
		engine := gin.New()
		engine.Use(otelgin.Middleware("test", otelgin.WithTracerProvider(w.traces),
			otelgin.WithMeterProvider(metricnoop.NewMeterProvider()), otelgin.WithPropagators(propagation.TraceContext{})))
		if err := w.Mount(engine); err != nil {
			t.Fatal(err)
		}
		srv := wstest.StartHandler(t, w.Router, engine)
		p := wstest.Dial[string, string](t, srv, path, key, wstest.Header("Traceparent", parent))
		p.Send(`{"type":"say","text":"hello"}`)
		p.Receive()
		until(t, "both spans have ended while the connection is open", func() bool {
			return len(w.only("GET "+path)) == 2
		})
		p.Close(1000, "")
		srv.Stop()
		var inner, outer tracetest.SpanStub
		for _, s := range w.only("GET " + path) {
			if s.InstrumentationScope.Name == otelgin.ScopeName {
				outer = s
			} else {
				inner = s
			}
		}
		if outer.SpanContext.TraceID().String() != parent[3:35] || inner.Parent.SpanID() != outer.SpanContext.SpanID() || inner.SpanKind != trace.SpanKindInternal {
			t.Errorf("the handshake's span is a %v below %v, otelgin's is %v", inner.SpanKind, inner.Parent, outer.SpanContext)
		}
		if valueOf(outer, "http.response.status_code") != "101" {
			t.Errorf("otelgin's span has %v", outer.Attributes)
		}
		for _, m := range w.only("GET " + path + " say") {
			if m.Parent.IsValid() || len(m.Links) != 1 || !m.Links[0].SpanContext.Equal(inner.SpanContext) {
				t.Errorf("the message's span is below %v, linked to %v", m.Parent, m.Links)
			}
		}
	}
}

// TestRevalidation: a provider that runs again in an open connection has a trace of its own, linked
// to the handshake's.
func TestRevalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exporter, deps := tracetest.NewInMemoryExporter(), depends.New()
		depends.Provide(deps, func(_ context.Context, _ struct{ R *http.Request }) (user, error) {
			return user{"somebody"}, nil
		}, depends.Revalidate(time.Minute))
		ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
		wsroute.Handle(ws, "/loop", func(ctx context.Context, _ *wsroute.Conn[string, string], _ struct{ User user }) error {
			<-ctx.Done()
			return nil
		}, wsroute.Public)
		if err := wsotel.Watch(ws, &wsotel.Config{
			TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)), MeterProvider: metricnoop.NewMeterProvider(),
		}); err != nil {
			t.Fatal(err)
		}
		srv := wstest.Start(t, ws)
		p := wstest.Dial[string, string](t, srv, "/loop")
		_ = p.WebSocket.SetReadDeadline(time.Time{})
		go func() { _, _, _ = p.WebSocket.ReadMessage() }() // answers pings
		time.Sleep(90 * time.Second)
		srv.Stop()
		w := &watched{exporter: exporter}
		handshake := w.only("GET /loop")[0]
		spans := w.only("func literal in wsotel_test.TestRevalidation")
		if len(spans) != 2 || spans[0].Parent.SpanID() != handshake.SpanContext.SpanID() {
			t.Fatalf("the spans of the provider are %+v, all are %+v", spans, exporter.GetSpans())
		}
		again := spans[1]
		if again.Parent.IsValid() || len(again.Links) != 1 || !again.Links[0].SpanContext.Equal(handshake.SpanContext) {
			t.Errorf("the second is below %v, linked to %v", again.Parent, again.Links)
		}
	})
}

// TestACallWithinASpan of the program is a child of it, and linked to the handshake.
func TestACallWithinASpan(t *testing.T) {
	w := watch(t, wsroute.Config{})
	call := wsroute.NewCall(func(_ context.Context, m say, _ none) (said, error) { return said(m), nil })
	tracer := w.traces.Tracer("test")
	wsroute.Handle(w.Router, "/calls", func(ctx context.Context, conn *wsroute.Conn[say, said], _ none) error {
		m, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		ctx, span := tracer.Start(ctx, "around")
		defer span.End()
		answer, err := call.Do(ctx, conn, m)
		if err != nil {
			return err
		}
		return conn.Send(ctx, answer)
	}, wsroute.Public, wsroute.Calls(call))
	srv := wstest.Start(t, w.Router)
	p := wstest.Dial[say, said](t, srv, "/calls")
	p.Send(say{"hello"})
	p.Receive()
	p.Closed()
	srv.Stop()
	handshake, around := w.only("GET /calls"), w.only("around")
	if len(handshake) != 1 || len(around) != 1 || around[0].Parent.IsValid() {
		t.Fatalf("the spans are %+v", w.exporter.GetSpans())
	}
	found := false
	for _, s := range w.exporter.GetSpans() {
		if valueOf(s, "usher.message.type") != "" {
			found = s.Parent.SpanID() == around[0].SpanContext.SpanID() &&
				len(s.Links) == 1 && s.Links[0].SpanContext.Equal(handshake[0].SpanContext)
		}
	}
	if !found {
		t.Errorf("the spans are %+v", w.exporter.GetSpans())
	}
}

// TestPlainRequest: its providers make no traces, and are children of one that is there.
func TestPlainRequest(t *testing.T) {
	for _, test := range []struct {
		header []wstest.Option
		want   int
	}{{nil, 0}, {[]wstest.Option{wstest.Header("Traceparent", parent)}, 2}} {
		w := watch(t, wsroute.Config{})
		wsroute.HandleHTTP(w.Router, http.MethodGet, "/plain", func(w http.ResponseWriter, _ *http.Request, _ struct{ _ gate }) error {
			w.WriteHeader(http.StatusNoContent)
			return nil
		})
		srv := w.startWith(t, func(next http.Handler) http.Handler {
			return wsotel.Propagate(next, propagation.TraceContext{})
		})
		if got := wstest.Get(t, srv, "/plain", append(test.header, key)...); got.Status != http.StatusNoContent {
			t.Fatalf("got %d", got.Status)
		}
		srv.Stop()
		spans := w.exporter.GetSpans()
		if len(spans) != test.want {
			t.Errorf("%d spans, want %d", len(spans), test.want)
		}
		for _, s := range spans {
			if s.Parent.SpanID().String() != parent[36:52] {
				t.Errorf("%s is below %v", s.Name, s.Parent)
			}
		}
	}
}

// global are where OpenTelemetry's global providers lead, which can be set once.
var global = sync.OnceValues(func() (*tracetest.InMemoryExporter, *sdkmetric.ManualReader) {
	exporter, reader := tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)))
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return exporter, reader
})

// TestDefaults are the global providers and propagator, also if they are set afterwards.
func TestDefaults(t *testing.T) {
	ws := newProgram(wsroute.Config{})
	if err := wsotel.Watch(ws.Router, nil); err != nil {
		t.Fatal(err)
	}
	engine := gin.New()
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	handler := wsotel.Propagate(engine, nil)
	w := &watched{}
	w.exporter, w.reader = global()
	w.exporter.Reset()
	before := w.metrics(t)["usher.websocket.handshakes"].total()
	srv := wstest.StartHandler(t, ws.Router, handler)
	wstest.Refused(t, srv, "/rooms/a", wstest.Header("Traceparent", parent))
	srv.Stop()
	if spans := w.only("GET /rooms/:room"); len(spans) != 1 || spans[0].SpanContext.TraceID().String() != parent[3:35] {
		t.Errorf("got the spans %v", spans)
	}
	if n := w.metrics(t)["usher.websocket.handshakes"].total() - before; n != 1 {
		t.Errorf("%v handshakes are counted, want 1", n)
	}
}

// failing provides a meter that makes no counters.
type failing struct{ metricnoop.MeterProvider }

func (failing) Meter(string, ...metric.MeterOption) metric.Meter { return failingMeter{} }

type failingMeter struct{ metricnoop.Meter }

func (failingMeter) Int64Counter(string, ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return nil, errors.New("no counters today")
}

// TestWatchFails where it would tell nothing.
func TestWatchFails(t *testing.T) {
	ws := newProgram(wsroute.Config{})
	if err := wsotel.Watch(ws.Router, &wsotel.Config{MeterProvider: failing{}}); err == nil || !strings.Contains(err.Error(), "no counters today") {
		t.Errorf("got %v", err)
	}
	wstest.Start(t, ws.Router)
	if err := wsotel.Watch(ws.Router, nil); err == nil || !strings.Contains(err.Error(), "after Mount") {
		t.Errorf("after Mount: %v", err)
	}
}

// dropped is a processor of spans that costs nothing.
type dropped struct{}

func (dropped) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (dropped) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (dropped) Shutdown(context.Context) error                  { return nil }
func (dropped) ForceFlush(context.Context) error                { return nil }

// newCostly returns a program with metrics, and with all, none or no spans at all.
func newCostly(t testing.TB, kind string) *program {
	t.Helper()
	sampler := func(s sdktrace.Sampler) trace.TracerProvider {
		return sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(dropped{}), sdktrace.WithSampler(s))
	}
	traces := map[string]trace.TracerProvider{
		"metrics alone": tracenoop.NewTracerProvider(),
		"sampled":       sampler(sdktrace.AlwaysSample()),
		"unsampled":     sampler(sdktrace.NeverSample()),
	}[kind]
	ws := newProgram(wsroute.Config{})
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	if err := wsotel.Watch(ws.Router, &wsotel.Config{TracerProvider: traces, MeterProvider: meters}); err != nil {
		t.Fatal(err)
	}
	return ws
}

// BenchmarkCost prints what metrics and spans cost.
func BenchmarkCost(b *testing.B) {
	for _, kind := range []string{"metrics alone", "sampled", "unsampled"} {
		b.Run(kind, func(b *testing.B) {
			compare(b, newProgram(wsroute.Config{}).cost(b), newCostly(b, kind).cost(b))
		})
	}
}
