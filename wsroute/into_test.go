package wsroute_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-playground/validator/v10"
	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestOnUpgrade: the 101 has what middleware and the program say, and nothing
// that would break the handshake.
func TestOnUpgrade(t *testing.T) {
	deps := depends.New()
	bearer(deps)
	config := quiet()
	config.OnUpgrade = func(r *http.Request, header http.Header) {
		if r.URL.Query().Has("token") {
			t.Errorf("it sees the token: %v", r.URL)
		}
		switch r.URL.Query().Get("mode") {
		case "cookie":
			header.Add("Set-Cookie", (&http.Cookie{Name: "seen", Value: "1", HttpOnly: true}).String())
			header.Del("X-Private")
		case "accept":
			header.Set("Sec-WebSocket-Accept", "mine")
		case "name":
			header["X-A\r\nX-B"] = []string{"c"}
		case "value":
			header.Set("X-A", "b\r\nX-Injected: c")
		case "panic":
			panic("secret")
		}
	}
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], struct{ Who who }) error { return nil })
	engine := gin.New()
	engine.Use(func(c *gin.Context) {
		c.Header("X-Private", "1")
		c.Header("Content-Type", "text/html")
	})
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, engine)
	for mode, want := range map[string]string{"": "1", "cookie": "", "value": "1"} {
		peer := wstest.Dial[string, string](t, srv, "/?token=x&mode="+mode)
		h := peer.Response.Header
		if h.Get("X-Private") != want || h.Get("Content-Type") != "" || h.Get("X-Injected") != "" || (h.Get("Set-Cookie") != "") != (mode == "cookie") {
			t.Errorf("%s: %v", mode, h)
		}
	}
	for _, mode := range []string{"accept", "name", "panic"} {
		if r := wstest.Refused(t, srv, "/?token=x&mode="+mode); r.Status != 500 || r.Problem.Reason != "internal_error" {
			t.Errorf("%s: %d %s", mode, r.Status, r.Body)
		}
	}
}

var errTired = errors.New("tired")

func mapError(err error) *depends.Rejection {
	var r *depends.Rejection
	var m *wsroute.MessageError
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return depends.NotFound("no_such_room", err)
	case errors.Is(err, errTired):
		return &depends.Rejection{CloseCode: 4100, Reason: "mine"}
	case errors.As(err, &m):
		return &depends.Rejection{CloseCode: 4200, Reason: m.Reason}
	case errors.As(err, &r) && r.Status == 401:
		return &depends.Rejection{Status: 418, Title: "custom"}
	case errors.Is(err, context.Canceled):
		panic("in MapError")
	}
	return nil
}

// TestMapError: the program's own errors, before the upgrade and after it.
func TestMapError(t *testing.T) {
	config := quiet()
	config.MapError = mapError
	causes := map[string]error{
		"rows": fmt.Errorf("room: %w", sql.ErrNoRows), "tired": errors.Join(errors.New("x"), errTired), "auth": depends.Unauthorized("Bearer", nil),
		"other": errors.New("secret"), "panic": context.Canceled, "forbidden": depends.Forbidden("f", nil),
	}
	deps := depends.New()
	depends.Provide(deps, func(_ context.Context, in struct {
		Fail string `query:"fail" default:""`
	},
	) (gate, error) {
		if in.Fail == "paniced" {
			panic(sql.ErrNoRows)
		}
		return gate{}, causes[in.Fail]
	})
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[say, string], in struct {
		_    gate
		Late string `query:"late" default:""`
		N    int    `query:"n" default:"0"`
	},
	) error {
		if in.Late == "message" {
			_, err := conn.Receive(ctx)
			return err
		}
		return causes[in.Late]
	})
	srv := wstest.Start(t, ws)
	for query, want := range map[string]string{
		"fail=rows": "404 no_such_room", "fail=tired": "500 mine", "fail=auth": "418 ", "fail=other": "500 internal_error",
		"fail=panic": "500 internal_error", "fail=forbidden": "403 f", "fail=paniced": "500 internal_error", "n=x": "422 invalid_parameters",
	} {
		if r := wstest.Refused(t, srv, "/?"+query); fmt.Sprint(r.Status, " ", r.Problem.Reason) != want {
			t.Errorf("%s: got %d %s, want %s", query, r.Status, r.Problem.Reason, want)
		}
	}
	for late, want := range map[string]wsroute.CloseError{
		"rows": {Code: 1008, Reason: "no_such_room"}, "tired": {Code: 4100, Reason: "mine"}, "auth": {Code: 1008}, "other": {Code: 1011},
		"panic": {Code: 1011}, "message": {Code: 4200, Reason: "invalid_json"},
	} {
		peer := wstest.Dial[string, string](t, srv, "/?late="+late)
		peer.Send("{")
		if got := peer.Closed(); *got != want {
			t.Errorf("%s: got %v, want %v", late, got, want)
		}
	}
}

