package wsroute_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// nick is what members of these rooms tell of themselves.
type nick struct {
	Name string `json:"name"`
}

// house is one process whose rooms are those of the others, too.
type house struct {
	*wsroute.Router
	rooms *wsroute.Rooms[event, nick]
	srv   *wstest.Server
	mu    sync.Mutex
	told  []string // by OnChange
}

// roomInput is what its messages need.
type roomInput struct {
	Room   string `query:"room"`
	Permit permit
	Conn   wsroute.Sender[event]
}

// openHouse starts a process. Who connects to /ws?scope=name.scope&room=name joins the room.
func openHouse(t *testing.T, broker wsroute.Broker, set func(*wsroute.Config)) *house {
	t.Helper()
	config := quiet()
	if broker != nil {
		config.Name, config.Broker = "chat", broker
	}
	if set != nil {
		set(config)
	}
	deps := depends.New()
	scheme := depends.Scheme{Name: "Permit", Challenge: "Bearer", Sources: []depends.Source{{In: "query", Name: "scope"}}}
	provideScheme(deps, scheme, func(ctx context.Context, c depends.Credential) (permit, error) {
		scopes := strings.Split(c.Value, ".")
		depends.Identify(ctx, depends.Identity{Subject: scopes[0]})
		return permit{scopes}, nil
	})
	h := &house{Router: wsroute.New(deps, config)}
	h.rooms = wsroute.NewRooms[event, nick](h.Router, "rooms", events)
	h.rooms.OnChange(func(room string, present []nick) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.told = append(h.told, fmt.Sprint(room, " ", sorted(present)))
	})
	c := wsroute.HandleMessages(h.Router, "/ws", events)
	wsroute.OnOpen(c, func(_ context.Context, in roomInput) error {
		return h.rooms.Join(in.Conn, in.Room, nick{in.Permit.scopes[0]})
	})
	wsroute.Answer(c, "say", func(ctx context.Context, say sayMsg, in roomInput) (saidMsg, error) {
		said := saidMsg{in.Permit.scopes[0], say.Text}
		return said, h.rooms.SendOthers(ctx, in.Conn, in.Room, said)
	})
	wsroute.On(c, "leave", func(_ context.Context, _ nothing, in roomInput) error {
		h.rooms.Leave(in.Conn, in.Room)
		return nil
	})
	h.srv = wstest.Start(t, h.Router)
	return h
}

