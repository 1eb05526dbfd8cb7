package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = []byte("a key of at least thirty-two bytes")

// peer is a connection whose messages are JSON.
type peer = wstest.Peer[string, string]

// program is one that a test runs, with a model that takes a second for a word.
type program struct {
	model  *Model
	store  *Store
	router *wsroute.Router
	server *wstest.Server
}

func start(t *testing.T, overrides ...depends.Replacement) *program {
	t.Helper()
	p := &program{model: &Model{pace: time.Second}, store: &Store{entries: map[string][]Entry{}}}
	p.router = newRouter(key, p.model, p.store, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
	p.server = wstest.Start(t, p.router, overrides...)
	return p
}

func bearer(t *testing.T) wstest.Option {
	t.Helper()
	signed, err := token(key, "ada")
	if err != nil {
		t.Fatal(err)
	}
	return wstest.Header("Authorization", "Bearer "+signed)
}

func (p *program) dial(t *testing.T) *peer {
	t.Helper()
	return wstest.Dial[string, string](t, p.server, "/assistant", bearer(t))
}

func TestNobodyWithoutAToken(t *testing.T) {
	for _, route := range []string{"/assistant", "/voice"} {
		if got := wstest.Refused(t, start(t).server, route).Status; got != 401 {
			t.Errorf("%s: status %d, want 401", route, got)
		}
	}
}

// TestTwoAnswersAtOnce: their refs tell them apart, they delay neither a ping nor a message, and
// a cancel ends one of them.
func TestTwoAnswersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text, err := os.ReadFile("testdata/two.txt")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		p := start(t)
		ada := p.dial(t)
		wstest.Converse(t, ada, lines[:2]...)
		time.Sleep(p.model.pace / 2) // so that no two words come at the same time
		wstest.Converse(t, ada, lines[2:]...)
		if got := p.model.generated.Load(); got != 4 {
			t.Errorf("%d words were generated, want 3 and the one before the cancel", got)
		}
	})
}

// TestWhoIsGoneIsNotGeneratedFor, however they went, and what they missed is saved.
func TestWhoIsGoneIsNotGeneratedFor(t *testing.T) {
	for how, leave := range map[string]func(*testing.T, *program, *peer){
		"a closed tab": func(t *testing.T, _ *program, ada *peer) {
			begun := time.Now()
			if got := ada.Close(1001, "").Code; got != 1001 || time.Since(begun) != 0 {
				t.Errorf("the close was answered with %d after %v", got, time.Since(begun))
			}
		},
		"a lost connection": func(_ *testing.T, _ *program, ada *peer) { _ = ada.WebSocket.NetConn().Close() },
		"a restart": func(t *testing.T, p *program, ada *peer) {
			go func() { _, _ = p.router.Drain(t.Context()) }()
			ada.Closed()
		},
	} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := start(t)
				ada := p.dial(t)
				ada.Send(`{"type":"ask","ref":1,"question":"to be or not to be"}`)
				ada.Receive()
				heard := p.model.generated.Load()
				leave(t, p, ada)
				time.Sleep(time.Minute)
				if got := p.model.generated.Load(); heard != 1 || got > heard+1 {
					t.Errorf("%d words were generated, %d were heard", got, heard)
				}
				want := []Entry{{"to be or not to be", "to ", false}}
				if got := p.store.of("ada"); !slices.Equal(got, want) {
					t.Errorf("saved %+v, want %+v", got, want)
				}
			})
		})
	}
}

// TestASaveThatFails: what was streamed was heard, and the answer says that it is not saved.
func TestASaveThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := Save(func(context.Context, string, Entry) error { return errors.New("the disk is full") })
		wstest.Converse(t, start(t, depends.OverrideValue(full)).dial(t),
			`> {"type":"ask","ref":1,"question":"to be"}`,
			`< {"type":"delta","ref":1,"text":"to "}`,
			`< {"type":"delta","ref":1,"text":"be "}`,
			`< {"type":"error","ref":1,"reason":"internal"}`,
		)
	})
}

// TestASlowReaderSlowsItsOwnStream, and no other connection's. It misses nothing.
func TestASlowReaderSlowsItsOwnStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const parts = 1000
		var slow, quick atomic.Int64
		flood := Generate(func(_ context.Context, question string) iter.Seq2[string, error] {
			generated := map[string]*atomic.Int64{"slow": &slow, "quick": &quick}[question]
			return func(yield func(string, error) bool) {
				for i := range parts {
					generated.Add(1)
					if !yield(fmt.Sprintf("%4096d", i), nil) {
						return
					}
				}
			}
		})
		p := start(t, depends.OverrideValue(flood))
		read := func(who *peer) {
			for i := range parts {
				want := fmt.Sprintf(`{"type":"delta","ref":1,"text":"%4096d"}`, i)
				if got := who.Receive(); got != want {
					t.Fatalf("part %d is %q", i, got)
				}
			}
			wstest.Converse(t, who, fmt.Sprintf(`< {"type":"done","ref":1,"parts":%d}`, parts))
		}
		sleeper, reader := p.dial(t), p.dial(t)
		sleeper.Send(`{"type":"ask","ref":1,"question":"slow"}`)
		reader.Send(`{"type":"ask","ref":1,"question":"quick"}`)
		read(reader)
		synctest.Wait()
		if got := slow.Load(); got > 400 || quick.Load() != parts {
			t.Errorf("%d parts were generated for who reads nothing, %d for who reads", got, quick.Load())
		}
		read(sleeper)
	})
}

// TestAFeed sends by itself, and ends with the connection.
func TestAFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ada := start(t).dial(t)
		ada.Timeout = time.Minute
		begun := time.Now()
		wstest.Converse(t, ada,
			`> {"type":"ask","ref":1,"question":"to"}`,
			`< {"type":"delta","ref":1,"text":"to "}`,
			`< {"type":"done","ref":1,"parts":1}`,
			`< {"type":"load","generated":1}`, `< {"type":"load","generated":1}`,
		)
		if got := time.Since(begun); got != 2*loadInterval {
			t.Errorf("two loads came within %v", got)
		}
	})
}
