package wsroute_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// openLoop starts a process whose route is a loop; open is called for each connection.
func openLoop[E, P any](
	t *testing.T, broker wsroute.Broker, opened func(*wsroute.Rooms[E, P], *wsroute.Conn[string, E]) error,
) (*wsroute.Router, *wsroute.Rooms[E, P], *wstest.Server) {
	t.Helper()
	config := quiet()
	if broker != nil {
		config.Name, config.Broker = "chat", broker
	}
	ws := wsroute.New(depends.New(), config)
	rooms := wsroute.NewRooms[E, P](ws, "rooms", nil)
	wsroute.Handle(ws, "/", func(ctx context.Context, c *wsroute.Conn[string, E], _ none) error {
		if err := opened(rooms, c); err != nil {
			return err
		}
		for {
			if _, err := c.Receive(ctx); err != nil {
				return err
			}
		}
	}, wsroute.Public)
	return ws, rooms, wstest.Start(t, ws)
}

// latent is a broker with a delay, or one that hangs until deaf is closed.
type latent struct {
	wsroute.LocalBroker
	delay atomic.Int64
	hangs atomic.Bool
	deaf  chan struct{}
	snaps atomic.Int64 // snapshots, or parts of one
}

func (b *latent) Publish(ctx context.Context, topic string, data []byte) error {
	if b.hangs.Load() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.deaf:
		}
	}
	if delay := time.Duration(b.delay.Load()); delay > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(delay):
		}
	}
	if data[2] == 'm' && strings.Contains(string(data[27:min(32, len(data))]), "=") {
		b.snaps.Add(1)
	}
	return b.LocalBroker.Publish(ctx, topic, data)
}

// byHand is a broker whose messages the test makes.
type byHand struct {
	mu      sync.Mutex
	receive map[string]func([]byte)
	number  uint64
}

func (*byHand) MaxPayload() int                               { return 1 << 20 }
func (*byHand) Publish(context.Context, string, []byte) error { return nil }
func (b *byHand) Subscribe(ctx context.Context, topic string, receive func([]byte), live func()) error {
	b.mu.Lock()
	if b.receive == nil {
		b.receive = map[string]func([]byte){}
	}
	b.receive[topic] = receive
	b.mu.Unlock()
	live()
	<-ctx.Done()
	return nil
}

func framePart(b []byte, p string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(p))), p...)
}

// sends lets a frame come from another process.
func (b *byHand) sends(frame []byte) {
	b.mu.Lock()
	receive := b.receive["chat.rooms.rooms"]
	b.number++
	b.mu.Unlock()
	head := binary.BigEndian.AppendUint64(append([]byte("u1m"), make([]byte, 16)...), b.number)
	receive(framePart(head, string(frame)))
}

// TestPresentNil: an any that tells nothing.
func TestPresentNil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, rooms, srv := openLoop(t, nil, func(r *wsroute.Rooms[string, any], c *wsroute.Conn[string, string]) error {
			return r.Join(c, "r", nil)
		})
		wstest.Dial[string, string](t, srv, "/")
		synctest.Wait()
		if got := rooms.Present("r"); len(got) != 1 || got[0] != nil {
			t.Errorf("got %v", got)
		}
	})
}

// TestADrainWithMuchToTell: the goodbye goes out, and nobody stays behind.
func TestADrainWithMuchToTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := &latent{}
		here, mine, srv := openLoop(t, broker, func(r *wsroute.Rooms[string, string], c *wsroute.Conn[string, string]) error {
			return r.Join(c, "r", "x")
		})
		_, there, _ := openLoop(t, broker, func(*wsroute.Rooms[string, string], *wsroute.Conn[string, string]) error { return nil })
		reads(wstest.Dial[string, string](t, srv, "/"))
		time.Sleep(10 * time.Second)
		broker.delay.Store(int64(100 * time.Millisecond))
		for range 200 { // it takes more than the time that a drain has for it
			if err := mine.Send(t.Context(), "other", strings.Repeat("x", 30<<10)); err != nil {
				t.Error(err)
			}
		}
		if _, err := here.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := there.Present("r"); len(got) > 0 {
			t.Errorf("%d ghosts", len(got))
		}
	})
}

