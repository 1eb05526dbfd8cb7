package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"net"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

type userInput struct {
	Claims Claims
	Users  Users
}

func currentUser(_ context.Context, in userInput) (User, error) {
	if user, ok := in.Users[in.Claims.Subject]; ok {
		return user, nil
	}
	return User{}, depends.Forbidden("unknown_user", nil)
}

type joinInput struct {
	User  User
	Room  string `path:"room" validate:"alphanum,max=64"`
	Since int    `query:"since" default:"0" validate:"gte=0"`
}

// join is the room.
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

type attendInput struct {
	joinInput
	Halls *halls
}

// usherMember sends a message that was encoded once for all.
type usherMember struct {
	conn *wsroute.Conn[Say, wsroute.Message]
}

func (m usherMember) tell(message []byte) {
	// A member who is gone or too slow is told by its own Receive.
	_ = m.conn.Send(context.Background(), wsroute.Message{Data: message})
}

// attend is the hall.
func attend(ctx context.Context, conn *wsroute.Conn[Say, wsroute.Message], in attendInput) error {
	h, m := in.Halls.get(in.Room), usherMember{conn}
	h.join(m)
	defer h.leave(m)
	for {
		say, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		message, err := json.Marshal(Said{From: in.User.Name, Text: say.Text})
		if err != nil {
			return err
		}
		h.tell(message)
	}
}

func usherKey(id identity) security.Key {
	switch key := id.verifying.(type) {
	case *rsa.PublicKey:
		return security.RS256(key)
	case *ecdsa.PublicKey:
		return security.ES256(key)
	}
	return security.HS256(id.verifying.([]byte))
}

// serveUsher serves the rooms with usher until ctx ends.
func serveUsher(ctx context.Context, listener net.Listener, id identity) error {
	return serveWithTrace(ctx, listener, id)
}

// serveTraced does so with a Trace.
func serveTraced(ctx context.Context, listener net.Listener, id identity) error {
	return serveWithTrace(ctx, listener, id, nothingTraced())
}

func serveWithTrace(ctx context.Context, listener net.Listener, id identity, trace ...*wsroute.Trace) error {
	deps := depends.New()
	depends.Supply(deps, users)
	depends.Supply(deps, &halls{})
	depends.Provide(deps, currentUser)
	security.Use(deps, security.JWT[Claims]{
		Keys: []security.Key{usherKey(id)}, Issuer: issuer, Audience: audience, Leeway: leeway,
	})
	ws := wsroute.New(deps, &wsroute.Config{
		Logger: newLogger(), Origins: []string{origin}, DrainTimeout: drainTimeout, Trace: trace,
		Limits: wsroute.Limits{
			ReadLimit: readLimit, WriteTimeout: writeTimeout,
			PingInterval: pingInterval, PongTimeout: pongTimeout, CloseTimeout: closeTimeout,
		},
	})
	wsroute.Handle(ws, roomPath+":room", join)
	wsroute.Handle(ws, hallPath+":room", attend)
	addChannel(deps, ws)
	engine := gin.New()
	if err := ws.Mount(engine); err != nil {
		return err
	}
	return wsroute.ServeListener(ctx, listener, ws, engine)
}
