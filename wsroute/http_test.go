package wsroute_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

type plainInput struct {
	Gate gate
	ID   int    `path:"id" validate:"gte=1"`
	Mode string `query:"mode" default:""`
	Body *http.Request
}

type plainOutput struct {
	ID   int    `json:"id"`
	Text string `json:"text"`
}

// plainRouter serves one plain route on both kinds of routers; ends is told the cause
// of each release.
func plainRouter(ends chan error) *wsroute.Router {
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, in struct {
		Mode string `query:"mode" default:""`
	},
	) (gate, error) {
		depends.Cleanup(ctx, func(_ context.Context, cause error) error { ends <- cause; return nil })
		switch in.Mode {
		case "forbidden":
			return gate{}, depends.Forbidden("banned", nil)
		case "panic":
			panic("secret")
		case "slow":
			<-ctx.Done()
			return gate{}, ctx.Err()
		case "expired":
			depends.ValidUntil(ctx, time.Now().Add(-time.Second))
		}
		return gate{}, nil
	})
	config := quiet()
	config.MapError = func(err error) *depends.Rejection {
		if errors.Is(err, io.EOF) {
			return depends.NotFound("no_such_thing", err)
		}
		return nil
	}
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/things/:id", func(context.Context, *wsroute.Conn[string, string], struct{ _ gate }) error { return nil })
	wsroute.HandleHTTP(ws, http.MethodPost, "/things/:id", func(w http.ResponseWriter, r *http.Request, in plainInput) error {
		switch in.Mode {
		case "missing":
			return io.EOF
		case "crash":
			panic("secret")
		}
		body := r.Body
		if in.Mode == "input" {
			body = in.Body.Body
		}
		text, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(plainOutput{in.ID, string(text)})
	})
	wsroute.HandleHTTP(ws, http.MethodDelete, "/things/:id", func(w http.ResponseWriter, _ *http.Request, _ struct{ _ gate }) error {
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
	wsroute.HandleHTTP(ws, http.MethodGet, "/text", says("by itself"))
	return ws
}

// says is a plain handler that answers with a text.
func says(text string) func(http.ResponseWriter, *http.Request, none) error {
	return func(w http.ResponseWriter, _ *http.Request, _ none) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

// sayWho answers with who asks.
func sayWho(w http.ResponseWriter, _ *http.Request, in struct{ Who member }) error {
	_, err := io.WriteString(w, in.Who.name)
	return err
}

func plainAsk(t *testing.T, srv *wstest.Server, method, path, body string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+srv.Host+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := srv.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, strings.TrimSpace(string(text))
}

// TestHandleHTTP: the same providers, answers and refusals, on gin and without it.
func TestHandleHTTP(t *testing.T) {
	for _, onGin := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			ends := make(chan error, 10)
			ws := plainRouter(ends)
			var handler http.Handler
			engine := gin.New()
			err := ws.Mount(engine)
			if handler = engine; !onGin {
				ws = plainRouter(ends)
				handler, err = ws.Handler()
			}
			if err != nil {
				t.Fatal(err)
			}
			srv := wstest.StartHandler(t, ws, handler)
			for _, c := range []struct {
				method, path string
				status       int
				answer       string
				cause        string
			}{
				{"POST", "/things/7", 200, `{"id":7,"text":"body"}`, ""},
				{"POST", "/things/7?mode=input", 200, `{"id":7,"text":"body"}`, ""},
				{"DELETE", "/things/7", 204, "", ""},
				{"GET", "/text", 200, "by itself", "-"},
				{"POST", "/things/0", 422, `"loc":["path","id"]`, "invalid_parameters"},
				{"POST", "/things/7?mode=forbidden", 403, `"reason":"banned"`, "banned"},
				{"POST", "/things/7?mode=panic", 500, `"reason":"internal_error"`, "panic"},
				{"POST", "/things/7?mode=slow", 503, `"reason":"timeout"`, "ResolveTimeout, "},
				{"POST", "/things/7?mode=expired", 401, `"reason":"token_expired"`, "expired"},
				{"POST", "/things/7?mode=missing", 404, `"reason":"no_such_thing"`, "EOF"},
				{"POST", "/things/7?mode=crash", 500, `"reason":"internal_error"`, "panic"},
				{"POST", "/things/7?mode=%zz", 400, `"reason":"invalid_query"`, "-"},
			} {
				response, body := plainAsk(t, srv, c.method, c.path, "body") //nolint:bodyclose // plainAsk has read and closed it
				if response.StatusCode != c.status || !strings.Contains(body, c.answer) || strings.Contains(body, "secret") {
					t.Errorf("gin %t: %s %s is answered %d %s", onGin, c.method, c.path, response.StatusCode, body)
				}
				if c.cause == "-" {
					continue
				}
				if cause := <-ends; (cause == nil) != (c.cause == "") || cause != nil && !strings.Contains(cause.Error(), c.cause) {
					t.Errorf("gin %t: %s %s released with %v", onGin, c.method, c.path, cause)
				}
			}
			wstest.Dial[string, string](t, srv, "/things/7").Closed() // the WebSocket of the same path
		})
	}
}

