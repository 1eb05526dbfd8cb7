package wsroute_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// wrapped serves the same routes in ways in which Serve cannot see them, each
// beside a plain handler that answers with its token, and behind a log of all
// that arrives.
func wrapped(t *testing.T, out *safeBuffer) map[string]*wstest.Server {
	router := func() *wsroute.Router {
		deps := depends.New()
		everywhere(deps)
		config := quiet()
		config.Origins = []string{pageOrigin}
		ws := wsroute.New(deps, config)
		wsroute.Handle(ws, "/ws/:room", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Who who }) error {
			return conn.Send(ctx, in.Who.Name)
		}, wsroute.Subprotocols("v1"))
		return ws
	}
	logged := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintln(out, r.URL, r.RequestURI, r.Header["Sec-Websocket-Protocol"])
			next.ServeHTTP(w, r)
		})
	}
	onGin, onMux, stripped := router(), router(), router()
	engine := gin.New()
	engine.Use(gin.LoggerWithWriter(out))
	engine.GET("/own", func(c *gin.Context) { c.String(http.StatusOK, c.Query("token")) })
	if err := onGin.Mount(engine); err != nil {
		t.Fatal(err)
	}
	plain := func(ws *wsroute.Router, below string) http.Handler {
		handler, err := ws.Handler()
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		mux.Handle(below+"/ws/", http.StripPrefix(below, handler))
		mux.HandleFunc(below+"/own", func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, r.URL.Query().Get("token")) })
		return mux
	}
	below := router()
	outer := gin.New()
	outer.Use(gin.LoggerWithWriter(out))
	outer.Any("/gin/*rest", gin.WrapH(plain(below, "/gin")))
	return map[string]*wstest.Server{
		"/gin":     wstest.StartHandler(t, below, outer),
		"":         wstest.StartHandler(t, onGin, logged(engine)),
		"/":        wstest.StartHandler(t, onMux, logged(plain(onMux, ""))),
		"/chat/v1": wstest.StartHandler(t, stripped, logged(plain(stripped, "/chat/v1"))),
	}
}

// TestWrappedHandlersSeeNoCredential: neither a redirect nor a log has it, whatever the
// handler is in which the routes are, and however the path is mistyped.
func TestWrappedHandlersSeeNoCredential(t *testing.T) {
	var out safeBuffer
	for prefix, srv := range wrapped(t, &out) {
		prefix = strings.TrimSuffix(prefix, "/")
		peer := wstest.Dial[string, string](t, srv, prefix+"/ws/a?token=good", wstest.Header("Origin", pageOrigin))
		if got := peer.Receive(); got != "good" {
			t.Errorf("%s: got %q", prefix, got)
		}
		peer.Closed()
		if r := wstest.Get(t, srv, prefix+"/own?token=mine"); string(r.Body) != "mine" {
			t.Errorf("%s: a plain route of the program's own lost its query: %s", prefix, r.Body)
		}
		for _, path := range []string{
			prefix + "/ws/a", prefix + "/ws/a/", "/" + prefix + "/ws/a", prefix + "/ws//a", prefix + "/WS/a", prefix + "/x/../ws/a", "/none", prefix + "/own",
		} {
			good := fmt.Sprintf(handshake, path+"?x=1&token="+canary)
			offered := strings.Replace(fmt.Sprintf(handshake, path), "Upgrade: ", "Sec-WebSocket-Protocol: v1, "+kubernetes(canary)+"\r\nUpgrade: ", 1)
			for _, request := range []string{good, offered, strings.Replace(good, "Upgrade: websocket\r\n", "", 1)} { // as a proxy may drop it
				_, header, body := exchange(t, srv, strings.Replace(request, "keep-alive, Upgrade", "Upgrade, close", 1))
				if told := fmt.Sprint(header, body); leaks(told) {
					t.Errorf("%s is told %s", path, told)
				}
			}
		}
		srv.Stop()
	}
	for line := range strings.Lines(out.String()) {
		if leaks(line) {
			t.Errorf("printed: %s", line)
		}
	}
}

