package wsroute_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// crossing serves a route with Diagnose and a ticket endpoint for a cookie, on gin or without it.
func crossing(t *testing.T, onGin bool, origins ...string) *wstest.Server {
	t.Helper()
	session := security.Session[member]{Cookie: "sid", Find: func(_ context.Context, id string) (member, error) { return member{id}, nil }}
	tickets := &security.Tickets[member]{}
	deps := depends.New()
	security.Use(deps, security.OneOf[member](tickets, session))
	config := quiet()
	config.Origins = origins
	ws := wsroute.New(deps, config)
	handler := func(context.Context, *wsroute.Conn[string, string], struct{ _ member }) error { return nil }
	wsroute.Handle(ws, "/ws/:room", handler, wsroute.Diagnose)
	wsroute.Handle(ws, "/silent", handler)
	ticket := ws.CORS(tickets.Handler(func(r *http.Request) (member, error) {
		return security.Authenticate[member](r, session)
	}))
	if onGin {
		engine := gin.New()
		engine.Match([]string{http.MethodPost, http.MethodOptions}, "/ticket", gin.WrapH(ticket))
		if err := ws.Mount(engine); err != nil {
			t.Fatal(err)
		}
		return wstest.StartHandler(t, ws, engine)
	}
	routes, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", routes)
	mux.Handle("/ticket", ticket)
	return wstest.StartHandler(t, ws, mux)
}

// crossed is an answer as a page of an origin gets it: its status, and whether the page may read it.
func crossed(t *testing.T, srv *wstest.Server, method, path, origin string, h headers) (status int, readable bool, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+srv.Host+path, strings.NewReader("path=/ws/a"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if method != http.MethodPost {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	r.Header.Set("Origin", origin)
	for name, value := range h {
		r.Header.Set(name, value)
	}
	response, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	header = response.Header
	readable = strings.Join(header["Access-Control-Allow-Origin"], "|") == origin && header.Get("Access-Control-Allow-Credentials") == "true"
	if header["Access-Control-Allow-Origin"] != nil && !readable {
		t.Errorf("%s %s from %s: %v", method, path, origin, header)
	}
	return response.StatusCode, readable, header
}

// TestAPageOfAnAllowedOriginReadsTheAnswer: who may connect may also ask why not, and for a
// ticket; the browser is told so of nobody else.
func TestAPageOfAnAllowedOriginReadsTheAnswer(t *testing.T) {
	const app, sub, tauri, evil = "https://app.example", "https://a.b.example", "tauri://localhost", "https://evil.example"
	for _, onGin := range []bool{true, false} {
		srv := crossing(t, onGin, app, "https://*.b.example", tauri)
		preflight := headers{"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization,content-type"}
		for _, path := range []string{"/ws/a", "/ticket"} {
			for _, origin := range []string{app, sub, tauri} {
				status, readable, h := crossed(t, srv, http.MethodOptions, path, origin, preflight)
				if status != 204 || !readable || h.Get("Access-Control-Allow-Methods") != "GET" ||
					h.Get("Access-Control-Allow-Headers") != "authorization,content-type" || !strings.Contains(strings.Join(h["Vary"], ","), "Origin") {
					t.Errorf("gin %v: preflight of %s from %s: %d %v", onGin, path, origin, status, h)
				}
			}
			for _, origin := range []string{evil, "null", "https://b.example", app + "/"} {
				if status, _, h := crossed(t, srv, http.MethodOptions, path, origin, preflight); status < 400 || h["Access-Control-Allow-Origin"] != nil || h["Access-Control-Allow-Methods"] != nil {
					t.Errorf("gin %v: preflight of %s from %s: %d %v", onGin, path, origin, status, h)
				}
			}
			if status, _, _ := crossed(t, srv, http.MethodOptions, path, app, nil); status != 405 {
				t.Errorf("gin %v: OPTIONS of %s that is no preflight: %d", onGin, path, status)
			}
		}
		if status, readable, _ := crossed(t, srv, http.MethodOptions, "/silent", app, preflight); status != 405 || readable {
			t.Errorf("gin %v: preflight of a route without Diagnose: %d", onGin, status)
		}
		cookie := headers{"Cookie": "sid=ada", "Sec-Fetch-Site": "cross-site"}
		for _, test := range []struct {
			method, path, origin string
			sent                 headers
			status               int
			readable             bool
		}{
			{http.MethodGet, "/ws/a", app, nil, 401, true},
			{http.MethodGet, "/ws/a", app, cookie, 426, true},
			{http.MethodGet, "/ws/a?ticket=x", sub, nil, 401, true},
			{http.MethodGet, "/ws/a", evil, cookie, 403, false},
			{http.MethodGet, "/silent", app, cookie, 426, false},
			{http.MethodPost, "/ticket", app, cookie, 200, true},
			{http.MethodPost, "/ticket", tauri, cookie, 200, true},
			{http.MethodPost, "/ticket", app, nil, 401, true},
			{http.MethodPost, "/ticket", evil, cookie, 403, false},
			{http.MethodPost, "/ticket", "null", cookie, 403, false},
		} {
			status, readable, h := crossed(t, srv, test.method, test.path, test.origin, test.sent)
			if status != test.status || readable != test.readable {
				t.Errorf("gin %v: %+v: %d, readable %v: %v", onGin, test, status, readable, h)
			}
		}
		peer := wstest.Dial[string, string](t, srv, "/ws/a", wstest.Header("Origin", app), wstest.Cookie("sid", "ada"))
		if h := peer.Response.Header; h["Access-Control-Allow-Origin"] != nil {
			t.Errorf("gin %v: the 101 has %v", onGin, h)
		}
	}
}

// TestAProgramThatAnswersPreflightsItself mounts, and goes before.
func TestAProgramThatAnswersPreflightsItself(t *testing.T) {
	for _, inRouter := range []bool{true, false} {
		deps := depends.New()
		bearer(deps)
		ws := wsroute.New(deps, quiet())
		wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ who }) error { return nil }, wsroute.Diagnose)
		engine := gin.New()
		if inRouter {
			wsroute.HandleHTTP(ws, http.MethodOptions, "/ws", func(w http.ResponseWriter, _ *http.Request, _ none) error {
				w.WriteHeader(http.StatusTeapot)
				return nil
			})
		} else {
			engine.OPTIONS("/ws", func(c *gin.Context) { c.Status(http.StatusTeapot) })
		}
		if err := ws.Mount(engine); err != nil {
			t.Fatal(err)
		}
		srv := wstest.StartHandler(t, ws, engine)
		if status, _, _ := crossed(t, srv, http.MethodOptions, "/ws", "http://localhost", headers{"Access-Control-Request-Method": "GET"}); status != http.StatusTeapot {
			t.Errorf("in the router %v: %d", inRouter, status)
		}
	}
}
