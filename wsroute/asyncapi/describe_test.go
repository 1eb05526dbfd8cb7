package asyncapi_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/asyncapi"
)

// The messages of the room that is described here.
type (
	say struct {
		Text string `json:"text" validate:"min=1,max=500" doc:"what is said" example:"hi"`
		Kind string `json:"kind,omitempty" validate:"omitempty,oneof=plain loud"`
	}
	ask   struct{ Question string }
	event interface{ event() }
	said  struct {
		ID   int64     `json:"id"`
		Text string    `json:"text"`
		At   time.Time `json:"at"`
		Tags []string  `json:"tags"`
	}
	token struct {
		Part string `json:"part"`
	}
	answer struct {
		Whole string `json:"whole"`
	}
)

func (said) event()   {}
func (token) event()  {}
func (answer) event() {}

// user is who a token names.
type user struct{ Name string }

func (user) Scopes() []string { return nil }

// notBanned is a guard.
type notBanned struct{}

var quiet = &wsroute.Config{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}

// program is one with a route of each kind, whose declarations can be changed.
type program struct {
	path    string
	sends   wsroute.Union[event]
	options []wsroute.RouteOption
	say     []wsroute.MessageOption
	gate    []depends.ProvideOption
	scheme  security.Scheme[user]
	open    func(*wsroute.Channel[event])
	sayAs   func(*wsroute.Channel[event], ...wsroute.MessageOption)
	config  wsroute.Config
}

// openInput is what a connection must have.
type openInput struct {
	User  user
	Room  string `path:"room" validate:"alphanum,max=64" doc:"its name" example:"lobby"`
	Since int    `query:"since" default:"0" validate:"gte=0"`
	Theme string `cookie:"theme" default:""`
	Agent string `header:"X-Agent"`
}

func find(context.Context, string) (user, error) { return user{}, nil }

func opens[In any](c *wsroute.Channel[event]) {
	wsroute.OnOpen(c, func(context.Context, In) error { return nil })
}

func says[M any](c *wsroute.Channel[event], options ...wsroute.MessageOption) {
	wsroute.Answer(c, "say", func(context.Context, M, struct{}) (said, error) { return said{}, nil }, options...)
}

func theProgram() *program {
	return &program{
		path:  "/ws/rooms/:room",
		sends: wsroute.Union[event]{"said": said{}, "token": token{}, "answer": answer{}},
		options: []wsroute.RouteOption{
			wsroute.Require[notBanned](), wsroute.Renewable, wsroute.Diagnose, wsroute.Doc("where people talk"),
			wsroute.Subprotocols("chat"),
			wsroute.Closes(4001, "kicked", wsroute.ReconnectNever, "a moderator has removed the account"),
		},
		say:  []wsroute.MessageOption{wsroute.Scopes("chat"), wsroute.Fails("muted", "nobody hears the account"), wsroute.Doc("says it to all")},
		gate: []depends.ProvideOption{depends.Refuses(403, "banned", "the account is banned")},
		scheme: security.OneOf(
			security.Scheme[user](security.Opaque[user]{
				Sources: []depends.Source{security.BearerHeader(), security.SubprotocolToken("user")}, Find: find,
			}),
			&security.Tickets[user]{},
		),
		open:   opens[openInput],
		sayAs:  says[say],
		config: wsroute.Config{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))},
	}
}

