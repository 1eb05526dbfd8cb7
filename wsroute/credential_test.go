package wsroute_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// everywhere is a scheme that takes its token from each kind of source.
func everywhere(deps *depends.Graph) {
	provideScheme(deps, depends.Scheme{
		Name: "test", Challenge: "Bearer",
		Sources: []depends.Source{
			{In: "header", Name: "Authorization", Prefix: "Bearer"},
			{In: "query", Name: "token"},
			{In: "cookie", Name: "token"},
			{In: "subprotocol", Name: "chat"},
		},
	}, func(_ context.Context, c depends.Credential) (who, error) {
		if c.Value != "good" {
			return who{}, depends.Unauthorized("Bearer", nil)
		}
		return who{c.Value}, nil
	})
}

// sends puts a credential into one source.
type sends struct {
	name    string
	query   string
	options []wstest.Option
}

const pageOrigin = "https://chat.example.com"

func kubernetes(token string) string {
	return "base64url.bearer.authorization.chat." + base64.RawURLEncoding.EncodeToString([]byte(token))
}

func sources(token string) []sends {
	return []sends{
		{name: "header", options: []wstest.Option{wstest.Header("Authorization", "Bearer "+token)}},
		{name: "query", query: "&token=" + token},
		{name: "cookie", options: []wstest.Option{wstest.Cookie("token", token)}},
		{name: "pair", options: []wstest.Option{wstest.Subprotocol("bearer, " + token)}},
		{name: "kubernetes", options: []wstest.Option{wstest.Subprotocol("v1, " + kubernetes(token))}},
	}
}

// sourced serves a route that takes its token from everywhere.
func sourced(t *testing.T) *wstest.Server {
	deps := depends.New()
	everywhere(deps)
	config := quiet()
	config.Origins = []string{pageOrigin}
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/ws", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct {
		Who     who
		Request *http.Request
	},
	) error {
		if all := fmt.Sprint(in.Request.URL, in.Request.RequestURI, in.Request.Header); strings.Contains(all, "good") || strings.Contains(all, kubernetes("good")) {
			t.Errorf("the handler sees it: %s", all)
		}
		return conn.Send(ctx, in.Who.Name)
	}, wsroute.Subprotocols("v1"))
	return wstest.Start(t, ws)
}

// TestEverySource alone, and each beside each other: one passes, two are 400,
// and what a handler sees of the request holds none of them.
func TestEverySource(t *testing.T) {
	srv := sourced(t)
	origin := wstest.Header("Origin", pageOrigin)
	for i, one := range sources("good") {
		peer := wstest.Dial[string, string](t, srv, "/ws?a=b"+one.query, append(one.options, origin)...)
		if got := peer.Receive(); got != "good" {
			t.Errorf("%s: got %q", one.name, got)
		}
		want := map[string]string{"pair": "bearer", "kubernetes": "v1"}[one.name]
		if got := strings.Join(peer.Response.Header["Sec-Websocket-Protocol"], ","); got != want {
			t.Errorf("%s: selected %q, want %q", one.name, got, want)
		}
		for j, other := range sources("good") {
			options := append(append([]wstest.Option{origin}, one.options...), other.options...)
			if i == j && one.query != "" {
				options = []wstest.Option{origin} // twice in the query
			}
			r := wstest.Refused(t, srv, "/ws?a=b"+one.query+other.query, options...)
			if r.Status != 400 || r.Problem.Reason != "invalid_request" || !strings.Contains(r.Header.Get("Www-Authenticate"), `error="invalid_request"`) {
				t.Errorf("%s and %s: %d %s", one.name, other.name, r.Status, r.Body)
			}
		}
	}
	for _, bad := range sources("bad") {
		if r := wstest.Refused(t, srv, "/ws?a=b"+bad.query, append(bad.options, origin)...); r.Status != 401 {
			t.Errorf("bad %s: %d", bad.name, r.Status)
		}
	}
}

