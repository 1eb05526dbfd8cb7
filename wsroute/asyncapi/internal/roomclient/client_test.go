package roomclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/asyncapi/internal/roomclient"
	"example.com/usher/wsroute/wstest"
)

// The messages of a server that the generated client is for, and one that it does not know.
type (
	say   struct{ Text string }
	ask   struct{ Question string }
	event interface{ event() }
	said  struct {
		ID   int64     `json:"id"`
		Text string    `json:"text"`
		At   time.Time `json:"at"`
		Tags []string  `json:"tags"`
	}
	token  struct{ Part string }
	answer struct{ Whole string }
	left   struct{ Who string }
)

func (said) event()   {}
func (token) event()  {}
func (answer) event() {}
func (left) event()   {}

// account is who a token names, as "alice@2000-01-01T01:00:00Z": its end stands in it.
type account struct{ Name string }

// server is a room on a network that can go silent.
type server struct {
	*wstest.Server
	router *wsroute.Router
	room   wsroute.Room[event]
	silent atomic.Int32 // how many of the connections are
	dials  atomic.Int32
}

func find(ctx context.Context, token string) (account, error) {
	name, end, _ := strings.Cut(token, "@")
	until, err := time.Parse(time.RFC3339, end)
	if err != nil || !time.Now().Before(until) {
		return account{}, depends.ErrAbsent
	}
	depends.ValidUntil(ctx, until)
	depends.Identify(ctx, depends.Identity{Subject: name})
	return account{name}, nil
}

func start(t *testing.T) *server {
	t.Helper()
	deps := depends.New()
	security.Use(deps, security.Scheme[account](security.Opaque[account]{
		Sources: []depends.Source{security.BearerHeader(), security.SubprotocolToken("user"), security.QueryToken("ticket")},
		Find:    find, InsecureQuery: true,
	}))
	s := &server{}
	s.router = wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	chat := wsroute.HandleMessages(s.router, "/ws/rooms/:room",
		wsroute.Union[event]{"said": said{}, "token": token{}, "answer": answer{}, "left": left{}},
		wsroute.Renewable, wsroute.Subprotocols("chat"))
	wsroute.OnOpen(chat, func(_ context.Context, in struct {
		Who  account
		Room string `path:"room"`
		Conn wsroute.Sender[event]
	},
	) error {
		s.room.Join(in.Conn)
		return nil
	})
	wsroute.Answer(chat, "say", func(ctx context.Context, m say, in struct{ Who account }) (said, error) {
		switch m.Text {
		case "muted":
			return said{}, &depends.Rejection{Status: 403, Reason: "muted", Detail: "nobody hears you"}
		case "kick":
			return said{}, &depends.Rejection{CloseCode: 4001, Reason: "kicked"}
		case "wait":
			<-ctx.Done()
			return said{}, ctx.Err()
		}
		_ = s.room.Send(ctx, left{in.Who.Name})
		return said{Text: in.Who.Name + ": " + m.Text}, nil
	}, wsroute.Concurrent(9))
	wsroute.Answer(chat, "ask", func(ctx context.Context, m ask, in struct{ Reply wsroute.Reply[token] }) (answer, error) {
		parts := strings.Fields(m.Question)
		for _, part := range parts {
			if err := in.Reply.Send(ctx, token{part}); err != nil {
				return answer{}, err
			}
		}
		return answer{strings.Join(parts, "")}, nil
	}, wsroute.Concurrent(9))
	s.Server = wstest.Start(t, s.router)
	return s
}

// hole is a connection on which nothing comes or goes while its server is silent.
type hole struct {
	net.Conn
	server *server
	number int32
}

func (h *hole) Read(b []byte) (int, error) {
	for {
		n, err := h.Conn.Read(b)
		if err != nil || h.number > h.server.silent.Load() {
			return n, err
		}
	}
}

func (h *hole) Write(b []byte) (int, error) {
	if h.number <= h.server.silent.Load() {
		return len(b), nil
	}
	return h.Conn.Write(b)
}

