package wsroute_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

type (
	pathMsg struct {
		Room string `path:"room"`
	}
	typedMsg struct {
		Kind string `json:"Type"`
	}
	refMsg  struct{ Ref int }
	looseEv struct{}
	ownJSON struct{ time.Time }
	clash   struct{ Type string }
	nowhere struct{}
	unnamed struct{}
	admin   struct{}
	perTx   struct{}
	early   struct{}
	Part    struct{ N int }
	partMsg struct{ Part }
	strict  struct{}
	nullEv  struct {
		Kind strict `json:"type"`
	}
)

func (nullEv) event() {}

func (*strict) UnmarshalJSON(data []byte) error { panic(string(data)) }

func (ownJSON) event() {}
func (clash) event()   {}
func (nowhere) event() {}
func (unnamed) event() {}

func nop[M, In any](context.Context, M, In) error { return nil }

// TestFaultsOfMessages: each is told when the program starts.
func TestFaultsOfMessages(t *testing.T) {
	deps := depends.New()
	depends.Provide(deps, func(context.Context, struct{}) (admin, error) { return admin{}, nil })
	depends.Provide(deps, func(context.Context, struct{}) (perTx, error) { return perTx{}, nil }, depends.Message)
	depends.Provide(deps, func(context.Context, struct{}) (early, error) { return early{}, nil }, depends.Handshake)
	depends.Provide(deps, aGuest)
	depends.Provide(deps, func(context.Context, struct{ Tx perTx }) (note, error) { return note{}, nil })
	depends.Provide(deps, func(context.Context, struct{ Early early }) (tx, error) { return tx{}, nil }, depends.Message)
	depends.Provide(deps, func(context.Context, struct{ Sender wsroute.Sender[event] }) (who, error) { return who{}, nil })
	depends.Provide(deps, func(context.Context, struct{}) (sayMsg, error) { return sayMsg{}, nil })
	depends.Provide(deps, func(context.Context, struct{}) (Part, error) { return Part{}, nil })
	ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
	c := wsroute.HandleMessages(ws, "/a", wsroute.Union[event]{
		"said": saidMsg{}, "again": saidMsg{}, "own": ownJSON{}, "clash": clash{}, "none": nil, "ptr": &doneMsg{},
		"bad name": doneMsg{}, "error": nowhere{},
	}, wsroute.Public, wsroute.Require[perTx]())
	wsroute.OnOpen(c, func(context.Context, struct{ Tx perTx }) error { return nil })
	wsroute.OnOpen(c, func(context.Context, struct{ Early early }) error { return nil })
	wsroute.On(c, "say", nop[sayMsg, struct{}])
	wsroute.On(c, "twice", nop[nothing, struct{}])
	wsroute.On(c, "twice", nop[nothing, struct{}])
	wsroute.On(c, "renew", nop[nothing, struct{}])
	wsroute.On(c, "a name", nop[nothing, struct{}])
	wsroute.On(c, "pointer", nop[*nothing, struct{}])
	wsroute.On(c, "text", nop[string, struct{}])
	wsroute.On(c, "swapped", nop[pathMsg, nothing])
	wsroute.On(c, "member", nop[typedMsg, struct{}])
	wsroute.On(c, "ref", nop[refMsg, struct{}])
	wsroute.On(c, "conn", nop[nothing, *wsroute.Conn[string, string]])
	wsroute.On(c, "undemanded", nop[nothing, struct{ Admin admin }])
	wsroute.On(c, "handshake", nop[nothing, struct{ Early early }])
	wsroute.On(c, "guarded", nop[nothing, struct{}], wsroute.Require[early]())
	wsroute.On(c, "live", nop[nothing, struct{ Guest depends.Live[guest] }])
	wsroute.On(c, "missing", nop[nothing, struct{ Target Target }])
	wsroute.On(c, "rest", nop[nothing, struct {
		Note note
		Tx   tx
		Who  who
	}])
	wsroute.On(c, "options", nop[nothing, struct{}], wsroute.Within(0), wsroute.Concurrent(0), wsroute.Scopes("x"))
	wsroute.Answer(c, "stranger", func(context.Context, nothing, struct{}) (looseEv, error) { return looseEv{}, nil })
	wsroute.Answer(c, "unnamed", func(context.Context, nothing, struct{}) (unnamed, error) { return unnamed{}, nil })

	wsroute.On(c, "given", nop[editMsg, struct {
		Target Target                `scopes:"admin"`
		Sender wsroute.Sender[event] `depends:"fresh"`
	}], wsroute.Require[Target](), wsroute.Require[wsroute.Sender[event]]())
	wsroute.On(c, "part", nop[partMsg, struct{ Part Part }])

	wsroute.Answer(c, "delta", func(context.Context, nothing, struct{ Deltas wsroute.Reply[looseEv] }) (saidMsg, error) {
		return saidMsg{}, nil
	})
	wsroute.On(c, "endless", nop[nothing, struct{ Deltas wsroute.Reply[saidMsg] }])
	wsroute.OnBinary(c, nop[[]byte, struct{}])
	wsroute.OnBinary(c, nop[[]byte, struct{ Deltas wsroute.Reply[saidMsg] }])
	wsroute.On(c, "default", nop[defaultMsg, struct{}])
	wsroute.On(c, "shadow", nop[shadowMsg, struct{ Target Target }])
	wsroute.On(c, "unread", nop[unreadMsg, struct{ Target Target }])

	wsroute.HandleMessages(ws, "/g", wsroute.Union[saidMsg]{"said": saidMsg{}}, wsroute.Public, wsroute.DropOldest, wsroute.TypeMember("reason"))
	live := wsroute.HandleMessages(ws, "/h", wsroute.Union[event]{"null": nullEv{}}, wsroute.Public, wsroute.Require[wsroute.Sender[event]]())
	wsroute.OnOpen(live, func(context.Context, struct {
		Sender depends.Live[wsroute.Sender[event]]
	},
	) error {
		return nil
	})
	structs := wsroute.HandleMessages(ws, "/i", wsroute.Union[saidMsg]{"said": saidMsg{}}, wsroute.Public)
	wsroute.Answer(structs, "say", func(context.Context, nothing, struct{}) (doneMsg, error) { return doneMsg{}, nil })
	wsroute.HandleMessages(ws, "/b", wsroute.Union[any]{"said": saidMsg{}}, wsroute.Public)
	wsroute.HandleMessages(ws, "/c", events, wsroute.Public, wsroute.TypeMember("ref"))
	wsroute.Handle(ws, "/d", func(context.Context, *wsroute.Conn[event, event], struct{}) error { return nil }, wsroute.Public)
	wsroute.Handle(ws, "/e", func(context.Context, *wsroute.Conn[string, string], struct{ Tx perTx }) error { return nil },
		wsroute.Public, wsroute.Sends(events), wsroute.Receives(events))
	wsroute.Handle(ws, "/j", func(context.Context, *wsroute.Conn[string, string], struct{}) error { return nil },
		wsroute.Public, wsroute.TypeMember("kind"))
	wsroute.HandleHTTP(ws, http.MethodGet, "/f", func(http.ResponseWriter, *http.Request, struct{ Tx tx }) error { return nil })
	_, err := ws.Handler()
	if err == nil {
		t.Fatal("it starts")
	}
	golden(t, "testdata/messages.txt", position.ReplaceAllString(err.Error(), "$1:N"))
}

type shadowMsg struct {
	Target
	Other int `json:"id"`
}

type defaultMsg struct {
	Limit int `json:"limit" default:"50"`
}

type unreadMsg struct {
	Target `json:"-"`
}
