// Command messages is a board of cards that a team changes together, by messages of several
// types: each declares what it needs, has guards of its own, and is done wholly or not at all. Beside
// it is an auction, in loop.go, whose handlers receive and send messages of one type in a loop.
//
//	go run ./examples/messages
//
// It prints a token for ada and one for bob. Connect with one of them in the header Authorization
// to ws://127.0.0.1:8080/boards/kitchen, and send {"type":"add","ref":1,"title":"buy tea"}; or send
// {"item":"lamp","cents":250} to ws://127.0.0.1:8080/bids, and listen on ws://127.0.0.1:8080/watch.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// Claims are the claims of a token; its scopes are in one string.
type Claims struct {
	jwt.RegisteredClaims
	Scope string `json:"scope,omitempty"`
}

// Scopes returns the scopes that the token grants.
func (c Claims) Scopes() []string { return strings.Fields(c.Scope) }

// Member is somebody who is signed in.
type Member struct{ Name string }

func member(_ context.Context, in struct{ Claims Claims }) (Member, error) {
	return Member{in.Claims.Subject}, nil
}

// Staff are the names of those who are admins at this moment.
type Staff struct{ names sync.Map }

// Admin is a member who is one of them.
type Admin struct{ Member }

func admin(_ context.Context, in struct {
	Member Member
	Staff  *Staff
},
) (Admin, error) {
	if _, ok := in.Staff.names.Load(in.Member.Name); !ok {
		return Admin{}, depends.Forbidden("not_an_admin", nil)
	}
	return Admin{in.Member}, nil
}

// What comes. Target is the card that a message is about.
type (
	Add struct {
		Title string `json:"title" validate:"required,max=40"`
	}
	Target struct {
		ID int `json:"id" validate:"gt=0"`
	}
	Rename struct {
		Target
		Title string `json:"title" validate:"required,max=40"`
	}
	Remove struct{ Target }
	Remind struct {
		Target
		Seconds int `json:"seconds" validate:"gt=0,lte=3600"`
	}
	Search struct {
		Text string `json:"text" validate:"min=3"`
	}
	Clear struct{}
)

// Event is what the server sends.
type Event interface{ event() }

// The events.
type (
	Card struct {
		ID    int    `json:"id"`
		Title string `json:"title"`
		Owner string `json:"owner"`
	}
	Removed struct {
		IDs []int `json:"ids"`
	}
	Found struct {
		IDs []int `json:"ids"`
	}
	Due struct {
		ID int `json:"id"`
	}
	Notice struct {
		Text string `json:"text"`
	}
)

func (Card) event()    {}
func (Removed) event() {}
func (Found) event()   {}
func (Due) event()     {}
func (Notice) event()  {}

var events = wsroute.Union[Event]{
	"card": Card{}, "removed": Removed{}, "found": Found{}, "due": Due{}, "notice": Notice{},
}

// Room are the connections to a board.
type Room = wsroute.Room[Event]

// Board is the cards, and who looks at them.
type Board struct {
	mu    sync.Mutex // held by an Edit
	cards map[int]Card
	last  int // the highest number of a card
	room  Room
}

// Edit is a change of the board: all of it is done, or nothing.
type Edit struct {
	Cards map[int]Card
	Last  int
}

// edit begins a change. It is done if the message was handled without an error.
func edit(ctx context.Context, in struct{ Board *Board }) (*Edit, error) {
	b := in.Board
	b.mu.Lock()
	e := &Edit{maps.Clone(b.cards), b.last}
	depends.Cleanup(ctx, func(_ context.Context, cause error) error {
		if cause == nil {
			b.cards, b.last = e.Cards, e.Last
		}
		b.mu.Unlock()
		return nil
	})
	return e, nil
}

// Own is the card that a message names. It is its sender's.
type Own struct{ Card }

func own(_ context.Context, in struct {
	Target Target // of the message
	Edit   *Edit
	Member Member
},
) (Own, error) {
	card, ok := in.Edit.Cards[in.Target.ID]
	switch {
	case !ok:
		return Own{}, depends.NotFound("no_such_card", nil)
	case card.Owner != in.Member.Name:
		return Own{}, depends.Forbidden("not_yours", nil)
	}
	return Own{card}, nil
}

// enter runs when a connection has opened.
func enter(ctx context.Context, in struct {
	Name   string `path:"board"`
	Board  *Board
	Sender wsroute.Sender[Event]
},
) error {
	in.Board.room.Join(in.Sender)
	return in.Sender.Send(ctx, Notice{"welcome to the " + in.Name})
}

// editInput is what changes a board.
type editInput struct {
	Edit   *Edit
	Board  *Board
	Member Member
	Sender wsroute.Sender[Event]
}

func add(ctx context.Context, m Add, in editInput) (Card, error) {
	in.Edit.Last++
	card := Card{in.Edit.Last, m.Title, in.Member.Name}
	in.Edit.Cards[card.ID] = card
	return card, in.Board.room.SendOthers(ctx, in.Sender, card)
}

