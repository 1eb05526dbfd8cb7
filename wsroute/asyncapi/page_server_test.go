package asyncapi

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

var pageAddr = flag.String("addr", "", "where TestPageServer listens")

// pageDocument describes the server below.
//
//go:embed testdata/page.json
var pageDocument []byte

// The messages of its room.
type (
	pageEvent interface{ pageEvent() }
	pageMark  struct {
		From  int        `json:"from"            validate:"gte=0"`
		To    int        `json:"to"              validate:"gte=0"`
		Inner []pageMark `json:"inner,omitempty" validate:"dive"`
	}
	pageSay struct {
		Text   string     `json:"text"             validate:"required,max=20"`
		Mood   string     `json:"mood"`
		Quiet  bool       `json:"quiet"`
		Number int64      `json:"number"`
		At     *time.Time `json:"at"`
		Marks  []pageMark `json:"marks"            validate:"max=8,dive"`
	}
	pageKick struct {
		Name string `json:"name" validate:"required"`
	}
	pageWait struct{}
	pageSaid struct {
		From   string     `json:"from"`
		Text   string     `json:"text"`
		Mood   string     `json:"mood,omitempty"`
		Number int64      `json:"number,omitempty"`
		Marks  []pageMark `json:"marks,omitempty"`
	}
	pageSeen struct {
		Bytes int `json:"bytes"`
	}
	pageUser struct{ Name string }
)

func (pageSaid) pageEvent() {}
func (pageSeen) pageEvent() {}

// Scopes are what the user may do.
func (pageUser) Scopes() []string { return []string{"chat"} }

// pageTokens are the tokens of the server. The second has characters that no subprotocol has.
var pageTokens = map[string]string{"good-token": "ada", "good token/ü": "grace", "other-token": "ada"}

func pageScheme(sources ...depends.Source) security.Opaque[pageUser] {
	return security.Opaque[pageUser]{
		Sources: sources, InsecureQuery: true,
		Find: func(ctx context.Context, token string) (pageUser, error) {
			name, ok := pageTokens[token]
			if !ok {
				return pageUser{}, depends.ErrAbsent
			}
			depends.Identify(ctx, depends.Identity{Subject: name})
			return pageUser{name}, nil
		},
	}
}

