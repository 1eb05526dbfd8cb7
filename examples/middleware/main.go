// Command middleware shows what HTTP middleware cannot do for a WebSocket: it runs once,
// for the handshake. One route is behind middleware alone, and goes on answering when the token
// has expired or the account was banned. The others are the same, corrected.
//
//	go run ./examples/middleware
//
// It prints a token that lives for a minute, what is served where, and how to ban its owner.
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

// User is somebody who is signed in and not banned, when they connect and afterwards.
type User struct{ Name string }

func currentUser(_ context.Context, in struct {
	Claims   Claims // its exp is the end of the connection
	Accounts *Accounts
},
) (User, error) {
	if in.Accounts.Banned(in.Claims.Subject) {
		return User{}, depends.Forbidden("banned", nil)
	}
	return User{in.Claims.Subject}, nil
}

// after is the same loop. It need not check anything.
func after(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ User User }) error {
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
func act(_ context.Context, _ struct{}, in struct{ User User }) (Acted, error) {
	return Acted{in.User.Name}, nil
}

func tokens(key []byte) security.JWT[Claims] {
	return security.JWT[Claims]{
		Keys:     []security.Key{security.HS256(key)},
		Issuer:   issuer,
		Audience: audience,
		Sources:  []depends.Source{security.BearerHeader(), security.SubprotocolToken("notes")},
		Leeway:   time.Nanosecond, // in place of 30 s, to see the end
	}
}

func newRouter(key []byte, accounts *Accounts) *wsroute.Router {
	deps := depends.New()
	depends.Supply(deps, accounts)
	security.Use(deps, tokens(key))
	depends.Provide(deps, currentUser, depends.Revalidate(10*time.Second))

	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/after", after, wsroute.Diagnose)
	wsroute.Handle(ws, "/page/after", after, wsroute.AcceptThenClose)
	actions := wsroute.HandleMessages(ws, "/actions", wsroute.Union[Event]{"acted": Acted{}}, wsroute.Require[Claims]())
	wsroute.Answer(actions, "act", act, wsroute.Require[User]()) // asked for each message
	return ws
}

func newApp(key []byte, accounts *Accounts) (*wsroute.Router, *gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/before", authenticate(key, accounts), before)
	// A real program checks who may ban.
	engine.POST("/ban/:name", func(c *gin.Context) { accounts.Ban(c.Param("name")) })
	ws := newRouter(key, accounts)
	return ws, engine, ws.Mount(engine)
}