func sorted(present []nick) (names []string) {
	for _, n := range present {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return names
}

func (h *house) dial(t *testing.T, who, room string) *wstest.Peer[string, string] {
	t.Helper()
	peer := wstest.Dial[string, string](t, h.srv, "/ws?scope="+who+"&room="+room)
	synctest.Wait()
	return peer
}

// reads lets a peer answer pings.
func reads(peer *wstest.Peer[string, string]) { go func() { _ = untilClosed(peer) }() }

func (h *house) present(t *testing.T, room string, want ...string) {
	t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(want, sorted(h.rooms.Present(room))); diff != "" {
		t.Errorf("present in %s (-want +got):\n%s", room, diff)
	}
}

// tells returns what OnChange has been told.
func (h *house) tells() []string {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	told := h.told
	h.told = nil
	return told
}

func gets(t *testing.T, peer *wstest.Peer[string, string], want ...string) {
	t.Helper()
	for _, text := range want {
		if got := peer.Receive(); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
}

// TestRooms: in one process and in two, which say the same.
func TestRooms(t *testing.T) {
	for _, processes := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			var broker wsroute.Broker
			if processes == 2 {
				broker = &wsroute.LocalBroker{}
			}
			here := openHouse(t, broker, nil)
			there := here
			if processes == 2 {
				there = openHouse(t, broker, nil)
			}
			ada, bob := here.dial(t, "ada.mod", "r"), there.dial(t, "bob", "r")
			eve := there.dial(t, "eve", "other")
			for _, h := range []*house{here, there} {
				h.present(t, "r", "ada", "bob")
				h.present(t, "other", "eve")
				h.present(t, "none")
			}
			converse(t, ada, `{"type":"say","ref":1,"text":"hi <b>"}`, `{"type":"said","ref":1,"from":"ada","text":"hi <b>"}`)
			gets(t, bob, `{"type":"said","from":"ada","text":"hi <b>"}`)
			ctx := t.Context()
			for _, send := range []func() error{
				func() error { return there.rooms.Send(ctx, "r", saidMsg{"server", "all"}) },
				func() error {
					return there.rooms.SendTo(ctx, "r", wsroute.Audience{Scope: "mod"}, saidMsg{"server", "mods"})
				},
				func() error {
					return there.rooms.SendTo(ctx, "r", wsroute.Audience{Subject: "bob"}, &saidMsg{"server", "bob"})
				},
				func() error {
					return here.rooms.SendTo(ctx, "r", wsroute.Audience{Subject: "bob", Scope: "mod"}, saidMsg{"server", "nobody"})
				},
				func() error {
					return here.rooms.SendTo(ctx, "r", wsroute.Audience{Subject: "bob", Issuer: "x"}, saidMsg{"server", "nobody"})
				},
				func() error { return here.rooms.Send(ctx, "r", doneMsg{}) },
			} {
				if err := send(); err != nil {
					t.Error(err)
				}
				synctest.Wait() // two processes have no common order
			}
			gets(t, ada, `{"type":"said","from":"server","text":"all"}`, `{"type":"said","from":"server","text":"mods"}`, `{"type":"done"}`)
			gets(t, bob, `{"type":"said","from":"server","text":"all"}`, `{"type":"said","from":"server","text":"bob"}`, `{"type":"done"}`)
			if err := here.rooms.Close(ctx, "r", wsroute.Audience{Subject: "bob"}, 4001, "kicked"); err != nil {
				t.Error(err)
			}
			if end := untilClosed(bob); end == nil || *end != (wsroute.CloseError{Code: 4001, Reason: "kicked"}) {
				t.Errorf("got %v", end)
			}
			here.present(t, "r", "ada")
			there.present(t, "r", "ada")
			ada.Send(`{"type":"leave"}`)
			there.present(t, "r")
			if err := there.rooms.Send(ctx, "r", doneMsg{}); err != nil {
				t.Error(err)
			}
			converse(t, ada, `{"type":"say","text":"?"}`, `{"type":"said","from":"ada","text":"?"}`) // nothing before it
			eve.Close(1000, "")
			here.present(t, "other")
		})
	}
}

// TestSendLocal reaches the members of its process alone.
func TestSendLocal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := &wsroute.LocalBroker{}
		here, there := openHouse(t, broker, nil), openHouse(t, broker, nil)
		ada, bob, eve := here.dial(t, "ada", "r"), here.dial(t, "bob", "r"), there.dial(t, "eve", "r")
		isBob := func(who depends.Identity) bool { return who.Subject == "bob" }
		for text, allowed := range map[string]func(depends.Identity) bool{"bob": isBob, "here": nil} {
			if err := here.rooms.SendLocal("r", saidMsg{"server", text}, allowed); err != nil {
				t.Error(err)
			}
		}
		if err := here.rooms.SendLocal("nobody", saidMsg{"server", ""}, nil); err != nil {
			t.Error(err)
		}
		gets(t, ada, `{"type":"said","from":"server","text":"here"}`)
		both := []string{bob.Receive(), bob.Receive()}
		slices.Sort(both)
		if diff := cmp.Diff([]string{`{"type":"said","from":"server","text":"bob"}`, `{"type":"said","from":"server","text":"here"}`}, both); diff != "" {
			t.Error(diff)
		}
		converse(t, eve, `{"type":"say","text":"?"}`, `{"type":"said","from":"eve","text":"?"}`)
	})
}