// TestFormsOfASubprotocolToken, whole and broken.
func TestFormsOfASubprotocolToken(t *testing.T) {
	srv := sourced(t)
	origin := wstest.Header("Origin", pageOrigin)
	for name, offered := range map[string]string{
		"alone":            kubernetes("good"),
		"not base64url":    "v1, base64url.bearer.authorization.chat.###",
		"padded":           "v1, base64url.bearer.authorization.chat.Z29vZA==",
		"not UTF-8":        "v1, base64url.bearer.authorization.chat." + base64.RawURLEncoding.EncodeToString([]byte("\xff")),
		"empty":            "v1, base64url.bearer.authorization.chat.",
		"two":              "v1, " + kubernetes("good") + ", " + kubernetes("good"),
		"pair, then again": "bearer, good, bearer, good",
	} {
		if r := wstest.Refused(t, srv, "/ws", origin, wstest.Subprotocol(offered)); r.Status != 400 {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
		}
	}
	for name, offered := range map[string]string{
		"another's": "v1, base64url.bearer.authorization.other.Z29vZA", "marker alone": "bearer", "marker last": "v1, bearer",
	} {
		if r := wstest.Refused(t, srv, "/ws", origin, wstest.Subprotocol(offered)); r.Status != 401 {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
		}
	}
	two := []wstest.Option{origin, wstest.Subprotocol("v1"), wstest.Subprotocol(kubernetes("good"))}
	if got := wstest.Dial[string, string](t, srv, "/ws", two...).Receive(); got != "good" {
		t.Errorf("over two lines: %q", got)
	}
}

// TestACookieDemandsAnOrigin: a browser adds cookies by itself.
func TestACookieDemandsAnOrigin(t *testing.T) {
	deps := depends.New()
	everywhere(deps)
	route := func(origins []string) *wsroute.Router {
		config := quiet()
		config.Origins = origins
		ws := wsroute.New(deps, config)
		wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ Who who }) error { return nil }, wsroute.Diagnose)
		return ws
	}
	srv := wstest.Start(t, route([]string{pageOrigin}))
	cookie := wstest.Cookie("token", "good")
	for origin, want := range map[string]int{"": 403, "https://evil.example": 403, "null": 403} {
		options := []wstest.Option{cookie}
		if origin != "" {
			options = append(options, wstest.Header("Origin", origin))
		}
		if r := wstest.Refused(t, srv, "/ws", options...); r.Status != want || r.Problem.Reason != "origin_not_allowed" {
			t.Errorf("%q: %d %s", origin, r.Status, r.Body)
		}
	}
	for site, want := range map[string]int{"same-origin": 426, "same-site": 403, "cross-site": 403, "none": 403, "": 403} {
		if r := wstest.Get(t, srv, "/ws", cookie, wstest.Header("Sec-Fetch-Site", site)); r.Status != want {
			t.Errorf("a diagnosing GET from %q: %d", site, r.Status)
		}
	}
	bearer := wstest.Header("Authorization", "Bearer good")
	if r := wstest.Get(t, srv, "/ws", bearer, wstest.Header("Sec-Fetch-Site", "same-origin")); r.Status != 426 {
		t.Errorf("a bearer header counted twice, as a header and in place of a subprotocol: %d %s", r.Status, r.Body)
	}
}

// TestAcceptThenClose tells a page what HTTP would hide from it.
func TestAcceptThenClose(t *testing.T) {
	deps := depends.New()
	bearer(deps)
	config := quiet()
	ws := wsroute.New(deps, config)
	received := make(chan string, 1)
	handler := func(_ context.Context, conn *wsroute.Conn[string, string], in struct {
		Who who
		N   int `query:"n" default:"0"`
	},
	) error {
		received <- conn.Subprotocol()
		return nil
	}
	wsroute.Handle(ws, "/ws", handler, wsroute.AcceptThenClose, wsroute.Diagnose, wsroute.Subprotocols("v2"))
	depends.Provide(deps, func(context.Context, none) (gate, error) { panic("secret") })
	wsroute.Handle(ws, "/panic", func(context.Context, *wsroute.Conn[string, string], struct{ _ gate }) error { return nil }, wsroute.AcceptThenClose, wsroute.Public)
	srv := wstest.Start(t, ws)
	for target, want := range map[string]wsroute.CloseError{
		"/ws":                 {Code: 3000, Reason: "credentials_required"},
		"/ws?token=x&n=x":     {Code: 1008, Reason: "invalid_parameters"},
		"/ws?token=x&token=y": {Code: 1008, Reason: "invalid_request"},
		"/panic":              {Code: 1011, Reason: "internal_error"},
	} {
		peer := wstest.Dial[string, string](t, srv, target, wstest.Subprotocol("v1, v2"))
		peer.Send(strings.Repeat("x", 1000))
		if got := peer.Closed(); *got != want {
			t.Errorf("%s: closed with %v, want %v", target, got, want)
		}
		if got := peer.WebSocket.Subprotocol(); got != map[bool]string{false: "v2"}[target == "/panic"] {
			t.Errorf("%s: selected %q", target, got)
		}
	}
	if got := wstest.Dial[string, string](t, srv, "/ws?token=x").Closed(); got.Code != 1000 || <-received != "" {
		t.Errorf("accepted: %v", got)
	}
	if r := wstest.Refused(t, srv, "/ws", wstest.Header("Origin", "https://evil.example")); r.Status != 403 {
		t.Errorf("a foreign origin: %d", r.Status)
	}
	if r := wstest.Get(t, srv, "/ws"); r.Status != 401 {
		t.Errorf("a diagnosing GET: %d", r.Status)
	}
}