// TestADrainWithABrokerThatHangs takes 4 s more, however many rooms there are.
func TestADrainWithABrokerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := &latent{deaf: make(chan struct{})}
		config := quiet()
		config.Name, config.Broker = "chat", broker
		ws := wsroute.New(depends.New(), config)
		for i := range 5 {
			wsroute.NewRooms[string, string](ws, fmt.Sprint("r", i), nil)
		}
		wsroute.Handle(ws, "/", echo[string], wsroute.Public)
		if _, err := ws.Handler(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		broker.hangs.Store(true)
		begun := time.Now()
		if _, err := ws.Drain(t.Context()); err != nil || time.Since(begun) > 4*time.Second {
			t.Errorf("%v, after %v", err, time.Since(begun))
		}
	})
}

// TestADrainWhileMountWaits for the broker: nothing goes on afterwards.
func TestADrainWhileMountWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &processes{}
		p.broker.away.Store(true)
		ws := p.router(nil)
		mounted := make(chan error, 1)
		go func() {
			_, err := ws.Handler()
			mounted <- err
		}()
		time.Sleep(time.Second)
		if _, err := ws.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-mounted; err != nil {
			t.Error(err)
		}
	})
}

// TestManyQuestionsHaveOneAnswer behind a slow broker.
func TestManyQuestionsHaveOneAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := &latent{}
		joins := func(r *wsroute.Rooms[string, string], c *wsroute.Conn[string, string]) error {
			for i := range 100 {
				if err := r.Join(c, fmt.Sprint(i), strings.Repeat("x", 500)); err != nil {
					return err
				}
			}
			return nil
		}
		_, rooms, srv := openLoop(t, broker, joins)
		openLoop(t, broker, joins)
		reads(wstest.Dial[string, string](t, srv, "/"))
		time.Sleep(10 * time.Second)
		before := broker.snaps.Load()
		broker.delay.Store(int64(500 * time.Millisecond))
		for range 200 {
			if err := rooms.Send(t.Context(), "r", strings.Repeat("x", 20<<10)); err != nil {
				t.Fatal(err)
			}
		}
		reads(wstest.Dial[string, string](t, srv, "/"))
		time.Sleep(200 * time.Second)
		if n := broker.snaps.Load() - before; n > 3 {
			t.Errorf("%d snapshots", n)
		}
	})
}

// held serves a channel whose messages have a transaction.
func held(
	t *testing.T, broker wsroute.Broker, union wsroute.Union[event], say func(context.Context, *wsroute.Rooms[event, nick]) error,
) (*wstest.Peer[string, string], *safeBuffer) {
	t.Helper()
	type tx struct{}
	deps, log := depends.New(), &safeBuffer{}
	depends.Provide(deps, func(ctx context.Context, _ none) (tx, error) {
		depends.Cleanup(ctx, func(context.Context, error) error { return nil })
		return tx{}, nil
	}, depends.Message)
	ws := wsroute.New(deps, &wsroute.Config{Name: "chat", Broker: broker, Logger: textLogger(log)})
	rooms := wsroute.NewRooms[event, nick](ws, "rooms", union)
	c := wsroute.HandleMessages(ws, "/ws", union, wsroute.Public)
	wsroute.OnOpen(c, func(_ context.Context, in struct{ Conn wsroute.Sender[event] }) error {
		return rooms.Join(in.Conn, "r", nick{})
	})
	wsroute.Answer(c, "say", func(ctx context.Context, _ nothing, _ struct{ Tx tx }) (doneMsg, error) {
		return doneMsg{}, say(ctx, rooms)
	})
	return wstest.Dial[string, string](t, wstest.Start(t, ws), "/ws"), log
}

// strangerMsg can be written, and not be read.
type strangerMsg struct {
	Any fmt.Stringer `json:"any"`
}

func (strangerMsg) event() {}

// largeMsg has an integer that no float64 has.
type largeMsg struct {
	Any any `json:"any"`
}

