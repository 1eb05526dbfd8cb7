package asyncapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/asyncapi"
)

// Messages whose types are named as what a client has already.
type (
	Error     struct{ Why string }
	Unknown   struct{ Why string }
	Room      struct{ Why string }
	RoomEvent struct{ Why string }
	RoomOdd   struct{ Why string }
	members   struct {
		Dash  string    `json:"-,"` //nolint:staticcheck // a member may have this name
		Snake string    `json:"own_name"`
		Kebab string    `json:"own-name"`
		Until time.Time `json:"until"`
		Inner said      `json:"inner"`
	}
)

func (Error) event()     {}
func (Unknown) event()   {}
func (Room) event()      {}
func (RoomEvent) event() {}
func (RoomOdd) event()   {}
func (members) event()   {}

func ignore[M any](context.Context, M, struct{}) error { return nil }

func nothing[Recv, Send, In any](context.Context, *wsroute.Conn[Recv, Send], In) error { return nil }

// confusing are programs whose names are the same once they are those of a document or of Go.
var confusing = map[string]func(*wsroute.Router){
	"paths": func(ws *wsroute.Router) {
		for _, path := range []string{
			"/", "/root", "/error", "/keep", "/a_b", "/a-b", "/Room", "/room", "/room-params", "/dial-room", "/room-event",
			"/rooms/:id", "/rooms/id", "/rooms/by-id", "/räume", "/rüume", "/1", "/x/:a/*b",
		} {
			c := wsroute.HandleMessages(ws, path, wsroute.Union[event]{"said": said{}}, wsroute.Public)
			wsroute.On(c, "say", ignore[say])
		}
	},
	"channels and messages": func(ws *wsroute.Router) {
		for path, name := range map[string]string{"/x": "y.z", "/x/y": "z"} {
			wsroute.On(wsroute.HandleMessages(ws, path, wsroute.Union[event]{"said": said{}}, wsroute.Public), name, ignore[say])
		}
	},
	"messages": func(ws *wsroute.Router) {
		c := wsroute.HandleMessages(ws, "/room", wsroute.Union[event]{
			"said": said{}, "room:join": token{}, "room-join": answer{}, "say": members{}, "error.1": Error{},
			"unknown": Unknown{}, "room": Room{}, "event": RoomEvent{}, "o": RoomOdd{},
		}, wsroute.Public)
		for _, name := range []string{
			"close", "Close", "close-message", "receive", "send", "binary", "room:join", "room-join", "room.join",
			"-", ":", "1", "type", "say", "say.sent",
		} {
			wsroute.On(c, name, ignore[members])
		}
		wsroute.On(c, "odd", ignore[struct{ N int }])
		wsroute.OnBinary(c, func(context.Context, []byte, struct{}) error { return nil })
	},
	"parameters": func(ws *wsroute.Router) {
		wsroute.Handle(ws, "/:room/*rest", nothing[say, said, struct {
			Room string      `path:"room"`
			Rest string      `path:"rest"`
			Q    int         `query:"room" default:"3"`
			H    string      `header:"Room"`
			C    string      `cookie:"room"`
			T    []time.Time `query:"日本"`
			U    *uint8      `query:"日"`
		}], wsroute.Public)
	},
	"loops": func(ws *wsroute.Router) {
		said := wsroute.Union[event]{"said": said{}}
		wsroute.Handle(ws, "/a", nothing[event, string, struct{}], wsroute.Public, wsroute.Receives(said))
		wsroute.Handle(ws, "/b", nothing[event, []byte, struct{}], wsroute.Public, wsroute.Receives(said))
		wsroute.Handle(ws, "/c", nothing[event, *int, struct{}], wsroute.Public, wsroute.Receives(said))
		wsroute.Handle(ws, "/d", nothing[[]int, event, struct{}], wsroute.Public, wsroute.Sends(said))
		wsroute.Handle(ws, "/e", nothing[json.RawMessage, time.Time, struct{}], wsroute.Public)
	},
	"sources": func(ws *wsroute.Router) {
		wsroute.Handle(ws, "/a", nothing[say, said, struct{ User user }])
	},
}

// TestConfusingNames: each channel, message and source has a place of its own in the document, and
// the client compiles.
func TestConfusingNames(t *testing.T) {
	const folder = "internal/confusing" // it is there for the compiler alone
	overlay := map[string]string{}
	packages := []string{"build", "-overlay", filepath.Join(t.TempDir(), "overlay.json")}
	for name, program := range confusing {
		deps := depends.New()
		security.Use(deps, security.Scheme[user](security.Opaque[user]{Find: find, Sources: []depends.Source{
			security.BearerHeader(), {In: "header", Name: "Authorization", Prefix: "Token"}, {In: "header", Name: "X-Key"},
		}}))
		ws := wsroute.New(deps, quiet)
		program(ws)
		doc := described(t, ws)
		var parts struct {
			Channels   map[string]struct{ Messages map[string]any }
			Components struct{ Messages, SecuritySchemes map[string]any }
		}
		if err := json.Unmarshal(doc.JSON(), &parts); err != nil {
			t.Fatal(err)
		}
		messages, sources, channels := 0, 0, map[string]bool{}
		for _, route := range ws.Routes() {
			channels[route.Path] = true
			messages += len(route.Receives) + len(route.Sends)
			for _, c := range route.Credentials {
				sources += len(c.Sources)
			}
		}
		got := 0
		for _, c := range parts.Channels {
			got += len(c.Messages)
			if c.Messages["error"] != nil {
				got--
			}
		}
		delete(parts.Components.Messages, "error")
		if len(parts.Channels) != len(channels) || got != messages || len(parts.Components.Messages) != messages ||
			len(parts.Components.SecuritySchemes) != sources {
			t.Errorf("%s: %d channels, %d messages, %d components and %d sources, of %d, %d and %d", name, len(parts.Channels),
				got, len(parts.Components.Messages), len(parts.Components.SecuritySchemes), len(channels), messages, sources)
		}
		place := fmt.Sprintf("%s/n%d", folder, len(overlay))
		file := filepath.Join(t.TempDir(), "client.go")
		out, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := doc.Go(out, "confusing"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_ = out.Close()
		here, _ := filepath.Abs(place)
		overlay[filepath.Join(here, "client.go")] = file
		packages = append(packages, "./"+place)
	}
	text, _ := json.Marshal(map[string]any{"Replace": overlay})
	if err := os.WriteFile(packages[2], text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", packages...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestATitleOfTwoLines: the client is Go all the same.
func TestATitleOfTwoLines(t *testing.T) {
	ws := room()
	if _, err := ws.Handler(); err != nil {
		t.Fatal(err)
	}
	doc, err := asyncapi.Describe(ws, asyncapi.Info{Title: "Rooms\nand more", Version: "1\n"})
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Go(io.Discard, "rooms"); err != nil {
		t.Error(err)
	}
}