// TestPlainRequestsWithCookies need an Origin that is ours, unless they change nothing.
func TestPlainRequestsWithCookies(t *testing.T) {
	deps := depends.New()
	scheme := depends.Scheme{Name: "Session", Challenge: "Cookie", Sources: []depends.Source{{In: "cookie", Name: "sid"}}}
	provideScheme(deps, scheme, func(context.Context, depends.Credential) (member, error) { return member{"ada"}, nil })
	config := quiet()
	config.Origins = []string{"https://chat.example"}
	ws := wsroute.New(deps, config)
	wsroute.HandleHTTP(ws, http.MethodGet, "/me", sayWho)
	wsroute.HandleHTTP(ws, http.MethodPost, "/me", sayWho)
	srv := wstest.Start(t, ws)
	for _, c := range []struct {
		method, origin, site string
		status               int
	}{
		{"GET", "", "", 200},
		{"GET", "https://evil.example", "", 200},
		{"POST", "", "", 403},
		{"POST", "https://evil.example", "", 403},
		{"POST", "", "cross-site", 403},
		{"POST", "", "same-origin", 200},
		{"POST", "https://chat.example", "", 200},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+srv.Host+"/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Cookie", "sid=1")
		for name, value := range map[string]string{"Origin": c.origin, "Sec-Fetch-Site": c.site} {
			if value != "" {
				request.Header.Set(name, value)
			}
		}
		response, err := srv.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != c.status {
			t.Errorf("%+v is answered %d", c, response.StatusCode)
		}
	}
}

// TestPlainRequestsWithAPassword: a browser that was told one adds it for any page, which
// says where it is from. A program does not.
func TestPlainRequestsWithAPassword(t *testing.T) {
	deps := depends.New()
	scheme := depends.Scheme{Name: "Basic", Challenge: "Basic", Sources: []depends.Source{{In: "header", Name: "authorization", Prefix: "basic"}}}
	provideScheme(deps, scheme, func(context.Context, depends.Credential) (member, error) { return member{"ada"}, nil })
	config := quiet()
	config.Origins = []string{"https://chat.example"}
	ws := wsroute.New(deps, config)
	wsroute.HandleHTTP(ws, http.MethodPost, "/me", sayWho)
	srv := wstest.Start(t, ws)
	for origin, want := range map[string]int{"": 200, "https://chat.example": 200, "https://evil.example": 403, "null": 403} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+srv.Host+"/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth("ada", "pw")
		if origin != "" {
			request.Header.Set("Origin", origin)
		}
		response, err := srv.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("from %q: %d, want %d", origin, response.StatusCode, want)
		}
	}
}

// TestFaultsOfPlainRoutes are in the one report.
func TestFaultsOfPlainRoutes(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.HandleHTTP(ws, "post", "/a", sayWho)
	wsroute.HandleHTTP(ws, http.MethodGet, "/b", says("b"))
	wsroute.Handle(ws, "/b", echo[string], wsroute.Diagnose, wsroute.Public)
	_, err := ws.Handler()
	if err == nil {
		t.Fatal("it mounted")
	}
	for _, want := range []string{`"post" is no HTTP method`, "no provider for wsroute_test.member", "GET /b and GET /b cannot both be routes"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the report does not say %q:\n%v", want, err)
		}
	}
}

