package wsroute_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// tokenOffers serves a route that speaks v1 and takes a token from one source, behind middleware
// that must not see it, nor must the handler.
func tokenOffers(t *testing.T, source depends.Source, optional bool) *wstest.Server {
	t.Helper()
	sees := func(who string, r *http.Request) {
		if lines := strings.Join(r.Header["Sec-Websocket-Protocol"], ", "); strings.Contains(lines, canary) {
			t.Errorf("%s sees %s", who, lines)
		}
	}
	deps := depends.New()
	scheme := depends.Scheme{Name: "test", Challenge: "Bearer", Sources: []depends.Source{source}}
	provideScheme(deps, scheme, func(_ context.Context, c depends.Credential) (who, error) {
		if c.Value != canary {
			return who{}, errors.New("another token")
		}
		return who{c.Value}, nil
	})
	ws := wsroute.New(deps, quiet())
	if optional {
		wsroute.Handle(ws, "/ws", func(_ context.Context, _ *wsroute.Conn[string, string], in struct {
			Who     depends.Optional[who]
			Request *http.Request
		},
		) error {
			sees("the handler", in.Request)
			if !in.Who.OK {
				return &wsroute.MessageError{Code: 4000, Reason: "anonymous"}
			}
			return nil
		}, wsroute.Subprotocols("v1"), wsroute.Public)
	} else {
		wsroute.Handle(ws, "/ws", func(_ context.Context, _ *wsroute.Conn[string, string], in struct {
			Who     who
			Request *http.Request
		},
		) error {
			sees("the handler", in.Request)
			return nil
		}, wsroute.Subprotocols("v1"))
	}
	engine := gin.New()
	engine.Use(func(c *gin.Context) { sees("middleware", c.Request) })
	if err := ws.Mount(engine); err != nil {
		t.Fatal(err)
	}
	return wstest.StartHandler(t, ws, engine)
}

// TestATokenAmongSubprotocolsInAnyCase: what carries a token is told apart by its name, however
// that is spelled, and what may carry one in the wrong place is refused; nobody else sees it.
func TestATokenAmongSubprotocolsInAnyCase(t *testing.T) {
	coded := kubernetes(canary)
	chat, prefix := security.SubprotocolToken("chat"), security.SubprotocolPrefix("access_token.")
	for _, test := range []struct {
		source   depends.Source
		offers   string
		status   int
		selected string
	}{
		{chat, "bearer, " + canary, 101, "bearer"},
		{chat, "Bearer, " + canary, 101, "Bearer"},
		{chat, "BEARER, " + canary + ", v1", 101, "v1"},
		{chat, "v0, Bearer, " + canary, 101, "Bearer"},
		{chat, "Bearer, bearer, " + canary, 101, "bearer"},
		{chat, "v1, " + coded, 101, "v1"},
		{chat, strings.Replace(coded, "base64url.bearer.authorization.chat", "Base64URL.Bearer.Authorization.Chat", 1) + ", v1", 101, "v1"},
		{chat, canary + ", bearer", 400, ""},
		{chat, canary + ", Bearer", 400, ""},
		{chat, "v1, " + canary + ", bearer", 400, ""},
		{chat, canary + ", v1, bearer", 400, ""},
		{chat, "v1, bearer", 401, ""},
		{chat, "v1, Bearer", 401, ""},
		{chat, "Bearer", 401, ""},
		{prefix, "v1, access_token." + canary, 101, "v1"},
		{prefix, "Access_Token." + canary + ", v1", 101, "v1"},
		{prefix, "access_token." + canary, 400, ""}, // nothing is left to select
		{prefix, "v1, access_token." + canary + ", access_token.x", 400, ""},
		{prefix, "v1, access_token.", 401, ""},
		{prefix, "v1, access_token", 401, ""},
	} {
		for _, optional := range []bool{false, true} {
			want := test.status
			if want == 401 && optional {
				want = 101
			}
			request := strings.TrimSuffix(strings.Replace(handshake, "%s", "/ws", 1), "\r\n")
			status, header, _ := exchange(t, tokenOffers(t, test.source, optional), request+"Sec-WebSocket-Protocol: "+test.offers+"\r\n\r\n")
			if got := header.Get("Sec-Websocket-Protocol"); status != want || status != test.status && leaks(got) || status == test.status && got != test.selected {
				t.Errorf("%s, optional %v: %d, selected %q, want %d, %q", test.offers, optional, status, got, want, test.selected)
			}
		}
	}
}