// TestClientAddr: a header is believed as far as trusted proxies wrote it.
func TestClientAddr(t *testing.T) {
	show := func(trusted ...string) *wstest.Server {
		config := quiet()
		config.TrustedProxies = trusted
		ws := wsroute.New(depends.New(), config)
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Addr depends.ClientAddr }) error {
			return conn.Send(ctx, in.Addr.String())
		})
		return wstest.Start(t, ws)
	}
	mapped := show("::ffff:127.0.0.1", "::ffff:10.0.0.0/104") // the same addresses, as IPv6 has them
	none, one, many := show(), show("127.0.0.1"), show("127.0.0.0/8", "10.0.0.0/8", "2001:db8::/32")
	for _, test := range []struct {
		srv   *wstest.Server
		lines []string
		want  string
	}{
		{none, nil, "127.0.0.1"},
		{mapped, []string{"6.6.6.6, 10.1.2.3"}, "6.6.6.6"},
		{none, []string{"6.6.6.6"}, "127.0.0.1"},
		{one, nil, "127.0.0.1"},
		{one, []string{"6.6.6.6"}, "6.6.6.6"},
		{one, []string{"1.1.1.1, 6.6.6.6"}, "6.6.6.6"},
		{one, []string{"1.1.1.1", "6.6.6.6"}, "6.6.6.6"},
		{one, []string{"6.6.6.6:4711"}, "6.6.6.6"},
		{one, []string{"[2001:db9::1]:4711"}, "2001:db9::1"},
		{one, []string{"2001:db9::1"}, "2001:db9::1"},
		{one, []string{"::ffff:6.6.6.6"}, "6.6.6.6"},
		{one, []string{"fe80::1%eth0"}, "fe80::1"},
		{one, []string{"unknown"}, "127.0.0.1"},
		{one, []string{"6.6.6.6, _hidden"}, "127.0.0.1"},
		{one, []string{" , "}, "127.0.0.1"},
		{many, []string{"6.6.6.6, 10.1.2.3"}, "6.6.6.6"},
		{many, []string{"1.1.1.1, 6.6.6.6, 10.1.2.3, 2001:db8::7"}, "6.6.6.6"},
		{many, []string{"10.0.0.1, 10.0.0.2"}, "10.0.0.1"},
		{many, []string{"x, 10.0.0.2"}, "10.0.0.2"},
	} {
		var options []wstest.Option
		for _, line := range test.lines {
			options = append(options, wstest.Header("X-Forwarded-For", line))
		}
		if got := wstest.Dial[string, string](t, test.srv, "/", options...).Receive(); got != test.want {
			t.Errorf("%q: got %s, want %s", test.lines, got, test.want)
		}
	}
}

