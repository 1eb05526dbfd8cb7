package wsroute

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/internal/bind"
)

// Limits of the server that Serve runs. A handshake has no body, so what is
// waited for is small; the header limit counts the URL.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
	shutdownTimeout   = 2 * time.Second
)

// Serve listens on addr and serves handler, in which r is mounted, until ctx ends.
// Then it drains r, shuts the server down and closes the dependencies, in this
// order, and returns nil if all of that went well. Plain requests that are still
// being answered then have 2 s to end. If more routers are mounted in handler, it is given
// the others, too: those that it does not know are not drained, and log a warning. A router
// that was not mounted, or whose last Mount failed, is not served: Serve returns the error of
// that Mount at once.
//
// The server has timeouts (5 s for headers, 30 s for a request, 60 s for a
// response, 2 min idle) and takes at most 16 KiB of headers. Query parameters and
// subprotocols that are credentials of a router's schemes are taken out of every request
// for a route of it, and out of a handshake on any path that is no route of a *gin.Engine,
// before handler, and so any logger in it, sees them; other requests keep theirs. A
// *gin.Engine no longer redirects, and answers a wrong method with 405.
func Serve(
	ctx context.Context, addr string, r *Router, handler http.Handler, others ...*Router,
) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return ServeListener(ctx, listener, r, handler, others...)
}

// ServeListener is Serve on a listener that is open already, which it closes.
func ServeListener(
	ctx context.Context, listener net.Listener, r *Router, handler http.Handler, others ...*Router,
) error {
	var own [][]segment
	if engine, ok := handler.(*gin.Engine); ok {
		own = programRoutes(engine)
		engine.RedirectTrailingSlash = false
		engine.RedirectFixedPath = false
		engine.HandleMethodNotAllowed = true
	}
	routers := append([]*Router{r}, others...)
	served := map[*shared]bool{}
	for _, r := range routers {
		if err := r.wiring(); err != nil {
			return errors.Join(err, listener.Close())
		}
		served[r.shared] = true
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			for _, r := range routers {
				req = r.shared.mounted.Load().hide(req, own)
			}
			handler.ServeHTTP(w, req)
		}),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(r.shared.config.Logger.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), servedKey{}, served)
		},
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	return errors.Join(err, stop(server, routers))
}

// wiring returns what is wrong with a router that is to be served.
func (r *Router) wiring() error {
	if err := r.shared.wiring.Load(); err != nil {
		return *err
	}
	return errors.New("wsroute: the router is not mounted, so that all its routes would be 404: " +
		"call Mount or Handler, and serve what they were given or return")
}

// servedKey is where a request's context has the routers that Serve knows.
type servedKey struct{}

// checkServed warns of a router that Serve does not know.
func (s *shared) checkServed(ctx context.Context) {
	s.once.Do(func() {
		if served, ok := ctx.Value(servedKey{}).(map[*shared]bool); ok && !served[s] {
			s.config.Logger.Warn("Serve does not know a router that it serves, and will not drain it")
		}
	})
}

// bounded calls f with a context that ends after a time.
func bounded(d time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return f(ctx)
}

// stop ends everything that Serve runs, each part within a bound of its own.
func stop(server *http.Server, routers []*Router) (err error) {
	drained := make(chan error, len(routers))
	for _, r := range routers {
		go func() { drained <- bounded(r.shared.config.DrainTimeout, r.drainLogged) }()
	}
	for range routers {
		err = errors.Join(err, <-drained)
	}
	if late := bounded(shutdownTimeout, server.Shutdown); late != nil {
		routers[0].shared.config.Logger.Warn("requests cut off by the shutdown", "error", late.Error())
		err = errors.Join(err, server.Close())
	}
	for _, r := range routers {
		err = errors.Join(err, bounded(r.shared.config.CleanupTimeout, r.graph.CloseApp))
	}
	return err
}

// drainLogged drains, and logs what did not end well.
func (r *Router) drainLogged(ctx context.Context) error {
	drained, err := r.Drain(ctx)
	if drained.Forced+drained.Stuck > 0 {
		r.shared.config.Logger.Warn("not every connection closed cleanly",
			"clean", drained.Clean, "forced", drained.Forced, "stuck", drained.Stuck)
	}
	return err
}

// hiddenKey is the context key under which an endpoint finds what the peer has sent.
type hiddenKey struct{}

// hidden is a pointer in the context, so that printing the context prints none of it.
type hidden struct {
	query  string
	offers []string // header lines of subprotocols
}

// programRoutes returns the routes of a gin engine, but for those of all the rest of a path.
func programRoutes(engine *gin.Engine) (routes [][]segment) {
	for _, route := range engine.Routes() {
		segments, fault := parsePattern(route.Path)
		if fault == "" && segments[len(segments)-1].kind != '*' {
			routes = append(routes, segments)
		}
	}
	return routes
}

// hide takes the credentials of all routes out of a request for a route, and out of a
// handshake that is for none of the program's own. Most requests have none, and then no
// route is looked at.
func (m *mounted) hide(req *http.Request, own [][]segment) *http.Request {
	query := m.secrets.StripQuery(req.URL.RawQuery)
	lines, found := bind.StripOffers(req.Header["Sec-Websocket-Protocol"], m.offers, nil)
	if query == req.URL.RawQuery && !found {
		return req
	}
	parts := strings.Split(req.URL.Path, "/")
	at := func(route []segment) bool { return matches(route, parts) }
	ours := func(e *endpoint) bool { return at(e.segments) }
	if (!isHandshake(req) || !m.movable && slices.ContainsFunc(own, at)) &&
		!slices.ContainsFunc(m.endpoints, ours) {
		return req
	}
	sent, ok := req.Context().Value(hiddenKey{}).(*hidden) // by another router
	if !ok {
		sent = &hidden{req.URL.RawQuery, req.Header["Sec-Websocket-Protocol"]}
	}
	trailer := req.Trailer // which net/http fills behind the body
	req = req.Clone(context.WithValue(req.Context(), hiddenKey{}, sent))
	req.Trailer = trailer
	m.secrets.Strip(req)
	delete(req.Header, "Sec-Websocket-Protocol")
	if lines != nil {
		req.Header["Sec-Websocket-Protocol"] = lines
	}
	return req
}

// raw returns the query and the lines of subprotocols as the peer sent them.
func (e *endpoint) raw(r *http.Request) (query string, offers []string) {
	if h, ok := r.Context().Value(hiddenKey{}).(*hidden); ok {
		return h.query, h.offers
	}
	return r.URL.RawQuery, r.Header["Sec-Websocket-Protocol"]
}