// options give a token of a lifetime, and note for what it was asked.
func (s *server) options(in string, lifetime time.Duration, asked *[]string) roomclient.Options {
	return roomclient.Options{
		Credential: func(_ context.Context, ask roomclient.Ask) (roomclient.Credential, error) {
			*asked = append(*asked, ask.Why)
			end := time.Now().Add(lifetime).UTC()
			return roomclient.Credential{In: in, Value: "alice@" + end.Format(time.RFC3339), Expires: end}, nil
		},
		Dialer: &websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			number := s.dials.Add(1)
			c, err := s.Connect(ctx)
			return &hole{c, s, number}, err
		}},
	}
}

func (s *server) dial(ctx context.Context, options roomclient.Options) (*roomclient.Room, error) {
	return roomclient.DialRoom(ctx, "ws://"+s.Host, roomclient.RoomParams{Room: "lobby", XAgent: "test"}, options)
}

func (s *server) open(t *testing.T, options roomclient.Options) *roomclient.Room {
	t.Helper()
	c, err := s.dial(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t)
		var asked []string
		c := s.open(t, s.options("", time.Hour, &asked))
		got, err := c.Say(t.Context(), roomclient.Say{Text: "hi"})
		if err != nil || got.Text != "alice: hi" {
			t.Errorf("got %+v, %v", got, err)
		}
		_, err = c.Say(t.Context(), roomclient.Say{Text: "muted"})
		if failed, ok := errors.AsType[*roomclient.Error](err); !ok || failed.Reason != "muted" || failed.Detail != "nobody hears you" {
			t.Errorf("got %v", err)
		}
		var parts []string
		whole, err := c.Ask(t.Context(), roomclient.AskReceived{Question: "a b c"}, func(part roomclient.Token) error {
			parts = append(parts, part.Part)
			return nil
		})
		if diff := cmp.Diff([]string{"a", "b", "c"}, parts); diff != "" || err != nil || whole.Whole != "abc" {
			t.Error(diff, err, whole)
		}
		enough := errors.New("enough")
		if _, err := c.Ask(t.Context(), roomclient.AskReceived{Question: "a b"}, func(roomclient.Token) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Say(ctx, roomclient.Say{Text: "wait"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		unknown, err := c.Receive(t.Context())
		if diff := cmp.Diff(roomclient.Unknown{Type: "left", Data: []byte(`{"type":"left","Who":"alice"}`)}, unknown); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		_, err = c.Receive(t.Context())
		if end, ok := errors.AsType[*roomclient.Closed](err); !ok || end.Code != 1000 {
			t.Errorf("got %v", err)
		}
		if _, err := c.Say(t.Context(), roomclient.Say{Text: "hi"}); err == nil {
			t.Error("a request on a closed connection has no error")
		}
	})
}

func TestSources(t *testing.T) {
	for _, in := range []string{"header", "subprotocol", "query"} {
		synctest.Test(t, func(t *testing.T) {
			s := start(t)
			var asked []string
			c := s.open(t, s.options(in, time.Hour, &asked)) // with @ and :, which no token has
			if got, err := c.Say(t.Context(), roomclient.Say{Text: in}); err != nil || got.Text != "alice: "+in {
				t.Errorf("got %+v, %v", got, err)
			}
			_ = c.Close()
		})
	}
}

func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t)
		var asked []string
		_, err := s.dial(t.Context(), s.options("", -time.Hour, &asked))
		refused, ok := errors.AsType[*roomclient.Refused](err)
		if !ok || refused.Status != 401 || refused.Reason != "invalid_token" {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff([]string{"connect", "rejected"}, asked); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAnHourOfRenewals: tokens live for a minute.
func TestAnHourOfRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t)
		var asked []string
		c := s.open(t, s.options("", time.Minute, &asked))
		time.Sleep(time.Hour)
		if got, err := c.Say(t.Context(), roomclient.Say{Text: "hi"}); err != nil || got.Text != "alice: hi" {
			t.Errorf("got %+v, %v", got, err)
		}
		_ = c.Close()
		synctest.Wait()
		if asked[0] != "connect" || len(asked) < 60 || len(asked) > 80 || slices.Contains(asked[1:], "connect") {
			t.Errorf("asked %d times: %v", len(asked), asked[:3])
		}
	})
}