// TestAcceptThenCloseEchoesNoToken: nothing that a client has made up stands in the 101, but only
// what the route speaks, and the marker if it came with a token for a scheme of the route.
func TestAcceptThenCloseEchoesNoToken(t *testing.T) {
	router := func(sources ...depends.Source) *wstest.Server {
		deps := depends.New()
		scheme := depends.Scheme{Name: "test", Challenge: "Bearer", Sources: sources}
		provideScheme(deps, scheme, func(context.Context, depends.Credential) (who, error) {
			return who{}, depends.Unauthorized("Bearer", nil)
		})
		ws := wsroute.New(deps, quiet())
		wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ Who who }) error { return nil },
			wsroute.AcceptThenClose, wsroute.Subprotocols("v9"))
		return wstest.Start(t, ws)
	}
	inHeader, inOffer := router(security.BearerHeader()), router(security.SubprotocolToken("chat"))
	request := strings.TrimSuffix(fmt.Sprintf(handshake, "/ws"), "\r\n")
	for offers, want := range map[string][2]string{ // of a scheme that takes a header, and of one that takes an offer
		"access_token.SECRET":     {"", ""},
		"access_token.SECRET, v9": {"v9", "v9"},
		"SECRET":                  {"", ""},
		"v5, v6":                  {"", ""},
		"base64url.bearer.authorization.chat.Y2FuYXJ5":         {"", ""},
		"base64url.bearer.authorization.other.Y2FuYXJ5, v1":    {"", ""},
		"Base64URL.Bearer.phx.Y2FuYXJ5, v1, v2":                {"", ""},
		"base64url.bearer.authorization.chat.Y2FuYXJ5, v2, v9": {"v9", "v9"},
		"bearer, canary":         {"", "bearer"},
		"Bearer, canary":         {"", "Bearer"},
		"bearer, bearer, canary": {"", "bearer"},
		"v4, bearer, canary":     {"", "bearer"},
		"canary, Bearer":         {"", "Bearer"},
		"bearer, canary, v9":     {"v9", "v9"},
	} {
		for i, srv := range []*wstest.Server{inHeader, inOffer} {
			status, header, _ := exchange(t, srv, request+"Sec-WebSocket-Protocol: "+offers+"\r\n\r\n")
			if got := header.Get("Sec-Websocket-Protocol"); status != 101 || got != want[i] {
				t.Errorf("%s: %d, selected %q, want %q", offers, status, got, want[i])
			}
		}
	}
}

// granted is what a scheme provides that says its scopes.
type granted struct{ names string }

func (g granted) Scopes() []string { return strings.Fields(g.names) }

