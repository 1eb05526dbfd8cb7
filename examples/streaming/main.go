// Command streaming answers questions in parts, while a stand-in for a language model generates
// them, and saves what has come of each answer, also when nobody is there any more to read it. It
// takes speech in parts, too, as binary messages: voice.go.
//
//	go run ./examples/streaming
//
// It prints a token. Connect with it in the header Authorization to ws://127.0.0.1:8080/assistant,
// send {"type":"ask","ref":1,"question":"to be or not to be"} and, to end the answer early,
// {"type":"cancel","ref":1}. To ws://127.0.0.1:8080/voice send {"type":"start","language":"en"},
// binary messages with 16-bit samples, 16 000 a second, and {"type":"stop","ref":1}.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
)

// User is somebody who is signed in.
type User struct{ Name string }

func user(_ context.Context, in struct{ Claims jwt.RegisteredClaims }) (User, error) {
	return User{in.Claims.Subject}, nil
}

// Generate yields a text in parts, and stops when ctx ends.
type Generate func(ctx context.Context, question string) iter.Seq2[string, error]

// Model repeats the question, and counts the words that it generates.
type Model struct {
	pace      time.Duration // of a word
	generated atomic.Int64
}

func (m *Model) generate(ctx context.Context, question string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for word := range strings.FieldsSeq(question) {
			select {
			case <-time.After(m.pace):
			case <-ctx.Done():
				yield("", context.Cause(ctx))
				return
			}
			m.generated.Add(1)
			if !yield(word+" ", nil) {
				return
			}
		}
	}
}

// Entry is a question and what has come of its answer.
type Entry struct {
	Question string `json:"question"`
	Answer   string `json:"answer"`
	Complete bool   `json:"complete"`
}

// Save stores an entry of a user.
type Save func(ctx context.Context, user string, e Entry) error

// Store has the entries of each user.
type Store struct {
	mu      sync.Mutex
	entries map[string][]Entry
}

// save fails once ctx has ended, as a database does.
func (s *Store) save(ctx context.Context, user string, e Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() == nil {
		s.entries[user] = append(s.entries[user], e)
	}
	return context.Cause(ctx)
}

func (s *Store) of(user string) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Entry{}, s.entries[user]...)
}

// What comes.
type (
	Ask struct {
		Question string `json:"question" validate:"required,max=2000"`
	}
	Read struct{}
)

// Event is what the server sends.
type Event interface{ event() }

// The events. Delta is a part of an answer, and Done its end.
type (
	Delta struct {
		Text string `json:"text"`
	}
	Done struct {
		Parts int `json:"parts"`
	}
	History struct {
		Entries []Entry `json:"entries"`
	}
	Load struct {
		Generated int64 `json:"generated"`
	}
)

func (Delta) event()   {}
func (Done) event()    {}
func (History) event() {}
func (Load) event()    {}

var events = wsroute.Union[Event]{
	"delta": Delta{}, "done": Done{}, "history": History{}, "load": Load{},
}

// Draft is an answer that is being generated.
type Draft struct{ text strings.Builder }

// draft saves what is in the draft when the message has ended. The context of the cleanup does not
// end with the connection, and cause says whether something is missing.
func draft(ctx context.Context, in struct {
	Ask  Ask // the message
	User User
	Save Save
},
) (*Draft, error) {
	d := new(Draft)
	depends.Cleanup(ctx, func(ctx context.Context, cause error) error {
		return in.Save(ctx, in.User.Name, Entry{in.Ask.Question, d.text.String(), cause == nil})
	})
	return d, nil
}

// ask sends each part when it is there.
func ask(ctx context.Context, m Ask, in struct {
	Generate Generate
	Draft    *Draft
	Deltas   wsroute.Reply[Delta]
},
) (done Done, err error) {
	for text, err := range in.Generate(ctx, m.Question) {
		if err != nil {
			return done, err
		}
		in.Draft.text.WriteString(text)
		if err := in.Deltas.Send(ctx, Delta{text}); err != nil {
			return done, err
		}
		done.Parts++
	}
	return done, nil
}

func history(_ context.Context, _ Read, in struct {
	User  User
	Store *Store
},
) (History, error) {
	return History{in.Store.of(in.User.Name)}, nil
}

// loadInterval is how often a connection is told how much is generated.
const loadInterval = 10 * time.Second

// feed starts what sends by itself, as long as the connection lasts.
func feed(_ context.Context, in struct {
	Model  *Model
	Sender wsroute.Sender[Event]
},
) error {
	in.Sender.Go(func(ctx context.Context) error {
		ticks := time.NewTicker(loadInterval)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
			case <-ctx.Done():
				return nil
			}
			if err := in.Sender.Send(ctx, Load{in.Model.generated.Load()}); err != nil {
				return err
			}
		}
	})
	return nil
}

func newRouter(key []byte, model *Model, store *Store, config *wsroute.Config) *wsroute.Router {
	deps := depends.New()
	depends.Supply(deps, model)
	depends.Supply(deps, Generate(model.generate))
	depends.Supply(deps, store)
	depends.Supply(deps, Save(store.save))
	depends.Provide(deps, user)
	depends.Provide(deps, draft, depends.Message)
	security.Use(deps, security.JWT[jwt.RegisteredClaims]{
		Keys: []security.Key{security.HS256(key)}, Issuer: issuer, Audience: audience,
	})
	ws := wsroute.New(deps, config)

	c := wsroute.HandleMessages(ws, "/assistant", events, wsroute.Require[User]())
	wsroute.OnOpen(c, feed)
	wsroute.Answer(c, "ask", ask, wsroute.Concurrent(4), wsroute.Within(5*time.Minute))
	wsroute.Answer(c, "history", history)
	listen(ws)
	return ws
}

const (
	issuer   = "https://id.example.com"
	audience = "assistant"
)

// token is for an hour. A real program asks for a password first.
func token(key []byte, name string) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer: issuer, Audience: jwt.ClaimStrings{audience}, Subject: name,
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}).SignedString(key)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	gin.SetMode(gin.ReleaseMode)
	key := []byte(rand.Text() + rand.Text())
	model, store := &Model{pace: 200 * time.Millisecond}, &Store{entries: map[string][]Entry{}}
	ws, engine := newRouter(key, model, store, nil), gin.New()
	signed, err := token(key, "ada")
	if err == nil {
		err = ws.Mount(engine)
	}
	if err == nil {
		fmt.Println("Authorization: Bearer " + signed)
		err = wsroute.Serve(ctx, "127.0.0.1:8080", ws, engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
