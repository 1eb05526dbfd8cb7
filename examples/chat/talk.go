package main

import (
	"context"

	"example.com/usher/wsroute"
)

// Say is what a client sends.
type Say struct {
	Text string `json:"text" validate:"min=1,max=500"`
}

// talkInput is all that a connection needs. It is complete before the upgrade,
// or there is none.
type talkInput struct {
	User  User
	Rooms *Rooms
	Room  string `path:"room" validate:"alphanum,max=64"`
	// Since is how many of the room's messages the client has already: they are
	// not repeated.
	Since int `query:"since" default:"0" validate:"gte=0"`
}

// talk lets a user talk in a room for as long as the connection lives. A message
// that is not a Say ends it, with 1007 or 1008.
func talk(ctx context.Context, conn *wsroute.Conn[Say, Said], in talkInput) error {
	room := in.Rooms.Join(in.Room, conn, in.Since)
	defer in.Rooms.Leave(in.Room, conn)
	for {
		say, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		room.Say(Said{From: in.User.Name, Text: say.Text})
	}
}
