// Command credentials is one guarded room behind each kind of credential: a token in a header, in
// the query, in a cookie or in a subprotocol, a ticket, a session and a key. Its page compares the
// five places that a page may choose from. Its own issuer signs the tokens, and usher fetches the
// issuer's keys as from any other.
//
//	go run ./examples/credentials
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// Claims are the claims of a token.
type Claims struct{ jwt.RegisteredClaims }

// User is a member of the room.
type User struct{ Name string }

func currentUser(_ context.Context, in struct{ Claims Claims }) (User, error) {
	return User{in.Claims.Subject}, nil
}

// sessions are those of signed-in users, by their identifiers.
type sessions struct{ users sync.Map }

func (s *sessions) find(_ context.Context, id string) (User, error) {
	if name, ok := s.users.Load(id); ok {
		return User{name.(string)}, nil
	}
	return User{}, depends.ErrAbsent
}

// login begins a session. A real program asks for a password.
func (s *sessions) login(c *gin.Context) {
	id := rand.Text()
	s.users.Store(id, c.PostForm("username"))
	http.SetCookie(c.Writer, &http.Cookie{Name: sessionCookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	c.Status(http.StatusNoContent)
}

// logout ends it.
func (s *sessions) logout(c *gin.Context) {
	if id, err := c.Cookie(sessionCookie); err == nil {
		s.users.Delete(id)
	}
	c.Status(http.StatusNoContent)
}

// devices are known by the SHA-256 of their keys, so that nobody who reads the store can connect.
type devices map[[sha256.Size]byte]User

func (d devices) find(_ context.Context, hash [sha256.Size]byte) (User, error) {
	if device, ok := d[hash]; ok {
		return device, nil
	}
	return User{}, depends.ErrAbsent
}

// room greets its user, whatever the place of the credential.
func room(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ User User }) error {
	if err := conn.Send(ctx, "hello "+in.User.Name); err != nil {
		return err
	}
	_, err := conn.Receive(ctx)
	return err
}

// The names of the cookies; behind TLS they would begin with "__Host-", and be Secure.
const cookie, sessionCookie = "token", "session"

// ladder is the program, at an address.
type ladder struct {
	base     string // "http://127.0.0.1:8081"
	issuer   *issuer
	keys     *security.JWKS
	sessions sessions
	devices  devices
}

// token verifies tokens of the issuer, wherever they stand.
func (l *ladder) token(sources ...depends.Source) security.JWT[Claims] {
	return security.JWT[Claims]{JWKS: l.keys, Issuer: l.base, Audience: "ladder", Sources: sources}
}

// routes has the room once for each credential, with a graph of its own.
func (l *ladder) routes(tickets *security.Tickets[Claims], logger *slog.Logger) *wsroute.Router {
	ws := wsroute.New(depends.New(), &wsroute.Config{Origins: []string{l.base}, Logger: logger})
	rung := func(name string, scheme security.Scheme[Claims], tells wsroute.RouteOption) {
		group := ws.Group("/ws/" + name)
		security.Use(group.Deps(), scheme)
		depends.Provide(group.Deps(), currentUser)
		wsroute.Handle(group, "", room, tells)
	}
	direct := func(name string, scheme security.Scheme[User]) { // the scheme finds the user itself
		group := ws.Group("/ws/" + name)
		security.Use(group.Deps(), scheme)
		wsroute.Handle(group, "", room)
	}
	rung("header", l.token(security.BearerHeader()), wsroute.Diagnose)
	rung("query", l.token(security.QueryToken("token")), wsroute.Diagnose)
	rung("cookie", l.token(security.CookieToken(cookie)), wsroute.Diagnose)
	rung("subprotocol", l.token(security.SubprotocolToken("ladder")), wsroute.AcceptThenClose)
	rung("ticket", tickets, wsroute.Diagnose)
	direct("session", security.Session[User]{Cookie: sessionCookie, Find: l.sessions.find})
	direct("key", security.APIKey[User]{Sources: []depends.Source{security.Header("X-API-Key")}, Find: l.devices.find})
	return ws
}

//go:embed static
var static embed.FS

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// program adds the issuer, the tickets, the sessions and the page.
func (l *ladder) program(logger *slog.Logger, middleware ...gin.HandlerFunc) (*wsroute.Router, *gin.Engine, error) {
	tickets := &security.Tickets[Claims]{}
	ws := l.routes(tickets, logger)
	engine := gin.New()
	engine.Use(middleware...)
	engine.Use(gin.Recovery(), func(c *gin.Context) { c.Header("Content-Security-Policy", policy) })
	engine.POST("/token", l.issuer.sign)
	engine.GET("/keys", l.issuer.publish)
	engine.POST("/ticket", gin.WrapH(tickets.Handler(func(r *http.Request) (Claims, error) {
		return security.Authenticate(r, security.Scheme[Claims](l.token(security.BearerHeader())))
	})))
	engine.POST("/login", l.sessions.login)
	engine.POST("/logout", l.sessions.logout)
	files, err := fs.Sub(static, "static")
	if err != nil {
		return nil, nil, err
	}
	server := http.FileServerFS(files)
	for _, path := range []string{"/", "/app.js", "/style.css"} {
		engine.GET(path, gin.WrapH(server))
	}
	return ws, engine, ws.Mount(engine)
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8081", "the address to listen on")
	flag.Parse()
	gin.SetMode(gin.ReleaseMode)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	base := "http://" + listener.Addr().String()
	key := rand.Text()
	l := &ladder{
		base: base, issuer: newIssuer(base), keys: &security.JWKS{URL: base + "/keys"},
		devices: devices{sha256.Sum256([]byte(key)): {"boiler"}},
	}
	ws, engine, err := l.program(slog.Default(), gin.Logger())
	if err != nil {
		log.Fatal(err)
	}
	_, _ = fmt.Fprintf(os.Stdout, "%s\nX-API-Key: %s\n", base, key)
	if err := wsroute.ServeListener(ctx, listener, ws, engine); err != nil {
		log.Fatal(err)
	}
}
