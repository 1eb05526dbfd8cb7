// Command quickstart is usher on one screen: rooms whose members talk, and a moderator who ends the
// talk of one.
//
//	JWT_SECRET=$(openssl rand -base64 32) go run ./examples/quickstart
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// User is the signed-in user: whoever asks for one gets one, or the connection is refused.
type User struct {
	Name      string
	Moderates bool
}

func currentUser(_ context.Context, in struct {
	Claims Claims // provided by security.JWT[Claims]
	Users  Store  // supplied in newRouter
},
) (User, error) {
	if user, ok := in.Users[in.Claims.Subject]; ok {
		return user, nil
	}
	return User{}, depends.Forbidden("unknown_user", nil)
}

// Moderator is a user who may do more.
type Moderator struct{ User }

func moderator(_ context.Context, in struct{ User User }) (Moderator, error) {
	if !in.User.Moderates {
		return Moderator{}, depends.Forbidden("not_a_moderator", nil)
	}
	return Moderator{in.User}, nil
}

type roomInput struct {
	User   User                  // made by a provider: without one there is no connection
	Room   string                `path:"room" validate:"alphanum,max=64"` // of the request
	Rooms  *Rooms                // of the program
	Sender wsroute.Sender[Event] // of the connection
}

func enter(_ context.Context, in roomInput) error {
	return in.Rooms.Join(in.Sender, in.Room, in.User.Name)
}

func say(ctx context.Context, m Say, in roomInput) error {
	return in.Rooms.Send(ctx, in.Room, Said{From: in.User.Name, Text: m.Text})
}

func end(ctx context.Context, _ struct{}, in roomInput) error {
	return in.Rooms.Close(ctx, in.Room, wsroute.Audience{}, 4000, "ended by "+in.User.Name)
}

func newRouter(secret string) *wsroute.Router {
	deps := depends.New()
	depends.Supply(deps, Store{"1": {Name: "alice", Moderates: true}, "2": {Name: "bob"}})
	depends.Provide(deps, currentUser)
	depends.Provide(deps, moderator)
	security.Use(deps, security.JWT[Claims]{
		Keys: []security.Key{security.HS256([]byte(secret))}, Issuer: "https://login.example", Audience: "rooms",
	})
	return routes(deps)
}

func routes(deps *depends.Graph) *wsroute.Router {
	ws := wsroute.New(deps, nil)
	depends.Supply(deps, wsroute.NewRooms[Event, string](ws, "rooms", events))
	room := wsroute.HandleMessages(ws, "/rooms/:room", events)
	wsroute.OnOpen(room, enter)
	wsroute.On(room, "say", say)
	wsroute.On(room, "end", end, wsroute.Require[Moderator]()) // asked for each message
	return ws
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ws, engine := newRouter(os.Getenv("JWT_SECRET")), gin.New()
	if err := ws.Mount(engine); err != nil { // every wiring fault of every route, in one report
		log.Fatal(err)
	}
	if err := wsroute.Serve(ctx, ":8080", ws, engine); err != nil { // drains when ctx ends
		log.Fatal(err)
	}
}

type (
	Claims struct{ jwt.RegisteredClaims }
	Store  map[string]User // in place of a database
	Rooms  = wsroute.Rooms[Event, string]
)

type Say struct {
	Text string `json:"text" validate:"min=1,max=500"`
}

type Said struct {
	From string `json:"from"`
	Text string `json:"text"`
}

// Event is what the server sends.
type Event interface{ event() }

func (Said) event() {}

var events = wsroute.Union[Event]{"said": Said{}}
