// Command middleware shows what HTTP middleware cannot do for a WebSocket: it runs once,
// for the handshake. One route is behind middleware alone, and goes on answering when the token
// has expired or the account was banned. The other one is the same, corrected.
//
//	go run ./examples/middleware
//
// It prints a token that lives for a minute. Connect with "Authorization: Bearer <token>"
// to ws://127.0.0.1:8080/before and ws://127.0.0.1:8080/after.
package main

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

const issuer, audience = "https://id.example.com", "notes"

// Claims are the claims of a token.
type Claims struct{ jwt.RegisteredClaims }

// Accounts is the store of accounts that are banned.
type Accounts struct{ banned sync.Map }

// Ban bans an account.
func (a *Accounts) Ban(name string) { a.banned.Store(name, true) }

// Banned reports whether an account is banned.
func (a *Accounts) Banned(name string) bool {
	_, found := a.banned.Load(name)
	return found
}

// authenticate is ordinary, correct middleware: it refuses requests without a good token, and
// those of banned accounts.
func authenticate(key []byte, accounts *Accounts) gin.HandlerFunc {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(),
		jwt.WithIssuer(issuer), jwt.WithAudience(audience))
	return func(c *gin.Context) {
		var claims Claims
		token, _ := strings.CutPrefix(c.GetHeader("Authorization"), "Bearer ")
		_, err := parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return key, nil })
		if err != nil || accounts.Banned(claims.Subject) {
			c.AbortWithStatus(http.StatusUnauthorized)
			return
		}
		c.Set("name", claims.Subject)
	}
}

// before is a WebSocket as it is often written behind middleware. The request that was checked
// is over with the upgrade; the loop below checks nothing.
func before(c *gin.Context) {
	upgrader := websocket.Upgrader{}
	conn, err := upgrader.Upgrade(c.Writer, c.Request, nil)
	if err != nil {
		return // it has answered
	}
	defer func() { _ = conn.Close() }()
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if err := conn.WriteMessage(websocket.TextMessage, append([]byte(c.GetString("name")+": "), text...)); err != nil {
			return
		}
	}
}

// Member is an account in good standing, when it connects and afterwards.
type Member struct{ Name string }

func member(_ context.Context, in struct {
	Claims   Claims // its exp is the end of the connection
	Accounts *Accounts
},
) (Member, error) {
	if in.Accounts.Banned(in.Claims.Subject) {
		return Member{}, depends.Forbidden("banned", nil)
	}
	return Member{in.Claims.Subject}, nil
}

// after is the same loop. It need not check anything.
func after(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Member Member }) error {
	for {
		text, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		if err := conn.Send(ctx, in.Member.Name+": "+text); err != nil {
			return err
		}
	}
}

func newApp(key []byte, accounts *Accounts) (*wsroute.Router, *gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/before", authenticate(key, accounts), before)

	deps := depends.New()
	depends.Supply(deps, accounts)
	depends.Provide(deps, member, depends.Revalidate(10*time.Second))
	security.Use(deps, security.JWT[Claims]{
		Keys: []security.Key{security.HS256(key)}, Issuer: issuer, Audience: audience, Leeway: time.Nanosecond,
	})
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/after", after)
	return ws, engine, ws.Mount(engine)
}
