package wsroute_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// hidingRouter has n routes of each form, which share a scheme, or have one of their own with
// other names each.
func hidingRouter(tb testing.TB, n int, share bool) *wsroute.Router {
	ws := wsroute.New(depends.New(), quiet())
	for i := range n {
		group, name := ws, "token"
		if !share || i == 0 {
			if group = ws.Group(""); i > 0 {
				name = fmt.Sprint("token", i)
			}
			provideScheme(group.Deps(), depends.Scheme{Name: "s", Challenge: "Bearer", Sources: []depends.Source{
				{In: "query", Name: name}, {In: "subprotocol", Name: name},
			}}, func(context.Context, depends.Credential) (who, error) { return who{}, nil })
		}
		for _, form := range []string{"/rooms%d/:room", "/files%d/*rest", "/:tenant/rooms%d"} {
			wsroute.Handle(group, fmt.Sprintf(form, i), func(context.Context, *wsroute.Conn[string, string], struct{ _ who }) error { return nil })
		}
		if share {
			ws = group
		}
	}
	if _, err := ws.Handler(); err != nil {
		tb.Fatal(err)
	}
	return ws
}

// strangers are requests that are as dear as 14 KB can be, for no route.
func strangers() map[string]*http.Request {
	handshake := func(target, offers string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header = http.Header{"Upgrade": {"websocket"}, "Sec-Websocket-Protocol": {offers}}
		return r
	}
	return map[string]*http.Request{
		"plain":      httptest.NewRequest(http.MethodGet, "/none?a=1", nil),
		"offers":     handshake("/none", strings.Repeat("a,", 7000)),
		"tokens":     handshake("/none", strings.Repeat("base64url.bearer.authorization."+strings.Repeat("a", 400)+", ", 32)),
		"markers":    handshake("/none", strings.Repeat("bearer,", 2000)),
		"pairs":      handshake("/none?"+strings.Repeat("a&", 7000), "v1"),
		"semicolons": handshake("/none?"+strings.Repeat("a;", 7000), "v1"),
		"escapes":    handshake("/none?"+strings.Repeat("%61", 4600), "v1"),
		"segments":   httptest.NewRequest(http.MethodGet, "/"+strings.Repeat("a/", 7000)+"?token=x", nil),
		"long":       httptest.NewRequest(http.MethodGet, "/"+strings.Repeat("a", 14000)+"?token=x", nil),
	}
}

// TestHidingCostsTheSameForManySchemes: neither routes nor the names of their credentials make
// a stranger's request dearer.
func TestHidingCostsTheSameForManySchemes(t *testing.T) {
	one, many := hidingRouter(t, 1, false), hidingRouter(t, 300, false)
	for name, r := range strangers() {
		cost := func(ws *wsroute.Router) float64 {
			return testing.AllocsPerRun(5, func() { wsroute.Hide(ws, r) })
		}
		if got, want := cost(many), cost(one); got != want {
			t.Errorf("%s: %v allocations for 300 schemes, %v for one", name, got, want)
		}
	}
}

// BenchmarkHide is what a stranger's request costs Serve, before any route is called.
func BenchmarkHide(b *testing.B) {
	for _, share := range []bool{true, false} {
		for _, n := range []int{1, 200, 1000} {
			ws := hidingRouter(b, n, share)
			for name, r := range strangers() {
				b.Run(fmt.Sprintf("%s/shared=%t/%d", name, share, n), func(b *testing.B) {
					for b.Loop() {
						wsroute.Hide(ws, r)
					}
				})
			}
		}
	}
}
