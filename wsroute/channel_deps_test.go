package wsroute_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// record is what happens on the server, in order.
type record struct {
	mu    sync.Mutex
	lines []string
}

func (r *record) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func (r *record) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := r.lines
	r.lines = nil
	return lines
}

type (
	guest  struct{ name string }
	tx     struct{ id int }
	note   struct{ owner string }
	Target struct {
		ID int `json:"id"`
	}
	editMsg struct {
		Target
		Text string `json:"text"`
	}
)

func aGuest(_ context.Context, in struct {
	Name string `query:"name"`
},
) (guest, error) {
	return guest{in.Name}, nil
}

// TestAMessageHasDependencies: a transaction for each message, what the message names, the
// user of the connection, a parameter of the path, and what is sent meanwhile.
func TestAMessageHasDependencies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log record
		deps := depends.New()
		depends.Provide(deps, aGuest)
		ids := 0
		depends.Provide(deps, func(ctx context.Context, _ struct{}) (*tx, error) {
			ids++
			id := ids
			log.add("begin %d", id)
			depends.Cleanup(ctx, func(_ context.Context, cause error) error {
				log.add("end %d: %v", id, cause)
				if id == 4 {
					return errors.New("no commit")
				}
				return nil
			})
			return &tx{id}, nil
		}, depends.Message)
		depends.Provide(deps, func(_ context.Context, in struct {
			Tx     *tx
			Target Target
			Member guest
		},
		) (note, error) {
			log.add("load %d in %d for %s", in.Target.ID, in.Tx.id, in.Member.name)
			if in.Target.ID == 13 {
				return note{}, depends.NotFound("no_note", nil)
			}
			return note{"ada"}, nil
		}, depends.Message)
		ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
		var room wsroute.Room[event]
		c := wsroute.HandleMessages(ws, "/ws/:room", events, wsroute.Public, wsroute.Require[guest]())
		wsroute.OnOpen(c, func(_ context.Context, in struct {
			Member guest
			Sender wsroute.Sender[event]
		},
		) error {
			log.add("open %s", in.Member.name)
			room.Join(in.Sender)
			return nil
		})
		wsroute.Answer(c, "edit", func(ctx context.Context, e editMsg, in struct {
			Note   note
			Tx     *tx
			Member guest
			Room   string `path:"room"`
			Sender wsroute.Sender[event]
		},
		) (saidMsg, error) {
			log.add("edit %d in %s", e.ID, in.Room)
			if err := room.SendOthers(ctx, in.Sender, saidMsg{in.Member.name, "edited"}); err != nil {
				return saidMsg{}, err
			}
			if e.Text == "fail" {
				return saidMsg{}, errors.New("failed")
			}
			return saidMsg{in.Note.owner, e.Text}, in.Sender.Send(ctx, doneMsg{})
		})
		srv := wstest.Start(t, ws)
		ada := wstest.Dial[string, string](t, srv, "/ws/lobby?name=ada")
		bob := wstest.Dial[string, string](t, srv, "/ws/lobby?name=bob")
		synctest.Wait()
		log.take()
		wstest.Converse(t, ada,
			`> {"type":"edit","ref":1,"id":7,"text":"new"}`,
			`< {"type":"done"}`,
			`< {"type":"said","ref":1,"from":"ada","text":"new"}`,
			`> {"type":"edit","ref":2,"id":13,"text":"new"}`,
			`< {"type":"error","ref":2,"reason":"no_note"}`,
			`> {"type":"edit","ref":3,"id":7,"text":"fail"}`,
			`< {"type":"error","ref":3,"reason":"internal"}`,
			`> {"type":"edit","ref":4,"id":7,"text":"new"}`,
			`< {"type":"error","ref":4,"reason":"internal"}`,
		)
		want := []string{
			"begin 1", "load 7 in 1 for ada", "edit 7 in lobby", "end 1: <nil>",
			"begin 2", "load 13 in 2 for ada",
			"end 2: func literal in wsroute_test.TestAMessageHasDependencies: 404 no_note",
			"begin 3", "load 7 in 3 for ada", "edit 7 in lobby", "end 3: failed",
			"begin 4", "load 7 in 4 for ada", "edit 7 in lobby", "end 4: <nil>",
		}
		if got := log.take(); !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		wstest.Converse(t, bob, `< {"type":"said","from":"ada","text":"edited"}`)
		bob.NothingSent(time.Second)
	})
}
