package wsroute_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestAPeerForgesNoLineOfTheLog: what a peer chooses is quoted.
func TestAPeerForgesNoLineOfTheLog(t *testing.T) {
	const evil = "\x1b[31mlevel=ERROR forged\x1b[0m"
	var out safeBuffer
	ws := wsroute.New(depends.New(), &wsroute.Config{Logger: textLogger(&out)})
	wsroute.Handle(ws, "/", echo[string], wsroute.Public)
	srv := wstest.Start(t, ws)
	wstest.Dial[string, string](t, srv, "/", wstest.Subprotocol("x")).Close(4000, "bye\n"+evil)
	status, _, _ := exchange(t, srv, strings.Replace(fmt.Sprintf(handshake, "/"), "Upgrade: websocket", "Upgrade: websocket\r\nOrigin: https://"+strings.Repeat("e", 5000), 1))
	if status != 403 {
		t.Errorf("got %d", status)
	}
	srv.Stop()
	got := out.String()
	if strings.Contains(got, "\x1b") || strings.Count(got, "\n") != 2 || strings.Contains(got, strings.Repeat("e", 1000)) {
		t.Errorf("the log:\n%q", got)
	}
}

// TestALogLineOfABadMessageIsBounded, however much is wrong with the message.
func TestALogLineOfABadMessageIsBounded(t *testing.T) {
	type item struct {
		N int `json:"n" validate:"min=1"`
	}
	type list struct {
		Items []item          `json:"items" validate:"dive"`
		Named map[string]item `json:"named" validate:"dive"`
		Plain int             `json:"plain"`
	}
	for name, message := range map[string]string{
		"many elements":   `{"items":[` + strings.Repeat(`{},`, 15_000) + `{}]}`,
		"a long key":      `{"named":{"` + strings.Repeat("k", 60_000) + `":{}}}`,
		"a long number":   `{"plain":` + strings.Repeat("9", 60_000) + `}`,
		"a long field":    `{"items":[{"` + strings.Repeat("n", 60_000) + `":1}]}`,
		"a long fraction": `{"plain":0.` + strings.Repeat("9", 60_000) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			var log safeBuffer
			ws := wsroute.New(depends.New(), &wsroute.Config{Logger: textLogger(&log)})
			wsroute.Handle(ws, "/", echo[list], wsroute.Public)
			srv := wstest.Start(t, ws)
			c := wstest.Dial[string, string](t, srv, "/")
			c.Send(message)
			if got := c.Closed(); got.Code != 1007 && got.Code != 1008 {
				t.Errorf("closed with %v", got)
			}
			srv.Stop()
			if n := len(log.String()); n > 8<<10 || n == 0 {
				t.Errorf("the log has %d bytes", n)
			}
		})
	}
}

func TestOneLineForARefusalAndOneForAnEnd(t *testing.T) {
	var out safeBuffer
	deps := depends.New()
	bearer(deps)
	ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.NewJSONHandler(&out, nil))})
	type conn = wsroute.Conn[string, string]
	type guarded struct{ Who who }
	wsroute.Handle(ws, "/echo", func(ctx context.Context, c *conn, _ guarded) error { return echo(ctx, c, none{}) })
	wsroute.Handle(ws, "/lost", echo[string], wsroute.Public)
	wsroute.Handle(ws, "/panic", func(context.Context, *conn, none) error { panic("oh") }, wsroute.Public)
	wsroute.Handle(ws, "/error", func(context.Context, *conn, none) error { return errors.New("disk full") }, wsroute.Public)
	srv := wstest.Start(t, ws)
	wstest.Refused(t, srv, "/echo")
	wstest.Refused(t, srv, "/echo", wstest.Header("Origin", "http://mybox.local:8080"))
	wstest.Dial[string, string](t, srv, "/echo?token=a").Close(1000, "done")
	_ = wstest.Dial[string, string](t, srv, "/lost").WebSocket.NetConn().Close()
	wstest.Dial[string, string](t, srv, "/panic").Closed()
	wstest.Dial[string, string](t, srv, "/error").Closed()
	eventually(t, func() bool { return strings.Contains(out.String(), "GET /lost") }) // before the drain ends it
	srv.Stop()
	type line struct {
		Level, Msg, Route, Reason, Error, Hint, Stack string
		Status, Code                                  int
	}
	got := map[string]line{}
	for text := range strings.Lines(out.String()) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		key := l.Msg + " " + l.Route + " " + l.Reason
		if _, twice := got[key]; twice {
			t.Errorf("twice: %s", text)
		}
		got[key] = l
	}
	for key, check := range map[string]func(line) bool{
		"connection refused GET /echo credentials_required": func(l line) bool { return l.Status == 401 && l.Level == "INFO" },
		"connection refused GET /echo origin_not_allowed": func(l line) bool {
			return l.Status == 403 && l.Level == "WARN" && strings.Contains(l.Hint, `Origins: []string{"http://mybox.local:8080"}`)
		},
		"connection ended GET /lost ": func(l line) bool {
			return l.Code == 1006 && l.Level == "INFO" && strings.Contains(l.Error, "peer lost")
		},
		"connection ended GET /echo done": func(l line) bool { return l.Code == 1000 && l.Level == "INFO" },
		"connection ended GET /panic ": func(l line) bool {
			return l.Code == 1011 && l.Level == "ERROR" && strings.Contains(l.Stack, "log_test.go")
		},
		"connection ended GET /error ": func(l line) bool { return l.Code == 1011 && l.Level == "ERROR" && l.Error == "disk full" },
	} {
		if l, ok := got[key]; !ok || !check(l) {
			t.Errorf("%s: got %+v (of %s)", key, l, out.String())
		}
		delete(got, key)
	}
	if len(got) > 0 {
		t.Errorf("more lines: %+v", got)
	}
}

func TestALineAboutAConnectionHasNoSource(t *testing.T) {
	var out safeBuffer
	handler := &wrapper{Handler: slog.NewTextHandler(&out, &slog.HandlerOptions{AddSource: true})}
	ws := wsroute.New(depends.New(), &wsroute.Config{Logger: slog.New(handler)})
	wsroute.Handle(ws, "/echo", echo[string], wsroute.Public)
	srv := wstest.Start(t, ws)
	wstest.Refused(t, srv, "/echo", wstest.Header("Origin", "https://elsewhere.example"))
	wstest.Dial[string, string](t, srv, "/echo").Close(1000, "done")
	srv.Stop()
	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(lines) != 2 || handler.calls.Load() != 2 {
		t.Errorf("got %d lines, %d of them by Handle", len(lines), handler.calls.Load())
	}
	if strings.Contains(out.String(), "source=") {
		t.Errorf("says where in usher it was written:\n%s", out.String())
	}
}

// wrapper is a handler as many write it: With would go past it.
type wrapper struct {
	slog.Handler
	calls atomic.Int32
}

func (w *wrapper) Handle(ctx context.Context, line slog.Record) error {
	w.calls.Add(1)
	return w.Handler.Handle(ctx, line)
}