// TestAPlainHandlerSeesNoCredential: it sees the rest of the request, and all of the body.
func TestAPlainHandlerSeesNoCredential(t *testing.T) {
	deps := depends.New()
	provideScheme(deps, depends.Scheme{
		Name: "test", Challenge: "Key", Sources: []depends.Source{
			{In: "header", Name: "X-Api-Key"}, {In: "query", Name: "key"}, {In: "cookie", Name: "key"},
		},
	}, func(context.Context, depends.Credential) (who, error) { return who{"x"}, nil })
	config := quiet()
	config.Origins = []string{"https://app.example"}
	ws := wsroute.New(deps, config)
	wsroute.HandleHTTP(ws, http.MethodPost, "/files/:name", func(w http.ResponseWriter, r *http.Request, _ struct{ Who who }) error {
		body, _ := io.ReadAll(r.Body)
		_, deadline := r.Context().Value(http.ServerContextKey).(*http.Server)
		_, _ = fmt.Fprintf(w, "%s %s %s %v %s %v %s", r.URL, r.RequestURI, r.PathValue("name"), r.Header["X-Api-Key"], r.Header.Get("Cookie"), deadline, body)
		return nil
	})
	srv := wstest.Start(t, ws)
	for _, carry := range []func(*http.Request){
		func(r *http.Request) { r.Header.Set("X-Api-Key", "canary") },
		func(r *http.Request) { r.URL.RawQuery += "&key=canary" },
		func(r *http.Request) { r.Header.Set("Cookie", "a=b; key=canary") },
	} {
		r, err := http.NewRequest(http.MethodPost, "http://"+srv.Host+"/files/x?n=1", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", "https://app.example")
		carry(r)
		answer, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if strings.Contains(string(got), "canary") || !strings.HasPrefix(string(got), "/files/x?n=1 /files/x?n=1 x [] ") || !strings.HasSuffix(string(got), "true body") {
			t.Errorf("%d %s", answer.StatusCode, got)
		}
	}
}

// TestUploadedFilesAreRemoved: as net/http does with its own.
func TestUploadedFilesAreRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ws := wsroute.New(depends.New(), quiet())
	wsroute.HandleHTTP(ws, http.MethodPost, "/files", func(w http.ResponseWriter, r *http.Request, _ none) error {
		if err := r.ParseMultipartForm(1); err != nil {
			t.Error(err)
		}
		files, _ := os.ReadDir(os.TempDir())
		_, _ = fmt.Fprint(w, len(files))
		return nil
	})
	srv := wstest.Start(t, ws)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "large")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(bytes.Repeat([]byte("x"), 11<<20))
	_ = form.Close()
	answer, err := srv.Client().Post("http://"+srv.Host+"/files", form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if files, _ := os.ReadDir(os.TempDir()); string(got) != "1" || len(files) != 0 {
		t.Errorf("%s files in between, %d at the end", got, len(files))
	}
}

// TestABearerTokenFromAnotherSite: no browser adds it by itself, so it is let in from every page.
func TestABearerTokenFromAnotherSite(t *testing.T) {
	deps := depends.New()
	scheme := depends.Scheme{Name: "Bearer or Basic", Challenge: "Bearer", Sources: []depends.Source{
		{In: "header", Name: "Authorization", Prefix: "Bearer"}, {In: "header", Name: "Authorization", Prefix: "Basic"},
	}}
	provideScheme(deps, scheme, func(context.Context, depends.Credential) (member, error) { return member{"ada"}, nil })
	ws := wsroute.New(deps, quiet())
	wsroute.HandleHTTP(ws, http.MethodPost, "/me", sayWho)
	srv := wstest.Start(t, ws)
	for _, c := range []struct {
		credential, origin, site string
		status                   int
	}{
		{"Bearer x", "https://app.example", "cross-site", 200},
		{"Basic x", "https://app.example", "same-origin", 200},
		{"Basic x", "https://app.example", "cross-site", 403},
		{"bAsIc x", "https://app.example", "", 403},
		{"Basic x", "", "cross-site", 403},
		{"Basic x", "", "same-origin", 200},
		{"Basic x", "", "", 200}, // a program's
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+srv.Host+"/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", c.credential)
		for name, value := range map[string]string{"Origin": c.origin, "Sec-Fetch-Site": c.site} {
			if value != "" {
				request.Header.Set(name, value)
			}
		}
		response, err := srv.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != c.status {
			t.Errorf("%+v: %d", c, response.StatusCode)
		}
	}
}

// TestAnAnswerThatBreaksOff does not look like a whole one.
func TestAnAnswerThatBreaksOff(t *testing.T) {
	var out safeBuffer
	engine := gin.New()
	engine.Use(gin.RecoveryWithWriter(&out)) // which would make a proper end of it
	onGin, plain := answersThatBreakOff(t), answersThatBreakOff(t)
	if err := onGin.Mount(engine); err != nil {
		t.Fatal(err)
	}
	servers := []*wstest.Server{wstest.StartHandler(t, onGin, engine), wstest.Start(t, plain)}
	for _, srv := range servers {
		breaksOff(t, srv)
	}
	if out.String() != "" {
		t.Errorf("gin.Recovery has seen\n%s", out.String())
	}
}