// TestAParsedFormHoldsNoCredential: middleware that asks for any parameter has net/http
// parse all of them, and a handler's request would have these.
func TestAParsedFormHoldsNoCredential(t *testing.T) {
	deps := depends.New()
	bearer(deps)
	ws := wsroute.New(deps, quiet())
	type in struct {
		_       who
		Request *http.Request
	}
	show := func(r *http.Request) string {
		found := r.Form.Encode()
		_ = r.FormValue("a")
		return found + " " + r.Form.Encode() + " " + r.PostForm.Encode()
	}
	wsroute.Handle(ws, "/ws", func(ctx context.Context, conn *wsroute.Conn[string, string], in in) error {
		return conn.Send(ctx, show(in.Request))
	})
	wsroute.HandleHTTP(ws, http.MethodPost, "/plain", func(w http.ResponseWriter, _ *http.Request, in in) error {
		_, err := io.WriteString(w, show(in.Request))
		return err
	})
	handler, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.FormValue("a")
		handler.ServeHTTP(w, r)
		if !r.Form.Has("token") {
			t.Error("middleware has lost its own form")
		}
	}))
	defer server.Close()
	conn, response, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/ws?a=1&token="+canary, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = response.Body.Close()
	if _, text, err := conn.ReadMessage(); err != nil || string(text) != " a=1 " {
		t.Errorf("got %q, %v", text, err)
	}
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Error(err)
	}
	answer, err := http.PostForm(server.URL+"/plain?a=1&token="+canary, url.Values{"b": {"2"}, "token": {"mine"}})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); string(text) != "a=1&b=2&token=mine a=1&b=2&token=mine b=2&token=mine" {
		t.Errorf("got %q", text)
	}
	if _, err := ws.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestOtherPagesKeepTheirQuery, which other sockets do not: their paths might be mistyped.
func TestOtherPagesKeepTheirQuery(t *testing.T) {
	deps := depends.New()
	bearer(deps)
	ws := wsroute.New(deps, quiet())
	type conn = wsroute.Conn[string, string]
	wsroute.Handle(ws, "/ws/:room", func(context.Context, *conn, struct{ Who who }) error {
		return nil
	}, wsroute.Diagnose)
	handler, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	var seen string
	mux.HandleFunc("/ws/", func(w http.ResponseWriter, r *http.Request) {
		seen = r.URL.RawQuery
		handler.ServeHTTP(w, r)
	})
	mux.HandleFunc("/own/", func(_ http.ResponseWriter, r *http.Request) { seen = r.URL.RawQuery })
	srv := wstest.StartHandler(t, ws, mux)
	withKey := strings.Replace(handshake, "Upgrade: websocket\r\n", "", 1)
	plain := "GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, test := range []struct{ request, path, want string }{
		{plain, "/own/page", "a=1&token=x"},
		{handshake, "/own/socket", "a=1"},
		{withKey, "/own/socket", "a=1"},
		{plain, "/ws/a", "a=1"},
		{strings.Replace(plain, "GET", "POST", 1), "/ws/a", "a=1"},
		{plain, "/ws/a/b", "a=1&token=x"}, // no route, and no handshake
	} {
		exchange(t, srv, fmt.Sprintf(test.request, test.path+"?a=1&token=x"))
		if seen != test.want {
			t.Errorf("%s: %q, want %q", fmt.Sprintf(test.request, test.path), seen, test.want)
		}
	}
}

// TestAMisspelledCredentialIsHidden: a query that was meant to name a credential.
func TestAMisspelledCredentialIsHidden(t *testing.T) {
	var out safeBuffer
	deps := depends.New()
	bearer(deps)
	ws := wsroute.New(deps, quiet())
	type conn = wsroute.Conn[string, string]
	wsroute.Handle(ws, "/ws", func(context.Context, *conn, struct{ Who who }) error { return nil })
	engine := gin.New()
	engine.Use(gin.LoggerWithWriter(&out))
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, engine)
	for _, name := range []string{
		"?token", "??token", "%3Ftoken", "+token", "%20token", "?+%3f+token", "%2Btoken",
		"token%00", "token%00%zz", "token%00x", "?token%00", "%74oken%00", "a;?token",
		"Token", "TOKEN", "token[]", "token%5B0%5D", "token+", "%09token", "%00token", "%EF%BB%BFtoken", "token%", "a?token", "a=1?token",
	} {
		for _, request := range []string{handshake, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n"} {
			target := "/ws?n=" + url.QueryEscape(name) + "&" + name + "=" + canary
			exchange(t, srv, fmt.Sprintf(request, target))
		}
		logged := out.String()
		if leaks(logged) || strings.Count(logged, "n="+url.QueryEscape(name)+`"`) != 2 {
			t.Errorf("%s: printed\n%s", name, logged)
		}
	}
	for _, name := range []string{"tokens", "_token", "token-id", "a=token", "to%00ken"} {
		target := "/ws?" + name + "=mine"
		exchange(t, srv, fmt.Sprintf(handshake, target))
		if !strings.Contains(out.String(), `"`+target+`"`) {
			t.Errorf("another parameter is hidden: %s\n%s", name, out.String())
		}
	}
}

