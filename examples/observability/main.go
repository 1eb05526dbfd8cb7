// Command observability is a room with metrics for Prometheus, on a second listener, and spans of
// OpenTelemetry, which it prints.
//
//	go -C examples/observability run .
//	curl http://127.0.0.1:8081/metrics
//
// Connect to ws://127.0.0.1:8080/rooms/lobby with the header "X-Api-Key: sesame", or with another
// one, and send {"type":"say","text":"hello"}. dashboard.json is for Grafana.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wsotel"
	"example.com/usher/wsroute/wsprom"
)

type (
	user struct{ Name string }
	say  struct {
		Text string `json:"text" validate:"min=1,max=500"`
	}
	said struct {
		From string `json:"from"`
		Text string `json:"text"`
	}
	event interface{ isEvent() }
)

func (said) isEvent() {}

func speak(_ context.Context, m say, in struct{ User user }) (said, error) {
	if m.Text == "fail" { // to see how it looks
		return said{}, errors.New("told to fail")
	}
	return said{in.User.Name, m.Text}, nil
}

func newRouter(
	registry prometheus.Registerer, traces trace.TracerProvider,
) (*wsroute.Router, error) {
	deps := depends.New()
	security.Use(deps, security.APIKey[user]{
		Sources: []depends.Source{security.Header("X-Api-Key")},
		Find: func(_ context.Context, key [sha256.Size]byte) (user, error) {
			if key != sha256.Sum256([]byte("sesame")) {
				return user{}, depends.ErrAbsent
			}
			return user{"alice"}, nil
		},
	})
	ws := wsroute.New(deps, nil)
	room := wsroute.HandleMessages(ws, "/rooms/:room", wsroute.Union[event]{"said": said{}},
		wsroute.Require[user]())
	wsroute.Answer(room, "say", speak)

	if err := wsprom.Watch(ws, registry); err != nil {
		return nil, err
	}
	if err := wsotel.Watch(ws, &wsotel.Config{
		TracerProvider: traces, MeterProvider: noop.NewMeterProvider(),
	}); err != nil {
		return nil, err
	}
	return ws, nil
}

// run serves the room on one address, and the metrics on another.
func run(ctx context.Context, public, inside string) error {
	exporter, err := stdouttrace.New(stdouttrace.WithPrettyPrint())
	if err != nil {
		return err
	}
	traces := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter, sdktrace.WithBatchTimeout(time.Second)))
	defer func() { _ = traces.Shutdown(context.WithoutCancel(ctx)) }() // prints what is left
	registry := prometheus.NewRegistry()
	ws, err := newRouter(registry, traces)
	if err != nil {
		return err
	}
	metrics := &http.Server{
		Addr: inside, ReadHeaderTimeout: time.Second,
		Handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
	}
	defer func() { _ = metrics.Close() }()
	go func() {
		if err := metrics.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	if err := ws.Mount(engine); err != nil {
		return err
	}
	return wsroute.Serve(ctx, public, ws,
		wsotel.Propagate(engine, propagation.TraceContext{}))
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, "127.0.0.1:8080", "127.0.0.1:8081"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