// TestOnChange is told of what happens in any process.
func TestOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := &wsroute.LocalBroker{}
		here, there := openHouse(t, broker, nil), openHouse(t, broker, nil)
		ada := here.dial(t, "ada", "r")
		there.dial(t, "bob", "r")
		if diff := cmp.Diff([]string{"r [ada]", "r [ada bob]"}, there.tells()); diff != "" {
			t.Error(diff)
		}
		_ = ada.WebSocket.Close()
		if diff := cmp.Diff([]string{"r [bob]"}, there.tells()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"r [ada]", "r [ada bob]", "r [bob]"}, here.tells()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestPresenceOfAProcessThatStartsLater, and of one that goes, with and without a word.
func TestPresenceOfAProcessThatStartsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := &faulty{}
		here := openHouse(t, broker, nil)
		reads(here.dial(t, "ada", "r"))
		time.Sleep(20 * time.Second)
		there := openHouse(t, broker, nil)
		time.Sleep(5 * time.Second)
		there.present(t, "r", "ada")
		there.dial(t, "bob", "r")
		here.present(t, "r", "ada", "bob")
		if _, err := there.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		here.present(t, "r", "ada")

		third := openHouse(t, broker, nil)
		reads(third.dial(t, "eve", "r"))
		here.present(t, "r", "ada", "eve")
		broker.away.Store(true) // for longer than a process may be silent
		time.Sleep(40 * time.Second)
		here.present(t, "r", "ada")
		broker.away.Store(false)
		time.Sleep(10 * time.Second)
		here.present(t, "r", "ada", "eve")
		third.present(t, "r", "ada", "eve")
	})
}

// TestTheOrderOfARoom: 8 goroutines send 4,000 messages, and every member gets them in one order.
func TestTheOrderOfARoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wide := func(c *wsroute.Config) { c.Limits.SendMessages = 5000 }
		broker := &wsroute.LocalBroker{}
		here, there := openHouse(t, broker, wide), openHouse(t, broker, wide)
		peers := []*wstest.Peer[string, string]{here.dial(t, "ada", "r"), here.dial(t, "eve", "r"), there.dial(t, "bob", "r")}
		var all sync.WaitGroup
		for g := range 8 {
			all.Go(func() {
				for n := range 500 {
					if err := here.rooms.Send(t.Context(), "r", saidMsg{fmt.Sprint(g), fmt.Sprint(n)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		for n := range 4000 {
			first := peers[0].Receive()
			for _, p := range peers[1:] {
				if got := p.Receive(); got != first {
					t.Fatalf("message %d is %s for one and %s for another", n, first, got)
				}
			}
		}
	})
}

// small is a broker that carries little.
type small struct{ wsroute.LocalBroker }

func (*small) MaxPayload() int { return 200 }

// TestWhatARoomRefuses: nobody is told anything of it.
func TestWhatARoomRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := openHouse(t, &small{}, nil), openHouse(t, &small{}, nil)
		ada := here.dial(t, "ada", "r")
		there.dial(t, "bob", "r")
		ctx, long := t.Context(), strings.Repeat("x", 300)
		for want, err := range map[string]error{
			"more than the broker's MaxPayload of 200":        here.rooms.Send(ctx, "r", saidMsg{"server", long}),
			"bytes are more than the broker's MaxPayload":     here.rooms.Send(ctx, long, doneMsg{}),
			"sayMsg is not in the Union of wsroute_test.even": here.rooms.Send(ctx, "r", sayMsg{"?"}),
			"nil is no wsroute_test.event":                    here.rooms.Send(ctx, "r", nil),
			"close code 1005 must not be sent":                here.rooms.Close(ctx, "r", wsroute.Audience{}, 1005, ""),
			"are more than the broker's MaxPayload":           here.rooms.Close(ctx, long, wsroute.Audience{}, 1000, ""),
		} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in %v", want, err)
			}
		}
		gone, cancel := context.WithCancelCause(ctx)
		cancel(errBroker)
		if err := here.rooms.Close(gone, "nobody", wsroute.Audience{}, 1000, ""); err != nil && !errors.Is(err, errBroker) {
			t.Error(err)
		}
		converse(t, ada, `{"type":"say","text":"?"}`, `{"type":"said","from":"ada","text":"?"}`)
		far := wstest.Dial[string, string](t, here.srv, "/ws?scope=ada&room="+long) // cannot join
		if end := untilClosed(far); end == nil || end.Code != 1011 {
			t.Errorf("got %v", end)
		}
	})
}