// pageRoutes has a route for each place of a credential, and a room with messages.
func pageRoutes(tickets *security.Tickets[pageUser]) *wsroute.Router {
	quiet := slog.New(slog.DiscardHandler)
	ws := wsroute.New(depends.New(), &wsroute.Config{Logger: quiet})
	echo := func(path string, scheme security.Scheme[pageUser], tells wsroute.RouteOption) {
		group := ws.Group(path)
		security.Use(group.Deps(), scheme)
		wsroute.Handle(group, "", pageEcho[struct{ User pageUser }], tells)
	}
	query := pageScheme(security.QueryToken("token"))
	echo("/ws/query", query, wsroute.Diagnose)
	echo("/ws/cookie", pageScheme(security.CookieToken("session")), wsroute.Diagnose)
	echo("/ws/subprotocol", pageScheme(security.SubprotocolToken("rooms")), wsroute.Diagnose)
	echo("/ws/ticket", tickets, wsroute.Diagnose)
	echo("/ws/accept", query, wsroute.AcceptThenClose)
	echo("/ws/silent", query, wsroute.DropOldest)
	wsroute.Handle(ws, "/ws/echo", pageEcho[struct{}], wsroute.Public, wsroute.Diagnose)
	wsroute.Handle(ws, "/ws/files/*path", func(
		ctx context.Context, conn *wsroute.Conn[wsroute.Message, wsroute.Message],
		in struct {
			Path string `path:"path"`
		},
	) error {
		for {
			m, err := conn.Receive(ctx)
			if err != nil {
				return err
			}
			m.Data = append([]byte(in.Path+" "), m.Data...)
			if err := conn.Send(ctx, m); err != nil {
				return err
			}
		}
	}, wsroute.Public, wsroute.Diagnose)

	rooms := ws.Group("/ws/rooms")
	security.Use(rooms.Deps(), pageScheme(security.BearerHeader(), security.SubprotocolToken("rooms")))
	events := wsroute.Union[pageEvent]{"said": pageSaid{}, "seen": pageSeen{}}
	c := wsroute.HandleMessages(rooms, "/:room", events, wsroute.Diagnose, wsroute.Renewable,
		wsroute.Subprotocols("chat.v1"), wsroute.Scopes("chat"))
	type input struct {
		User   pageUser
		Room   string `path:"room" validate:"alpha,lowercase"`
		Sender wsroute.Sender[pageEvent]
	}
	wsroute.OnOpen(c, func(context.Context, input) error { return nil })
	wsroute.Answer(c, "say", func(_ context.Context, m pageSay, in input) (pageSaid, error) {
		if m.Mood == "sad" {
			return pageSaid{}, &depends.Rejection{Status: http.StatusForbidden, Reason: "muted", Detail: "Be glad."}
		}
		return pageSaid{in.User.Name, m.Text, m.Mood, m.Number, m.Marks}, nil
	})
	wsroute.On(c, "kick", func(context.Context, pageKick, input) error {
		return &depends.Rejection{CloseCode: 4001, Reason: "kicked"}
	})
	wsroute.Answer(c, "wait", func(ctx context.Context, _ pageWait, _ input) (pageSaid, error) {
		<-ctx.Done()
		return pageSaid{}, context.Cause(ctx)
	}, wsroute.Concurrent(4), wsroute.Within(time.Minute))
	wsroute.Answer(c, "count", func(ctx context.Context, _ pageWait, in struct {
		Parts wsroute.Reply[pageSeen]
	},
	) (pageSaid, error) {
		err := errors.Join(in.Parts.Send(ctx, pageSeen{1}), in.Parts.Send(ctx, pageSeen{2}))
		return pageSaid{Text: "done"}, err
	}, wsroute.Concurrent(4))
	wsroute.OnBinary(c, func(ctx context.Context, data []byte, in input) error {
		return in.Sender.Send(ctx, pageSeen{len(data)})
	})
	return ws
}

// pageEcho sends back what it gets, and ends when it is told to.
func pageEcho[In any](ctx context.Context, conn *wsroute.Conn[string, string], _ In) error {
	for {
		text, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		if text == "end" {
			return &depends.Rejection{CloseCode: 4444, Reason: "ended"}
		}
		if err := conn.Send(ctx, text); err != nil {
			return err
		}
	}
}

// pageEngine adds the page, the tickets, and a way to get a cookie.
func pageEngine() (*wsroute.Router, *gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode)
	tickets := &security.Tickets[pageUser]{}
	ws := pageRoutes(tickets)
	engine := gin.New()
	engine.POST("/ticket", gin.WrapH(tickets.Handler(func(r *http.Request) (pageUser, error) {
		return security.Authenticate(r, security.Scheme[pageUser](pageScheme(security.BearerHeader())))
	})))
	engine.POST("/sign-in", func(c *gin.Context) {
		http.SetCookie(c.Writer, &http.Cookie{Name: "session", Value: "good-token", Path: "/", HttpOnly: true})
	})
	engine.Match([]string{http.MethodGet, http.MethodHead}, "/docs/*any", gin.WrapH(page(pageDocument)))
	return ws, engine, ws.Mount(engine)
}

// TestPageServer is the program that module e2e starts, to test the page in a browser.
func TestPageServer(t *testing.T) {
	if *pageAddr == "" {
		t.Skip("no -addr: module e2e sets it")
	}
	ws, engine, err := pageEngine()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", *pageAddr)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(os.Stdout, "http://%s\n", listener.Addr())
	if err := wsroute.ServeListener(t.Context(), listener, ws, engine); !errors.Is(err, http.ErrServerClosed) {
		t.Fatal(err)
	}
}
