package wsroute_test

import (
	"context"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestAPointerIsCheckedLikeItsStruct: *T as Recv is T that may be null.
func TestAPointerIsCheckedLikeItsStruct(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[*say, string], _ none) error {
		m, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		return conn.Close(4000, m.Text)
	}, wsroute.Public)
	srv := wstest.Start(t, ws)
	for in, want := range map[string]wsroute.CloseError{
		`{"text":"hi"}`:       {Code: 4000, Reason: "hi"},
		`{"text":"too long"}`: {Code: 1008, Reason: "invalid_message"},
		`null`:                {Code: 1008, Reason: "invalid_message"},
	} {
		peer := wstest.Dial[string, string](t, srv, "/")
		peer.Send(in)
		if got := peer.Closed(); *got != want {
			t.Errorf("%s: got %v, want %v", in, got, want)
		}
	}
}

type hiddenPart struct {
	Events chan int `json:"events"`
}

// TestMessageTypesThatJSONCannotEncode names what encoding/json would refuse later.
func TestMessageTypesThatJSONCannotEncode(t *testing.T) {
	for name, add := range map[string]func(*wsroute.Router){
		"key":           send[map[struct{ X int }]string],
		"embedded":      send[struct{ hiddenPart }],
		"embedded *":    send[struct{ *hiddenPart }],
		"chan in slice": send[[]chan int],
	} {
		ws := wsroute.New(depends.New(), quiet())
		add(ws)
		if _, err := ws.Handler(); err == nil {
			t.Errorf("%s: mounted", name)
		}
	}
	for name, add := range map[string]func(*wsroute.Router){
		"text key": send[map[time.Time]string],
		"int key":  send[map[int]string],
		"left out": send[struct {
			F func() `json:"-"`
			f func()
		}],
		"unexported embedded": send[struct{ hiddenText }],
	} {
		ws := wsroute.New(depends.New(), quiet())
		add(ws)
		if _, err := ws.Handler(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type hiddenText string

func send[T any](ws *wsroute.Router) {
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, T], none) error { return nil }, wsroute.Public)
}