// TestHidingCostsTheSameForManyRoutes: whatever a stranger sends.
func TestHidingCostsTheSameForManyRoutes(t *testing.T) {
	long := strings.Repeat("a,", 7000)
	requests := map[string]*http.Request{}
	request := func(name, target string, header http.Header) {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header = header
		requests[name] = r
	}
	upgrade := func(protocols string) http.Header {
		return http.Header{"Upgrade": {"websocket"}, "Sec-Websocket-Protocol": {protocols}}
	}
	request("offers", "/none", upgrade(long))
	request("markers", "/none", upgrade(strings.Repeat("bearer,", 2000)))
	request("long path", "/"+strings.Repeat("a/", 7000)+"?token=x", http.Header{})
	request("long page", "/"+strings.Repeat("a", 14000)+"?n=x", http.Header{})
	request("mistyped", "/"+strings.Repeat("a", 14000)+"?token=x", upgrade("v1"))
	cost := func(routes int) map[string]float64 {
		ws := manyRoutes(t, routes)
		if query, offers := wsroute.HiddenNames(ws); query != 1 || offers != 1 {
			t.Errorf("%d routes: %d names of the query, %d of offers", routes, query, offers)
		}
		allocations := map[string]float64{}
		for name, r := range requests {
			allocations[name] = testing.AllocsPerRun(10, func() { wsroute.Hide(ws, r) })
		}
		return allocations
	}
	one, many := cost(1), cost(400)
	for _, name := range []string{"offers", "markers", "long page", "mistyped"} {
		wsroute.HideWithoutRoutes(manyRoutes(t, 1), requests[name])
	}
	for name, n := range many {
		if n != one[name] || n > 20 {
			t.Errorf("%s: %v allocations for 400 routes, %v for one", name, n, one[name])
		}
	}
}

// manyRoutes returns a mounted router of n routes of each form, with the same schemes.
func manyRoutes(t *testing.T, n int) *wsroute.Router {
	deps := depends.New()
	everywhere(deps)
	config := quiet()
	config.Origins = []string{pageOrigin}
	ws := wsroute.New(deps, config)
	type conn = wsroute.Conn[string, string]
	handler := func(context.Context, *conn, struct{ Who who }) error { return nil }
	for i := range n {
		wsroute.Handle(ws, fmt.Sprintf("/rooms%d/:room", i), handler)
		wsroute.Handle(ws, fmt.Sprintf("/files%d/*rest", i), handler)
	}
	if _, err := ws.Handler(); err != nil {
		t.Fatal(err)
	}
	return ws
}

// TestTooManySubprotocols are refused on a route, and hidden whole on any path.
func TestTooManySubprotocols(t *testing.T) {
	var seen []string
	deps := depends.New()
	everywhere(deps)
	config := quiet()
	config.Origins = []string{pageOrigin}
	ws := wsroute.New(deps, config)
	type conn = wsroute.Conn[string, string]
	wsroute.Handle(ws, "/ws", func(ctx context.Context, c *conn, in struct{ Who who }) error {
		return c.Send(ctx, in.Who.Name)
	}, wsroute.Subprotocols("v1"))
	handler, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header["Sec-Websocket-Protocol"]
		handler.ServeHTTP(w, r)
	}))
	origin := wstest.Header("Origin", pageOrigin)
	offer := func(others int) wstest.Option {
		return wstest.Subprotocol(strings.Repeat("other, ", others) + "v1, " + kubernetes("good"))
	}
	if got := wstest.Dial[string, string](t, srv, "/ws", origin, offer(30)).Receive(); got != "good" {
		t.Errorf("with 32 of them: %q", got)
	}
	for _, path := range []string{"/ws", "/none"} {
		want := map[string]string{"/ws": "400 too_many_subprotocols", "/none": "404 not_found"}[path]
		r := wstest.Refused(t, srv, path, origin, offer(31))
		if got := fmt.Sprint(r.Status, " ", r.Problem.Reason); got != want || seen != nil {
			t.Errorf("%s with 33 of them: %s, and the program sees %q", path, got, seen)
		}
	}
}

