package wsroute

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/graph"
)

// log writes one line about a connection. Values are capped and quoted by slog's
// handlers; nothing of the request but its address is among them.
func (p *peer) log(level slog.Level, text string, err error, attrs ...slog.Attr) {
	p.endpoint.log(level, text, p.remote, err, nil, attrs...)
}

// log writes one line, with meanwhile as [boundedHandler.write] has it.
func (e *endpoint) log(
	level slog.Level, text, remote string, err error, meanwhile func(), attrs ...slog.Attr,
) {
	defer lost()
	line := slog.NewRecord(time.Now(), level, text, 0) // without a source, which is always ours
	line.AddAttrs(slog.String("route", e.target.Label), slog.String("remote", remote))
	line.AddAttrs(attrs...)
	if err != nil {
		line.AddAttrs(slog.String("error", short(err.Error())))
	}
	if p, ok := errors.AsType[*graph.Panic](err); ok {
		line.AddAttrs(slog.String("stack", p.Stack))
	}
	handler := e.shared.config.Logger.Handler()
	if log, ok := handler.(*boundedHandler); ok && handler.Enabled(context.Background(), level) {
		log.write(context.Background(), line, meanwhile)
	}
}

// logTimeout is how long a line of log is waited for.
const logTimeout = time.Second

// boundedHandler keeps requests and shutdown from standing still with a log that blocks: while
// a line is late, others are dropped.
type boundedHandler struct {
	slog.Handler
	late atomic.Pointer[atomic.Bool] // whether the line that was late is written
}

// Handle implements [slog.Handler].
func (h *boundedHandler) Handle(ctx context.Context, line slog.Record) error {
	h.write(ctx, line, nil)
	return nil
}

// write writes a line on the caller's goroutine, and calls meanwhile if it is late: what waits
// for the caller. Without one, the line has a goroutine of its own, which costs twice as much.
func (h *boundedHandler) write(ctx context.Context, line slog.Record, meanwhile func()) {
	if late := h.late.Load(); late != nil && !late.Load() {
		return
	}
	if meanwhile != nil {
		h.await(meanwhile, func() { _ = h.Handler.Handle(ctx, line) })
		return
	}
	over := make(chan struct{})
	end := sync.OnceFunc(func() { close(over) })
	go h.await(end, func() {
		defer end()
		_ = h.Handler.Handle(ctx, line) // as of any log that cannot be written
	})
	<-over
}

// await calls what writes a line, and meanwhile once it is late.
func (h *boundedHandler) await(meanwhile, write func()) {
	written := new(atomic.Bool)
	defer time.AfterFunc(logTimeout, func() {
		h.late.Store(written)
		meanwhile()
	}).Stop()
	defer written.Store(true)
	defer lost()
	write()
}

// lost is deferred: a panic of the logger is no reason to lose more than a line.
func lost() {
	if v := recover(); v != nil {
		fmt.Fprintf(os.Stderr, "wsroute: a line of log was lost to a panic: %v\n", v)
	}
}

// maxLogged is how many bytes of an error a line of log has: what a peer has sent may stand
// in it.
const maxLogged = 4 << 10

// short cuts a text that is too long for a line of log.
func short(text string) string {
	if len(text) <= maxLogged {
		return text
	}
	return strings.ToValidUTF8(text[:maxLogged], "") + " … and more"
}

// logRefusal writes a refused request's one line of log, and answers the request, at the latest
// when the line is late.
func (e *endpoint) logRefusal(
	w http.ResponseWriter, r *http.Request, rejection *depends.Rejection, err error, answer func(),
) {
	e.answered(r, rejection.Status, rejection.Reason, err)
	attrs := append(make([]slog.Attr, 0, 3), slog.Int("status", rejection.Status))
	if rejection.Reason != "" {
		attrs = append(attrs, slog.String("reason", rejection.Reason))
	}
	level := slog.LevelInfo
	if rejection.Status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	if o, ok := errors.AsType[*originError](err); ok {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("hint", o.hint()))
	}
	text := "connection refused"
	if e.route.answer != nil {
		text = "request refused"
	}
	var once sync.Once
	meanwhile := func() {
		once.Do(func() {
			_ = protect("the ResponseWriter", func() {
				answer()
				_ = http.NewResponseController(w).Flush()
			})
		})
	}
	e.log(level, text, e.shared.proxies.remote(r), err, meanwhile, attrs...)
	once.Do(answer)
}
