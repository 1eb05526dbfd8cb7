// Command cheatsheet is the program of docs/cheatsheet.md: a socket whose user is checked
// before it opens and while it is open, beside one that only HTTP middleware guards.
//
//	go run ./examples/cheatsheet
//
// It prints a token for ada, and what is served where. Connect with the token to /echo and to
// /by-hand, ban ada, and see which of the two is still open after ten seconds.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// Banned is the store of banned accounts.
type Banned struct{ names sync.Map }

func (b *Banned) has(name string) bool { _, banned := b.names.Load(name); return banned }

// Claims are the claims of a token.
type Claims struct{ jwt.RegisteredClaims }

// User is somebody who is signed in and not banned.
type User struct{ Name string }

func currentUser(_ context.Context, in struct {
	Claims Claims
	Banned *Banned
},
) (User, error) {
	if in.Banned.has(in.Claims.Subject) {
		return User{}, depends.Forbidden("banned", nil)
	}
	return User{in.Claims.Subject}, nil
}

type echoInput struct{ User User } // there is one, or there is no connection

func echo(ctx context.Context, conn *wsroute.Conn[string, string], in echoInput) error {
	for {
		text, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		if err := conn.Send(ctx, in.User.Name+": "+text); err != nil {
			return err
		}
	}
}

// Event is what the server sends on /actions.
type Event interface{ event() }

// Acted answers an act.
type Acted struct {
	By string `json:"by"`
}

func (Acted) event() {}

// act is called for those who are not banned at that moment.
func act(_ context.Context, _ struct{}, in struct{ Claims Claims }) (Acted, error) {
	return Acted{in.Claims.Subject}, nil
}

func tokens(key []byte) security.JWT[Claims] {
	return security.JWT[Claims]{
		Keys:     []security.Key{security.HS256(key)},
		Issuer:   "https://id.example.com",
		Audience: "cheatsheet",
		Sources:  []depends.Source{security.BearerHeader(), security.SubprotocolToken("cheatsheet")},
	}
}

func newRouter(key []byte, banned *Banned) *wsroute.Router {
	deps := depends.New()
	depends.Supply(deps, banned)
	security.Use(deps, tokens(key))
	depends.Provide(deps, currentUser, depends.Revalidate(10*time.Second))

	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/echo", echo, wsroute.Diagnose)
	wsroute.Handle(ws, "/page/echo", echo, wsroute.AcceptThenClose)
	actions := wsroute.HandleMessages(ws, "/actions", wsroute.Union[Event]{"acted": Acted{}}, wsroute.Require[Claims]())
	wsroute.Answer(actions, "act", act, wsroute.Require[User]()) // asked for each message
	return ws
}

// guard is middleware as HTTP has it: it runs once for a request, and the whole life of
// a WebSocket is one request.
func guard(scheme security.Scheme[Claims], banned *Banned) gin.HandlerFunc {
	return func(c *gin.Context) {
		claims, err := security.Authenticate(c.Request, scheme)
		if err != nil || banned.has(claims.Subject) {
			c.AbortWithStatus(http.StatusUnauthorized)
		}
	}
}

// byHand is a socket behind it: nothing checks the user of a message.
func byHand(c *gin.Context) {
	ws, err := new(websocket.Upgrader).Upgrade(c.Writer, c.Request, nil)
	if err != nil {
		return
	}
	defer ws.Close() //nolint:errcheck // it ends here either way
	for {
		kind, text, err := ws.ReadMessage()
		if err != nil || ws.WriteMessage(kind, text) != nil {
			return
		}
	}
}

func newApp(key []byte, banned *Banned) (*wsroute.Router, *gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/by-hand", guard(security.Scheme[Claims](tokens(key)), banned), byHand)
	// A real program checks who may ban.
	engine.POST("/ban/:name", func(c *gin.Context) { banned.names.Store(c.Param("name"), true) })
	ws := newRouter(key, banned)
	return ws, engine, ws.Mount(engine)
}

// token is for an account, for an hour. A real program asks for a password first.
func token(key []byte, name string) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, Claims{jwt.RegisteredClaims{
		Issuer: "https://id.example.com", Audience: jwt.ClaimStrings{"cheatsheet"}, Subject: name,
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}}).SignedString(key)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	key := []byte(rand.Text() + rand.Text())
	signed, err := token(key, "ada")
	if err != nil {
		log.Fatal(err)
	}
	ws, engine, err := newApp(key, &Banned{})
	if err != nil { // every wiring fault of every route, in one report
		log.Fatal(err)
	}
	fmt.Println(signed)
	fmt.Println("is the bearer token for ws://127.0.0.1:8080/echo, /page/echo, /actions and /by-hand; this bans its owner:")
	fmt.Println("curl -X POST http://127.0.0.1:8080/ban/ada")
	if err := wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine); err != nil {
		log.Fatal(err)
	}
}
