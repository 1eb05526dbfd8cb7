// Command cookie-session lets in pages with a classic session: the browser sends the session's
// cookie with the handshake, and only pages of this origin are let in.
//
//	go run ./examples/cookie-session
//
// POST name=ada to http://127.0.0.1:8080/login; then a page of that origin can say
// new WebSocket("ws://127.0.0.1:8080/inbox").
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// cookie is the session's; behind TLS it is called "__Host-session", and is Secure.
const cookie = "session"

// Session is a signed-in user.
type Session struct{ Name string }

// Sessions are the open sessions, by their identifiers.
type Sessions struct{ of sync.Map }

func (s *Sessions) find(_ context.Context, id string) (Session, error) {
	if name, ok := s.of.Load(id); ok {
		return Session{name.(string)}, nil
	}
	return Session{}, depends.ErrAbsent
}

// login begins a session. A real program asks for a password.
func (s *Sessions) login(c *gin.Context) {
	id := rand.Text()
	s.of.Store(id, c.PostForm("name"))
	http.SetCookie(c.Writer, &http.Cookie{Name: cookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	c.Status(http.StatusNoContent)
}

// logout ends it.
func (s *Sessions) logout(c *gin.Context) {
	if id, err := c.Cookie(cookie); err == nil {
		s.of.Delete(id)
	}
	c.Status(http.StatusNoContent)
}

// inbox greets the user, and closes.
func inbox(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Session Session }) error {
	return conn.Send(ctx, "nothing new, "+in.Session.Name)
}

func newApp(sessions *Sessions, origin string) (*wsroute.Router, *gin.Engine, error) {
	deps := depends.New()
	security.Use(deps, security.Session[Session]{Cookie: cookie, Find: sessions.find})
	ws := wsroute.New(deps, &wsroute.Config{Origins: []string{origin}})
	wsroute.Handle(ws, "/inbox", inbox)

	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.POST("/login", sessions.login)
	engine.POST("/logout", sessions.logout)
	return ws, engine, ws.Mount(engine)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ws, engine, err := newApp(&Sessions{}, "http://127.0.0.1:8080")
	if err == nil {
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