// TestTheLogNamesTheClient that a trusted proxy has named.
func TestTheLogNamesTheClient(t *testing.T) {
	var out safeBuffer
	ws := wsroute.New(depends.New(), &wsroute.Config{Logger: textLogger(&out), TrustedProxies: []string{"127.0.0.1"}})
	wsroute.Handle(ws, "/", echo[string])
	srv := wstest.Start(t, ws)
	wstest.Dial[string, string](t, srv, "/", wstest.Header("X-Forwarded-For", "6.6.6.6")).Close(1000, "")
	wstest.Get(t, srv, "/", wstest.Header("X-Forwarded-For", "7.7.7.7"))
	srv.Stop()
	if got := out.String(); !strings.Contains(got, "remote=6.6.6.6 ") || !strings.Contains(got, "remote=7.7.7.7 ") {
		t.Errorf("the log:\n%s", got)
	}
}

// TestTheLogNamesAClientThatLooksLikeItsProxy: one address is how the other begins.
func TestTheLogNamesAClientThatLooksLikeItsProxy(t *testing.T) {
	var out safeBuffer
	ws := wsroute.New(depends.New(), &wsroute.Config{Logger: textLogger(&out), TrustedProxies: []string{"127.0.0.12", "2001:db8::12"}})
	wsroute.Handle(ws, "/", echo[string])
	handler, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ proxy, client, want string }{
		{"127.0.0.12:999", "127.0.0.1", "127.0.0.1"},
		{"127.0.0.12:999", "127.0.0.12", "127.0.0.12:999"},
		{"127.0.0.12:999", "", "127.0.0.12:999"},
		{"[::ffff:127.0.0.12]:999", "127.0.0.1", "127.0.0.1"},
		{"[2001:db8::12]:999", "2001:db8::1", "2001:db8::1"},
		{"[2001:db8::12]:999", "", "[2001:db8::12]:999"},
		{"[2001:db8::13]:999", "2001:db8::1", "[2001:db8::13]:999"}, // nobody trusts it
	} {
		before := len(out.String())
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = test.proxy
		if test.client != "" {
			r.Header.Set("X-Forwarded-For", test.client)
		}
		handler.ServeHTTP(httptest.NewRecorder(), r)
		if line := out.String()[before:]; !strings.Contains(strings.ReplaceAll(line, `"`, "")+" ", "remote="+test.want+" ") {
			t.Errorf("%+v: %s", test, line)
		}
	}
}

// TestTheProgramsOwnRules: a validator with a custom rule, for parameters and
// messages.
func TestTheProgramsOwnRules(t *testing.T) {
	v := validator.New(validator.WithRequiredStructEnabled())
	if err := v.RegisterValidation("even", func(f validator.FieldLevel) bool { return f.Field().Int()%2 == 0 }); err != nil {
		t.Fatal(err)
	}
	type number struct {
		N int `json:"n" validate:"even"`
	}
	ws := wsroute.New(depends.New(depends.Validator(v)), quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[number, number], _ struct {
		N int `query:"n" validate:"even"`
	},
	) error {
		_, err := conn.Receive(ctx)
		return err
	})
	srv := wstest.Start(t, ws)
	if r := wstest.Refused(t, srv, "/?n=3"); r.Status != 422 || len(r.Problem.Errors) != 1 || r.Problem.Errors[0].Code != "even" {
		t.Errorf("got %d %s", r.Status, r.Body)
	}
	peer := wstest.Dial[string, string](t, srv, "/?n=2")
	peer.Send(`{"n":3}`)
	if got := peer.Closed(); got.Code != 1008 {
		t.Errorf("got %v", got)
	}
}

