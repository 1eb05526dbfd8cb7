// Command rooms is the server of the TypeScript client's tests, and generates that client:
//
//	rooms -typescript > client.ts
//	rooms -addr 127.0.0.1:0 -client client.js
//
// Without -client it has no page. Its tokens are a name, or a name, a tilde and the seconds for which
// the token is good: alice~5.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/asyncapi"
)

type (
	// Say is said to all.
	Say struct {
		Text string   `json:"text" validate:"min=1,max=20" doc:"what is said"`
		Tags []string `json:"tags,omitempty"`
	}
	// Ask is answered in parts.
	Ask struct {
		Words int `json:"words"`
	}
	// Fail has one error after the other.
	Fail struct{}
	// Typing has no answer.
	Typing struct{}
	// Kick closes the connection of the sender.
	Kick struct{}
	// Revoke revokes the sender's account.
	Revoke struct{}

	// Event is what the server sends.
	Event interface{ event() }
	// Said was said by somebody.
	Said struct {
		By   string   `json:"by"`
		Text string   `json:"text"`
		Tags []string `json:"tags"`
	}
	// Word is a part of an answer.
	Word struct {
		Text string `json:"text"`
	}
	// Answer is the end of one.
	Answer struct {
		Words int `json:"words"`
	}
	// State has the name of one of the client's own events.
	State struct {
		Open bool `json:"open"`
	}
)

func (Said) event()   {}
func (Word) event()   {}
func (Answer) event() {}
func (State) event()  {}

var events = wsroute.Union[Event]{"said": Said{}, "word": Word{}, "answer": Answer{}, "state": State{}}

// User is who a token names.
type User struct{ Name string }

// find knows everybody but nobody. The wall clock is the server's, as for any token.
func find(ctx context.Context, token string) (User, error) {
	name, seconds, expires := strings.Cut(token, "~")
	if name == "nobody" {
		return User{}, depends.ErrAbsent
	}
	if name == "banned" {
		return User{}, &depends.Rejection{Status: 403, Reason: "banned", Detail: "until noon"}
	}
	depends.Identify(ctx, depends.Identity{Subject: name})
	if expires {
		n, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil {
			return User{}, depends.ErrAbsent
		}
		depends.ValidUntil(ctx, time.Now().Add(time.Duration(n)*time.Second))
	}
	return User{name}, nil
}

type input struct {
	Room  string `path:"room" validate:"alphanum,max=10" doc:"its name"`
	Since int    `query:"since" default:"0"`
	User  User
}

func newRooms() *wsroute.Router {
	deps := depends.New()
	security.Use(deps, security.OneOf(
		security.Scheme[User](security.Opaque[User]{
			Sources: []depends.Source{
				security.BearerHeader(), security.SubprotocolToken("rooms"), security.QueryToken("token"),
			},
			Find: find, InsecureQuery: true,
		}),
		&security.Tickets[User]{},
	))
	ws := wsroute.New(deps, nil)
	addRoom(ws, "/ws/rooms/:room", wsroute.Diagnose, wsroute.Subprotocols("rooms.v1"), wsroute.Doc("a room"))
	late := wsroute.HandleMessages(ws, "/ws/late", events, wsroute.Require[User](), wsroute.AcceptThenClose)
	wsroute.Answer(late, "say", func(_ context.Context, m Say, in struct{ User User }) (Said, error) {
		return Said{in.User.Name, m.Text, m.Tags}, nil
	})
	wsroute.Handle(ws, "/ws/echo", func(ctx context.Context, conn *wsroute.Conn[Say, []Said], _ struct{}) error {
		for {
			say, err := conn.Receive(ctx)
			if err != nil {
				return err
			}
			if err := conn.Send(ctx, []Said{{"echo", say.Text, nil}}); err != nil {
				return err
			}
		}
	}, wsroute.Public)
	wsroute.Handle(ws, "/ws/raw/*path", func(ctx context.Context, conn *wsroute.Conn[wsroute.Message, wsroute.Message], _ struct{}) error {
		for {
			m, err := conn.Receive(ctx)
			if err != nil {
				return err
			}
			if err := conn.Send(ctx, m); err != nil {
				return err
			}
		}
	}, wsroute.Public)
	return ws
}

func addRoom(ws *wsroute.Router, path string, options ...wsroute.RouteOption) {
	c := wsroute.HandleMessages(ws, path, events, append(options, wsroute.Require[User](), wsroute.Renewable,
		wsroute.Closes(4001, "kicked", wsroute.ReconnectNever, "a moderator has removed the account"))...)
	wsroute.Answer(c, "say", func(_ context.Context, m Say, in input) (Said, error) {
		return Said{in.User.Name, m.Text, m.Tags}, nil
	}, wsroute.Doc("says it to all"))
	wsroute.Answer(c, "fail", func(context.Context, Fail, struct{}) (Said, error) {
		return Said{}, &depends.Rejection{Status: 403, Reason: "muted", Detail: "until noon", RetryAfter: time.Minute}
	}, wsroute.Fails("muted", "nobody hears the account"))
	wsroute.Answer(c, "ask", func(ctx context.Context, m Ask, in struct{ Words wsroute.Reply[Word] }) (Answer, error) {
		for i := range m.Words {
			if err := in.Words.Send(ctx, Word{"word " + strconv.Itoa(i)}); err != nil {
				return Answer{}, err
			}
		}
		return Answer{m.Words}, nil
	}, wsroute.Concurrent(2))
	wsroute.Answer(c, "mix", func(context.Context, Fail, struct{ Events wsroute.Reply[Event] }) (Answer, error) {
		return Answer{}, nil
	})
	wsroute.On(c, "typing", func(context.Context, Typing, struct{}) error { return nil })
	wsroute.On(c, "kick", func(context.Context, Kick, struct{}) error {
		return &depends.Rejection{CloseCode: 4001, Reason: "kicked"}
	})
	wsroute.On(c, "revoke", func(ctx context.Context, _ Revoke, in input) error {
		_, err := ws.Revoke(context.WithoutCancel(ctx), wsroute.Revocation{Subject: in.User.Name})
		return err
	})
}

// page has the client as client, and says what goes wrong with it.
const page = `<!doctype html><title>rooms</title><script type="module" src="/page.js"></script>`

const script = `import * as client from "/client.js"; globalThis.client = client;`

func serve(ws *wsroute.Router, addr, file string) error {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	if err := ws.Mount(engine); err != nil {
		return err
	}
	send := func(path, contentType, policy, text string) {
		engine.GET(path, func(c *gin.Context) {
			c.Header("Content-Security-Policy", policy)
			c.Data(http.StatusOK, contentType, []byte(text))
		})
	}
	if file != "" {
		js, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		send("/", "text/html", "default-src 'self'", page)
		send("/blocked", "text/html", "default-src 'self'; connect-src 'none'", page)
		send("/page.js", "text/javascript", "", script)
		send("/client.js", "text/javascript", "", string(js))
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("http://%s is open\n", listener.Addr())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return wsroute.ServeListener(ctx, listener, ws, engine)
}

func run() error {
	typescript := flag.Bool("typescript", false, "write the client and end")
	addr := flag.String("addr", "127.0.0.1:0", "where to listen")
	file := flag.String("client", "", "the compiled client, for the page")
	flag.Parse()
	ws := newRooms()
	if *typescript {
		if _, err := ws.Handler(); err != nil {
			return err
		}
		doc, err := asyncapi.Describe(ws, asyncapi.Info{Title: "Rooms", Version: "1.0.0"})
		if err != nil {
			return err
		}
		return doc.TypeScript(os.Stdout)
	}
	return serve(ws, *addr, *file)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
