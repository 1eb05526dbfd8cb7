// Package wsnats carries usher's traffic over NATS, and keeps its revocations in JetStream.
//
//	conn, err := nats.Connect(url, nats.MaxReconnects(-1))
//	log, err := wsnats.NewLog(ctx, conn, "chat")
//	ws := wsroute.New(deps, &wsroute.Config{
//		Name: "chat", Broker: wsnats.New(conn), RevocationLog: log,
//	})
//
// Let the connection reconnect for ever: one that is closed carries nothing any more. The
// subjects are those of Config.Name: chat.revoked, chat.rooms.* and chat.revocations of the log.
package wsnats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/usher/wsroute"
)

// flushWithin bounds what waits for the server, where nobody else does.
const flushWithin = 5 * time.Second

// waiting is how many messages may wait for the program; what is more is lost, which usher
// notices by its numbers.
const waiting = 8192

type broker struct{ conn *nats.Conn }

// New returns a broker on a connection, which stays the program's to close.
func New(conn *nats.Conn) wsroute.Broker { return broker{conn} }

// Publish implements [wsroute.Broker]: the server has the message when it returns nil.
func (b broker) Publish(ctx context.Context, topic string, data []byte) error {
	if err := b.conn.Publish(topic, data); err != nil {
		return err
	}
	return b.flush(ctx)
}

// MaxPayload implements [wsroute.Broker]: it is the server's max_payload, 1 MiB before that is
// known.
func (b broker) MaxPayload() int { return cmp.Or(int(b.conn.MaxPayload()), 1<<20) }

func (b broker) flush(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	return b.conn.FlushWithContext(within)
}

// Subscribe implements [wsroute.Broker].
func (b broker) Subscribe(
	ctx context.Context, topic string, receive func(data []byte), live func(),
) error {
	status := b.conn.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer b.conn.RemoveStatusListener(status)
	messages := make(chan *nats.Msg, waiting)
	sub, err := b.conn.ChanSubscribe(topic, messages)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed
	if err := b.flush(ctx); err != nil {
		return err
	}
	live()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-messages:
			receive(m.Data)
		case now := <-status:
			if now == nats.CLOSED {
				return errors.New("wsnats: the connection is closed")
			}
			if err := b.flush(ctx); err != nil {
				return err
			}
			live()
		}
	}
}

// keep is how long a log keeps its entries.
const keep = 24 * time.Hour

// Log is a [wsroute.RevocationLog] in a stream of JetStream.
type Log struct {
	js      jetstream.JetStream
	stream  jetstream.Stream
	subject string
}

// NewLog returns the log of a program, the Config.Name. It makes the stream name_revocations if
// that is not there, which keeps entries for 24 hours.
func NewLog(ctx context.Context, conn *nats.Conn, name string) (*Log, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	l := &Log{js: js, subject: name + ".revocations"}
	l.stream, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: name + "_revocations", Subjects: []string{l.subject}, MaxAge: keep,
	})
	if errors.Is(err, nats.ErrNoResponders) {
		err = fmt.Errorf("%w: is JetStream enabled on the server?", err)
	}
	if err != nil {
		return nil, fmt.Errorf("wsnats: the stream of the log: %w", err)
	}
	return l, nil
}

// Append implements [wsroute.RevocationLog].
func (l *Log) Append(ctx context.Context, entry []byte) error {
	_, err := l.js.Publish(ctx, l.subject, entry)
	return err
}

// Since implements [wsroute.RevocationLog], by the clock of the server. The log reaches back to an
// entry that is older than what is asked for, or to its own beginning; so that there is such an
// entry, an empty one is added where the last is old.
func (l *Log) Since(
	ctx context.Context, age time.Duration,
) (entries [][]byte, complete bool, err error) {
	info, err := l.stream.Info(ctx)
	if err != nil {
		return nil, false, err
	}
	from := info.TimeStamp.Add(-age)
	first, last := info.State.FirstTime, info.State.LastTime
	switch {
	case info.State.Msgs == 0: // never used, or emptied
		complete = info.State.LastSeq == 0 && !info.Created.After(from)
	case info.State.FirstSeq == 1:
		complete = !info.Created.After(from)
	default:
		complete = !first.After(from)
	}
	if info.State.Msgs == 0 || info.TimeStamp.Sub(last) > keep/2 {
		if err := l.Append(ctx, nil); err != nil {
			return nil, false, err
		}
	}
	if info.State.Msgs == 0 || last.Before(from) {
		return nil, complete, nil
	}
	consumer, err := l.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &from,
	})
	if err != nil {
		return nil, false, err
	}
	messages, err := consumer.Messages() // Next of the consumer itself asks the server for each
	if err != nil {
		return nil, false, err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, false, err
		}
		if data := m.Data(); len(data) > 0 {
			entries = append(entries, data)
		}
		meta, err := m.Metadata()
		if err != nil || meta.Sequence.Stream >= info.State.LastSeq {
			return entries, complete, err
		}
	}
}