func (largeMsg) event() {}

// TestWhatIsHeldIsNotLost without a word: who sends it hears of it, or the log does.
func TestWhatIsHeldIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		union := wsroute.Union[event]{"stranger": strangerMsg{}, "large": largeMsg{}, "done": doneMsg{}}
		peer, _ := held(t, &wsroute.LocalBroker{}, union, func(ctx context.Context, r *wsroute.Rooms[event, nick]) error {
			if err := r.Send(ctx, "r", strangerMsg{time.Second}); err == nil || !strings.Contains(err.Error(), `message "stranger"`) {
				t.Errorf("got %v", err)
			}
			return r.Send(ctx, "r", largeMsg{uint64(1<<53 + 1)})
		})
		peer.Send(`{"type":"say"}`)
		gets(t, peer, `{"type":"large","any":9007199254740993}`, `{"type":"done"}`)

		broker := &latent{deaf: make(chan struct{})}
		peer, log := held(t, broker, events, func(ctx context.Context, r *wsroute.Rooms[event, nick]) error {
			broker.hangs.Store(true)
			for r.Send(t.Context(), "q", saidMsg{"", strings.Repeat("x", 1<<19)}) == nil {
			}
			for r.Send(t.Context(), "q", doneMsg{}) == nil { // nothing more has room
			}
			return r.Send(ctx, "r", doneMsg{})
		})
		peer.Send(`{"type":"say"}`)
		gets(t, peer, `{"type":"done"}`, `{"type":"done"}`) // the room's, and the answer
		if text := log.String(); !strings.Contains(text, `msg="message failed"`) || !strings.Contains(text, "more slowly") {
			t.Errorf("the log has %q", text)
		}
		close(broker.deaf)
	})
}

// TestTheRouteOfAMember has all that the rooms tell, or nobody joins by it.
func TestTheRouteOfAMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws := wsroute.New(depends.New(), quiet())
		rooms := wsroute.NewRooms[event, nick](ws, "rooms", events)
		joined := make(chan error, 2)
		for path, u := range map[string]wsroute.Union[event]{"/wide": events, "/narrow": {"said": saidMsg{}}, "/other": {"finished": doneMsg{}, "told": saidMsg{}}} {
			c := wsroute.HandleMessages(ws, path, u, wsroute.Public)
			wsroute.OnOpen(c, func(_ context.Context, in struct{ Conn wsroute.Sender[event] }) error {
				joined <- rooms.Join(in.Conn, "r", nick{})
				return nil
			})
		}
		srv := wstest.Start(t, ws)
		for path, want := range map[string]string{"/wide": "", "/narrow": "doneMsg is in the Union of the rooms, and not in that of GET /narrow", "/other": ""} {
			wstest.Dial[string, string](t, srv, path)
			if err := <-joined; (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", path, err)
			}
		}
	})
}

// TestACloseThatIsLate is not carried out on who has come since.
func TestACloseThatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := &latent{deaf: make(chan struct{})}
		join := func(r *wsroute.Rooms[string, string], c *wsroute.Conn[string, string]) error {
			return r.Join(c, "r", "x")
		}
		_, here, _ := openLoop(t, broker, join)
		_, _, srv := openLoop(t, broker, join)
		synctest.Wait()
		broker.hangs.Store(true)
		for range 200 {
			if err := here.Send(t.Context(), "other", "x"); err != nil {
				t.Error(err)
			}
		}
		begun := time.Now()
		err := here.Close(t.Context(), "r", wsroute.Audience{}, 4001, "kicked")
		if err == nil || time.Since(begun) > 15*time.Second {
			t.Errorf("%v, after %v", err, time.Since(begun))
		}
		time.Sleep(5 * time.Minute)
		peer := wstest.Dial[string, string](t, srv, "/")
		synctest.Wait()
		broker.hangs.Store(false)
		close(broker.deaf)
		time.Sleep(10 * time.Second)
		peer.Close(1000, "")
	})
}

// fragile panics on what it does not know.
type fragile struct{ Name string }

