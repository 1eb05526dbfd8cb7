// Command authorising says step by step who may do what: a token, the account that it names, an
// account that is not suspended, an administrator; and beside them the scopes of the token. Each
// route asks for as much as it needs, sockets and plain requests alike.
//
//	go run ./examples/authorising
//
// It prints what guards each route, and a token for the header "Authorization: Bearer <token>".
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
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

// User is the owner of the token.
type User struct {
	Name      string `json:"name"`
	Suspended bool   `json:"suspended"`
	Role      string `json:"role"`
}

// ActiveUser is a user who may do things. Admin is one who may do more.
type (
	ActiveUser struct{ User }
	Admin      struct{ User }
)

// Users is the store of accounts, by their subject.
type Users map[string]User

func currentUser(_ context.Context, in struct {
	Claims Claims
	Users  Users
},
) (User, error) {
	user, ok := in.Users[in.Claims.Subject]
	if !ok {
		return User{}, depends.Forbidden("unknown_user", nil)
	}
	return user, nil
}

func activeUser(_ context.Context, in struct{ User User }) (ActiveUser, error) {
	if in.User.Suspended {
		return ActiveUser{}, depends.Forbidden("suspended", nil)
	}
	return ActiveUser{in.User}, nil
}

func admin(_ context.Context, in struct{ User ActiveUser }) (Admin, error) {
	if in.User.Role != "admin" {
		return Admin{}, depends.Forbidden("not_an_admin", nil)
	}
	return Admin{in.User.User}, nil
}

// me sends users their account, and closes.
func me(ctx context.Context, conn *wsroute.Conn[string, User], in struct{ User User }) error {
	return conn.Send(ctx, in.User)
}

type sayInput struct {
	User  ActiveUser
	Times *int `query:"times" validate:"omitempty,gte=1"` // nil if it is absent
}

// say repeats what an active user says.
func say(ctx context.Context, conn *wsroute.Conn[string, string], in sayInput) error {
	times := 1
	if in.Times != nil {
		times = *in.Times
	}
	for {
		text, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		for range times {
			if err := conn.Send(ctx, in.User.Name+": "+text); err != nil {
				return err
			}
		}
	}
}

// Item is a piece of news, and Readers are the connections that get it.
type (
	Item struct {
		From string `json:"from"`
		Text string `json:"text"`
	}
	Readers = wsroute.Room[Item]
)

// read sends the news until the reader goes.
func read(ctx context.Context, conn *wsroute.Conn[wsroute.Discard, Item], in struct{ Readers *Readers }) error {
	defer in.Readers.Join(conn)()
	<-ctx.Done()
	return context.Cause(ctx)
}

type publishInput struct {
	Admin   Admin
	Readers *Readers
}

// publish knows that an administrator asks: only the provider makes an Admin.
func publish(w http.ResponseWriter, r *http.Request, in publishInput) error {
	var item Item
	body := http.MaxBytesReader(w, r.Body, 4<<10)
	if err := json.NewDecoder(body).Decode(&item); err != nil {
		return &depends.Rejection{Status: http.StatusBadRequest, Reason: "invalid_json", Err: err}
	}
	item.From = in.Admin.Name
	if err := in.Readers.Send(r.Context(), item); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(item)
}

func newRouter(key []byte, config *wsroute.Config) *wsroute.Router {
	deps := depends.New()
	depends.Supply(deps, Users{
		"1": {Name: "ada", Role: "admin"}, "2": {Name: "bob", Suspended: true}, "3": {Name: "eve", Role: "reader"},
	})
	depends.Supply(deps, &Readers{})
	depends.Provide(deps, currentUser)
	depends.Provide(deps, activeUser)
	depends.Provide(deps, admin)
	security.Use(deps, security.JWT[Claims]{
		Keys: []security.Key{security.HS256(key)}, Issuer: "https://id.example.com", Audience: "news",
	})
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/me", me)
	wsroute.Handle(ws, "/say", say)
	wsroute.Handle(ws, "/news", read, wsroute.Require[ActiveUser](), wsroute.Scopes("news:read"))
	office := ws.Group("/admin", wsroute.Scopes("news:write"))
	wsroute.HandleHTTP(office, http.MethodPost, "/news", publish)
	return ws
}

// token is for an account, for an hour. A real program asks for a password first.
func token(key []byte, subject, scope string) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, Claims{jwt.RegisteredClaims{
		Issuer: "https://id.example.com", Audience: jwt.ClaimStrings{"news"}, Subject: subject,
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}, scope}).SignedString(key)
}

func run(ctx context.Context) error {
	gin.SetMode(gin.ReleaseMode)
	key := []byte(rand.Text() + rand.Text())
	ws, engine := newRouter(key, nil), gin.New()
	if err := ws.Mount(engine); err != nil {
		return err
	}
	if err := ws.Explain(os.Stdout); err != nil {
		return err
	}
	signed, err := token(key, "1", "news:read news:write")
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
