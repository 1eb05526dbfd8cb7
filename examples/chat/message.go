package main

import (
	"time"

	"example.com/usher/wsroute"
)

// The messages of a client. Each is a type of its own, checked by its tags.
type (
	Say struct {
		Text string `json:"text" validate:"min=1,max=500" example:"Hello!"`
	}
	Edit struct {
		Target
		Text string `json:"text" validate:"min=1,max=500"`
	}
	Delete struct{ Target }
	Typed  struct{}
	// History asks for the messages before one, or for the last ones.
	History struct {
		Before int64 `json:"before" validate:"gte=0"`
		Limit  int   `json:"limit"  validate:"gte=0,lte=100"` // 0 is usualPage
	}
	Kick struct {
		User string `json:"user" validate:"required"`
	}
)

// Target is the message that an Edit or a Delete is about.
type Target struct {
	ID int64 `json:"id" validate:"required"`
}

// Event is what the server sends: an answer to who asked, and the same to the others.
type Event interface{ event() }

type (
	Said struct {
		ID   int64     `json:"id"` // grows
		From string    `json:"from"`
		Text string    `json:"text"`
		At   time.Time `json:"at"` // when the room got it, to the second, in UTC

		Edited bool `json:"edited,omitempty"`
	}
	Edited struct {
		ID   int64  `json:"id"`
		Text string `json:"text"`
	}
	Deleted struct {
		ID int64 `json:"id"`
	}
	Typing struct {
		From string `json:"from"`
	}
	Page struct {
		Messages []Said `json:"messages"` // the oldest first
	}
	Kicked struct {
		User string `json:"user"`
	}
	Joined struct {
		User string `json:"user"`
	}
	Left struct {
		User string `json:"user"`
	}
	Members struct {
		Users []string `json:"users"`
	}
)

func (Said) event()    {}
func (Edited) event()  {}
func (Deleted) event() {}
func (Typing) event()  {}
func (Page) event()    {}
func (Kicked) event()  {}
func (Joined) event()  {}
func (Left) event()    {}
func (Members) event() {}

// events names them on the wire.
var events = wsroute.Union[Event]{
	"said": Said{}, "edited": Edited{}, "deleted": Deleted{}, "typing": Typing{}, "page": Page{},
	"kicked": Kicked{}, "joined": Joined{}, "left": Left{}, "members": Members{},
}
