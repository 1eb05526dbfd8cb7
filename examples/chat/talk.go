package main

import (
	"context"

	"example.com/usher/wsroute"
)

// Say is a message of a client.
type Say struct {
	Text string `json:"text" validate:"min=1,max=500"`
}

// talkInput is all that a connection needs. It is complete before the upgrade, or there is no
// connection.
type talkInput struct {
	User  User
	Rooms *Rooms
	Room  string `path:"room" validate:"alphanum,max=64"`
	// Since asks for what was said before, but for the first messages of that
	// number, which the client has already. Without it only what is said from
	// now on is sent.
	Since *int `query:"since" validate:"gte=0"`
}

// talk lets a user talk in a room for as long as the connection lives. A message
// that is not a Say ends it, with 1007 or 1008.
func talk(ctx context.Context, conn *wsroute.Conn[Say, Said], in talkInput) error {
	since := nothingBefore
	if in.Since != nil {
		since = *in.Since
	}
	room := in.Rooms.Join(in.Room, in.User, conn, since)
	defer in.Rooms.Leave(in.Room, conn)
	for {
		say, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		room.Say(in.User.Name, say.Text)
	}
}