func answersThatBreakOff(t *testing.T) *wsroute.Router {
	ws := wsroute.New(depends.New(), quiet())
	answer := func(path string, h http.HandlerFunc) { wsroute.HandleHTTP(ws, http.MethodGet, path, by(h)) }
	answer("/error", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic(errHalf)
	})
	answer("/half", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // as httputil.ReverseProxy does
	})
	answer("/status", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		w.(http.Flusher).Flush()
		panic("canary")
	})
	answer("/hint", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		panic("canary")
	})
	answer("/whole", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "whole") })
	answer("/taken", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntaken")
		_ = conn.Close()
	})
	return ws
}

// errHalf is returned by a handler that panics with it; see by.
var errHalf = errors.New("half is written")

// by is a handler of a plain route that answers by itself.
func by(h http.HandlerFunc) func(http.ResponseWriter, *http.Request, none) error {
	return func(w http.ResponseWriter, r *http.Request, _ none) (err error) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case any(errHalf):
				err = errHalf
			default:
				panic(v)
			}
		}()
		h(w, r)
		return nil
	}
}

func breaksOff(t *testing.T, srv *wstest.Server) {
	for path, want := range map[string]string{
		"/half": "200 half unexpected EOF", "/status": "202  unexpected EOF", "/hint": "500 internal_error", "/error": "200  unexpected EOF", "/whole": "200 whole <nil>", "/taken": "200 taken <nil>",
	} {
		response, err := srv.Client().Get("http://" + srv.Host + path) //nolint:noctx // it is in memory
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		got := fmt.Sprint(response.StatusCode, " ", string(body), " ", err)
		if response.StatusCode == http.StatusInternalServerError && strings.Contains(string(body), "internal_error") {
			got = "500 internal_error"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// TestHandshakeValuesOfPlainRoutes live as long as the handler; a provider of the
// Connection lifetime may not keep one.
func TestHandshakeValuesOfPlainRoutes(t *testing.T) {
	type tx struct{ open *bool }
	for name, tt := range map[string]struct {
		add  func(ws *wsroute.Router)
		want string
	}{
		"its handler": {func(ws *wsroute.Router) {
			wsroute.HandleHTTP(ws, http.MethodGet, "/", func(w http.ResponseWriter, _ *http.Request, in struct{ Tx tx }) error {
				_, err := fmt.Fprint(w, *in.Tx.open)
				return err
			})
		}, ""},
		"a provider": {func(ws *wsroute.Router) {
			depends.Provide(ws.Deps(), func(context.Context, struct{ Tx tx }) (gate, error) { return gate{}, nil })
			wsroute.HandleHTTP(ws, http.MethodGet, "/", func(http.ResponseWriter, *http.Request, struct{ _ gate }) error { return nil })
		}, "captive"},
		"a socket's handler": {func(ws *wsroute.Router) {
			wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], struct{ Tx tx }) error { return nil }, wsroute.Public)
		}, "captive"},
	} {
		open := false
		deps := depends.New()
		depends.Provide(deps, func(ctx context.Context, _ none) (tx, error) {
			open = true
			depends.Cleanup(ctx, func(context.Context, error) error { open = false; return nil })
			return tx{&open}, nil
		}, depends.Handshake)
		ws := wsroute.New(deps, quiet())
		tt.add(ws)
		routes, err := ws.Handler()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		srv := wstest.StartHandler(t, ws, routes)
		if _, body := plainAsk(t, srv, http.MethodGet, "/", ""); body != "true" { //nolint:bodyclose // plainAsk has read and closed it
			t.Errorf("%s: the handler sees that it is open: %s", name, body)
		}
		srv.Stop()
		if open {
			t.Errorf("%s: it is open when the answer is written", name)
		}
	}
}

// TestAProviderThatHangsUnderAPlainRequest is answered for in the same time as under a
// handshake.
func TestAProviderThatHangsUnderAPlainRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan none)
		deps := depends.New()
		depends.Provide(deps, func(context.Context, none) (gate, error) { <-goOn; return gate{}, nil })
		ws := wsroute.New(deps, quiet())
		wsroute.HandleHTTP(ws, http.MethodGet, "/", func(http.ResponseWriter, *http.Request, struct{ _ gate }) error {
			t.Error("the handler is called")
			return nil
		})
		srv := wstest.Start(t, ws)
		start := time.Now()
		response, body := plainAsk(t, srv, http.MethodGet, "/", "") //nolint:bodyclose // plainAsk has read and closed it
		if d := time.Since(start); d != 5*time.Second || response.StatusCode != 503 || !strings.Contains(body, "timeout") {
			t.Errorf("after %v: %d %s", d, response.StatusCode, body)
		}
		close(goOn)
		srv.Stop()
	})
}
