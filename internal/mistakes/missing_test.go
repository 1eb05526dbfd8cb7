package mistakes

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

func missing() error {
	deps := depends.New()
	depends.Provide(deps, currentUser)
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/greet", greet)
	return ws.Mount(gin.New())
}

func missingCorrected() error {
	deps := depends.New()
	depends.Provide(deps, currentUser)
	depends.Provide(deps, openStore, depends.App)
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/greet", greet, wsroute.Public)
	return ws.Mount(gin.New())
}

// Finder is what greetFound needs of a Store.
type Finder interface {
	Find(name string) (User, error)
}

func greetFound(ctx context.Context, c *conn, in struct{ Finder Finder }) error {
	user, err := in.Finder.Find("alice")
	if err != nil {
		return err
	}
	return c.Send(ctx, "hello "+user.Name)
}

func missingInterface() error {
	deps := depends.New()
	depends.Supply(deps, &Store{})
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/greet", greetFound)
	return ws.Mount(gin.New())
}

func missingInterfaceCorrected() error {
	deps := depends.New()
	depends.Supply[Finder](deps, &Store{})
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/greet", greetFound, wsroute.Public)
	return ws.Mount(gin.New())
}

func missingPointer() error {
	deps := depends.New()
	depends.Supply(deps, &Store{})
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/", func(context.Context, *conn, struct{ Store Store }) error { return nil })
	return ws.Mount(gin.New())
}

func missingPointerCorrected() error {
	deps := depends.New()
	depends.Supply(deps, &Store{})
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/", func(context.Context, *conn, struct{ Store *Store }) error { return nil }, wsroute.Public)
	return ws.Mount(gin.New())
}

func missingTag() error {
	ws := wsroute.New(depends.New(), nil)
	wsroute.Handle(ws, "/rooms/:room", func(context.Context, *conn, struct{ Room string }) error { return nil })
	return ws.Mount(gin.New())
}

func missingTagCorrected() error {
	type in struct {
		Room string `path:"room"`
	}
	ws := wsroute.New(depends.New(), nil)
	wsroute.Handle(ws, "/rooms/:room", func(context.Context, *conn, in) error { return nil }, wsroute.Public)
	return ws.Mount(gin.New())
}

func missingInGroup() error {
	ws := wsroute.New(depends.New(), nil)
	members := ws.Group("/members")
	depends.Supply(members.Deps(), User{Name: "alice"})
	wsroute.Handle(ws, "/greet", greet)
	return ws.Mount(gin.New())
}

func missingInGroupCorrected() error {
	ws := wsroute.New(depends.New(), nil)
	members := ws.Group("/members")
	depends.Supply(members.Deps(), User{Name: "alice"})
	wsroute.Handle(members, "/greet", greet, wsroute.Public)
	return ws.Mount(gin.New())
}

func stranger() error {
	ws := wsroute.New(depends.New(), nil)
	wsroute.Handle(ws, "/", func(context.Context, *conn, struct{ Out http.ResponseWriter }) error { return nil })
	return ws.Mount(gin.New())
}

func strangerCorrected() error {
	type in struct{ Request *http.Request }
	ws := wsroute.New(depends.New(), nil)
	wsroute.Handle(ws, "/", func(context.Context, *conn, in) error { return nil }, wsroute.Public)
	return ws.Mount(gin.New())
}

func missingGin() error {
	deps := depends.New()
	wsroute.FromGin(deps, func(c *gin.Context) (User, error) { return User{Name: c.GetString("user")}, nil })
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/greet", greet)
	_, err := ws.Handler()
	return err
}

func missingGinCorrected() error {
	deps := depends.New()
	wsroute.FromGin(deps, func(c *gin.Context) (User, error) { return User{Name: c.GetString("user")}, nil })
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/greet", greet)
	return ws.Mount(gin.New())
}

func unusedOverride() error {
	deps := depends.New()
	depends.Supply(deps, &Store{})
	ws := wsroute.New(deps, nil)
	ws.Override(depends.OverrideValue(Store{}))
	return ws.Mount(gin.New())
}

func unusedOverrideCorrected() error {
	deps := depends.New()
	depends.Supply(deps, &Store{})
	ws := wsroute.New(deps, nil)
	ws.Override(depends.OverrideValue(&Store{}))
	return ws.Mount(gin.New())
}