func (f *fragile) UnmarshalJSON(data []byte) error {
	if f.Name = string(data); strings.Contains(f.Name, "new") {
		panic("what is that?")
	}
	return nil
}

// TestAPresenceWhoseReadingPanics hides no other.
func TestAPresenceWhoseReadingPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &byHand{}
		_, rooms, _ := openLoop(t, b, func(*wsroute.Rooms[string, fragile], *wsroute.Conn[string, string]) error { return nil })
		synctest.Wait()
		frame := []byte("=\x03\x00\x01")
		for i, name := range []string{`{"Name":"a"}`, `{"Name":"new"}`, `{"Name":"c"}`} {
			frame = framePart(binary.AppendUvarint(framePart(frame, "r"), uint64(i)), name) //nolint:gosec // it is small
		}
		b.sends(frame)
		if got := rooms.Present("r"); len(got) != 2 {
			t.Errorf("%d of 2 that can be read", len(got))
		}
	})
}

// TestANewerAudience means nobody here, rather than all.
func TestANewerAudience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &byHand{}
		_, rooms, srv := openLoop(t, b, func(r *wsroute.Rooms[string, string], c *wsroute.Conn[string, string]) error {
			return r.Join(c, "r", "x")
		})
		peer := wstest.Dial[string, string](t, srv, "/")
		synctest.Wait()
		b.sends(framePart(framePart(framePart(framePart([]byte{'e'}, "r"), `{"tenant":"another"}`), ""), `"a secret"`))
		b.sends(framePart(framePart(framePart([]byte{'c'}, "r"), `{"tenant":"another"}`), `{"code":4001}`))
		b.sends(framePart(framePart(framePart([]byte{'c'}, "r"), ""), `{"code":1005}`))
		b.sends(framePart(framePart(framePart(framePart([]byte{'e'}, "r"), ""), ""), `"for all"`))
		gets(t, peer, "for all")
		peer.Close(1000, "")
		for name, err := range map[string]error{
			"SendTo": rooms.SendTo(t.Context(), "r", wsroute.Audience{Subject: "\xff"}, "x"),
			"Close":  rooms.Close(t.Context(), "r", wsroute.Audience{Scope: "\xff"}, 4001, ""),
		} {
			if err == nil || !strings.Contains(err.Error(), "no UTF-8") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestWhatHasNoForm is an error, whoever is in the room.
func TestWhatHasNoForm(t *testing.T) {
	for _, broker := range []wsroute.Broker{nil, &wsroute.LocalBroker{}} {
		synctest.Test(t, func(t *testing.T) {
			_, rooms, _ := openLoop(t, broker, func(*wsroute.Rooms[string, string], *wsroute.Conn[string, string]) error { return nil })
			if err := rooms.Send(t.Context(), "r", "\xff"); err == nil {
				t.Error("text that is no UTF-8 was sent")
			}
			if err := rooms.Join(wsroute.Sender[string]{}, "r", "ghost"); err == nil || len(rooms.Present("r")) > 0 {
				t.Errorf("a Sender of no connection has joined: %v", err)
			}
		})
	}
}

// TestAnOnChangeThatEndsItsGoroutine is called again.
func TestAnOnChangeThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Int32
		ws := wsroute.New(depends.New(), quiet())
		rooms := wsroute.NewRooms[string, string](ws, "rooms", nil)
		rooms.OnChange(func(string, []string) {
			if told.Add(1) == 1 {
				runtime.Goexit()
			}
			panic(errors.New("the second time"))
		})
		wsroute.Handle(ws, "/", func(ctx context.Context, c *wsroute.Conn[string, string], _ none) error {
			if err := rooms.Join(c, "r", "x"); err != nil {
				return err
			}
			return receiveAll(ctx, c)
		}, wsroute.Public)
		srv := wstest.Start(t, ws)
		for want := range 3 {
			wstest.Dial[string, string](t, srv, "/")
			synctest.Wait()
			if got := told.Load(); got != int32(want+1) { //nolint:gosec // it is small
				t.Errorf("told %d times, want %d", got, want+1)
			}
		}
	})
}
