package wsroute_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

const handshake = "GET %s HTTP/1.1\r\nHost: localhost:80\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// exchange writes a raw request and returns the answer's head and body.
func exchange(t *testing.T, srv *wstest.Server, request string) (status int, header http.Header, body string) {
	t.Helper()
	conn, err := srv.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode == http.StatusSwitchingProtocols {
		return r.StatusCode, r.Header, ""
	}
	all, _ := io.ReadAll(r.Body)
	return r.StatusCode, r.Header, string(all)
}

func TestMalformedHandshakes(t *testing.T) {
	srv := serveEcho[string](t)
	good := fmt.Sprintf(handshake, "/")
	for _, test := range []struct {
		name     string
		old, new string // edit of a good handshake
		status   int
		header   map[string]string
		reason   string
	}{
		{"good", "", "", 101, map[string]string{"Sec-Websocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, ""},
		{"case of tokens", "websocket", "WebSocket", 101, nil, ""},
		{"another protocol first", "websocket", "foo/2, websocket", 101, nil, ""},
		{"an empty item", "keep-alive, Upgrade", ", keep alive, Upgrade", 101, nil, ""},
		{"a space of another kind", "websocket", "websocket\u00a0", 426, nil, "upgrade_required"},
		{"another one", "keep-alive, Upgrade", "Upgrade\u00a0", 400, nil, "connection_header"},
		{"a version with one", "Version: 13", "Version: 13\u00a0", 426, nil, "websocket_version"},
		{"a key with one", "ZQ==", "ZQ==\u00a0", 400, nil, "websocket_key"},
		{"no route", "GET / ", "GET /none ", 404, nil, "not_found"},
		{"empty segment", "GET / ", "GET // ", 404, nil, "not_found"},
		{"dots", "GET / ", "GET /a/.. ", 404, nil, "not_found"},
		{"POST", "GET ", "POST ", 405, map[string]string{"Allow": "GET"}, "method_not_allowed"},
		{"plain", "Upgrade: websocket\r\n", "", 426, map[string]string{"Upgrade": "websocket", "Connection": "Upgrade"}, "upgrade_required"},
		{"no Connection", "Connection: keep-alive, Upgrade\r\n", "", 400, nil, "connection_header"},
		{"version 12", "Version: 13", "Version: 12", 426, map[string]string{"Sec-Websocket-Version": "13", "Upgrade": "websocket"}, "websocket_version"},
		{"no version", "Sec-WebSocket-Version: 13\r\n", "", 426, map[string]string{"Sec-Websocket-Version": "13"}, "websocket_version"},
		{"two versions", "Version: 13", "Version: 12\r\nSec-WebSocket-Version: 13", 426, nil, "websocket_version"},
		{"no key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400, nil, "websocket_key"},
		{"short key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIA==", 400, nil, "websocket_key"},
		{"two keys", "Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key", 400, nil, "websocket_key"},
		{"body", "\r\n\r\n", "\r\nContent-Length: 1\r\n\r\nx", 400, nil, "unexpected_body"},
		{"body that does not come", "\r\n\r\n", "\r\nContent-Length: 1\r\n\r\n", 400, nil, "unexpected_body"},
		{"chunked body", "\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, nil, "unexpected_body"},
		{"HTTP/1.0", "HTTP/1.1", "HTTP/1.0", 400, nil, "http_version"},
		{"query that does not decode, and nobody reads", "GET / ", "GET /?a=%zz&b=1;c&utm=50% ", 101, nil, ""},
		{"path that does not decode", "GET / ", "GET /%zz ", 400, nil, ""},
	} {
		status, header, body := exchange(t, srv, strings.Replace(good, test.old, test.new, 1))
		if status != test.status {
			t.Errorf("%s: got %d %s", test.name, status, body)
		}
		for name, want := range test.header {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %s: %q, want %q", test.name, name, got, want)
			}
		}
		if test.reason == "" {
			continue
		}
		want := fmt.Sprintf(`"reason":%q`, test.reason)
		if !strings.Contains(body, want) || header.Get("Content-Type") != "application/problem+json" || header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %v %s", test.name, header, body)
		}
	}
}

// TestOnlyWhatIsReadMustDecode: a pair of the query that no parameter of the route reads may
// be whatever some other program put there.
func TestOnlyWhatIsReadMustDecode(t *testing.T) {
	deps := depends.New()
	bearer(deps)
	ws := wsroute.New(deps, quiet())
	type in struct {
		Room string `query:"room" default:""`
		Who  depends.Optional[who]
	}
	wsroute.Handle(ws, "/ws", func(ctx context.Context, c *wsroute.Conn[string, string], in in) error { return c.Send(ctx, in.Room) }, wsroute.Public)
	wsroute.HandleHTTP(ws, http.MethodPost, "/ws", func(w http.ResponseWriter, _ *http.Request, in in) error {
		_, err := io.WriteString(w, in.Room)
		return err
	})
	srv := wstest.Start(t, ws)
	for query, want := range map[string]string{
		"utm=50%": "", "utm=50%&room=a": "a", "room=a&%zz=1&%": "a", "room=a&x=1;y=2": "a", "room=a&rooms=%&token2=%zz": "a",
		"room=50%25": "50%", "room=50%": "400", "room=a&room=%zz": "400", "room=a;b=1": "400", "b=1;room=a": "400",
		"token=%zz": "400", "token=a;b": "400", "%72oom=%": "400",
	} {
		response, got := plainAsk(t, srv, http.MethodPost, "/ws?"+query, "") //nolint:bodyclose // plainAsk has read and closed it
		if response.StatusCode != http.StatusOK {
			got = fmt.Sprint(response.StatusCode)
		}
		if got != want {
			t.Errorf("POST %s: %q, want %q", query, got, want)
		}
		if want == "400" {
			if r := wstest.Refused(t, srv, "/ws?"+query); r.Status != 400 || r.Problem.Reason != "invalid_query" {
				t.Errorf("%s: %d %s", query, r.Status, r.Body)
			}
		} else if got := wstest.Dial[string, string](t, srv, "/ws?"+query).Receive(); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

func TestEarlyFramesAreReplayed(t *testing.T) {
	for name, srv := range map[string]*wstest.Server{"memory": serveEcho[string](t), "loopback": func() *wstest.Server {
		ws := wsroute.New(depends.New(), quiet())
		wsroute.Handle(ws, "/", echo[string], wsroute.Public)
		return wstest.StartLoopback(t, ws)
	}()} {
		conn, err := srv.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		frames := "\x81\x82\x00\x00\x00\x00hi" + "\x88\x82\x00\x00\x00\x00\x03\xe8" // text, close 1000
		if _, err := io.WriteString(conn, fmt.Sprintf(handshake, "/")+frames); err != nil {
			t.Fatal(err)
		}
		all, _ := io.ReadAll(conn)
		_, after, _ := strings.Cut(string(all), "\r\n\r\n")
		if !strings.HasSuffix(after, "\x88\x02\x03\xe8") {
			t.Errorf("%s: got %q", name, after)
		}
		_ = conn.Close()
	}
}

func TestTheOrderOfARefusalTellsStrangersNothing(t *testing.T) {
	j := &journal{}
	deps := depends.New()
	bearer(deps)
	type guarded struct {
		N int `query:"n"`
	}
	depends.Provide(deps, func(context.Context, guarded) (gate, error) { j.add("gate"); return gate{}, nil })
	depends.Provide(deps, func(context.Context, none) (late, error) { j.add("late"); return late{}, nil })
	ws := wsroute.New(deps, quiet())
	group := ws.Group("/g", wsroute.Require[gate]())
	type in struct {
		Who   who
		Late  late
		Since int `query:"since" default:"0" validate:"gte=0"`
		Again int `query:"since" default:"0" validate:"gte=0"`
	}
	wsroute.Handle(group, "/", func(context.Context, *wsroute.Conn[string, string], in) error { return nil })
	srv := wstest.Start(t, ws)
	token := wstest.Header("Authorization", "Bearer alice")

	if r := wstest.Refused(t, srv, "/g/?n=x&since=x"); r.Status != 401 || r.Header.Get("WWW-Authenticate") != "Bearer" || r.Problem.Reason != "credentials_required" {
		t.Errorf("without a token: %+v", r)
	}
	if r := wstest.Refused(t, srv, "/g/?n=x&since=x", token, wstest.Header("Origin", "http://evil.example")); r.Status != 403 || r.Problem.Reason != "origin_not_allowed" {
		t.Errorf("foreign origin: %+v", r)
	}
	j.want(t, "")
	r := wstest.Refused(t, srv, "/g/?n=x&since=x", token)
	want := []depends.ParamError{{Loc: []string{"query", "n"}, Code: "int"}, {Loc: []string{"query", "since"}, Code: "int"}}
	if diff := cmp.Diff(want, r.Problem.Errors); r.Status != 422 || diff != "" {
		t.Errorf("got %d %s", r.Status, diff)
	}
	j.want(t, "") // a malformed parameter carries nobody past the guard, nor to what comes after
	if r := wstest.Refused(t, srv, "/g/?n=1&since=-1", token); r.Status != 422 || r.Problem.Errors[0].Code != "gte" {
		t.Errorf("got %+v", r)
	}
	j.want(t, "gate late")
	wstest.Dial[string, string](t, srv, "/g/?n=1", token)
}

type (
	who  struct{ Name string }
	gate struct{}
	late struct{}
)

// bearer provides who from any bearer token.
func bearer(deps *depends.Graph) {
	provideScheme(deps, depends.Scheme{
		Name: "test", Challenge: "Bearer",
		Sources: []depends.Source{{In: "header", Name: "Authorization", Prefix: "Bearer"}, {In: "query", Name: "token"}},
	}, func(_ context.Context, c depends.Credential) (who, error) { return who{c.Value}, nil })
}

func TestDiagnose(t *testing.T) {
	j := &journal{}
	deps := depends.New()
	bearer(deps)
	depends.Provide(deps, func(ctx context.Context, _ none) (gate, error) {
		depends.Cleanup(ctx, func(_ context.Context, cause error) error { j.add("%v", cause); return nil })
		return gate{}, nil
	})
	ws := wsroute.New(deps, quiet())
	type in struct {
		Who who
		_   gate
		N   int `query:"n" default:"0"`
	}
	told := []wsroute.RouteOption{wsroute.Diagnose}
	handler := func(context.Context, *wsroute.Conn[string, string], in) error { j.add("handler"); return nil }
	wsroute.Handle(ws, "/told", handler, told...)
	wsroute.Handle(ws, "/mute", handler)
	srv := wstest.Start(t, ws)
	for path, want := range map[string]int{"/told": 401, "/told?token=a&n=x": 422, "/told?token=a": 426, "/mute": 426} {
		r := wstest.Get(t, srv, path)
		if r.Status != want || r.Status == 426 && (r.Header.Get("Upgrade") != "websocket" || r.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: got %+v", path, r)
		}
	}
	srv.Stop()
	if got := j.String(); !strings.Contains(got, wsroute.ErrDiagnose.Error()) || strings.Contains(got, "handler") {
		t.Errorf("journal %q", got)
	}
}

func TestSubprotocols(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
		return conn.Send(ctx, conn.Subprotocol())
	}, wsroute.Subprotocols("v2", "v1"), wsroute.Public)
	srv := wstest.Start(t, ws)
	for _, test := range []struct {
		offers []string
		want   string
	}{
		{nil, ""},
		{[]string{"v1", "v2"}, "v2"},
		{[]string{"x, v1"}, "v1"},
		{[]string{"x"}, ""},
	} {
		var options []wstest.Option
		for _, offer := range test.offers {
			options = append(options, wstest.Subprotocol(offer))
		}
		peer := wstest.Dial[string, string](t, srv, "/", options...)
		if got := peer.Receive(); got != test.want || peer.Response.Header.Get("Sec-Websocket-Protocol") != test.want {
			t.Errorf("%v: got %q", test.offers, got)
		}
	}
}

func TestParametersOverTheWire(t *testing.T) {
	type in struct {
		Room  string        `path:"room" validate:"alphanum,max=4"`
		Rest  string        `path:"rest"`
		Limit *int          `query:"limit"`
		Tags  []string      `query:"tag" default:"none"`
		Ages  []int         `query:"age" validate:"max=2,dive,gte=0"`
		Flag  bool          `query:"flag" default:"false"`
		Wait  time.Duration `query:"wait" default:"1s"`
		Rate  float64       `query:"rate" default:"1"`
		Lang  string        `header:"x-lang" default:"en"`
		Theme string        `cookie:"theme" default:"light"`
	}
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/:room/*rest", func(ctx context.Context, conn *wsroute.Conn[string, string], in in) error {
		limit := "nil"
		if in.Limit != nil {
			limit = fmt.Sprint(*in.Limit)
		}
		return conn.Send(ctx, fmt.Sprintf("%s|%s|%s|%v|%v|%v|%v|%v|%s|%s", in.Room, in.Rest, limit, in.Tags, in.Ages, in.Flag, in.Wait, in.Rate, in.Lang, in.Theme))
	}, wsroute.Public)
	srv := wstest.Start(t, ws)
	for path, want := range map[string]string{
		"/go/a/b": "go|a/b|nil|[none]|[]|false|1s|1|en|light",
		"/go/caf%C3%A9?limit=2&tag=a&tag=b,c&age=1&flag=YES&wait=2m&rate=.5": "go|café|2|[a b,c]|[1]|true|2m0s|0.5|en|light",
		"/go/?tag=": "go||nil|[]|[]|false|1s|1|en|light",
	} {
		if got := wstest.Dial[string, string](t, srv, path).Receive(); got != want {
			t.Errorf("%s\n got %s\nwant %s", path, got, want)
		}
	}
	got := wstest.Dial[string, string](t, srv, "/go/", wstest.Header("X-Lang", "de"), wstest.Header("X-Lang", "fr"),
		wstest.Cookie("theme", "blue")).Receive()
	if want := "go||nil|[none]|[]|false|1s|1|de|blue"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	twice := wstest.Refused(t, srv, "/go/", wstest.Cookie("theme", "dark"), wstest.Cookie("theme", "blue"))
	if got := fmt.Sprint(twice.Problem.Errors); twice.Status != 422 || got != "[{[cookie theme] repeated }]" {
		t.Errorf("a cookie that is there twice: %d %s", twice.Status, got)
	}
	for path, want := range map[string]string{
		"/way-too-long/x":                   "[[path room] alphanum]",
		"/toolong/x":                        "[[path room] max]",
		"/go/%ff":                           "[[path rest] utf8]",
		"/go/?limit=":                       "[[query limit] int]",
		"/go/?limit=9999999999999999999999": "[[query limit] int]",
		"/go/?age=1&age=x":                  "[[query age 1] int]",
		"/go/?age=-1":                       "[[query age 0] gte]",
		"/go/?age=1&age=1&age=1":            "[[query age] max]",
		"/go/?flag=maybe":                   "[[query flag] bool]",
		"/go/?wait=5":                       "[[query wait] duration]",
		"/go/?rate=NaN":                     "[[query rate] float]",
		"/go/?limit=1&limit=2":              "[[query limit] repeated]", // two readers could differ
		"/go/?limit=1&limit=1":              "[[query limit] repeated]",
		"/go/?wait=1s&wait=":                "[[query wait] repeated]",
	} {
		r := wstest.Refused(t, srv, path)
		var got []string
		for _, e := range r.Problem.Errors {
			got = append(got, fmt.Sprintf("[%v %s]", e.Loc, e.Code))
		}
		if r.Status != 422 || strings.Join(got, " ") != want {
			t.Errorf("%s: got %d %v, want %s", path, r.Status, got, want)
		}
	}
}

// Kind: a refusal that does not say what would do. Other rules may name what is nobody's business.
func TestABoundIsTold(t *testing.T) {
	type in struct {
		Room string `query:"room" default:"a" validate:"max=4"`
		Size []int  `query:"size" validate:"max=2,dive,gte=-3"`
		Kind string `query:"kind" default:"x" validate:"oneof=x secret"`
		None int    `query:"none" default:"1"`
	}
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], in) error { return nil }, wsroute.Public)
	srv := wstest.Start(t, ws)
	for query, want := range map[string]string{
		"room=12345":           "max 4",
		"size=1&size=2&size=3": "max 2",
		"size=-4":              "gte -3",
		"kind=y":               "oneof ",
		"none=x":               "int ",
	} {
		r := wstest.Refused(t, srv, "/?"+query)
		if len(r.Problem.Errors) != 1 || r.Problem.Errors[0].Code+" "+r.Problem.Errors[0].Param != want {
			t.Errorf("%s: got %v, want %s", query, r.Problem.Errors, want)
		}
	}
}

// grants is a map that is read from text.
type grants map[string]bool

func (g *grants) UnmarshalText(text []byte) error {
	*g = grants{string(text): true}
	return nil
}

// Kind: what a default has made is shared by connections.
func TestADefaultIsMadeAnew(t *testing.T) {
	type in struct {
		Grants  grants     `query:"grants" default:"read"`
		Address net.IP     `query:"address" default:"10.0.0.1"`
		Many    []net.IP   `query:"many" default:"10.0.0.1"`
		Tags    []string   `query:"tags" default:"a"`
		Number  int        `query:"number" default:"1"`
		Since   time.Time  `query:"since" default:"2000-01-01T00:00:00Z"`
		Prefix  netip.Addr `query:"prefix" default:"::1"`
	}
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], in in) error {
		said := fmt.Sprint(in)
		in.Grants["write"] = true
		in.Address[len(in.Address)-1]++
		in.Many[0][len(in.Many[0])-1]++
		in.Tags[0] = "b"
		return conn.Send(ctx, said)
	}, wsroute.Public)
	srv := wstest.Start(t, ws)
	want := "{map[read:true] 10.0.0.1 [10.0.0.1] [a] 1 2000-01-01 00:00:00 +0000 UTC ::1}"
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got := wstest.Dial[string, string](t, srv, "/").Receive(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	all.Wait()
}

// Kind: a rule that fits its type must start, and be run.
func TestRulesThatAreRun(t *testing.T) {
	type in struct {
		Address string        `query:"address" default:"::1" validate:"ipv6"`
		Many    []string      `query:"many" validate:"omitempty,max=2,unique,dive,ip"`
		Bytes   net.IP        `query:"bytes" default:"10.0.0.1" validate:"len=16"`
		Number  int           `query:"number" default:"0" validate:"oneof=0 7 100"`
		Port    int           `query:"port" default:"1" validate:"number,gte=1,lte=65535"`
		Angle   float64       `query:"angle" default:"0" validate:"latitude"`
		Wait    time.Duration `query:"wait" default:"1s" validate:"gt=0,lte=1m"`
		Name    string        `query:"name" default:"x" validate:"required,alphanum|email"`
		Needed  *int          `query:"needed" validate:"required"`
		Maybe   *int          `query:"maybe" validate:"omitempty,ne=0"`
		Some    *netip.Addr   `query:"some" validate:"omitempty"`
		Since   time.Time     `query:"since" default:"2000-01-01T00:00:00Z" validate:"required"`
	}
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ in) error {
		return conn.Send(ctx, "in")
	}, wsroute.Public)
	srv := wstest.Start(t, ws)
	for _, query := range []string{
		"", "address=::2&many=::1&many=10.0.0.1", "number=100&port=80&angle=-90&wait=1m",
		"name=a@example.com&maybe=3&some=::1",
	} {
		if got := wstest.Dial[string, string](t, srv, "/?needed=0&"+query).Receive(); got != "in" {
			t.Errorf("%s: got %s", query, got)
		}
	}
	for query, want := range map[string]string{
		"address=10.0.0.1": "ipv6", "many=a": "ip", "many=::1&many=::1": "unique", "number=8": "oneof", "port=70000": "lte",
		"angle=91": "latitude", "wait=0s": "gt", "name=!": "alphanum|email", "name=": "required", "maybe=0": "ne",
		"since=0001-01-01T00:00:00Z": "required",
	} {
		r := wstest.Refused(t, srv, "/?needed=0&"+query)
		if len(r.Problem.Errors) != 1 || r.Problem.Errors[0].Code != want {
			t.Errorf("%s: got %v, want %s", query, r.Problem.Errors, want)
		}
	}
	if r := wstest.Refused(t, srv, "/"); fmt.Sprint(r.Problem.Errors) != "[{[query needed] required }]" {
		t.Errorf("a pointer that is required and absent: %v", r.Problem.Errors)
	}
}

// Kind: what net/http cannot read is not what is missing.
func TestCookiesAsTheyStand(t *testing.T) {
	type in struct {
		V *string `cookie:"v"`
	}
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], in in) error {
		if in.V == nil {
			return conn.Send(ctx, "nil")
		}
		return conn.Send(ctx, *in.V)
	}, wsroute.Public)
	srv := wstest.Start(t, ws)
	for line, want := range map[string]string{
		"w=1": "nil", "v": "", "v=": "", "v=a": "a", `v={"a":1}`: `{"a":1}`, "v=é": "é", "v=a,b": "a,b", `v=a\b`: `a\b`,
		`v="a b"`: "a b", `v="`: `"`, "w=1;v=a": "a", "w=1;  v=a=b ;x": "a=b", "V=1; v=2": "2",
		"v =a": "a", " v\t=a ": "a", "v= a": " a", "\u00a0v=a": "nil", "v=\u00a0a": "\u00a0a",
	} {
		if got := wstest.Dial[string, string](t, srv, "/", wstest.Header("Cookie", line)).Receive(); got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
	for line, want := range map[string]string{"v=\xff": "utf8", `v=1; v={}`: "repeated", "v =1; v=2": "repeated"} {
		r := wstest.Refused(t, srv, "/", wstest.Header("Cookie", line))
		if len(r.Problem.Errors) != 1 || r.Problem.Errors[0].Code != want {
			t.Errorf("%q: got %v, want %s", line, r.Problem.Errors, want)
		}
	}
}
