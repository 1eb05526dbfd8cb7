package mistakes

import (
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

type join struct {
	Room  string `path:"rom"`
	Since int    `query:"since" default:"x"`
	Limit int    `query:"limit" validate:"positive"`
	User  User   `depends:"frehs"`
}

func badTag() error {
	deps := depends.New()
	depends.Supply(deps, User{Name: "alice"})
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/rooms/:room", func(context.Context, *conn, join) error { return nil })
	return ws.Mount(gin.New())
}

type joinCorrected struct {
	Room  string `path:"room"`
	Since int    `query:"since" default:"0"`
	Limit int    `query:"limit" validate:"gt=0"`
	User  User   `depends:"fresh"`
}

func badTagCorrected() error {
	deps := depends.New()
	depends.Provide(deps, func(context.Context, struct{}) (User, error) { return User{Name: "alice"}, nil })
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/rooms/:room", func(context.Context, *conn, joinCorrected) error { return nil }, wsroute.Public)
	return ws.Mount(gin.New())
}

type page struct {
	user User
	*Store
	User
}

func (p page) String() string { return p.user.Name }

func badField() error {
	deps := depends.New()
	depends.Supply(deps, User{Name: "alice"})
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/", func(context.Context, *conn, page) error { return nil })
	return ws.Mount(gin.New())
}

// Paging is embedded, and so are its parameters.
type Paging struct {
	Skip int `query:"skip" default:"0"`
}

type pageCorrected struct {
	User  User
	Store *Store
	Paging
}

func badFieldCorrected() error {
	deps := depends.New()
	depends.Supply(deps, User{Name: "alice"})
	depends.Supply(deps, &Store{})
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/", func(context.Context, *conn, pageCorrected) error { return nil }, wsroute.Public)
	return ws.Mount(gin.New())
}

func badInput() error {
	ws := wsroute.New(depends.New(), nil)
	wsroute.Handle(ws, "/", func(context.Context, *conn, *Paging) error { return nil })
	return ws.Mount(gin.New())
}

func badInputCorrected() error {
	ws := wsroute.New(depends.New(), nil)
	wsroute.Handle(ws, "/", func(context.Context, *conn, Paging) error { return nil }, wsroute.Public)
	return ws.Mount(gin.New())
}

type Event struct {
	At     time.Time `json:"at"`
	Notify chan int  `json:"notify"`
}

func badMessage() error {
	ws := wsroute.New(depends.New(), nil)
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[Event, Event], struct{}) error { return nil }, wsroute.Public)
	return ws.Mount(gin.New())
}

type EventCorrected struct {
	At     time.Time `json:"at"`
	Notify chan int  `json:"-"`
}

func badMessageCorrected() error {
	ws := wsroute.New(depends.New(), nil)
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[EventCorrected, EventCorrected], struct{}) error { return nil }, wsroute.Public)
	return ws.Mount(gin.New())
}

func nothing(context.Context, *conn, struct{}) error { return nil }

func badRoute() error {
	ws := wsroute.New(depends.New(), nil)
	wsroute.Handle(ws, "rooms", nothing, wsroute.Public)
	wsroute.Handle(ws, "/files/*rest/more", nothing, wsroute.Public)
	return ws.Mount(gin.New())
}

func badRouteCorrected() error {
	ws := wsroute.New(depends.New(), nil)
	wsroute.Handle(ws, "/rooms", nothing, wsroute.Public)
	wsroute.Handle(ws, "/files/*rest", nothing, wsroute.Public)
	return ws.Mount(gin.New())
}

func conflict() error {
	engine := gin.New()
	engine.GET("/rooms/:room", func(c *gin.Context) { c.String(200, "a page") })
	ws := wsroute.New(depends.New(), nil)
	wsroute.Handle(ws, "/rooms/:room", nothing, wsroute.Public)
	return ws.Mount(engine)
}

func roomPage(w http.ResponseWriter, _ *http.Request, _ struct{}) error {
	_, err := io.WriteString(w, "a page")
	return err
}

func conflictCorrected() error {
	ws := wsroute.New(depends.New(), nil)
	wsroute.HandleHTTP(ws, http.MethodGet, "/rooms/:room", roomPage)
	wsroute.Handle(ws, "/rooms/:room", nothing, wsroute.Public)
	return ws.Mount(gin.New())
}

func twoAnswers() error {
	ws := wsroute.New(depends.New(), nil)
	wsroute.HandleHTTP(ws, http.MethodGet, "/rooms/:room", roomPage)
	wsroute.Handle(ws, "/rooms/:room", nothing, wsroute.Diagnose, wsroute.Public)
	return ws.Mount(gin.New())
}

func twoAnswersCorrected() error {
	ws := wsroute.New(depends.New(), nil)
	wsroute.HandleHTTP(ws, http.MethodGet, "/rooms/:room", roomPage)
	wsroute.Handle(ws, "/rooms/:room/ws", nothing, wsroute.Diagnose, wsroute.Public)
	return ws.Mount(gin.New())
}

