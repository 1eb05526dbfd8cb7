package wsroute_test

import (
	"context"
	"encoding/binary"
	"testing"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
)

// tap is a broker that hands out what is published, and to whom.
type tap struct {
	published chan []byte
	receive   chan func([]byte)
}

func (*tap) MaxPayload() int { return 1 << 20 }

func (b *tap) Publish(_ context.Context, topic string, data []byte) error {
	if topic == "chat.rooms.rooms" && data[2] == 'm' {
		b.published <- data
	}
	return nil
}

func (b *tap) Subscribe(ctx context.Context, topic string, receive func([]byte), live func()) error {
	live()
	if topic == "chat.rooms.rooms" {
		b.receive <- receive
	}
	<-ctx.Done()
	return nil
}

// BenchmarkNoMemberHere is a message of another process to a room that has no member here.
func BenchmarkNoMemberHere(b *testing.B) {
	start := func() (*wsroute.Rooms[event, nick], *tap, func()) {
		broker := &tap{make(chan []byte, 1), make(chan func([]byte), 1)}
		config := quiet()
		config.Name, config.Broker = "chat", broker
		ws := wsroute.New(depends.New(), config)
		rooms := wsroute.NewRooms[event, nick](ws, "rooms", events)
		if _, err := ws.Handler(); err != nil {
			b.Fatal(err)
		}
		return rooms, broker, func() { _, _ = ws.Drain(context.Background()) }
	}
	rooms, from, end := start()
	defer end()
	_, to, endTo := start()
	defer endTo()
	if err := rooms.Send(b.Context(), "lobby", saidMsg{"ada", "hello, all of you"}); err != nil {
		b.Fatal(err)
	}
	frame, receive := <-from.published, <-to.receive
	number := frame[2+1+16:][:8]
	b.ReportAllocs()
	for n := uint64(1); b.Loop(); n++ {
		binary.BigEndian.PutUint64(number, n)
		receive(frame)
	}
}
