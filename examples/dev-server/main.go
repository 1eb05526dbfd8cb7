// Command dev-server is an API whose pages come from another port, as from a dev server: it lets
// them sign in with a cookie, fetch, and connect.
//
//	go run ./examples/dev-server -origins http://localhost:5173
//
// A page of that origin signs in with fetch("http://localhost:8080/login", {method: "POST",
// credentials: "include"}), and connects to ws://localhost:8080/hello.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// User is who has signed in.
type User struct{ Name string }

// cors lets pages of the allowed origins read the answers of all routes, and answers their
// preflights.
func cors(ws *wsroute.Router) gin.HandlerFunc {
	return func(c *gin.Context) {
		answered := true
		ws.CORS(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			c.Request, answered = r, false
		})).ServeHTTP(c.Writer, c.Request)
		if answered {
			c.Abort()
		}
	}
}

// hello greets the user, and closes.
func hello(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ User User }) error {
	return conn.Send(ctx, "hello, "+in.User.Name)
}

// me tells the user's name.
func me(w http.ResponseWriter, _ *http.Request, in struct{ User User }) error {
	_, err := w.Write([]byte(in.User.Name))
	return err
}

func newApp(origins []string, logger *slog.Logger) (*wsroute.Router, *gin.Engine, error) {
	id := rand.Text()
	session := security.Session[User]{Cookie: "sid", Find: func(_ context.Context, given string) (User, error) {
		if given == id {
			return User{"ada"}, nil
		}
		return User{}, depends.ErrAbsent
	}}
	tickets := &security.Tickets[User]{}
	deps := depends.New()
	security.Use(deps, security.OneOf[User](session, tickets))
	ws := wsroute.New(deps, &wsroute.Config{Origins: origins, Logger: logger})
	wsroute.Handle(ws, "/hello", hello)
	wsroute.HandleHTTP(ws, http.MethodGet, "/me", me)

	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.Use(cors(ws))
	engine.POST("/login", func(c *gin.Context) { // a real program asks for a password
		http.SetCookie(c.Writer, &http.Cookie{
			Name: "sid", Value: id, Path: "/",
			HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode,
		})
		c.Status(http.StatusNoContent)
	})
	engine.POST("/ticket", gin.WrapH(tickets.Handler(func(r *http.Request) (User, error) {
		return security.Authenticate[User](r, session)
	})))
	return ws, engine, ws.Mount(engine)
}

func run(ctx context.Context) error {
	addr := flag.String("addr", "localhost:8080", "where to listen")
	list := flag.String("origins", "", "whose pages may connect, with commas between them; otherwise the program's own")
	flag.Parse()
	var origins []string
	if *list != "" {
		origins = strings.Split(*list, ",")
	}
	ws, engine, err := newApp(origins, slog.Default())
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	fmt.Println("http://" + listener.Addr().String())
	return wsroute.ServeListener(ctx, listener, ws, engine)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