// TestAnyRoomName, of any bytes.
func TestAnyRoomName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := &wsroute.LocalBroker{}
		here, there := openHouse(t, broker, nil), openHouse(t, broker, nil)
		for name, query := range map[string]string{"": "", "*": "*", ">": "%3E", "a b\n": "a%20b%0A", "é": "%C3%A9", "a.b": "a.b", strings.Repeat("x", 5000): strings.Repeat("x", 5000)} {
			peer := there.dial(t, "ada", query)
			here.present(t, name, "ada")
			if err := here.rooms.Send(t.Context(), name, doneMsg{}); err != nil {
				t.Error(err)
			}
			gets(t, peer, `{"type":"done"}`)
		}
		if err := here.rooms.Send(t.Context(), "\xff\x00", doneMsg{}); err != nil {
			t.Error(err)
		}
	})
}

// slow is a broker that takes nothing for a while.
type slow struct {
	wsroute.LocalBroker
	blocked chan struct{}
}

func (b *slow) Publish(ctx context.Context, topic string, data []byte) error {
	select {
	case <-b.blocked:
	case <-ctx.Done():
		return ctx.Err()
	}
	return b.LocalBroker.Publish(ctx, topic, data)
}

// TestABrokerThatIsSlow: the members here get everything, and the sender hears that others do not.
func TestABrokerThatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := &slow{blocked: make(chan struct{})}
		here := openHouse(t, broker, nil)
		ada := here.dial(t, "ada", "r")
		text, sent := strings.Repeat("x", 1<<18), 0
		for ; ; sent++ {
			err := here.rooms.Send(t.Context(), "r", saidMsg{"server", text})
			ada.Receive()
			if errors.Is(err, wsroute.ErrBrokerBehind) {
				break
			} else if err != nil || sent > 40 {
				t.Fatal(err, sent)
			}
		}
		if sent < 30 {
			t.Errorf("%d messages of 256 KiB have room", sent)
		}
		close(broker.blocked)
		synctest.Wait()
		if err := here.rooms.Send(t.Context(), "r", doneMsg{}); err != nil {
			t.Error(err)
		}
		gets(t, ada, `{"type":"done"}`)
	})
}

// TestAnotherVersionOfARoom: what is not known is passed over, and the log says so once.
func TestAnotherVersionOfARoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := &wsroute.LocalBroker{}
		var log safeBuffer
		here := openHouse(t, broker, func(c *wsroute.Config) { c.Logger = textLogger(&log) })
		ada := here.dial(t, "ada", "r")
		ws := wsroute.New(depends.New(), &wsroute.Config{Name: "chat", Broker: broker, Logger: textLogger(&safeBuffer{})})
		newer := wsroute.NewRooms[event, int](ws, "rooms", wsroute.Union[event]{"whispered": saidMsg{}, "said": versionedMsg{}})
		c := wsroute.HandleMessages(ws, "/ws", wsroute.Union[event]{"whispered": saidMsg{}, "said": versionedMsg{}}, wsroute.Public)
		wsroute.OnOpen(c, func(_ context.Context, in struct{ Conn wsroute.Sender[event] }) error {
			return newer.Join(in.Conn, "r", 7)
		})
		wstest.Dial[string, string](t, wstest.Start(t, ws), "/ws")
		for range 3 {
			if err := newer.Send(t.Context(), "r", saidMsg{"new", "?"}); err != nil {
				t.Error(err)
			}
		}
		if err := newer.Send(t.Context(), "r", versionedMsg{"new", "hi", 7}); err != nil {
			t.Error(err)
		}
		gets(t, ada, `{"type":"said","from":"new","text":"hi"}`)
		here.present(t, "r", "ada") // a number is no nick
		if n := strings.Count(log.String(), `msg="message of another version" topic=chat.rooms.rooms error="\"whispered\" is no message of this version"`); n != 1 {
			t.Errorf("the log has %q", log.String())
		}
	})
}