// TestARouterInTwoPlaces: one router mounted below two groups, with their
// parameters in its paths.
func TestARouterInTwoPlaces(t *testing.T) {
	made := 0
	deps := depends.New()
	depends.Provide(deps, func(context.Context, none) (gate, error) { made++; return gate{}, nil }, depends.App)
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws.Group("/:org"), "/ws", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct {
		_       gate
		Version string `path:"version"`
		Org     string `path:"org"`
	},
	) error {
		return conn.Send(ctx, in.Version+" "+in.Org)
	})
	engine := gin.New()
	for _, group := range []string{"/a/:version", "/b/:version/"} {
		if err := ws.Mount(engine.Group(group)); err != nil {
			t.Fatal(err)
		}
	}
	srv := wstest.StartHandler(t, ws, engine)
	for _, path := range []string{"/a/v1/acme/ws", "/b/v1/acme/ws"} {
		if got := wstest.Dial[string, string](t, srv, path).Receive(); got != "v1 acme" {
			t.Errorf("%s: got %q", path, got)
		}
	}
	if made != 1 {
		t.Errorf("the App value was made %d times", made)
	}
}

// TestBesideTheProgramsOwnMux: the plain handler below a path of a ServeMux.
func TestBesideTheProgramsOwnMux(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/ws/:room", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct {
		Room string `path:"room"`
	},
	) error {
		return conn.Send(ctx, in.Room)
	})
	handler, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ws/", handler)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("page")) })
	mux.HandleFunc("POST /ws/{room}", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.PathValue("room"))) })
	srv := wstest.StartHandler(t, ws, mux)
	if got := wstest.Dial[string, string](t, srv, "/ws/lobby").Receive(); got != "lobby" {
		t.Errorf("got %q", got)
	}
	if r := wstest.Get(t, srv, "/"); string(r.Body) != "page" {
		t.Errorf("got %s", r.Body)
	}
	if r, err := srv.Client().Post("http://"+srv.Host+"/ws/a", "", nil); err != nil || r.StatusCode != 200 {
		t.Errorf("got %v %v", r, err)
	} else {
		_ = r.Body.Close()
	}
}

// TestRequireTLS: a header is believed of a trusted proxy alone.
func TestRequireTLS(t *testing.T) {
	serve := func(trusted ...string) *wstest.Server {
		config := quiet()
		config.RequireTLS, config.TrustedProxies = true, trusted
		ws := wsroute.New(depends.New(), config)
		wsroute.Handle(ws, "/", echo[string])
		return wstest.Start(t, ws)
	}
	trusting := serve("127.0.0.1")
	for _, scheme := range []string{"https", "wss"} {
		wstest.Dial[string, string](t, trusting, "/", wstest.Header("X-Forwarded-Proto", scheme)).Close(1000, "")
	}
	two := []wstest.Option{wstest.Header("X-Forwarded-Proto", "https"), wstest.Header("X-Forwarded-Proto", "http")}
	for name, refused := range map[string]*wstest.Refusal{
		"plain":            wstest.Refused(t, trusting, "/"),
		"plain by a proxy": wstest.Refused(t, trusting, "/", wstest.Header("X-Forwarded-Proto", "http")),
		"two words":        wstest.Refused(t, trusting, "/", two...),
		"an own word":      wstest.Refused(t, serve(), "/", wstest.Header("X-Forwarded-Proto", "https")),
	} {
		if refused.Status != 403 || refused.Problem.Reason != "tls_required" {
			t.Errorf("%s: %d %s", name, refused.Status, refused.Body)
		}
	}
	config := quiet()
	config.RequireTLS = true
	ws := wsroute.New(depends.New(), config)
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], none) error { return nil })
	handler, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(handler)
	defer server.Close()
	dialer := websocket.Dialer{TLSClientConfig: server.Client().Transport.(*http.Transport).TLSClientConfig}
	conn, response, err := dialer.Dial("wss"+strings.TrimPrefix(server.URL, "https"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, 1000) {
		t.Errorf("over TLS: %v", err)
	}
	_ = conn.Close()
	if _, err := ws.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestNobodyWritesLinesIntoTheLog with what a peer may choose.
func TestNobodyWritesLinesIntoTheLog(t *testing.T) {
	const evil = "\x1b[31mlevel=ERROR forged\x1b[0m"
	var out safeBuffer
	ws := wsroute.New(depends.New(), &wsroute.Config{Logger: textLogger(&out)})
	wsroute.Handle(ws, "/", echo[string])
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
