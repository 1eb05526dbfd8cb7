// Command observing counts what happens on its WebSockets: a wsroute.Trace adds to variables of
// expvar, which a second listener shows as JSON, on loopback alone.
//
//	go run ./examples/observing
//	curl http://127.0.0.1:8081/debug/vars
//
// Connect to ws://127.0.0.1:8080/echo with the header "X-Api-Key: sesame", or with another one.
package main

import (
	"context"
	"crypto/sha256"
	"expvar"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// metrics are counters by name and label. A label is a route, and perhaps a status, a reason, a
// provider or a close code: there are few of each, whatever clients send.
type metrics struct{ expvar.Map }

func (m *metrics) add(name, label string, n int64) {
	if counter, ok := m.Get(name).(*expvar.Map); ok {
		counter.Add(label, n)
	}
}

// ServeHTTP shows them. expvar.Handler would show the command line, too.
func (m *metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintln(w, m.String())
}

// trace counts.
func (m *metrics) trace() *wsroute.Trace {
	return &wsroute.Trace{
		HandshakeDone: func(_ context.Context, h wsroute.HandshakeInfo, r wsroute.HandshakeResult) {
			m.add("handshakes", strings.TrimSpace(fmt.Sprint(h.Route, " ", r.Status, " ", r.Reason)), 1)
			m.add("handshake_us", h.Route, r.Took.Microseconds())
		},
		ProviderDone: func(_ context.Context, p wsroute.ProviderInfo, took time.Duration, _ error) {
			m.add("providers", p.Name, 1)
			m.add("provider_us", p.Name, took.Microseconds())
		},
		Received: func(_ context.Context, r wsroute.ReceivedInfo) {
			m.add("messages_in", r.Route, 1)
			m.add("bytes_in", r.Route, int64(r.Bytes))
		},
		Sent: func(_ context.Context, s wsroute.SentInfo) {
			m.add("messages_out", s.Route, 1)
			m.add("bytes_out", s.Route, int64(s.Bytes))
		},
		Dropped: func(_ context.Context, d wsroute.DropInfo) { m.add("dropped", d.Route, int64(d.Messages)) },
		Pong: func(_ context.Context, route string, roundTrip time.Duration) {
			m.add("pings", route, 1)
			m.add("ping_us", route, roundTrip.Microseconds())
		},
		Closed: func(_ context.Context, c wsroute.ClosedInfo) {
			code := strconv.Itoa(c.Code)
			if c.Code > 3003 { // the peer's own choice among thousands
				code = "other"
			}
			m.add("closed", c.Route+" "+code, 1)
		},
	}
}

// User is who has a key.
type User struct{ Name string }

func echo(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{ User User }) error {
	for {
		text, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		if err := conn.Send(ctx, text); err != nil {
			return err
		}
	}
}

func newApp(find func(context.Context, [sha256.Size]byte) (User, error)) (*wsroute.Router, *metrics) {
	m := &metrics{}
	for name := range strings.FieldsSeq("handshakes handshake_us providers provider_us pings ping_us " +
		"messages_in bytes_in messages_out bytes_out dropped closed") {
		m.Set(name, new(expvar.Map))
	}
	deps := depends.New()
	security.Use(deps, security.APIKey[User]{Sources: []depends.Source{security.Header("X-Api-Key")}, Find: find})
	ws := wsroute.New(deps, &wsroute.Config{Trace: []*wsroute.Trace{m.trace()}})
	wsroute.Handle(ws, "/echo", echo)
	m.Set("now", expvar.Func(func() any { return ws.Stats() }))
	return ws, m
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ws, m := newApp(func(_ context.Context, key [sha256.Size]byte) (User, error) {
		if key != sha256.Sum256([]byte("sesame")) {
			return User{}, depends.ErrAbsent
		}
		return User{"alice"}, nil
	})
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	err := ws.Mount(engine)
	if err == nil {
		vars := &http.Server{Addr: "127.0.0.1:8081", Handler: m, ReadHeaderTimeout: time.Second}
		go func() { fmt.Fprintln(os.Stderr, vars.ListenAndServe()) }()
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
