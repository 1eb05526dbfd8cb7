package wsroute_test

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// The values of the routes below.
type (
	routeHolder struct{ name string }
	routeReader struct{ name string }
	routeCheck  struct{}
	routePass   struct{}
)

// routed has a route of each kind.
func routed() *wsroute.Router {
	deps := depends.New()
	security.Use(deps, security.APIKey[routeHolder]{
		Sources: []depends.Source{security.Header("x-api-key"), security.CookieToken("key"), security.SubprotocolPrefix("key.")},
		Find:    func(context.Context, [32]byte) (routeHolder, error) { return routeHolder{"a"}, nil },
	})
	security.Use(deps, security.Scheme[routePass](&security.Tickets[routePass]{}))
	depends.Provide(deps, func(_ context.Context, in struct {
		Holder routeHolder
		Room   string `path:"room" validate:"max=9"`
	},
	) (routeReader, error) {
		return routeReader{}, nil
	})
	depends.Provide(deps, func(context.Context, struct{ _ routeReader }) (routeCheck, error) { return routeCheck{}, nil })
	config := quiet()
	config.Origins = []string{"https://chat.example.com"}
	config.Limits.ReadLimit = 1000
	ws := wsroute.New(deps, config)
	rooms := ws.Group("/rooms", wsroute.Require[routeCheck]())
	wsroute.Handle(rooms, "/:room", func(context.Context, *wsroute.Conn[wsroute.Message, []byte], struct {
		Pass  depends.Optional[routePass]
		Kinds []string      `query:"kind" validate:"dive,oneof=a b"`
		Every time.Duration `query:"every" default:"10s"`
		Limit *int          `query:"limit"`
	},
	) error {
		return nil
	}, wsroute.Limits{SendMessages: 7}, wsroute.Subprotocols("v2", "v1"), wsroute.DropOldest, wsroute.Calls(wsroute.NewCall(
		func(context.Context, int, none) (string, error) { return "", nil }, wsroute.Within(time.Second))))
	wsroute.Handle(ws, "/feed", func(context.Context, *wsroute.Conn[wsroute.Discard, routeHolder], none) error { return nil },
		wsroute.Public, wsroute.Diagnose)
	wsroute.HandleHTTP(ws, http.MethodPost, "/rooms", func(http.ResponseWriter, *http.Request, struct{ Holder routeHolder }) error { return nil })
	return ws
}

