package main

import (
	"context"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

type userInput struct {
	Claims Claims
	Users  Users
}

func currentUser(_ context.Context, in userInput) (User, error) {
	if user, known := in.Users[in.Claims.Subject]; known {
		return user, nil
	}
	return User{}, depends.Forbidden("unknown_user", nil)
}

type joinInput struct {
	User  User
	Room  string `path:"room" validate:"alphanum,max=64"`
	Since int    `query:"since" default:"0" validate:"gte=0"`
}

func join(ctx context.Context, conn *wsroute.Conn[Say, Said], in joinInput) error {
	for {
		say, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		if err := conn.Send(ctx, Said{From: in.User.Name, Text: say.Text}); err != nil {
			return err
		}
	}
}

func newRouter(secret []byte) *wsroute.Router {
	deps := depends.New()
	depends.Supply(deps, users)
	depends.Provide(deps, currentUser)
	security.Use(deps, security.JWT[Claims]{
		Keys: []security.Key{security.HS256(secret)}, Issuer: issuer, Audience: audience,
		Sources: []depends.Source{security.BearerHeader(), security.QueryToken("token")},
	})
	ws := wsroute.New(deps, &wsroute.Config{Origins: []string{origin}})
	wsroute.Handle(ws, "/rooms/:room", join)
	return ws
}
