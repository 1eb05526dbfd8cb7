// Command existing is a gin program with sessions, request ids, errors of its own and plain
// routes, which gets a WebSocket route. It is the program of docs/gin.md.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// Session is what the program's middleware knows of a request.
type Session struct{ Name string }

// RequestID joins the lines of the program's logs.
type RequestID string

// ErrNoRoom is an error of the program, which knows nothing of sockets.
var ErrNoRoom = errors.New("no such room")

// Room is proof that the room exists.
type Room struct{ Name string }

type roomInput struct {
	Org  string `path:"org"`
	Room string `path:"room" validate:"alphanum"`
}

func findRoom(ctx context.Context, in roomInput) (Room, error) {
	if in.Org != "acme" || in.Room != "lobby" {
		return Room{}, ErrNoRoom
	}
	last := http.Cookie{Name: "last", Value: in.Room, Path: "/", Secure: true, HttpOnly: true}
	depends.ResponseHeader(ctx).Add("Set-Cookie", last.String())
	return Room{in.Room}, nil
}

// middleware runs for every route of the program.
func middleware(c *gin.Context) {
	c.Set("id", c.GetHeader("X-Request-Id"))
	c.Header("X-Request-Id", c.GetHeader("X-Request-Id"))
	if name, err := c.Cookie("session"); err == nil {
		c.Set("session", Session{Name: name})
	}
}

// fromMiddleware makes dependencies of the values that middleware sets.
func fromMiddleware(deps *depends.Graph) {
	wsroute.FromGin(deps, func(c *gin.Context) (Session, error) {
		session, ok := c.Get("session")
		if !ok {
			return Session{}, depends.Unauthorized("Session", depends.ErrAbsent)
		}
		return session.(Session), nil
	})
	wsroute.FromGin(deps, func(c *gin.Context) (RequestID, error) {
		return RequestID(c.GetString("id")), nil
	})
}

type joinInput struct {
	Session Session
	ID      RequestID
	Room    Room
	Addr    depends.ClientAddr
}

func join(ctx context.Context, conn *wsroute.Conn[string, string], in joinInput) error {
	log.Printf("%s: %s joins %s from %s", in.ID, in.Session.Name, in.Room.Name, in.Addr)
	return conn.Send(ctx, "welcome to "+in.Room.Name+", "+in.Session.Name)
}

// config is the configuration of the socket's routes.
func config() *wsroute.Config {
	return &wsroute.Config{
		TrustedProxies: []string{"127.0.0.1"},
		MapError: func(err error) *depends.Rejection {
			if errors.Is(err, ErrNoRoom) {
				return depends.NotFound("no_such_room", err)
			}
			return nil
		},
	}
}

// program adds the socket to the plain routes.
func program() (*depends.Graph, *wsroute.Router, *gin.Engine, error) {
	engine := gin.New()
	engine.Use(gin.LoggerWithConfig(gin.LoggerConfig{SkipQueryString: true}), gin.Recovery(), middleware)
	rooms := engine.Group("/orgs/:org/rooms/:room")
	rooms.GET("", func(c *gin.Context) { c.String(http.StatusOK, "about %s", c.Param("room")) })

	deps := depends.New()
	fromMiddleware(deps)
	depends.Provide(deps, findRoom)
	ws := wsroute.New(deps, config())
	wsroute.Handle(ws, "/ws", join)
	return deps, ws, engine, ws.Mount(rooms)
}

// serve is a server of the program's own, in place of wsroute.Serve.
func serve(
	ctx context.Context, listener net.Listener, deps *depends.Graph, ws *wsroute.Router, engine *gin.Engine,
) error {
	engine.RedirectTrailingSlash = false
	engine.HandleMethodNotAllowed = true
	server := &http.Server{Handler: engine, ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_, err := ws.Drain(stop)
		stopped <- errors.Join(err, server.Shutdown(stop), deps.Close(stop))
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	deps, ws, engine, err := program()
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	if err := serve(ctx, listener, deps, ws, engine); err != nil {
		log.Fatal(err)
	}
}
