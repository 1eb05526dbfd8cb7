package main

import (
	"cmp"
	"context"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// codeKicked closes the connections of a user who was removed from a room. Codes from 4000 on
// are the program's own.
const codeKicked = 4001

// usualPage is how many messages a Page has at most.
const usualPage = 50

// talk adds the messages of a room to its channel.
func talk(chat *wsroute.Channel[Event]) {
	wsroute.OnOpen(chat, enter)
	wsroute.Answer(chat, "say", say, wsroute.Doc("Says something to all."))
	wsroute.Answer(chat, "edit", edit, wsroute.Doc("Changes a message of one's own."))
	wsroute.Answer(chat, "delete", remove, wsroute.Doc("Takes a message of one's own back."))
	wsroute.On(chat, "typing", typing, wsroute.Doc("Tells the others that one is writing."))
	wsroute.Answer(chat, "history", history, wsroute.Doc("Asks for what was said before."))
	wsroute.Answer(chat, "kick", kick, wsroute.Scopes("rooms:admin"), wsroute.Doc("Removes a user from the room."),
		wsroute.Fails("not_here", "nobody of this name is in the room"))
}

// talkInput is what a connection must have to open, and what most messages need.
type talkInput struct {
	User User
	Room *Room
	Conn wsroute.Sender[Event]
}

// enter makes the user a member of the room until the connection ends, in whatever way.
func enter(ctx context.Context, in talkInput) error {
	err := in.Room.Join(ctx, in.User.Name, in.Conn)
	context.AfterFunc(in.Conn.Context(), func() { in.Room.Leave(in.User.Name, in.Conn) })
	return err
}

func say(ctx context.Context, m Say, in talkInput) (Said, error) {
	return in.Room.Say(ctx, in.Conn, in.User.Name, m.Text)
}

// Own is proof that a message is the user's own: only ownMessage makes one.
type Own struct{ ID int64 }

// noMessage is what ownMessage and the room refuse with.
var noMessage = depends.Refuses(404, "no_message", "there is no such message, or not any more")

type ownInput struct {
	Target Target // of the Edit or the Delete
	Room   *Room
	User   User
}

// ownMessage loads the message that another one is about.
func ownMessage(_ context.Context, in ownInput) (Own, error) {
	said, err := in.Room.Find(in.Target.ID)
	if err != nil {
		return Own{}, err
	}
	if said.From != in.User.Name {
		return Own{}, depends.Forbidden("not_yours", nil)
	}
	return Own{said.ID}, nil
}

type changeInput struct {
	Own  Own
	Room *Room
	Conn wsroute.Sender[Event]
}

func edit(ctx context.Context, m Edit, in changeInput) (Edited, error) {
	return in.Room.Edit(ctx, in.Conn, in.Own.ID, m.Text)
}

func remove(ctx context.Context, _ Delete, in changeInput) (Deleted, error) {
	return in.Room.Delete(ctx, in.Conn, in.Own.ID)
}

func typing(ctx context.Context, _ Typed, in talkInput) error {
	return in.Room.conns.SendOthers(ctx, in.Conn, Typing{in.User.Name})
}

func history(_ context.Context, m History, in struct{ Room *Room }) (Page, error) {
	return in.Room.History(m.Before, cmp.Or(m.Limit, usualPage)), nil
}

// kick runs only for those whose token grants the scope rooms:admin: see talk.
func kick(ctx context.Context, m Kick, in talkInput) (Kicked, error) {
	return in.Room.Kick(ctx, in.Conn, m.User)
}
