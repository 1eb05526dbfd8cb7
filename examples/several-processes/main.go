// Command several-processes is a chat that runs in several processes: any of them takes any client.
// Here they are two servers of one program, and what they share is memory.
//
//	go run ./examples/several-processes
//
// It prints a key. With it in the header X-Key, connect to ws://127.0.0.1:8081/rooms/a and to
// ws://127.0.0.1:8082/rooms/a, and send texts.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// User is the owner of a key.
type User struct {
	Name string `json:"name"`
}

// Said is a message to the room.
type Said struct {
	From string `json:"from"`
	Text string `json:"text"`
}

// Rooms have members in all processes, who tell each other who they are.
type Rooms = wsroute.Rooms[Said, User]

// chat sends a user what is said in a room, and takes what the user says.
func chat(ctx context.Context, conn *wsroute.Conn[string, Said], in struct {
	User  User
	Room  string `path:"room"`
	Rooms *Rooms
},
) error {
	if err := in.Rooms.Join(conn, in.Room, in.User); err != nil {
		return err
	}
	for {
		text, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		err = in.Rooms.Send(ctx, in.Room, Said{in.User.Name, text})
		if err != nil && !errors.Is(err, wsroute.ErrBrokerBehind) { // its members here have it
			return err
		}
	}
}

// newProcess returns what one process serves.
func newProcess(shared *Shared, key string, config wsroute.Config) (*wsroute.Router, *gin.Engine, error) {
	keys := security.APIKey[User]{
		Sources: []depends.Source{security.Header("X-Key")},
		Find: func(ctx context.Context, hash [sha256.Size]byte) (User, error) {
			if hash != sha256.Sum256([]byte(key)) {
				return User{}, depends.ErrAbsent
			}
			depends.Identify(ctx, depends.Identity{Subject: "ada"})
			return User{"ada"}, nil
		},
	}
	tickets := &security.Tickets[User]{Store: ticketStore{shared}}
	deps := depends.New()
	security.Use(deps, security.OneOf[User](keys, tickets))
	config.Name, config.Broker = "chat", &shared.broker
	ws := wsroute.New(deps, &config)
	rooms := wsroute.NewRooms[Said, User](ws, "rooms", nil)
	depends.Supply(deps, rooms)
	wsroute.Handle(ws, "/rooms/:room", chat)

	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.POST("/ticket", gin.WrapH(tickets.Handler(func(r *http.Request) (User, error) {
		return security.Authenticate[User](r, keys)
	})))
	return ws, engine, ws.Mount(engine)
}

func run(ctx context.Context) error {
	shared, key := NewShared(), rand.Text()
	fmt.Println(key)
	ended := make(chan error, 2)
	for _, addr := range []string{"127.0.0.1:8081", "127.0.0.1:8082"} {
		ws, engine, err := newProcess(shared, key, wsroute.Config{MaxPerPrincipal: 10})
		if err != nil {
			return err
		}
		go func() { ended <- wsroute.Serve(ctx, addr, ws, engine) }()
	}
	return errors.Join(<-ended, <-ended)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