func (p *program) router() *wsroute.Router {
	deps := depends.New()
	security.Use(deps, p.scheme)
	depends.Provide(deps, func(context.Context, struct{ User user }) (notBanned, error) { return notBanned{}, nil }, p.gate...)
	ws := wsroute.New(deps, &p.config)
	chat := wsroute.HandleMessages(ws, p.path, p.sends, p.options...)
	p.open(chat)
	p.sayAs(chat, p.say...)
	wsroute.Answer(chat, "ask", func(context.Context, ask, struct{ Reply wsroute.Reply[token] }) (answer, error) {
		return answer{}, nil
	}, wsroute.Within(time.Minute), wsroute.Concurrent(2))
	wsroute.On(chat, "typing", func(context.Context, struct{}, struct{}) error { return nil })
	wsroute.OnBinary(chat, func(context.Context, []byte, struct{}) error { return nil })
	wsroute.Handle(ws, "/ws/echo", func(context.Context, *wsroute.Conn[say, []said], struct{}) error { return nil }, wsroute.Public)
	wsroute.Handle(ws, "/feed/*topic", func(context.Context, *wsroute.Conn[wsroute.Discard, event], struct{}) error { return nil },
		wsroute.Public, wsroute.Sends(wsroute.Union[event]{"said": said{}}))
	wsroute.Handle(ws, "/raw", func(context.Context, *wsroute.Conn[wsroute.Message, []byte], struct{ User user }) error { return nil })
	wsroute.Handle(ws, "/text", func(context.Context, *wsroute.Conn[string, string], struct{}) error { return nil }, wsroute.Public)
	wsroute.HandleHTTP(ws, http.MethodGet, "/page", func(http.ResponseWriter, *http.Request, struct{ User user }) error { return nil })
	return ws
}

// room is a program with a route of each kind.
func room() *wsroute.Router { return theProgram().router() }

// mutations are changes of declarations, of which each must show.
var mutations = map[string]func(p *program){
	"path":                 func(p *program) { p.path = "/rooms/:room" },
	"a sent type":          func(p *program) { p.sends["left"] = left{} },
	"the name of one":      func(p *program) { delete(p.sends, "said"); p.sends["told"] = said{} },
	"doc of the route":     func(p *program) { p.options = append(p.options, wsroute.Doc("a room")) },
	"a close code":         func(p *program) { p.options = append(p.options, wsroute.Closes(4002, "", wsroute.ReconnectNow, "")) },
	"no Diagnose":          func(p *program) { p.options = slices.Delete(p.options, 2, 3) },
	"no Renewable":         func(p *program) { p.options = slices.Delete(p.options, 1, 2) },
	"no guard":             func(p *program) { p.options = slices.Delete(p.options, 0, 1) },
	"AcceptThenClose":      func(p *program) { p.options = append(p.options, wsroute.AcceptThenClose) },
	"Compress":             func(p *program) { p.options = append(p.options, wsroute.Compress) },
	"subprotocols":         func(p *program) { p.options = append(p.options, wsroute.Subprotocols("v1")) },
	"the read limit":       func(p *program) { p.options = append(p.options, wsroute.Limits{ReadLimit: 999}) },
	"scopes of the route":  func(p *program) { p.options = append(p.options, wsroute.Scopes("rooms")) },
	"the type member":      func(p *program) { p.options = append(p.options, wsroute.TypeMember("what")) },
	"scopes of a message":  func(p *program) { p.say[0] = wsroute.Scopes("talk") },
	"reasons of a message": func(p *program) { p.say[1] = wsroute.Fails("silent", "") },
	"doc of a message":     func(p *program) { p.say = p.say[:2] },
	"Within":               func(p *program) { p.say = append(p.say, wsroute.Within(time.Second)) },
	"Concurrent":           func(p *program) { p.say = append(p.say, wsroute.Concurrent(3)) },
	"a refusal":            func(p *program) { p.gate[0] = depends.Refuses(404, "banned", "") },
	"sources":              func(p *program) { p.scheme = &security.Tickets[user]{} },
	"a parameter's rule": func(p *program) {
		p.open = opens[struct {
			User user
			Room string `path:"room" validate:"max=9"`
		}]
	},
	"a message's rule": func(p *program) {
		p.sayAs = says[struct {
			Text string `json:"text" validate:"max=9"`
		}]
	},
	"origins":               func(p *program) { p.config.Origins = []string{"https://chat.example.com"} },
	"a limit of the server": func(p *program) { p.config.MaxPerAddress = 9 },
}

// left is a type that the program does not send.
type left struct{}

func (left) event() {}