// touchy panics when it is read.
type touchy struct{ Text string }

func (touchy) event() {}

func (*touchy) UnmarshalJSON([]byte) error { panic("touched") }

// TestAMessageWhoseReadingPanics ends no process, and the next one comes.
func TestAMessageWhoseReadingPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker, union := &wsroute.LocalBroker{}, wsroute.Union[event]{"touchy": touchy{}, "done": doneMsg{}}
		var log safeBuffer
		start := func() (*wsroute.Rooms[event, nick], *wstest.Peer[string, string]) {
			ws := wsroute.New(depends.New(), &wsroute.Config{Name: "chat", Broker: broker, Logger: textLogger(&log)})
			rooms := wsroute.NewRooms[event, nick](ws, "rooms", union)
			c := wsroute.HandleMessages(ws, "/ws", union, wsroute.Public)
			wsroute.OnOpen(c, func(_ context.Context, in struct{ Conn wsroute.Sender[event] }) error {
				return rooms.Join(in.Conn, "r", nick{})
			})
			return rooms, wstest.Dial[string, string](t, wstest.Start(t, ws), "/ws")
		}
		rooms, here := start()
		_, there := start()
		synctest.Wait()
		for _, m := range []event{touchy{"?"}, doneMsg{}} {
			if err := rooms.Send(t.Context(), "r", m); err != nil {
				t.Error(err)
			}
		}
		gets(t, here, `{"type":"touchy","Text":"?"}`, `{"type":"done"}`)
		gets(t, there, `{"type":"done"}`)
		if !strings.Contains(log.String(), `msg="message of another version" topic=chat.rooms.rooms`) || !strings.Contains(log.String(), "touched") {
			t.Errorf("the log has %q", log.String())
		}
	})
}

type versionedMsg struct {
	From string `json:"from"`
	Text string `json:"text"`
	New  int    `json:"new"`
}

func (versionedMsg) event() {}

// TestRoomsOfALoop: its messages are of one type, and have no name.
func TestRoomsOfALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := &wsroute.LocalBroker{}
		type process struct {
			rooms *wsroute.Rooms[said, nick]
			srv   *wstest.Server
		}
		start := func() (p process) {
			config := quiet()
			config.Name, config.Broker = "chat", broker
			ws := wsroute.New(depends.New(), config)
			p.rooms = wsroute.NewRooms[said, nick](ws, "loops", nil)
			wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[int, said], _ none) error {
				if err := p.rooms.Join(conn, "r", nick{"x"}); err != nil {
					return err
				}
				for {
					n, err := conn.Receive(ctx)
					if err != nil {
						return err
					}
					if err := p.rooms.Send(ctx, "r", said{"x", n}); err != nil {
						return err
					}
				}
			}, wsroute.Public)
			p.srv = wstest.Start(t, ws)
			return p
		}
		one, two := start(), start()
		a, b := wstest.Dial[int, said](t, one.srv, "/"), wstest.Dial[int, said](t, two.srv, "/")
		synctest.Wait()
		a.Send(7)
		if x, y := a.Receive(), b.Receive(); x != (said{"x", 7}) || y != x {
			t.Errorf("got %v and %v", x, y)
		}
	})
}