func badConfig() error {
	ws := wsroute.New(depends.New(), &wsroute.Config{
		Origins:        []string{"chat.example.com"},
		TrustedProxies: []string{"proxy"},
		Limits:         wsroute.Limits{PingInterval: time.Minute},
	})
	return ws.Mount(gin.New())
}

func badConfigCorrected() error {
	ws := wsroute.New(depends.New(), &wsroute.Config{
		Origins:        []string{"https://chat.example.com"},
		TrustedProxies: []string{"10.0.0.7"},
		Limits:         wsroute.Limits{PingInterval: time.Minute, PongTimeout: 90 * time.Second},
	})
	return ws.Mount(gin.New())
}

func open() error {
	deps := depends.New()
	depends.Provide(deps, openStore, depends.App)
	depends.Provide(deps, currentUser)
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/greet", greet)
	return ws.Mount(gin.New())
}

// Operator is somebody at this machine.
type Operator struct{}

func operator(_ context.Context, in struct{ From depends.ClientAddr }) (Operator, error) {
	if !in.From.IsLoopback() {
		return Operator{}, depends.Forbidden("other_machine", nil)
	}
	return Operator{}, nil
}

func openCorrected() error {
	deps := depends.New()
	depends.Provide(deps, openStore, depends.App)
	depends.Provide(deps, currentUser)
	depends.Provide(deps, operator)
	ws := wsroute.New(deps, nil)
	wsroute.Handle(ws, "/greet", greet, wsroute.Require[Operator]())
	wsroute.Handle(ws, "/public/greet", greet, wsroute.Public) // or this
	return ws.Mount(gin.New())
}

// IsAdmin says who is an admin.
type IsAdmin bool

func isAdmin(_ context.Context, in struct{ User User }) (IsAdmin, error) {
	return in.User.Name == "root", nil
}

func noGuards() error {
	deps := depends.New()
	depends.Provide(deps, openStore, depends.App)
	depends.Provide(deps, currentUser)
	depends.Provide(deps, isAdmin)
	ws := wsroute.New(deps, nil).Group("", wsroute.Public)
	wsroute.Handle(ws, "/admin", greet, wsroute.Require[IsAdmin]())
	wsroute.Handle(ws, "/open", greet, wsroute.Require[*Store]())
	return ws.Mount(gin.New())
}

// Admin is an admin: there is no other.
type Admin struct{ User }

func admin(_ context.Context, in struct{ User User }) (Admin, error) {
	if in.User.Name != "root" {
		return Admin{}, depends.Forbidden("no_admin", nil)
	}
	return Admin{in.User}, nil
}

func noGuardsCorrected() error {
	deps := depends.New()
	depends.Provide(deps, openStore, depends.App)
	depends.Provide(deps, currentUser)
	depends.Provide(deps, admin)
	ws := wsroute.New(deps, nil).Group("", wsroute.Public)
	wsroute.Handle(ws, "/admin", greet, wsroute.Require[Admin]())
	wsroute.Handle(ws, "/open", greet)
	return ws.Mount(gin.New())
}

type Claims struct{ jwt.RegisteredClaims }

func unsafe() error {
	deps := depends.New()
	security.Use(deps, security.JWT[Claims]{
		Keys:    []security.Key{security.HS256([]byte("secret"))},
		Sources: []depends.Source{security.BearerHeader()},
	})
	return wsroute.New(deps, nil).Mount(gin.New())
}

func unsafeCorrected() error {
	deps := depends.New()
	security.Use(deps, security.JWT[Claims]{
		Keys:     []security.Key{security.HS256([]byte("0123456789abcdef0123456789abcdef"))},
		Issuer:   "https://issuer.example.com",
		Audience: "chat",
		Sources:  []depends.Source{security.BearerHeader()},
	})
	return wsroute.New(deps, nil).Mount(gin.New())
}

func byKey(context.Context, [sha256.Size]byte) (User, error) { return User{Name: "alice"}, nil }
func byToken(context.Context, string) (User, error)          { return User{Name: "alice"}, nil }

func unreachable() error {
	deps := depends.New()
	security.Use(deps, security.OneOf[User](
		security.APIKey[User]{Sources: []depends.Source{security.BearerHeader()}, Find: byKey},
		security.Opaque[User]{Sources: []depends.Source{security.BearerHeader()}, Find: byToken},
	))
	return wsroute.New(deps, nil).Mount(gin.New())
}

func unreachableCorrected() error {
	deps := depends.New()
	security.Use(deps, security.OneOf[User](
		security.APIKey[User]{Sources: []depends.Source{security.Header("X-API-Key")}, Find: byKey},
		security.Opaque[User]{Sources: []depends.Source{security.BearerHeader()}, Find: byToken},
	))
	return wsroute.New(deps, nil).Mount(gin.New())
}