// TestScopes are united on the ways to a scheme, and no provider runs twice.
func TestScopes(t *testing.T) {
	deps := depends.New()
	provideScheme(deps, depends.Scheme{Name: "test", Challenge: `Bearer realm="r"`, Sources: []depends.Source{{In: "query", Name: "token"}}},
		func(_ context.Context, c depends.Credential) (granted, error) { return granted{c.Value}, nil })
	calls := 0
	depends.Provide(deps, func(context.Context, struct {
		G granted `scopes:"me"`
	},
	) (who, error) {
		calls++
		return who{}, nil
	})
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws.Group("/a", wsroute.Scopes("base")), "/ws", func(context.Context, *wsroute.Conn[string, string], struct {
		Items who `scopes:"items me"`
		Who   who
	},
	) error {
		return nil
	}, wsroute.Scopes("route"))
	wsroute.Handle(ws, "/open", func(context.Context, *wsroute.Conn[string, string], struct{ G granted }) error { return nil })
	srv := wstest.Start(t, ws)
	if got := wstest.Dial[string, string](t, srv, "/a/ws?token=me+items+route+base+more").Closed(); got.Code != 1000 || calls != 1 {
		t.Errorf("all scopes: %v, %d calls", got, calls)
	}
	if got := wstest.Dial[string, string](t, srv, "/open?token=none").Closed(); got.Code != 1000 {
		t.Errorf("no scopes wanted: %v", got)
	}
	for _, token := range []string{"me+items+route", "none", "Me+items+route+base"} {
		r := wstest.Refused(t, srv, "/a/ws?token="+token)
		want := `Bearer realm="r", error="insufficient_scope", scope="base route items me"`
		if r.Status != 403 || r.Problem.Reason != "insufficient_scope" || r.Header.Get("Www-Authenticate") != want {
			t.Errorf("%s: %d %s", token, r.Status, r.Header)
		}
	}
	var b strings.Builder
	if err := ws.Explain(&b); err != nil || !strings.Contains(b.String(), "with the scopes base route items me") {
		t.Errorf("Explain: %v\n%s", err, b.String())
	}
}

// TestScopesBehindAnOptional: nobody without a credential has been granted anything.
func TestScopesBehindAnOptional(t *testing.T) {
	type optional struct{ G depends.Optional[granted] }
	type tagged struct {
		G depends.Optional[granted] `scopes:"admin"`
	}
	type deep struct {
		W who `scopes:"admin"`
	}
	router := func() *wsroute.Router {
		deps := depends.New()
		provideScheme(deps, depends.Scheme{Name: "test", Challenge: "Test", Sources: []depends.Source{{In: "query", Name: "token"}}},
			func(_ context.Context, c depends.Credential) (granted, error) { return granted{c.Value}, nil })
		depends.Provide(deps, func(context.Context, optional) (who, error) { return who{}, nil })
		depends.Provide(deps, func(context.Context, struct {
			G granted `scopes:"admin"`
		},
		) (gate, error) {
			return gate{}, nil
		})
		return wsroute.New(deps, quiet())
	}
	open := map[string]*wsroute.Router{"Scopes": router(), "a tag": router(), "a tag above": router()}
	wsroute.Handle(open["Scopes"], "/", func(context.Context, *sixConn, optional) error { return nil }, wsroute.Scopes("admin"), wsroute.Public)
	wsroute.Handle(open["a tag"], "/", func(context.Context, *sixConn, tagged) error { return nil }, wsroute.Public)
	wsroute.Handle(open["a tag above"], "/", func(context.Context, *sixConn, deep) error { return nil }, wsroute.Public)
	for name, ws := range open {
		if _, err := ws.Handler(); err == nil || !strings.Contains(err.Error(), "the scheme behind it is optional, and lets in peers without a credential") {
			t.Errorf("%s: %v", name, err)
		}
	}
	ws := router()
	wsroute.Handle(ws, "/both", func(context.Context, *sixConn, struct {
		G granted
		O depends.Optional[granted] `scopes:"admin"`
	},
	) error {
		return nil
	}, wsroute.Scopes("admin"))
	wsroute.Handle(ws, "/absent", func(_ context.Context, _ *sixConn, in struct{ Gate depends.Optional[gate] }) error {
		if in.Gate.OK {
			return errors.New("it is there")
		}
		return nil
	}, wsroute.Public)
	srv := wstest.Start(t, ws)
	for target, want := range map[string]int{"/both": 401, "/both?token=user": 403, "/absent?token=user": 403} {
		if r := wstest.Refused(t, srv, target); r.Status != want {
			t.Errorf("%s: %d", target, r.Status)
		}
	}
	for target, want := range map[string]int{"/both?token=admin": 1000, "/absent": 1000, "/absent?token=admin": 1011} {
		if got := wstest.Dial[string, string](t, srv, target).Closed(); got.Code != want {
			t.Errorf("%s: %v", target, got)
		}
	}
}