// TestASendThatWaitsForACommit crosses after it, as it was when it was sent.
func TestASendThatWaitsForACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type tx struct{}
		broker := &wsroute.LocalBroker{}
		there := openHouse(t, broker, nil)
		bob := there.dial(t, "bob", "r")
		fails := false
		deps := depends.New()
		depends.Provide(deps, func(ctx context.Context, _ none) (tx, error) {
			depends.Cleanup(ctx, func(context.Context, error) error {
				if fails {
					return errBroker
				}
				return nil
			})
			return tx{}, nil
		}, depends.Message)
		config := quiet()
		config.Name, config.Broker = "chat", broker
		ws := wsroute.New(deps, config)
		rooms := wsroute.NewRooms[event, nick](ws, "rooms", events)
		c := wsroute.HandleMessages(ws, "/ws", events, wsroute.Public)
		wsroute.Answer(c, "say", func(ctx context.Context, say sayMsg, _ struct{ Tx tx }) (doneMsg, error) {
			m := &saidMsg{"tx", say.Text}
			err := rooms.Send(ctx, "r", m)
			m.Text = "changed"
			return doneMsg{}, err
		})
		peer := wstest.Dial[string, string](t, wstest.Start(t, ws), "/ws")
		converse(t, peer, `{"type":"say","text":"one"}`, `{"type":"done"}`)
		fails = true
		converse(t, peer, `{"type":"say","text":"two"}`, `{"type":"error","reason":"internal"}`)
		fails = false
		converse(t, peer, `{"type":"say","text":"three"}`, `{"type":"done"}`)
		gets(t, bob, `{"type":"said","from":"tx","text":"one"}`, `{"type":"said","from":"tx","text":"three"}`)
	})
}

// TestAMessageThatFillsTheBroker: of the bytes that MaxPayload says.
func TestAMessageThatFillsTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := &wsroute.LocalBroker{}
		here, there := openHouse(t, broker, nil), openHouse(t, broker, nil)
		bob := there.dial(t, "bob", "r")
		bob.WebSocket.SetReadLimit(2 << 20)
		room := broker.MaxPayload()
		send := func() error {
			return here.rooms.Send(t.Context(), "r", saidMsg{"", strings.Repeat("x", room)})
		}
		for send() != nil {
			room--
		}
		if least := broker.MaxPayload() - 100; room < least {
			t.Errorf("%d bytes of text fit, want %d", room, least)
		}
		if got := bob.Receive(); len(got) < room {
			t.Errorf("%d bytes came", len(got))
		}
	})
}

func TestFaultsOfRooms(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.NewRooms[event, nick](ws, "Rooms", events)
	wsroute.NewRooms[event, nick](ws, "twice", events)
	wsroute.NewRooms[event, nick](ws, "twice", events)
	wsroute.NewRooms[event, nick](ws, "absent", nil)
	wsroute.NewRooms[any, nick](ws, "any", wsroute.Union[any]{"x": 7})
	_, err := ws.Handler()
	if err == nil {
		t.Fatal("it starts")
	}
	for _, want := range []string{
		`NewRooms("Rooms") at`, `NewRooms("twice") at`, `NewRooms("absent") at`, "rooms_test.go",
		"no type is named, and wsroute_test.event is an interface", `message "x" is int, and must be a struct`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

// TestRoomsThatComeTooLate panic with what is wrong, and where.
func TestRoomsThatComeTooLate(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	rooms := wsroute.NewRooms[string, nick](ws, "rooms", nil)
	rooms.OnChange(func(string, []nick) {})
	if _, err := ws.Handler(); err != nil {
		t.Fatal(err)
	}
	for want, late := range map[string]func(){
		"NewRooms more after Mount, at ":      func() { wsroute.NewRooms[string, nick](ws, "more", nil) },
		"OnChange after Mount, or twice, at ": func() { rooms.OnChange(func(string, []nick) {}) },
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, want) || !strings.Contains(text, "rooms_test.go") {
					t.Errorf("%q is not in %q", want, text)
				}
			}()
			late()
		}()
	}
}

func TestAPresenceThatDoesNotEncode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws := wsroute.New(depends.New(), quiet())
		rooms := wsroute.NewRooms[string, any](ws, "rooms", nil)
		joined := make(chan error, 1)
		wsroute.Handle(ws, "/", func(_ context.Context, conn *wsroute.Conn[string, string], _ none) error {
			joined <- rooms.Join(conn, "r", math.NaN())
			return nil
		}, wsroute.Public)
		wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
		if err := <-joined; err == nil || len(rooms.Present("r")) > 0 {
			t.Errorf("got %v", err)
		}
	})
}
