package wsroute_test

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// refusing serves a socket and a plain route that refuse as a query says.
func refusing(t *testing.T, config *wsroute.Config, causes map[string]error) *wstest.Server {
	t.Helper()
	deps := depends.New()
	bearer(deps)
	type in struct {
		_    who
		Fail string `query:"fail" default:""`
	}
	depends.Provide(deps, func(_ context.Context, in in) (gate, error) { return gate{}, causes[in.Fail] })
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ gate }) error { return nil })
	wsroute.HandleHTTP(ws, http.MethodGet, "/plain", func(w http.ResponseWriter, _ *http.Request, _ struct{ _ gate }) error { return nil })
	wsroute.Handle(ws, "/close", func(context.Context, *wsroute.Conn[string, string], struct{ _ gate }) error { return nil }, wsroute.AcceptThenClose)
	return wstest.Start(t, ws)
}

// TestAStatusThatRefuses: a Rejection refuses with what is a refusal, a redirect that says whither
// included; anything else is a 500, of which the log names the cause.
func TestAStatusThatRefuses(t *testing.T) {
	to := http.Header{"Location": {"https://login.example/"}}
	causes := map[string]error{}
	var out safeBuffer
	srv := refusing(t, &wsroute.Config{Logger: textLogger(&out)}, causes)
	for _, test := range []struct {
		status int
		header http.Header
		want   int
		code   int
	}{
		{400, nil, 400, 1008},
		{418, to, 418, 1008},
		{451, nil, 451, 1008},
		{599, nil, 599, 1011},
		{301, to, 301, 1008},
		{302, to, 302, 1008},
		{303, to, 303, 1008},
		{307, to, 307, 1008},
		{308, to, 308, 1008},
		{307, nil, 500, 1011},
		{302, http.Header{"Location": {""}}, 500, 1011},
		{300, to, 500, 1011},
		{304, to, 500, 1011},
		{399, to, 500, 1011},
		{204, nil, 500, 1011},
		{200, to, 500, 1011},
		{101, nil, 500, 1011},
		{100, nil, 500, 1011},
		{600, nil, 500, 1011},
		{999, nil, 500, 1011},
		{0, nil, 500, 1011},
		{-1, nil, 500, 1011},
	} {
		refusal := &depends.Rejection{Status: test.status, Header: test.header, Reason: "why"}
		if got := refusal.StatusBeforeUpgrade(); got != test.want {
			t.Errorf("%d %v is sent as %d", test.status, test.header, got)
		}
		causes["it"] = fmt.Errorf("it: %w", refusal)
		before := len(out.String())
		for _, r := range []*wstest.Refusal{wstest.Refused(t, srv, "/ws?token=x&fail=it"), wstest.Get(t, srv, "/plain?token=x&fail=it")} {
			if r.Status != test.want || r.Problem.Status != test.want || r.Problem.Reason != "why" || r.Header.Get("Location") != test.header.Get("Location") {
				t.Errorf("%d %v: got %d %v %s", test.status, test.header, r.Status, r.Header, r.Body)
			}
		}
		if got := wstest.Dial[string, string](t, srv, "/close?token=x&fail=it").Closed(); got.Code != test.code {
			t.Errorf("%d: closed with %v, want %d", test.status, got, test.code)
		}
		named := strings.Contains(out.String()[before:], fmt.Sprintf("status %d refuses nothing", test.status))
		if named != (test.status != test.want) {
			t.Errorf("%d: %s", test.status, out.String()[before:])
		}
	}
}