// TestScopesThatNobodyGrants are wiring faults, as is a parameter that would read
// a credential.
func TestScopesThatNobodyGrants(t *testing.T) {
	deps := depends.New()
	everywhere(deps)
	depends.Supply(deps, gate{})
	config := quiet()
	config.Origins = []string{pageOrigin}
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/none", echo[string], wsroute.Scopes("a"), wsroute.Public)
	wsroute.Handle(ws, "/bad", func(context.Context, *sixConn, struct {
		Gate   gate   `scopes:"a"`
		Who    who    `scopes:"b"`
		Empty  who    `scopes:""`
		Quote  who    `scopes:"a\\b"`
		N      int    `query:"n" scopes:"a"`
		Token  string `query:"token"`
		Header string `header:"authorization"`
		Cookie string `cookie:"token"`
		All    string `header:"Cookie"`
		Offers string `header:"Sec-WebSocket-Protocol"`
	},
	) error {
		return nil
	}, wsroute.Scopes("bad scope"))
	_, err := ws.Handler()
	if err == nil {
		t.Fatal("it mounts")
	}
	golden(t, "testdata/scopes.txt", position.ReplaceAllString(err.Error(), "$1:N"))
}

// TestAcceptThenCloseOfAProviderThatHangs: the peer is told when the budget is
// over, though the provider goes on.
func TestAcceptThenCloseOfAProviderThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		j := &journal{}
		deps := depends.New()
		depends.Provide(deps, func(ctx context.Context, _ none) (gate, error) {
			depends.Cleanup(ctx, func(context.Context, error) error { j.add("released"); return nil })
			<-release // whatever its context says
			return gate{}, nil
		})
		ws := wsroute.New(deps, quiet())
		wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], struct{ _ gate }) error {
			j.add("handler!")
			return nil
		}, wsroute.AcceptThenClose, wsroute.Public)
		srv := wstest.Start(t, ws)
		start := time.Now()
		got := wstest.Dial[string, string](t, srv, "/").Closed()
		if d := time.Since(start); *got != (wsroute.CloseError{Code: 1013, Reason: "timeout"}) || d != 5*time.Second {
			t.Errorf("after %v: %v", d, got)
		}
		close(release)
		synctest.Wait()
		j.want(t, "released")
	})
}

// TestAHeaderThatIsNoCredentialIsNotShown: something else than a space behind the prefix
// makes none, and yet the token is there.
func TestAHeaderThatIsNoCredentialIsNotShown(t *testing.T) {
	deps := depends.New()
	everywhere(deps)
	config := quiet()
	config.Origins = []string{pageOrigin}
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/ws", func(ctx context.Context, conn *wsroute.Conn[string, string], in struct {
		Who     depends.Optional[who]
		Request *http.Request
	},
	) error {
		return conn.Send(ctx, fmt.Sprint(in.Who.OK, in.Request.Header["Authorization"]))
	}, wsroute.Public)
	srv := wstest.Start(t, ws)
	for line, want := range map[string]string{
		"Bearer\t" + canary: "false []", "bearer," + canary: "false []", `Bearer="` + canary + `"`: "false []", "Bearers x": "false [Bearers x]", "Digest x": "false [Digest x]",
	} {
		peer := wstest.Dial[string, string](t, srv, "/ws", wstest.Header("Authorization", line), wstest.Header("Origin", pageOrigin))
		if got := peer.Receive(); got != want {
			t.Errorf("%q: the handler sees %s", line, got)
		}
	}
}

