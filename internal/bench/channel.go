package main

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"sync"
	"unicode/utf8"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// channelPath is a room whose messages have a type and a ref, and a guard of their own.
const channelPath = "/channels/"

// Event is what the channel sends.
type Event interface{ event() }

func (Said) event() {}

// Typing is a message without an answer.
type Typing struct{}

// Seat is a user's place in a room.
type Seat struct{ Room string }

// Mutes are those who must not speak, by user and room. Every server shares it, so that only
// the dispatch differs.
type Mutes struct {
	mu    sync.RWMutex
	pairs map[[2]string]bool
}

func (m *Mutes) muted(user User, room string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.pairs[[2]string{user.Name, room}]
}

func newMutes() *Mutes { return &Mutes{pairs: map[[2]string]bool{{"alice", "quiet"}: true}} }

type seatInput struct {
	Room  string `path:"room" validate:"alphanum,max=64"`
	Since int    `query:"since" default:"0" validate:"gte=0"`
}

func takeSeat(_ context.Context, in seatInput) (Seat, error) { return Seat{in.Room}, nil }

// Voice is the permission to speak, which is asked for each message.
type Voice struct{}

type voiceInput struct {
	User  User
	Seat  Seat
	Mutes *Mutes
}

func hasVoice(_ context.Context, in voiceInput) (Voice, error) {
	if in.Mutes.muted(in.User, in.Seat.Room) {
		return Voice{}, depends.Forbidden("muted", nil)
	}
	return Voice{}, nil
}

type speakInput struct {
	User User
	Seat Seat
}

func speak(_ context.Context, say Say, in speakInput) (Said, error) {
	return Said{From: in.User.Name, Text: say.Text}, nil
}

// addChannel registers the channel of usher's server.
func addChannel(deps *depends.Graph, ws *wsroute.Router) {
	depends.Supply(deps, newMutes())
	depends.Provide(deps, takeSeat)
	depends.Provide(deps, hasVoice, depends.Message)
	c := wsroute.HandleMessages(ws, channelPath+":room", wsroute.Union[Event]{"said": Said{}},
		wsroute.Require[User](), wsroute.Require[Seat]())
	wsroute.Answer(c, "say", speak, wsroute.Require[Voice]())
	wsroute.On(c, "typing", func(context.Context, Typing, struct{}) error { return nil })
}

// The messages of the servers that are written by hand.
type (
	envelope struct {
		Type string          `json:"type"`
		Ref  json.RawMessage `json:"ref,omitempty"`
	}
	saidAnswer struct {
		envelope
		Said
	}
	errorAnswer struct {
		envelope
		Reason string       `json:"reason"`
		Errors []paramError `json:"errors,omitempty"`
	}
)

// dispatch is what the channel answers to a message, nil for nothing.
func (c *checks) dispatch(data []byte, in entry) (reply []byte, code int) {
	if !utf8.Valid(data) {
		return nil, 1007
	}
	var e envelope
	if json.Unmarshal(data, &e) != nil {
		return failure(envelope{}, "invalid_json")
	}
	switch e.Type {
	case "say":
		return c.say(data, e, in)
	case "typing":
		var typing Typing
		if json.Unmarshal(data, &typing) != nil {
			return failure(e, "invalid_json")
		}
		return nil, 0
	case "ping":
		return encoded(envelope{"pong", e.Ref})
	}
	return failure(e, "unknown_type")
}

func (c *checks) say(data []byte, e envelope, in entry) (reply []byte, code int) {
	var say Say
	if err := json.Unmarshal(data, &say); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return failure(e, "invalid_message", paramError{[]string{wrong.Field}, wrong.Type.String()})
		}
		return failure(e, "invalid_json")
	}
	if err := c.validate.Struct(say); err != nil {
		return failure(e, "invalid_message", paramError{[]string{"text"}, failedRule(err)})
	}
	if c.mutes.muted(in.user, in.room) {
		return failure(e, "muted")
	}
	return encoded(saidAnswer{envelope{"said", e.Ref}, Said{From: in.user.Name, Text: say.Text}})
}

func failure(e envelope, reason string, params ...paramError) (reply []byte, code int) {
	return encoded(errorAnswer{envelope{"error", e.Ref}, reason, params})
}

func encoded(v any) (reply []byte, code int) {
	reply, err := json.Marshal(v)
	if err != nil {
		return nil, 1011
	}
	return reply, 0
}

// channels measure one message of a channel there and one back, its allocations, and what a
// connection holds that waits.
func (s *suite) channels() error {
	for round := range s.rounds {
		s.progress("messages of a channel, round %d of %d", round+1, s.rounds)
		if err := s.channelRound(s.own(round)); err != nil {
			return err
		}
	}
	return s.idlesOf(waitingChannel)
}

func (s *suite) channelRound(names []string) (err error) {
	all, err := startAll(names, "HS256")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.stop()) }()
	const size = 64
	path := channelPath + "lobby"
	if err := all.echo(s.book.row("messages/64-B", "µs", goalChannel), path, size, s.messages); err != nil {
		return err
	}
	row := s.book.row("messages/mallocs", "", goalChannelMallocs)
	for _, p := range all {
		count, err := mallocsOfMessages(p, path, size, s.messages/8)
		if err != nil {
			return err
		}
		row.add(p.name, math.Round(count)) // the rest is the runtime's own
	}
	return nil
}

// mallocsOfMessages is how many allocations a message there and back costs a server.
func mallocsOfMessages(p *process, path string, size, times int) (float64, error) {
	t, err := openTalker(p, path, size)
	if err != nil {
		return 0, err
	}
	defer t.conn.Close()
	count, err := p.allocated(func() error { return t.echo(times) })
	return count / float64(times), errors.Join(err, content(p, []*talker{t}))
}
