package asyncapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// The messages of the board whose client is in testdata/board.ts.
type (
	// Card goes both ways.
	Card struct {
		Title string   `json:"title" validate:"required" doc:"at most */ one line"`
		Color string   `json:"color,omitempty" validate:"omitempty,oneof=red green"`
		Tags  []string `json:"tags"`
	}
	// Failure has the name of a class of the client.
	Failure struct {
		Why string `json:"why"`
	}
	// Tree and Forest are recursive.
	Tree struct {
		Children []Tree `json:"children"`
		Parent   *Tree  `json:"parent,omitempty"`
	}
	Forest map[string]Forest

	boardEvent interface{ boardEvent() }
	// Shapes has a member of each kind.
	Shapes struct {
		Any      any               `json:"any"`
		Raw      json.RawMessage   `json:"raw,omitempty"`
		At       time.Time         `json:"at"`
		Bytes    []byte            `json:"bytes"`
		Count    int64             `json:"count,string"`
		Maybe    *Card             `json:"maybe"`
		Numbers  map[string]int    `json:"numbers"`
		Nested   []map[int][]*Tree `json:"nested"`
		Forest   Forest            `json:"forest"`
		Inline   struct{ X, Y float64 }
		Odd      bool    `json:"odd-name"`
		Pair     [2]Card `json:"pair"`
		Failures []Failure
	}
	// State has the name of an event that each connection has.
	State struct{}
	chunk struct{ N int }
)

func (Card) boardEvent()   {}
func (Shapes) boardEvent() {}
func (State) boardEvent()  {}
func (chunk) boardEvent()  {}

// member is who a session is of.
type member struct{ Name string }

func board() *wsroute.Router {
	deps := depends.New()
	find := func(context.Context, string) (member, error) { return member{}, nil }
	security.Use(deps, security.OneOf(
		security.Scheme[member](security.Session[member]{Cookie: "sid", Find: find}),
		security.Scheme[member](security.Opaque[member]{
			Sources: []depends.Source{security.QueryToken("access_token"), security.SubprotocolPrefix("board.token.")},
			Find:    find, InsecureQuery: true,
		}),
	))
	ws := wsroute.New(deps, &wsroute.Config{Logger: quiet.Logger, Origins: []string{"https://example.com"}})
	c := wsroute.HandleMessages(ws, "/boards/:board/*view",
		wsroute.Union[boardEvent]{"card": Card{}, "shapes": Shapes{}, "state": State{}, "chunk": chunk{}},
		wsroute.TypeMember("kind"), wsroute.AcceptThenClose, wsroute.Subprotocols("board.v1", "board.v2"), wsroute.Require[member]())
	wsroute.OnOpen(c, func(context.Context, struct {
		Board string   `path:"board" doc:"its name"`
		Tags  []string `query:"tag"`
		Limit int      `query:"page-size" default:"20" doc:"how many\ncards"`
		Theme string   `cookie:"theme" default:""`
	},
	) error {
		return nil
	})
	wsroute.Answer(c, "add", func(context.Context, Card, struct{}) (Card, error) { return Card{}, nil },
		wsroute.Doc("adds a card"), wsroute.Fails("full", "the board is full"))
	wsroute.Answer(c, "find", func(context.Context, struct{ Text string }, struct{}) (boardEvent, error) { return Card{}, nil })
	wsroute.Answer(c, "draw", func(context.Context, struct{}, struct{ Parts wsroute.Reply[chunk] }) (State, error) {
		return State{}, nil
	})
	wsroute.On(c, "move", func(context.Context, Tree, struct{}) error { return nil })
	wsroute.Handle(ws, "/both", func(context.Context, *wsroute.Conn[map[string]Tree, wsroute.Message], struct{}) error { return nil },
		wsroute.Public)
	wsroute.Handle(ws, "/typed", func(context.Context, *wsroute.Conn[boardEvent, []byte], struct{}) error { return nil },
		wsroute.Public, wsroute.Receives(wsroute.Union[boardEvent]{"card": Card{}}))
	wsroute.Handle(ws, "/prices", func(context.Context, *wsroute.Conn[wsroute.Discard, *float64], struct{}) error { return nil },
		wsroute.Public)
	return ws
}

// client is the TypeScript client of a router, without the part that is the same for all.
func client(t *testing.T, ws *wsroute.Router) string {
	t.Helper()
	var b bytes.Buffer
	if err := described(t, ws).TypeScript(&b); err != nil {
		t.Fatal(err)
	}
	own, runtime, found := strings.Cut(b.String(), "// The rest of this file is the same for every document.\n")
	if !found || !strings.Contains(runtime, "class ChannelClient") {
		t.Fatal("the client has no runtime")
	}
	return own
}

// TestTypeScript compares a client with testdata/board.ts.
func TestTypeScript(t *testing.T) {
	const file = "testdata/board.ts"
	got := client(t, board())
	if os.Getenv("ASYNCAPI_UPDATE") != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the client is not that of %s; ASYNCAPI_UPDATE=additive writes it:\n%s", file, diff)
	}
	for range 20 {
		if client(t, board()) != got {
			t.Fatal("the client differs from that of the start before")
		}
	}
}

// TestChannelsWithoutAClient are named.
func TestChannelsWithoutAClient(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet)
	c := wsroute.HandleMessages(ws, "/a/:id", wsroute.Union[boardEvent]{"chunk": chunk{}}, wsroute.Public)
	wsroute.OnOpen(c, func(context.Context, struct {
		ID    string `path:"id"`
		Other string `query:"id" default:""`
	},
	) error {
		return nil
	})
	wsroute.Answer(c, "draw", func(context.Context, struct{}, struct{ Parts wsroute.Reply[chunk] }) (chunk, error) {
		return chunk{}, nil
	})
	var b bytes.Buffer
	err := described(t, ws).TypeScript(&b)
	const want = `asyncapi: the TypeScript client cannot be made:
  GET /a/:id: the path and the query both have a parameter "id"
  GET /a/:id: message "draw": a client cannot tell its answer from the parts of it, which have the same type`
	if err == nil || err.Error() != want || b.Len() > 0 {
		t.Errorf("got %v", err)
	}
}

// failingWriter takes nothing.
type failingWriter struct{}

var errFull = errors.New("the disk is full")

func (failingWriter) Write([]byte) (int, error) { return 0, errFull }

func TestTypeScriptThatCannotBeWritten(t *testing.T) {
	if err := described(t, board()).TypeScript(failingWriter{}); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

// TestNamesOfChannels: each has its own function.
func TestNamesOfChannels(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet)
	for _, path := range []string{"/a-b", "/a_b", "/x/feed", "/y/feed"} {
		wsroute.Handle(ws, path, func(context.Context, *wsroute.Conn[string, string], struct{}) error { return nil }, wsroute.Public)
	}
	text := client(t, ws)
	for _, want := range []string{"connectAB(", "connectAB2(", "connectXFeed(", "connectYFeed("} {
		if !strings.Contains(text, "export function "+want) {
			t.Errorf("%s is missing", want)
		}
	}
}
