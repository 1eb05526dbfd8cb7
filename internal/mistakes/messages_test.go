package mistakes

import (
	"context"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// Said is a Notice.
type Said struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func (Said) notice() {}

type Say struct {
	Room string `path:"room"`
	Text string `json:"text"`
}

func say(context.Context, Say, struct{}) (Said, error)        { return Said{}, nil }
func leave(context.Context, struct{}, struct{}) (Left, error) { return Left{}, nil }

func badMessages() error {
	ws := wsroute.New(depends.New(), nil)
	c := wsroute.HandleMessages(ws, "/rooms/:room", wsroute.Union[Notice]{"said": Said{}}, wsroute.Public)
	wsroute.Answer(c, "say", say)
	wsroute.Answer(c, "leave", leave)
	wsroute.Answer(c, "leave", leave)
	return ws.Mount(gin.New())
}

type SaidCorrected struct {
	Text string `json:"text"`
}

func (SaidCorrected) notice() {}

type SayCorrected struct {
	Text string `json:"text"`
}

func sayCorrected(context.Context, SayCorrected, struct {
	Room string `path:"room"`
},
) (SaidCorrected, error) {
	return SaidCorrected{}, nil
}

func badMessagesCorrected() error {
	ws := wsroute.New(depends.New(), nil)
	c := wsroute.HandleMessages(ws, "/rooms/:room", wsroute.Union[Notice]{
		"said": SaidCorrected{}, "left": Left{},
	}, wsroute.Public)
	wsroute.Answer(c, "say", sayCorrected)
	wsroute.Answer(c, "leave", leave)
	return ws.Mount(gin.New())
}

func noUnion() error {
	ws := wsroute.New(depends.New(), nil)
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, Notice], struct{}) error { return nil }, wsroute.Public)
	return ws.Mount(gin.New())
}

func noUnionCorrected() error {
	ws := wsroute.New(depends.New(), nil)
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, Notice], struct{}) error { return nil },
		wsroute.Public, wsroute.Sends(wsroute.Union[Notice]{"left": Left{}}))
	return ws.Mount(gin.New())
}

func kick(context.Context, struct{}, struct{ _ Admin }) error { return nil }

func ban(context.Context, struct{}, struct{ Admin Admin }) error { return nil }

func undemanded() error {
	deps := depends.New()
	depends.Provide(deps, openStore, depends.App)
	depends.Provide(deps, currentUser)
	depends.Provide(deps, admin)
	ws := wsroute.New(deps, nil)
	c := wsroute.HandleMessages(ws, "/rooms", wsroute.Union[Notice]{"left": Left{}}, wsroute.Public)
	wsroute.On(c, "ban", ban)
	return ws.Mount(gin.New())
}

func undemandedCorrected() error {
	deps := depends.New()
	depends.Provide(deps, openStore, depends.App)
	depends.Provide(deps, currentUser)
	depends.Provide(deps, admin)
	ws := wsroute.New(deps, nil)
	rooms := wsroute.HandleMessages(ws, "/rooms", wsroute.Union[Notice]{"left": Left{}}, wsroute.Public)
	wsroute.On(rooms, "kick", kick)                         // a guard asks for each message
	wsroute.On(rooms, "ban", ban, wsroute.Require[Admin]()) // and so does this
	admins := wsroute.HandleMessages(ws, "/admins", wsroute.Union[Notice]{"left": Left{}}, wsroute.Public,
		wsroute.Require[Admin]()) // or nobody else connects
	wsroute.On(admins, "ban", ban)
	return ws.Mount(gin.New())
}

// Work is a transaction of one message.
type Work struct{}

func beginWork(context.Context, struct{}) (Work, error) { return Work{}, nil }

func captiveMessage() error {
	deps := depends.New()
	depends.Provide(deps, beginWork, depends.Message)
	ws := wsroute.New(deps, nil)
	c := wsroute.HandleMessages(ws, "/", wsroute.Union[Notice]{"left": Left{}}, wsroute.Public)
	wsroute.OnOpen(c, func(context.Context, struct{ Work Work }) error { return nil })
	return ws.Mount(gin.New())
}

func captiveMessageCorrected() error {
	deps := depends.New()
	depends.Provide(deps, beginWork, depends.Message)
	ws := wsroute.New(deps, nil)
	c := wsroute.HandleMessages(ws, "/", wsroute.Union[Notice]{"left": Left{}}, wsroute.Public)
	wsroute.On(c, "leave", func(context.Context, struct{}, struct{ Work Work }) error { return nil })
	return ws.Mount(gin.New())
}