// TestTheLogSaysWhereACredentialIsLookedFor. The kind: a client that shows its credential in
// another manner, or elsewhere, is told no more than a stranger, and who runs the server has to
// see why in the log.
func TestTheLogSaysWhereACredentialIsLookedFor(t *testing.T) {
	none := wstest.Header("X-Other", "1")
	header := func(name, value string) wstest.Option { return wstest.Header(name, value) }
	bearer := depends.Source{In: "header", Name: "Authorization", Prefix: "Bearer"}
	one, several := []depends.Source{bearer}, []depends.Source{{In: "query", Name: "token"}, {In: "cookie", Name: "sid"}, {In: "header", Name: "x-key", Prefix: "Key"}}
	offered := []depends.Source{{In: "subprotocol", Name: "chat"}}
	const (
		inOffer   = "no credential for test in subprotocol chat"
		inOne     = "no credential for test in header Authorization Bearer"
		inSeveral = "no credential for test in query token or cookie sid or header X-Key Key"
		but       = ", but something stands in "
	)
	for _, test := range []struct {
		sources []depends.Source
		target  string
		option  wstest.Option
		want    string
	}{
		{one, "", none, inOne},
		{one, "", header("Authorization", " "), inOne},
		{one, "?token=", none, inOne},
		{one, "?other=" + canary, none, inOne},
		{one, "", header("Authorization", "Token "+canary), inOne + but + "header Authorization"},
		{one, "", header("Authorization", canary), inOne + but + "header Authorization"},
		{one, "", header("Authorization", "Bearer\t"+canary), inOne + but + "header Authorization"},
		{one, "", header("Authorization", "Bearer"), inOne + but + "header Authorization"},
		{one, "?token=" + canary, none, inOne + but + "query token"},
		{one, "?a=1&access_token=" + canary, none, inOne + but + "query access_token"},
		{one, "?ticket=" + canary, none, inOne + but + "query ticket"},
		{one, "?token=" + canary + "&token=" + canary, header("Cookie", "a=b"), inOne + but + "query token"},
		{one, "", header("X-API-Key", canary), inOne + but + "header X-Api-Key"},
		{one, "", header("Cookie", "session="+canary), inOne + but + "header Cookie"},
		{one, "", wstest.Subprotocol("bearer, " + canary), inOne + but + "subprotocol"},
		{one, "", wstest.Subprotocol("v1"), inOne},
		{offered, "", none, inOffer},
		{offered, "", wstest.Subprotocol(canary), inOffer + but + "header Sec-WebSocket-Protocol"},
		{offered, "", wstest.Subprotocol("token, " + canary), inOffer + but + "header Sec-WebSocket-Protocol"},
		{offered, "?token=" + canary, wstest.Subprotocol("v1"), inOffer + but + "query token"},
		{several, "", none, inSeveral},
		{several, "?token=", none, inSeveral},
		{several, "", header("Authorization", "Bearer "+canary), inSeveral + but + "header Authorization"},
		{several, "?access_token=" + canary, none, inSeveral + but + "query access_token"},
		{several, "", header("X-Key", canary), inSeveral + but + "header X-Key"},
		{several, "", header("Cookie", "session="+canary), inSeveral + but + "header Cookie"},
	} {
		deps := depends.New()
		provideScheme(deps, depends.Scheme{Name: "test", Challenge: "Bearer", Sources: test.sources},
			func(context.Context, depends.Credential) (who, error) { return who{"x"}, nil })
		var out safeBuffer
		ws := wsroute.New(deps, &wsroute.Config{Origins: []string{pageOrigin}, Logger: slog.New(slog.NewTextHandler(&out, nil))})
		wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ who }) error { return nil })
		r := wstest.Refused(t, wstest.Start(t, ws), "/ws"+test.target, test.option, wstest.Header("Origin", pageOrigin))
		if r.Status != 401 || r.Problem.Reason != "credentials_required" || r.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%q: %+v", test.want, r)
		}
		if log := out.String(); !strings.Contains(log, test.want+": absent") || strings.Contains(log, canary) {
			t.Errorf("want %s, got %s", test.want, log)
		}
	}
}

