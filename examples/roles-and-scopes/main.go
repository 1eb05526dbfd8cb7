// Command roles-and-scopes guards routes twice: by the scopes of the token (RFC 6749 §3.3), and
// by the role of its owner.
//
//	go run ./examples/roles-and-scopes
//
// It prints what guards each route, and a token to try it with.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// Claims are the claims of a token. Its scopes are in one string, as RFC 8693 §4.2 has it.
type Claims struct {
	jwt.RegisteredClaims
	Scope string `json:"scope,omitempty"`
}

// Scopes returns the scopes that the token grants.
func (c Claims) Scopes() []string { return strings.Fields(c.Scope) }

// Roles is the store of what each account may do.
type Roles map[string]string

// Admin is proof that the account is an administrator's.
type Admin struct{ Name string }

func admin(_ context.Context, in struct {
	Claims Claims
	Roles  Roles
},
) (Admin, error) {
	if in.Roles[in.Claims.Subject] != "admin" {
		return Admin{}, depends.Forbidden("not_an_admin", nil)
	}
	return Admin{in.Claims.Subject}, nil
}

// read sends one line.
func read(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Claims Claims }) error {
	return conn.Send(ctx, "news for "+in.Claims.Subject)
}

// shut knows that an administrator asks: only the provider makes an Admin.
func shut(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Admin Admin }) error {
	return conn.Send(ctx, "shut by "+in.Admin.Name)
}

func newRouter(key []byte) *wsroute.Router {
	deps := depends.New()
	depends.Supply(deps, Roles{"ada": "admin", "bob": "reader"})
	depends.Provide(deps, admin)
	security.Use(deps, security.JWT[Claims]{
		Keys: []security.Key{security.HS256(key)}, Issuer: "https://id.example.com", Audience: "news",
	})
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/news", read, wsroute.Scopes("news:read"))
	office := ws.Group("/admin", wsroute.Require[Admin](), wsroute.Scopes("news:write"))
	wsroute.Handle(office, "/shut", shut)
	return ws
}

func token(key []byte, subject, scope string) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, Claims{jwt.RegisteredClaims{
		Issuer: "https://id.example.com", Audience: jwt.ClaimStrings{"news"}, Subject: subject,
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}, scope}).SignedString(key)
}

func run(ctx context.Context) error {
	gin.SetMode(gin.ReleaseMode)
	key := []byte(rand.Text() + rand.Text())
	ws, engine := newRouter(key), gin.New()
	if err := ws.Mount(engine); err != nil {
		return err
	}
	if err := ws.Explain(os.Stdout); err != nil {
		return err
	}
	signed, err := token(key, "ada", "news:read news:write")
	if err != nil {
		return err
	}
	fmt.Println(signed)
	return wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