func rename(ctx context.Context, m Rename, in struct {
	editInput
	Own Own
},
) (Card, error) {
	card := in.Own.Card
	card.Title = m.Title
	in.Edit.Cards[card.ID] = card
	return card, in.Board.room.SendOthers(ctx, in.Sender, card)
}

func remove(ctx context.Context, m Remove, in editInput) error {
	if _, ok := in.Edit.Cards[m.ID]; !ok {
		return depends.NotFound("no_such_card", nil)
	}
	delete(in.Edit.Cards, m.ID)
	return in.Board.room.Send(ctx, Removed{[]int{m.ID}})
}

func clearAll(ctx context.Context, _ Clear, in editInput) error {
	ids := slices.AppendSeq([]int{}, maps.Keys(in.Edit.Cards))
	slices.Sort(ids)
	clear(in.Edit.Cards)
	return in.Board.room.Send(ctx, Removed{ids})
}

// remind answers nothing, and sends something later.
func remind(_ context.Context, m Remind, in struct{ Sender wsroute.Sender[Event] }) error {
	in.Sender.Go(func(ctx context.Context) error {
		select {
		case <-time.After(time.Duration(m.Seconds) * time.Second):
			return in.Sender.Send(ctx, Due{m.ID})
		case <-ctx.Done():
			return nil
		}
	})
	return nil
}

// Index finds cards by their text, in a while.
type Index func(ctx context.Context, text string) ([]int, error)

func search(ctx context.Context, m Search, in struct{ Index Index }) (Found, error) {
	ids, err := in.Index(ctx, m.Text)
	return Found{ids}, err
}

// announce sends to a board from a plain request.
func announce(w http.ResponseWriter, r *http.Request, in struct {
	_     Member
	Board *Board
},
) error {
	if err := in.Board.room.Send(r.Context(), Notice{r.FormValue("text")}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Command is what the loop of the terminals receives.
type Command interface{ command() }

func (Add) command()    {}
func (Remove) command() {}

// terminal has the loop to itself, and decides what comes after what.
func terminal(ctx context.Context, conn *wsroute.Conn[Command, Event], _ struct{ Member Member }) error {
	for {
		received, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		switch m := received.(type) {
		case Add:
			err = conn.Send(ctx, Notice{"to add: " + m.Title})
		case Remove:
			err = conn.Send(ctx, Removed{[]int{m.ID}})
		}
		if err != nil {
			return err
		}
	}
}

func newRouter(key []byte, staff *Staff, config *wsroute.Config) *wsroute.Router {
	board := &Board{cards: map[int]Card{}}
	deps := depends.New()
	depends.Supply(deps, board)
	depends.Supply(deps, staff)
	depends.Supply(deps, Index(board.find))
	depends.Provide(deps, member)
	depends.Provide(deps, admin)
	depends.Provide(deps, edit, depends.Message)
	depends.Provide(deps, own, depends.Message)
	security.Use(deps, security.JWT[Claims]{
		Keys: []security.Key{security.HS256(key)}, Issuer: issuer, Audience: audience,
	})
	ws := wsroute.New(deps, config)

	c := wsroute.HandleMessages(ws, "/boards/:board", events, wsroute.Require[Member](), wsroute.Renewable)
	wsroute.OnOpen(c, enter)
	wsroute.Answer(c, "add", add)
	wsroute.Answer(c, "rename", rename)
	wsroute.On(c, "remove", remove, wsroute.Scopes("cards:remove"))
	wsroute.On(c, "clear", clearAll, wsroute.Require[Admin]())
	wsroute.On(c, "remind", remind)
	wsroute.Answer(c, "search", search, wsroute.Concurrent(4), wsroute.Within(2*time.Second))

	wsroute.HandleHTTP(ws, http.MethodPost, "/notices", announce)
	wsroute.Handle(ws, "/terminal", terminal, wsroute.TypeMember("kind"),
		wsroute.Receives(wsroute.Union[Command]{"add": Add{}, "remove": Remove{}}), wsroute.Sends(events))
	openAuction(ws, &Auction{})
	return ws
}

func (b *Board) find(_ context.Context, text string) ([]int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := []int{}
	for id, card := range b.cards {
		if strings.Contains(card.Title, text) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

const (
	issuer   = "https://id.example.com"
	audience = "boards"
)

// token is for an hour. A real program asks for a password first.
func token(key []byte, name, scope string) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, Claims{jwt.RegisteredClaims{
		Issuer: issuer, Audience: jwt.ClaimStrings{audience}, Subject: name,
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}, scope}).SignedString(key)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	gin.SetMode(gin.ReleaseMode)
	key, staff := []byte(rand.Text()+rand.Text()), &Staff{}
	staff.names.Store("ada", true)
	for name, scope := range map[string]string{"ada": "cards:remove", "bob": ""} {
		signed, err := token(key, name, scope)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Printf("%s: Authorization: Bearer %s\n", name, signed)
	}
	ws, engine := newRouter(key, staff, nil), gin.New()
	err := ws.Mount(engine)
	if err == nil {
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
