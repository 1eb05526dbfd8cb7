package main

import (
	"context"
	"errors"
	"slices"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// codeKicked closes the connections of a user who was removed from a room.
const codeKicked = 4001

// Rooms are those of all processes.
type Rooms = wsroute.Rooms[Event, Member]

// Member is what a connection tells of itself.
type Member struct {
	Name string `json:"name"`
}

// Process is the name of this one.
type Process string

// The messages of a client.
type (
	Say struct {
		Text string `json:"text" validate:"min=1,max=500"`
	}
	Kick struct {
		User string `json:"user" validate:"required"`
	}
)

// Event is what the server sends.
type Event interface{ event() }

type (
	Hello struct { // at first
		Process string `json:"process"`
	}
	Members struct { // whenever somebody comes or goes
		Users []string `json:"users"`
	}
	Said struct {
		From string `json:"from"`
		Text string `json:"text"`
	}
	Kicked struct {
		User string `json:"user"`
	}
)

func (Hello) event()   {}
func (Members) event() {}
func (Said) event()    {}
func (Kicked) event()  {}

var events = wsroute.Union[Event]{"hello": Hello{}, "members": Members{}, "said": Said{}, "kicked": Kicked{}}

type input struct {
	Claims  Claims
	Room    string `path:"room" validate:"max=64"`
	Conn    wsroute.Sender[Event]
	Rooms   *Rooms
	Process Process
}

// chat adds the messages of a room to its channel.
func chat(c *wsroute.Channel[Event]) {
	wsroute.OnOpen(c, enter)
	wsroute.Answer(c, "say", say)
	wsroute.Answer(c, "kick", kick, wsroute.Scopes("rooms:admin"),
		wsroute.Fails("not_here", "nobody of this name is in the room"))
}

// enter makes the user a member until the connection ends. OnChange tells all, in each process.
func enter(ctx context.Context, in input) error {
	if err := in.Conn.Send(ctx, Hello{string(in.Process)}); err != nil {
		return err
	}
	return in.Rooms.Join(in.Conn, in.Room, Member{in.Claims.Subject})
}

func say(ctx context.Context, m Say, in input) (Said, error) {
	said := Said{in.Claims.Subject, m.Text}
	err := in.Rooms.SendOthers(ctx, in.Conn, in.Room, said)
	if errors.Is(err, wsroute.ErrBrokerBehind) { // the members here have it
		err = nil
	}
	return said, err
}

// kick ends the connections of a user, in whatever processes they are.
func kick(ctx context.Context, m Kick, in input) (Kicked, error) {
	if !slices.Contains(in.Rooms.Present(in.Room), Member{m.User}) {
		return Kicked{}, depends.NotFound("not_here", nil)
	}
	to := wsroute.Audience{Subject: m.User}
	return Kicked(m), in.Rooms.Close(ctx, in.Room, to, codeKicked, "kicked")
}

// names are those of the users, each once.
func names(members []Member) []string {
	users := []string{}
	for _, m := range members {
		users = append(users, m.Name)
	}
	slices.Sort(users)
	return slices.Compact(users)
}