// TestTheLogSaysWhyAnOriginCannotBeListed: null is what a page in a sandboxed frame sends.
func TestTheLogSaysWhyAnOriginCannotBeListed(t *testing.T) {
	var out safeBuffer
	ws := wsroute.New(depends.New(), &wsroute.Config{Logger: slog.New(slog.NewTextHandler(&out, nil))})
	wsroute.Handle(ws, "/ws", echo[string], wsroute.Public)
	if r := wstest.Refused(t, wstest.Start(t, ws), "/ws", wstest.Header("Origin", "null")); r.Problem.Reason != "origin_not_allowed" {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(out.String(), `hint="pages in a sandboxed frame of any site send it`) {
		t.Error(out.String())
	}
}

// TestTheLogSaysThatAnOriginIsDemanded where a program sends none to a route with a cookie.
func TestTheLogSaysThatAnOriginIsDemanded(t *testing.T) {
	deps := depends.New()
	everywhere(deps)
	var out safeBuffer
	ws := wsroute.New(deps, &wsroute.Config{Origins: []string{pageOrigin}, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ who }) error { return nil })
	if r := wstest.Refused(t, wstest.Start(t, ws), "/ws", wstest.Cookie("token", "good")); r.Problem.Reason != "origin_not_allowed" {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(out.String(), `hint="a browser adds such a credential by itself`) {
		t.Error(out.String())
	}
}

// TestErrAbsentInASchemeIsABadCredential: it is not a missing one.
func TestErrAbsentInASchemeIsABadCredential(t *testing.T) {
	deps := depends.New()
	scheme := depends.Scheme{Name: "Test", Challenge: "Test", Sources: []depends.Source{{In: "query", Name: "token"}}}
	provideScheme(deps, scheme, func(_ context.Context, c depends.Credential) (who, error) {
		switch c.Value {
		case "plain":
			return who{}, fmt.Errorf("no account: %w", depends.ErrAbsent)
		case "told":
			return who{}, depends.Forbidden("banned", depends.ErrAbsent)
		case "empty":
			return who{}, errors.Join(&depends.Rejection{Status: 403, Reason: "closed"}, depends.ErrAbsent)
		}
		return who{c.Value}, nil
	})
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ Who depends.Optional[who] }) error {
		return nil
	}, wsroute.Public)
	srv := wstest.Start(t, ws)
	for token, want := range map[string]string{"plain": "401 invalid_credentials [Test]", "told": "403 banned []", "empty": "403 closed []"} {
		r := wstest.Refused(t, srv, "/ws?token="+token)
		if got := fmt.Sprint(r.Status, " ", r.Problem.Reason, " ", r.Header["Www-Authenticate"]); got != want {
			t.Errorf("%s: %s, want %s", token, got, want)
		}
	}
	wstest.Dial[string, string](t, srv, "/ws").Closed()
}

// TestDiagnoseTakesTheAuthorizationHeader: it is the credential there, and no parameter reads it.
func TestDiagnoseTakesTheAuthorizationHeader(t *testing.T) {
	deps := depends.New()
	scheme := depends.Scheme{Name: "Test", Challenge: "Bearer", Sources: []depends.Source{{In: "subprotocol", Name: "chat"}}}
	provideScheme(deps, scheme, func(context.Context, depends.Credential) (who, error) { return who{"x"}, nil })
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct {
		_      who
		Header string `header:"authorization" default:""`
	},
	) error {
		return nil
	}, wsroute.Diagnose)
	_, err := ws.Handler()
	if want := "bad tag: `header:\"authorization\"` would read the credential of Test"; !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("it starts: %v", err)
	}
}

// TestAcceptThenCloseAfterAnAnswerOfMiddleware: no 101 follows it.
func TestAcceptThenCloseAfterAnAnswerOfMiddleware(t *testing.T) {
	deps := depends.New()
	bearer(deps)
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ Who who }) error { return nil }, wsroute.AcceptThenClose)
	engine := gin.New()
	engine.Use(func(c *gin.Context) { // it should abort, too
		c.Status(http.StatusUnauthorized)
		c.Writer.WriteHeaderNow()
	})
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	srv := wstest.StartHandler(t, ws, engine)
	conn, err := srv.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = fmt.Fprintf(conn, strings.Replace(handshake, "Upgrade: ", "Connection: close\r\nUpgrade: ", 1), "/ws")
	if raw, err := io.ReadAll(conn); err != nil || strings.Count(string(raw), "HTTP/1.1") != 1 || !strings.HasPrefix(string(raw), "HTTP/1.1 401") {
		t.Errorf("%v: told\n%s", err, raw)
	}
}

// madeScheme is a scheme of a test.
type madeScheme[T any] struct {
	depends.Scheme
	authenticate func(context.Context, depends.Credential) (T, error)
}

func (s madeScheme[T]) Describe() depends.Scheme { return s.Scheme }

func (s madeScheme[T]) Authenticate(ctx context.Context, c depends.Credential) (T, error) {
	return s.authenticate(ctx, c)
}

func provideScheme[T any](
	deps *depends.Graph, scheme depends.Scheme, authenticate func(context.Context, depends.Credential) (T, error),
) {
	security.Use(deps, madeScheme[T]{scheme, authenticate})
}
