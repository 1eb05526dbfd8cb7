package wsroute_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/internal/memconn"
	"example.com/usher/wsroute"
)

// TestServeOfARouterThatIsNotMounted: a program that overlooks the error of Mount, or never
// mounts, must not serve 404s in silence.
func TestServeOfARouterThatIsNotMounted(t *testing.T) {
	faulty := func() *wsroute.Router {
		ws := wsroute.New(depends.New(), quiet())
		wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ member }) error { return nil }, wsroute.Public)
		return ws
	}
	good := func() *wsroute.Router {
		ws := wsroute.New(depends.New(), quiet())
		wsroute.Handle(ws, "/ok", echo[string], wsroute.Public)
		return ws
	}
	const unmounted, missing = "is not mounted", "no provider for wsroute_test.member"
	for name, test := range map[string]struct {
		make func(engine *gin.Engine) (r *wsroute.Router, others []*wsroute.Router)
		want string
	}{
		"never mounted": {func(*gin.Engine) (*wsroute.Router, []*wsroute.Router) { return good(), nil }, unmounted},
		"Mount failed": {func(engine *gin.Engine) (*wsroute.Router, []*wsroute.Router) {
			ws := faulty()
			_ = ws.Mount(engine)
			return ws, nil
		}, missing},
		"Handler failed": {func(*gin.Engine) (*wsroute.Router, []*wsroute.Router) {
			ws := faulty()
			_, _ = ws.Handler()
			return ws, nil
		}, missing},
		"a conflict on the engine": {func(engine *gin.Engine) (*wsroute.Router, []*wsroute.Router) {
			engine.GET("/ok", func(*gin.Context) {})
			ws := good()
			_ = ws.Mount(engine)
			return ws, nil
		}, "has a route of that path already"},
		"a second Mount failed": {func(engine *gin.Engine) (*wsroute.Router, []*wsroute.Router) {
			ws := good()
			_ = ws.Mount(engine)
			_ = ws.Mount(engine)
			return ws, nil
		}, "conflict"},
		"a group of one that is not": {func(*gin.Engine) (*wsroute.Router, []*wsroute.Router) { return good().Group("/g"), nil }, unmounted},
		"another one never mounted": {func(engine *gin.Engine) (*wsroute.Router, []*wsroute.Router) {
			ws := good()
			_ = ws.Mount(engine)
			return ws, []*wsroute.Router{good()}
		}, unmounted},
		"another one failed": {func(engine *gin.Engine) (*wsroute.Router, []*wsroute.Router) {
			ws, other := good(), faulty()
			_, _ = ws.Mount(engine), other.Mount(engine)
			return ws, []*wsroute.Router{other}
		}, missing},
		"a second try": {func(engine *gin.Engine) (*wsroute.Router, []*wsroute.Router) {
			deps := depends.New()
			ws := wsroute.New(deps, quiet())
			wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ member }) error { return nil }, wsroute.Public)
			if ws.Mount(engine) == nil || ws.Ready() {
				t.Error("the first try mounted")
			}
			depends.Provide(deps, func(context.Context, none) (member, error) { return member{}, nil })
			if err := ws.Mount(engine); err != nil || !ws.Ready() {
				t.Errorf("the second try: %v", err)
			}
			return ws, nil
		}, ""},
	} {
		engine := gin.New()
		ws, others := test.make(engine)
		if len(others) == 0 && ws.Ready() != (test.want == "") {
			t.Errorf("%s: ready", name)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		l := memconn.Listen()
		err := wsroute.ServeListener(ctx, l, ws, engine, others...)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: Serve returns %v, want %q", name, err, test.want)
		}
		if _, err := l.Dial(t.Context()); err == nil {
			t.Errorf("%s: the listener is still open", name)
		}
	}
	if err := wsroute.Serve(t.Context(), "127.0.0.1:0", good(), http.NotFoundHandler()); err == nil {
		t.Error("Serve serves it")
	}
}
