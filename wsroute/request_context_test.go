package wsroute_test

import (
	"context"
	"net/http"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

type spanKey struct{}

// TestValuesOfTheRequest: what middleware has put into the request's context, such as a
// span, is there for providers, the handler and cleanups, and does not end with the request.
func TestValuesOfTheRequest(t *testing.T) {
	j := &journal{}
	deps := depends.New()
	look := func(who string, ctx context.Context) {
		j.add("%s %v %t", who, ctx.Value(spanKey{}), ctx.Err() == nil)
	}
	depends.Provide(deps, func(ctx context.Context, _ none) (gate, error) {
		look("provider", ctx)
		depends.Cleanup(ctx, func(ctx context.Context, _ error) error { look("cleanup", ctx); return nil })
		return gate{}, nil
	})
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{ _ gate }) error {
		if _, err := conn.Receive(ctx); err != nil {
			return err
		}
		look("handler", ctx)
		return conn.Close(4000, "")
	}, wsroute.Public)
	routes, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	returned := make(chan struct{})
	srv := wstest.StartHandler(t, ws, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, end := context.WithCancel(context.WithValue(r.Context(), spanKey{}, "span-7"))
		routes.ServeHTTP(w, r.WithContext(ctx))
		end()
		close(returned)
	}))
	c := wstest.Dial[string, string](t, srv, "/")
	<-returned
	c.Send("go")
	if got := c.Closed(); got.Code != 4000 {
		t.Errorf("closed with %v", got)
	}
	srv.Stop()
	j.want(t, "provider span-7 true handler span-7 true cleanup span-7 true")
}

// TestNoCredentialInTheContext: what Serve hides from the request is not among the values
// of the connection's context.
func TestNoCredentialInTheContext(t *testing.T) {
	deps := depends.New()
	everywhere(deps)
	depends.Provide(deps, func(ctx context.Context, _ none) (gate, error) {
		if wsroute.HoldsHidden(ctx) {
			t.Error("a provider's context holds the credential")
		}
		return gate{}, nil
	})
	config := quiet()
	config.Origins = []string{pageOrigin}
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/ws", func(ctx context.Context, _ *wsroute.Conn[string, string], _ struct {
		_ who
		_ gate
	},
	) error {
		if wsroute.HoldsHidden(ctx) {
			t.Error("the handler's context holds the credential")
		}
		return nil
	})
	routes, err := ws.Handler()
	if err != nil {
		t.Fatal(err)
	}
	hidden := false
	srv := wstest.StartHandler(t, ws, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hidden = wsroute.HoldsHidden(r.Context())
		routes.ServeHTTP(w, r)
	}))
	got := wstest.Dial[string, string](t, srv, "/ws?token=good", wstest.Header("Origin", pageOrigin)).Closed()
	if got.Code != 1000 || !hidden {
		t.Errorf("closed with %v; the credential was hidden: %t", got, hidden)
	}
}