// keep runs Keep with a request that waits, until the first error that Keep gives back.
func (s *server) keep(t *testing.T, options roomclient.Options, ends *[]string, first string, most int32) error {
	t.Helper()
	return roomclient.Keep(t.Context(), func(ctx context.Context) (*roomclient.Room, error) { return s.dial(ctx, options) },
		func(ctx context.Context, c *roomclient.Room) error {
			if s.dials.Load() > most {
				_ = c.Close()
				return nil
			}
			_, err := c.Say(ctx, roomclient.Say{Text: first})
			if end, ok := errors.AsType[*roomclient.Closed](err); ok {
				*ends = append(*ends, fmt.Sprintf("%d %s %s sent=%t", end.Code, end.Reason, end.Reconnect, end.Sent))
			}
			return err
		})
}

// TestEnds: a client comes back where the close code says so, and a request that was sent fails.
func TestEnds(t *testing.T) {
	for name, test := range map[string]struct {
		first string
		does  func(*server) error
		want  string
		back  bool
		late  time.Duration // the most that coming back may take
	}{
		"kick": {"kick", func(*server) error { return nil }, "4001 kicked never sent=true", false, 0},
		"revoked": {"wait", func(s *server) error {
			_, err := s.router.Revoke(context.Background(), wsroute.Revocation{Subject: "alice"})
			return err
		}, "3000 revoked never sent=true", false, 0},
		"expired": {"wait", func(*server) error { time.Sleep(2 * time.Hour); return nil }, "3000 token_expired now sent=true", true, 0},
		"half-open": {"wait", func(s *server) error {
			s.silent.Store(1)
			time.Sleep(29 * time.Second) // it is noticed after 30
			return nil
		}, "1006  later sent=true", true, 1500 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := start(t)
			var ends, asked []string
			options := s.options("", time.Hour, &asked)
			ask := options.Credential
			options.Credential = func(ctx context.Context, a roomclient.Ask) (roomclient.Credential, error) {
				c, err := ask(ctx, a)
				c.Expires = time.Time{} // it is not renewed
				return c, err
			}
			done := make(chan error, 1)
			go func() { done <- s.keep(t, options, &ends, test.first, 1) }()
			synctest.Wait()
			if err := test.does(s); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			begun := time.Now()
			err := <-done
			if diff := cmp.Diff([]string{test.want}, ends); diff != "" || (err == nil) != test.back {
				t.Errorf("%s: %s %v", name, diff, err)
			}
			if took := time.Since(begun); took > test.late {
				t.Errorf("%s: back after %v", name, took)
			}
			s.Stop()
		})
	}
}

// TestARestart: the server tells all to come back later, and is away for a while.
func TestARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t)
		var ends, asked []string
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		options := s.options("", time.Hour, &asked)
		go func() {
			done <- roomclient.Keep(ctx, func(ctx context.Context) (*roomclient.Room, error) { return s.dial(ctx, options) },
				func(ctx context.Context, c *roomclient.Room) error {
					_, err := c.Receive(ctx)
					ends = append(ends, err.Error())
					return err
				})
		}()
		synctest.Wait()
		s.Stop()
		time.Sleep(10 * time.Minute) // at most 30 s apart, and 15 s in the middle
		if n := s.dials.Load(); n < 20 || n > 80 || ends[0] != "closed with 1012 server_restart" {
			t.Errorf("%d attempts, %v", n, ends)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// TestABadAddress: Keep does not try again what cannot become right, and says what was wrong
// before its time was over.
func TestABadAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialTo := func(base string) func(context.Context) (*roomclient.Room, error) {
			return func(ctx context.Context) (*roomclient.Room, error) {
				return roomclient.DialRoom(ctx, base, roomclient.RoomParams{}, roomclient.Options{
					Dialer: &websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) {
						return nil, errors.New("no route to the host")
					}},
				})
			}
		}
		none := func(context.Context, *roomclient.Room) error { return nil }
		for _, base := range []string{"https://chat.example.com", "localhost:8080", "", "ws://"} {
			err := roomclient.Keep(t.Context(), dialTo(base), none)
			if want := "is no address of a server: write one such as wss://example.com"; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: got %v", base, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := roomclient.Keep(ctx, dialTo("ws://chat.example.com"), none)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no route to the host") {
			t.Errorf("got %v", err)
		}
	})
}
