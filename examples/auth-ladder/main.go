// Command auth-ladder is one guarded room behind each place of a credential: a header, the
// query, a cookie, a subprotocol and a ticket. Its page compares them. Its own issuer signs the
// tokens, and usher fetches the issuer's keys as from any other.
package main

import (
	"context"
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

// room greets its user, whatever the place of the credential.
func room(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ User User }) error {
	if err := conn.Send(ctx, "hello "+in.User.Name); err != nil {
		return err
	}
	_, err := conn.Receive(ctx)
	return err
}

// cookie is the name of the cookie; behind TLS it would begin with "__Host-".
const cookie = "token"

// ladder is the program, at an address.
type ladder struct {
	base   string // "http://127.0.0.1:8081"
	issuer *issuer
	keys   *security.JWKS
}

// token verifies tokens of the issuer, wherever they stand.
func (l *ladder) token(sources ...depends.Source) security.JWT[Claims] {
	return security.JWT[Claims]{JWKS: l.keys, Issuer: l.base, Audience: "ladder", Sources: sources}
}

// routes has the room once for each place of a credential, with a graph of its own.
func (l *ladder) routes(tickets *security.Tickets[Claims], logger *slog.Logger) *wsroute.Router {
	ws := wsroute.New(depends.New(), &wsroute.Config{Origins: []string{l.base}, Logger: logger})
	rung := func(name string, scheme security.Scheme[Claims], tells wsroute.RouteOption) {
		group := ws.Group("/ws/" + name)
		security.Use(group.Deps(), scheme)
		depends.Provide(group.Deps(), currentUser)
		wsroute.Handle(group, "", room, tells)
	}
	rung("header", l.token(security.BearerHeader()), wsroute.Diagnose)
	rung("query", l.token(security.QueryToken("token")), wsroute.Diagnose)
	rung("cookie", l.token(security.CookieToken(cookie)), wsroute.Diagnose)
	rung("subprotocol", l.token(security.SubprotocolToken("ladder")), wsroute.AcceptThenClose)
	rung("ticket", tickets, wsroute.Diagnose)
	return ws
}

//go:embed static
var static embed.FS

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// program adds the issuer, the tickets and the page.
func (l *ladder) program(logger *slog.Logger) (*wsroute.Router, *gin.Engine, error) {
	tickets := &security.Tickets[Claims]{}
	ws := l.routes(tickets, logger)
	engine := gin.New()
	engine.Use(gin.Recovery(), func(c *gin.Context) { c.Header("Content-Security-Policy", policy) })
	engine.POST("/token", l.issuer.sign)
	engine.GET("/keys", l.issuer.publish)
	engine.POST("/ticket", gin.WrapH(tickets.Handler(func(r *http.Request) (Claims, error) {
		return security.Authenticate(r, security.Scheme[Claims](l.token(security.BearerHeader())))
	})))
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
	l := &ladder{base: base, issuer: newIssuer(base), keys: &security.JWKS{URL: base + "/keys"}}
	ws, engine, err := l.program(slog.Default())
	if err != nil {
		log.Fatal(err)
	}
	_, _ = fmt.Fprintln(os.Stdout, base)
	if err := wsroute.ServeListener(ctx, listener, ws, engine); err != nil {
		log.Fatal(err)
	}
}