// TestWriteRefusal: a program's own form replaces the problem document of every refusal, and what
// it leaves out is as it would be without it.
func TestWriteRefusal(t *testing.T) {
	causes := map[string]error{
		"full":     &depends.Rejection{Status: 409, Reason: "full", RetryAfter: time.Minute, Header: http.Header{"X-Row": {"b"}}},
		"redirect": &depends.Rejection{Status: 303, Reason: "login", Header: http.Header{"Location": {"/login"}}},
		"teapot":   depends.Forbidden("teapot", nil),
		"silent":   depends.Forbidden("silent", nil),
		"panic":    depends.Forbidden("panic", nil),
		"flush":    depends.Forbidden("flush", nil),
		"bad":      &depends.Rejection{Status: 204, Reason: "bad"},
	}
	var out safeBuffer
	config := &wsroute.Config{Logger: textLogger(&out), WriteRefusal: func(w http.ResponseWriter, r *http.Request, refusal *depends.Rejection) {
		if r.URL.Query().Has("token") || r.Header.Get("Authorization") != "" {
			t.Errorf("it sees a credential: %v %v", r.URL, r.Header)
		}
		switch refusal.Reason {
		case "panic":
			panic("boom")
		case "silent":
			w.Header().Set("X-Silent", "1")
			return
		case "teapot":
			w.WriteHeader(http.StatusTeapot)
		case "flush":
			_ = http.NewResponseController(w).Flush()
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"error": refusal.Reason})
	}}
	srv := refusing(t, config, causes)
	for query, want := range map[string]string{
		"/ws?token=x&fail=full": "409 full", "/ws?token=x&fail=redirect": "303 login", "/ws?token=x&fail=teapot": "418 teapot",
		"/ws?token=x&fail=flush": "403 flush", "/ws?token=x&fail=bad": "500 bad", "/ws": "401 credentials_required", "/ws?token=x&token=y": "400 invalid_request",
		"/plain?token=x&fail=full": "409 full", "/plain?token=x&fail=redirect": "303 login", "/plain": "401 credentials_required",
		"/none": "404 not_found",
		// nothing was written
		"/ws?token=x&fail=silent": "403 problem silent", "/ws?token=x&fail=panic": "403 problem panic", "/plain?token=x&fail=panic": "403 problem panic",
	} {
		ask := wstest.Refused
		if strings.HasPrefix(query, "/plain") {
			ask = wstest.Get
		}
		r := ask(t, srv, query, wstest.Header("X-Own", "1"))
		got := fmt.Sprint(r.Status, " problem ", r.Problem.Reason)
		if r.Problem.Status == 0 {
			var own struct{ Error string }
			if err := json.Unmarshal(r.Body, &own); err != nil {
				t.Errorf("%s: %s", query, r.Body)
			}
			got = fmt.Sprint(r.Status, " ", own.Error)
		}
		if got != want || r.Header.Get("Cache-Control") != "no-store" || len(r.Header["Content-Type"]) > 1 {
			t.Errorf("%s: got %s, want %s: %v", query, got, want, r.Header)
		}
		if strings.HasSuffix(query, "full") && (r.Header.Get("Retry-After") != "60" || r.Header.Get("X-Row") != "b") ||
			want == "401 credentials_required" && r.Header.Get("WWW-Authenticate") != "Bearer" ||
			strings.HasSuffix(query, "redirect") && r.Header.Get("Location") != "/login" {
			t.Errorf("%s: %v", query, r.Header)
		}
	}
	if r := wstest.Refused(t, srv, "/ws?fail=silent", wstest.Header("Authorization", "Bearer "+canary)); r.Status != 403 {
		t.Errorf("with a header: %d %s", r.Status, r.Body)
	}
	if !strings.Contains(out.String(), "panic in WriteRefusal: boom") {
		t.Error(out.String())
	}
}

// TestWriteRefusalOnGin: also where a provider does not return, and on gin.
func TestWriteRefusalOnGin(t *testing.T) {
	config := quiet()
	config.WriteRefusal = func(w http.ResponseWriter, _ *http.Request, refusal *depends.Rejection) {
		_, _ = io.WriteString(w, "<p>"+html.EscapeString(refusal.Reason))
	}
	config.ResolveTimeout = time.Millisecond
	deps := depends.New()
	ended := make(chan struct{})
	depends.Provide(deps, func(ctx context.Context, in struct {
		Slow bool `query:"slow" default:"false"`
	},
	) (gate, error) {
		if in.Slow {
			<-ended
		}
		return gate{}, depends.Forbidden("no", nil)
	})
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ gate }) error { return nil })
	engine := gin.New()
	engine.Use(func(c *gin.Context) { c.Header("Content-Type", "text/plain") })
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, engine)
	if r := wstest.Refused(t, srv, "/ws?slow=1"); r.Status != 503 || string(r.Body) != "<p>timeout" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	close(ended)
	if r := wstest.Get(t, srv, "/ws"); r.Status != 426 || string(r.Body) != "<p>upgrade_required" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}
