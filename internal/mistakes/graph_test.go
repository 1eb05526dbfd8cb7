package mistakes

import (
	"context"
	"errors"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

type Session struct{ User User }

func sessionOf(_ context.Context, in struct{ User User }) (Session, error) { return Session(in), nil }

func userOf(_ context.Context, in struct{ Session Session }) (User, error) {
	return in.Session.User, nil
}

func cycle() error {
	deps := depends.New()
	depends.Provide(deps, sessionOf)
	depends.Provide(deps, userOf)
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/greet", greet)
	return ws.Mount(gin.New())
}

func cycleCorrected() error {
	deps := depends.New()
	depends.Provide(deps, sessionOf)
	depends.Provide(deps, currentUser)
	depends.Provide(deps, openStore, depends.App)
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/greet", greet, wsroute.Public)
	return ws.Mount(gin.New())
}

func ambiguous() error {
	deps := depends.New()
	depends.Provide(deps, openStore, depends.App)
	depends.Supply(deps, &Store{})
	ws := wsroute.New(deps, nil)
	return ws.Mount(gin.New())
}

// Archive is a second Store, with a name of its own.
type Archive struct{ *Store }

func ambiguousCorrected() error {
	deps := depends.New()
	depends.Provide(deps, openStore, depends.App)
	depends.Supply(deps, Archive{&Store{}})
	ws := wsroute.New(deps, nil)
	return ws.Mount(gin.New())
}

// Tx is held only while the handshake lasts.
type Tx struct{}

func begin(context.Context, struct{}) (Tx, error) { return Tx{}, nil }

func userOfTx(context.Context, struct{ Tx Tx }) (User, error) { return User{Name: "alice"}, nil }

func captive() error {
	deps := depends.New()
	depends.Provide(deps, begin, depends.Handshake)
	depends.Provide(deps, userOfTx)
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/greet", greet, wsroute.Public)
	return ws.Mount(gin.New())
}

// used says that the value is used while resolving, and not kept.
type used struct {
	Tx Tx `depends:"handshake-only"`
}

func captiveCorrected() error {
	deps := depends.New()
	depends.Provide(deps, begin, depends.Handshake)
	depends.Provide(deps, func(context.Context, used) (User, error) { return User{Name: "alice"}, nil })
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/greet", greet, wsroute.Public)
	return ws.Mount(gin.New())
}

func captiveApp() error {
	deps := depends.New()
	depends.Provide(deps, openStore)
	depends.Provide(deps, currentUser, depends.App)
	return wsroute.New(deps, nil).Mount(gin.New())
}

func captiveAppCorrected() error {
	deps := depends.New()
	depends.Provide(deps, openStore, depends.App)
	depends.Provide(deps, currentUser)
	return wsroute.New(deps, nil).Mount(gin.New())
}

func failed() error {
	deps := depends.New()
	depends.Provide(deps, func(context.Context, struct{}) (*Store, error) {
		return nil, errors.New("connection refused")
	}, depends.App)
	return wsroute.New(deps, nil).Mount(gin.New())
}

func failedCorrected() error {
	deps := depends.New()
	depends.Provide(deps, openStore, depends.App)
	return wsroute.New(deps, nil).Mount(gin.New())
}

func badProvider() error {
	deps := depends.New()
	var store *Store
	depends.Supply(deps, store)
	depends.Supply(deps, "wss://example.com")
	return wsroute.New(deps, nil).Mount(gin.New())
}

type Address string

func badProviderCorrected() error {
	deps := depends.New()
	depends.Supply(deps, &Store{})
	depends.Supply(deps, Address("wss://example.com"))
	return wsroute.New(deps, nil).Mount(gin.New())
}