// TestHandshakesBelowAnotherPathHideTheirCredential, also where the program's own router
// knows their whole path.
func TestHandshakesBelowAnotherPathHideTheirCredential(t *testing.T) {
	for name, serve := range map[string]func(routes http.Handler, out *safeBuffer) http.Handler{
		"ServeMux": func(routes http.Handler, out *safeBuffer) http.Handler {
			mux := http.NewServeMux()
			logged := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = fmt.Fprintln(out, r.URL, r.Header["Sec-Websocket-Protocol"])
				http.StripPrefix("/api", routes).ServeHTTP(w, r)
			})
			mux.Handle("/api/chat/a", logged)
			mux.Handle("GET /api/{room}", logged)
			return mux
		},
		"gin": func(routes http.Handler, out *safeBuffer) http.Handler {
			engine := gin.New()
			engine.Use(gin.LoggerWithWriter(out))
			engine.GET("/api/chat/:room", gin.WrapH(http.StripPrefix("/api", routes)))
			engine.GET("/api/:room", gin.WrapH(http.StripPrefix("/api", routes)))
			return engine
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out safeBuffer
			deps := depends.New()
			everywhere(deps)
			config := quiet()
			config.Origins = []string{pageOrigin}
			ws := wsroute.New(deps, config)
			handler := func(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Who who }) error {
				return conn.Send(ctx, in.Who.Name)
			}
			wsroute.Handle(ws, "/chat/:room", handler, wsroute.Subprotocols("v1"))
			wsroute.Handle(ws, "/:room", handler)
			routes, err := ws.Handler()
			if err != nil {
				t.Fatal(err)
			}
			srv := wstest.StartHandler(t, ws, serve(routes, &out))
			origin := wstest.Header("Origin", pageOrigin)
			for _, path := range []string{"/api/chat/a", "/api/a"} {
				if got := wstest.Dial[string, string](t, srv, path+"?token=good", origin).Receive(); got != "good" {
					t.Errorf("%s: got %q", path, got)
				}
				wstest.Refused(t, srv, path+"?token="+canary+"&token="+canary, origin)
				wstest.Refused(t, srv, path, origin, wstest.Subprotocol("bearer, "+canary+", bearer, "+canary))
			}
			// gin writes the 101's line after the connection has left it.
			eventually(t, func() bool { return strings.Count(out.String(), "/api/") == 6 })
			if text := out.String(); leaks(text) {
				t.Errorf("printed:\n%s", text)
			}
		})
	}
}

// TestAMuxThatRedirectsAHandshakeKeepsNoCredential: it cleans a path, also one of which it
// knows where it leads.
func TestAMuxThatRedirectsAHandshakeKeepsNoCredential(t *testing.T) {
	deps := depends.New()
	bearer(deps)
	ws := wsroute.New(deps, quiet())
	for _, route := range []string{"/chat", "/ws/", "/rooms/:room/"} {
		wsroute.Handle(ws, route, func(context.Context, *wsroute.Conn[string, string], struct{ Who who }) error { return nil })
	}
	routes, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, pattern := range []string{"/chat", "/ws/{$}", "/rooms/{room}/{$}"} {
		mux.Handle(pattern, routes)
	}
	mux.HandleFunc("/own/{$}", func(http.ResponseWriter, *http.Request) {})
	srv := wstest.StartHandler(t, ws, mux)
	for path, want := range map[string]string{
		"//chat": "/chat", "/x/../chat": "/chat", "/./chat": "/chat", "/ws": "/ws/", "/rooms/a": "/rooms/a/", "//ws": "/ws/", "/own": "/own/",
	} {
		status, header, body := exchange(t, srv, fmt.Sprintf(handshake, path+"?a=1&token="+canary))
		if leaks(fmt.Sprint(header, body)) || header.Get("Location") != want+"?a=1" {
			t.Errorf("%s: told %d, %v, %s", path, status, header, body)
		}
	}
}

