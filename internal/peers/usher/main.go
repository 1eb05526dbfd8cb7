// Command usher is the guarded room on usher.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// Claims are the claims of a token.
type Claims struct{ jwt.RegisteredClaims }

// Seat is a user's place in a room.
type Seat struct{ Name, Room string }

type seatInput struct {
	Claims Claims
	Room   string `path:"room" validate:"alphanum,max=64"`
}

func takeSeat(_ context.Context, in seatInput) (Seat, error) {
	return Seat{Name: in.Claims.Subject, Room: in.Room}, nil
}

// Event is what the server sends.
type Event interface{ event() }

// Say is what a client says.
type Say struct {
	Text string `json:"text"`
}

// Said is the answer to it.
type Said struct {
	From string `json:"from"`
	Text string `json:"text"`
}

func (Said) event() {}

func say(_ context.Context, say Say, in struct{ Seat Seat }) (Said, error) {
	return Said{From: in.Seat.Name, Text: say.Text}, nil
}

func run(ctx context.Context, addr, secret string) error {
	deps := depends.New()
	depends.Provide(deps, takeSeat)
	security.Use(deps, security.JWT[Claims]{
		Keys:              []security.Key{security.HS256([]byte(secret))},
		Sources:           []depends.Source{security.QueryToken("token")},
		InsecureAnyIssuer: true, InsecureAnyAudience: true, // the tokens have sub and exp alone
	})
	ws := wsroute.New(deps, nil)
	room := wsroute.HandleMessages(ws, "/ws/rooms/:room", wsroute.Union[Event]{"said": Said{}},
		wsroute.Require[Seat]())
	wsroute.Answer(room, "say", say)
	engine := gin.New()
	if err := ws.Mount(engine); err != nil {
		return err
	}
	return wsroute.Serve(ctx, addr, ws, engine)
}

func main() {
	gin.SetMode(gin.ReleaseMode)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, "127.0.0.1:"+os.Getenv("PEERS_PORT"), os.Getenv("PEERS_SECRET")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