// TestEachDeclarationShows: what changes for a client changes the document.
func TestEachDeclarationShows(t *testing.T) {
	before := described(t, room()).JSON()
	for name, mutate := range mutations {
		p := theProgram()
		mutate(p)
		after := described(t, p.router()).JSON()
		if changes, err := asyncapi.Compare(before, after); err != nil || len(changes) == 0 || bytes.Equal(before, after) {
			t.Errorf("%s: %v, %v", name, changes, err)
		}
	}
}

// described is the document of a router that it mounts.
func described(t testing.TB, ws *wsroute.Router) *asyncapi.Document {
	t.Helper()
	if _, err := ws.Handler(); err != nil {
		t.Fatal(err)
	}
	doc, err := asyncapi.Describe(ws, asyncapi.Info{
		Title: "Rooms", Version: "1.4.0", Description: "Where people talk.", Tickets: "/ticket",
		Servers: map[string]string{"production": "wss://chat.example.com/base"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestDocument compares the document of a program with a route of each kind with testdata/document.json.
func TestDocument(t *testing.T) {
	asyncapi.Check(t, described(t, room()), "testdata/document.json")
}

// TestSameProgramSameDocument starts a program often.
func TestSameProgramSameDocument(t *testing.T) {
	first := described(t, room()).JSON()
	for range 100 {
		if next := described(t, room()).JSON(); !bytes.Equal(first, next) {
			t.Fatal("the document differs from that of the start before")
		}
	}
}

func TestServeHTTP(t *testing.T) {
	doc := described(t, room())
	get := func(method, etag string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, "/asyncapi.json", nil)
		if etag != "" {
			r.Header.Set("If-None-Match", etag)
		}
		doc.ServeHTTP(w, r)
		return w
	}
	r := get(http.MethodGet, "")
	if r.Code != 200 || !bytes.Equal(r.Body.Bytes(), doc.JSON()) || r.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got %d, %v", r.Code, r.Header())
	}
	if again := get(http.MethodGet, r.Header().Get("Etag")); again.Code != 304 {
		t.Errorf("with the same ETag: %d", again.Code)
	}
	if head := get(http.MethodHead, ""); head.Code != 200 || head.Header().Get("Content-Length") != fmt.Sprint(len(doc.JSON())) || head.Body.Len() > 0 {
		t.Errorf("HEAD: got %v", head)
	}
	if post := get(http.MethodPost, ""); post.Code != 405 || post.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: got %v", post)
	}
}

// TestFaultsOfDescribe: all in one error.
func TestFaultsOfDescribe(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet)
	_, err := asyncapi.Describe(ws, asyncapi.Info{})
	if want := "call Describe after Mount"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%q is not in %v", want, err)
	}
	type wrongExample struct {
		N int `json:"n" validate:"min=3" example:"1"`
	}
	wsroute.Handle(ws, "/a", func(context.Context, *wsroute.Conn[wrongExample, map[string]map[string]any], struct{}) error {
		return nil
	},
		wsroute.Public)
	if _, err := ws.Handler(); err != nil {
		t.Fatal(err)
	}
	_, err = asyncapi.Describe(ws, asyncapi.Info{Servers: map[string]string{"a b": "ws://x", "web": "https://chat.example.com"}})
	for _, want := range []string{
		"Info has no Title or no Version", `"a b" is no name of a server`, `the server "web" has the address "https://chat.example.com"`,
		`GET /a, message "received": `,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

// TestManyRoutes: fifty take less than the time in which a person notices anything.
func BenchmarkDescribe50(b *testing.B) {
	deps := depends.New()
	ws := wsroute.New(deps, quiet)
	for i := range 50 {
		chat := wsroute.HandleMessages(ws, fmt.Sprintf("/ws/%d", i), wsroute.Union[event]{"said": said{}}, wsroute.Public)
		wsroute.Answer(chat, "say", func(context.Context, say, struct{}) (said, error) { return said{}, nil })
	}
	if _, err := ws.Handler(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := asyncapi.Describe(ws, asyncapi.Info{Title: "Fifty", Version: "1"}); err != nil {
			b.Fatal(err)
		}
	}
}