// TestARequestWithoutAPath is answered like any other.
func TestARequestWithoutAPath(t *testing.T) {
	deps := depends.New()
	bearer(deps)
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/files/*rest", func(context.Context, *wsroute.Conn[string, string], struct{ Who who }) error { return nil })
	srv := wstest.Start(t, ws)
	for _, line := range []string{"GET http://x?token=1", "CONNECT x?token=1"} {
		request := line + " HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Protocol: bearer, a\r\n\r\n"
		if status, _, body := exchange(t, srv, request); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", line, status, body)
		}
	}
}

// TestARecoveryThatPrintsNoHeader is the one that docs/gin.md names; gin.Recovery prints
// the cookies.
func TestARecoveryThatPrintsNoHeader(t *testing.T) {
	for name, leak := range map[string]bool{"gin.Recovery": true, "gin.CustomRecoveryWithWriter": false} {
		var out safeBuffer
		recovery := gin.RecoveryWithWriter(&out)
		if !leak {
			recovery = gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, _ any) { c.AbortWithStatus(http.StatusInternalServerError) })
		}
		engine := gin.New()
		engine.Use(recovery, func(*gin.Context) { panic(fmt.Errorf("the store of sessions: %w", syscall.EPIPE)) })
		ws := wsroute.New(depends.New(), quiet())
		wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], none) error { return nil }, wsroute.Public)
		if err := ws.Mount(engine); err != nil {
			t.Fatal(err)
		}
		wstest.Get(t, wstest.StartHandler(t, ws, engine), "/ws", wstest.Header("Cookie", "sid="+canary))
		if leaks(out.String()) != leak {
			t.Errorf("%s printed: %q", name, out.String())
		}
	}
}

// TestOtherSocketsOfAnEngine keep what they are sent: they are no mistyped paths.
func TestOtherSocketsOfAnEngine(t *testing.T) {
	deps := depends.New()
	everywhere(deps)
	config := quiet()
	config.Origins = []string{pageOrigin}
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ who }) error { return nil })
	engine := gin.New()
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	saw := func(c *gin.Context) { c.String(http.StatusTeapot, c.Request.URL.RawQuery) }
	engine.GET("/old/:room", saw)
	engine.GET("/rest/*path", saw)
	engine.NoRoute(saw)
	srv := wstest.StartHandler(t, ws, engine)
	for path, want := range map[string]string{
		"/old/lobby?token=good":  "token=good",
		"/old/lobby/?token=good": "",
		"/rest/ws?token=good":    "", // a router's Handler may stand there
		"/wss?token=good":        "",
	} {
		if got := wstest.Refused(t, srv, path); got.Status != http.StatusTeapot || string(got.Body) != want {
			t.Errorf("%s: %d, and the handler sees %q", path, got.Status, got.Body)
		}
	}
}

// TestTrailersBehindAHiddenCredential are there once the body is read: net/http fills the very map
// that the request came with.
func TestTrailersBehindAHiddenCredential(t *testing.T) {
	deps := depends.New()
	bearer(deps)
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/r/:id", func(context.Context, *wsroute.Conn[string, string], struct{ _ who }) error { return nil })
	engine := gin.New()
	engine.POST("/r/:id", func(c *gin.Context) {
		body, err := io.ReadAll(c.Request.Body)
		_, _ = fmt.Fprint(c.Writer, string(body), " ", c.Request.Trailer.Get("X-Sum"), " ", c.Query("token"), err)
	})
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	conn, err := wstest.StartHandler(t, ws, engine).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "POST /r/1?token=secret HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+
		"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n")
	answer, _ := io.ReadAll(conn)
	if !strings.HasSuffix(string(answer), "\r\n\r\nhi 7 <nil>") {
		t.Errorf("got %q", answer)
	}
}
