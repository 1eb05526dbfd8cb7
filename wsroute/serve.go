package wsroute

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/internal/plan"
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

// Serve listens on addr and serves handler, in which r is mounted, until ctx
// ends. Then it drains r, shuts the server down and closes the dependencies, in
// this order, and returns nil if all of that went well. Plain requests that are
// still being answered then have 2 s to end.
//
// The server has timeouts (5 s for headers, 30 s for a request, 60 s for a
// response, 2 min idle) and takes at most 16 KiB of headers. Credentials that
// schemes take from the query and from subprotocols are gone before handler, and
// so any logger in it, sees the request: on the routes of r, and on a path that is
// none of them if the request is a handshake, since it may be mistyped. Endpoints
// of the program's own that upgrade, too, should call their parameters otherwise.
//
// A path that ends as a route of r's does is taken for it where that is in the handler of
// [Router.Handler], before which the program may take a prefix off. Credentials of another
// router's schemes are not known.
//
// If handler is a *gin.Engine or *http.ServeMux itself, with nothing around it, its
// other routes keep their parameters even then, but for those of all the rest below a
// path, and those that end as a route of [Router.Handler] does: whether a prefix is taken
// off there, nobody sees. Paths that are no route of a *gin.Engine lose them even if the
// request is no handshake; its redirects are turned off, since no WebSocket client follows
// one, and a wrong method is answered with 405.
func Serve(ctx context.Context, addr string, r *Router, handler http.Handler) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return ServeListener(ctx, listener, r, handler)
}

// ServeListener is Serve on a listener that is open already, which it closes.
func ServeListener(ctx context.Context, listener net.Listener, r *Router, handler http.Handler) error {
	if engine, ok := handler.(*gin.Engine); ok {
		engine.RedirectTrailingSlash = false
		engine.RedirectFixedPath = false
		engine.HandleMethodNotAllowed = true
	}
	config := &r.shared.config
	if config.Origins == nil && !loopback(listener.Addr()) {
		config.Logger.Warn("wsroute: listening on more than loopback without Config.Origins: pages served under a host name cannot connect",
			"address", listener.Addr().String())
	}
	server := &http.Server{
		Handler:           r.hideCredentials(handler),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(config.Logger.Handler(), slog.LevelWarn),
	}
	var fresh freshConns
	server.ConnContext = fresh.track
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	return errors.Join(err, r.stop(server, &fresh))
}

// stop ends everything that Serve runs, each part within a bound of its own.
func (r *Router) stop(server *http.Server, fresh *freshConns) error {
	bounded := func(d time.Duration, f func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		return f(ctx)
	}
	err := bounded(r.shared.config.DrainTimeout, func(ctx context.Context) error {
		drained, err := r.Drain(ctx)
		if drained.Forced+drained.Stuck > 0 {
			r.shared.config.Logger.Warn("wsroute: not every connection closed cleanly",
				"clean", drained.Clean, "forced", drained.Forced, "stuck", drained.Stuck)
		}
		return err
	})
	fresh.close()
	if late := bounded(shutdownTimeout, server.Shutdown); late != nil {
		r.shared.config.Logger.Warn("wsroute: requests were cut off by the shutdown", "error", late.Error())
		err = errors.Join(err, server.Close())
	}
	return errors.Join(err, bounded(r.shared.config.CleanupTimeout, r.graph.CloseApp))
}

func loopback(addr net.Addr) bool {
	ap, err := netip.ParseAddrPort(addr.String())
	return err == nil && ap.Addr().IsLoopback()
}

// hiddenKey is the context key under which what the peer sent reaches its
// endpoint, past everything that logs.
type hiddenKey struct{}

// hidden is a pointer in the context, so that printing the context prints none of it.
type hidden struct {
	query  string
	offers []string // header lines of subprotocols
}