// TestRoutes are what was mounted, as data, with the prefix of the mount.
func TestRoutes(t *testing.T) {
	ws := routed()
	if got := ws.Routes(); got != nil {
		t.Errorf("before Mount: %v", got)
	}
	if err := ws.Mount(gin.New().Group("/api")); err != nil {
		t.Fatal(err)
	}
	ten := "10s"
	limits := wsroute.Limits{
		ReadLimit: 1000, ReadAhead: 16, StallTimeout: 30 * time.Second, MessageTimeout: 10 * time.Second,
		SendQueue: 1 << 20, SendMessages: 7, WriteTimeout: 5 * time.Second, PingInterval: 25 * time.Second,
		PongTimeout: 35 * time.Second, CloseTimeout: 2 * time.Second, CloseGrace: 2 * time.Second,
	}
	ofFeed := limits
	ofFeed.SendMessages = 256
	source := func(in, name, prefix, wire string) wsroute.CredentialSource {
		return wsroute.CredentialSource{Source: depends.Source{In: in, Name: name, Prefix: prefix}, Wire: wire}
	}
	key := wsroute.CredentialInfo{
		Scheme: "APIKey", Type: reflect.TypeFor[routeHolder](), Challenge: "ApiKey",
		Sources: []wsroute.CredentialSource{
			source("header", "X-Api-Key", "", "X-Api-Key: <credential>"),
			source("cookie", "key", "", "Cookie: key=<credential>"),
			source("subprotocol", "key.", "key.", "Sec-WebSocket-Protocol: key.<credential>"),
		},
	}
	ticket := source("query", "ticket", "", "?ticket=<credential>")
	ticket.Once = true
	want := []wsroute.Route{
		{
			Method: "GET", Path: "/api/rooms/:room", Group: "/rooms", Site: "wsroute/routes_test.go", Kind: "loop",
			Handler: "func literal in wsroute_test.routed",
			Params: []wsroute.Param{
				{In: "path", Name: "room", Type: reflect.TypeFor[string](), Rules: "max=9", Required: true},
				{In: "query", Name: "kind", Type: reflect.TypeFor[[]string](), Rules: "dive,oneof=a b", List: true},
				{In: "query", Name: "every", Type: reflect.TypeFor[time.Duration](), Default: &ten},
				{In: "query", Name: "limit", Type: reflect.TypeFor[*int]()},
			},
			Credentials: []wsroute.CredentialInfo{key, {
				Scheme: "Ticket", Type: reflect.TypeFor[routePass](), Optional: true, Challenge: "Ticket", Format: "ticket",
				Sources: []wsroute.CredentialSource{ticket},
			}},
			Guards: []wsroute.Guard{
				{Type: reflect.TypeFor[routeCheck](), Asks: true, MayRefuse: true},
				{Type: reflect.TypeFor[routeReader](), Asks: true, MayRefuse: true},
			},
			Receives: []wsroute.MessageInfo{{Type: reflect.TypeFor[wsroute.Message](), Frame: "any"}},
			Calls: []wsroute.MessageInfo{{
				Name: "func literal in wsroute_test.routed", Type: reflect.TypeFor[int](), Frame: "text",
				Handler: "func literal in wsroute_test.routed", Answer: "string", Within: time.Second,
			}},
			Sends:   []wsroute.MessageInfo{{Type: reflect.TypeFor[[]byte](), Frame: "binary"}},
			Origins: []string{"https://chat.example.com"}, Subprotocols: []string{"v2", "v1"}, Limits: limits,
			Options: []string{"Limits{SendMessages: 7}", "Subprotocols(v2, v1)", "DropOldest"}, DropOldest: true,
		},
		{
			Method: "GET", Path: "/api/feed", Site: "wsroute/routes_test.go", Kind: "send-only", Handler: "func literal in wsroute_test.routed",
			Sends:   []wsroute.MessageInfo{{Type: reflect.TypeFor[routeHolder](), Frame: "text"}},
			Origins: []string{"https://chat.example.com"}, Limits: ofFeed,
			Options: []string{"Public", "Diagnose"}, Public: true, Diagnose: true,
		},
		{
			Method: "POST", Path: "/api/rooms", Site: "wsroute/routes_test.go", Kind: "http",
			Handler: "func literal in wsroute_test.routed", Credentials: []wsroute.CredentialInfo{key},
		},
	}
	got := ws.Routes()
	for i := range got {
		got[i].Site, _, _ = strings.Cut(got[i].Site, ":") // without the line
	}
	same := cmp.Comparer(func(a, b reflect.Type) bool { return a == b })
	if diff := cmp.Diff(want, got, same, cmpopts.IgnoreUnexported(wsroute.Route{}), cmpopts.EquateEmpty(), cmpopts.IgnoreFields(wsroute.Route{}, "Refusals", "Closes"), cmpopts.IgnoreFields(wsroute.MessageInfo{}, "Reasons")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	ws.Routes()[0].Options[0] = "changed" // a copy
	if got := ws.Routes()[0].Options[0]; got != "Limits{SendMessages: 7}" {
		t.Errorf("the router's own option is %q", got)
	}
}

// TestGuardsOfAnOverriddenRoute are told as they are in the test.
func TestGuardsOfAnOverriddenRoute(t *testing.T) {
	ws := routed()
	ws.Override(depends.OverrideValue(routeReader{}), depends.Override(func(context.Context, none) (routeCheck, error) { return routeCheck{}, nil }))
	if _, err := ws.Handler(); err != nil {
		t.Fatal(err)
	}
	guards := ws.Routes()[0].Guards
	if len(guards) != 1 || !guards[0].MayRefuse {
		t.Errorf("got %+v", guards)
	}
}