// hideCredentials takes the credentials that the router's schemes read from the
// query and from subprotocols out of the request, on the router's own paths and on
// mistyped ones, which are logged and redirected too. In a gin engine or an
// http.ServeMux these are the paths that are no route. Elsewhere, and below a route for
// all the rest, nobody knows, and a plain request may be the program's own business; a
// handshake that is not for us is taken for mistyped.
func (r *Router) hideCredentials(next http.Handler) http.Handler {
	var routes [][]segment
	engine, isGin := next.(*gin.Engine)
	if isGin {
		for _, route := range engine.Routes() {
			if segments, fault := parsePattern(route.Path); fault == "" {
				routes = append(routes, segments)
			}
		}
	}
	mistyped := func(req *http.Request, upgrade bool) bool {
		if isGin {
			return !slices.ContainsFunc(routes, func(s []segment) bool {
				return matches(s, req.URL.Path) && (!upgrade || s[len(s)-1].kind != '*')
			})
		}
		if mux, ok := next.(*http.ServeMux); ok && upgrade {
			_, pattern := mux.Handler(req) // of a path that it would redirect, that of where to
			slashed := strings.HasSuffix(pattern, "{$}") && !strings.HasSuffix(req.URL.EscapedPath(), "/")
			return pattern == "" || strings.HasSuffix(pattern, "/") || strings.HasSuffix(pattern, "...}") || slashed || !isClean(req.URL.Path)
		}
		return upgrade
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if a, ok := req.Context().Value(askedKey{}).(*asked); ok {
			a.now()
			defer a.returned()
		}
		upgrade := wantsUpgrade(req)
		if all := r.shared.mounted.Load(); all == nil || !all.hides {
			next.ServeHTTP(w, req)
			return
		}
		if req.URL.RawQuery != "" || req.Header["Sec-Websocket-Protocol"] != nil {
			// A proxy may drop Upgrade, and nothing else of the handshake.
			upgrade = upgrade || req.Header["Sec-Websocket-Key"] != nil
			req = r.hide(req, upgrade, mistyped)
		}
		next.ServeHTTP(w, req)
	})
}

// hide hides the credentials of the routes that the request is for and, if it is
// for none, those of all routes where the path is mistyped.
func (r *Router) hide(req *http.Request, upgrade bool, mistyped func(*http.Request, bool) bool) *http.Request {
	var names, offers []string
	ours := false
	for _, e := range r.shared.endpoints() {
		if e.isAt(req.URL.Path, upgrade) {
			ours = true
			names, offers = append(names, e.secrets...), append(offers, e.offers...)
		}
	}
	if !ours && mistyped(req, upgrade) {
		for _, e := range r.shared.endpoints() {
			names, offers = append(names, e.secrets...), append(offers, e.offers...)
		}
	}
	query := plan.StripQuery(req.URL.RawQuery, names)
	lines, found := plan.StripOffers(req.Header["Sec-Websocket-Protocol"], offers)
	if query == req.URL.RawQuery && !found {
		return req
	}
	kept := &hidden{req.URL.RawQuery, req.Header["Sec-Websocket-Protocol"]}
	req = req.WithContext(context.WithValue(req.Context(), hiddenKey{}, kept))
	url := *req.URL
	url.RawQuery = query
	req.URL, req.RequestURI = &url, url.RequestURI()
	if found {
		req.Header = req.Header.Clone()
		delete(req.Header, "Sec-Websocket-Protocol")
		if lines != nil {
			req.Header["Sec-Websocket-Protocol"] = lines
		}
	}
	return req
}

// isAt reports whether a path is the route's or, below a path that is taken off before
// the router's handler is reached, may be. Where the route begins with a parameter it
// could be any page of the program's own, so that only handshakes count.
func (e *endpoint) isAt(path string, upgrade bool) bool {
	if matches(e.segments, path) {
		return true
	}
	if !e.movable || e.segments[0].kind != 0 && !upgrade {
		return false
	}
	if e.segments[len(e.segments)-1].kind != '*' { // one end alone has as many segments
		at := len(path)
		for range e.segments {
			if at = strings.LastIndexByte(path[:at], '/'); at < 0 {
				return false
			}
		}
		return matches(e.segments, path[at:])
	}
	for path != "" { // it has none in "GET http://host HTTP/1.1"
		i := strings.IndexByte(path[1:], '/')
		if i < 0 {
			break
		}
		if path = path[1+i:]; matches(e.segments, path) {
			return true
		}
	}
	return false
}

// raw returns the query and the lines of subprotocols as the peer sent them.
func (e *endpoint) raw(r *http.Request) (query string, offers []string) {
	if all := e.shared.mounted.Load(); all != nil && all.hides {
		if h, ok := r.Context().Value(hiddenKey{}).(*hidden); ok {
			return h.query, h.offers
		}
	}
	return r.URL.RawQuery, r.Header["Sec-Websocket-Protocol"]
}
