// Package wsredis carries usher's traffic over Redis, and keeps its revocations in a stream.
//
//	client := redis.NewClient(&redis.Options{Addr: "redis:6379"})
//	ws := wsroute.New(deps, &wsroute.Config{
//		Name: "chat", Broker: wsredis.New(client), RevocationLog: wsredis.NewLog(client, "chat"),
//	})
//
// The channels are those of Config.Name, chat.revoked and chat.rooms.*, and the stream is
// chat.revocations.
package wsredis

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/usher/wsroute"
)

type broker struct{ client redis.UniversalClient }

// New returns a broker on a client, which stays the program's to close.
func New(client redis.UniversalClient) wsroute.Broker { return broker{client} }

// Publish implements [wsroute.Broker]. A client that tries again may publish twice: usher passes
// over the second.
func (b broker) Publish(ctx context.Context, topic string, data []byte) error {
	return b.client.Publish(ctx, topic, data).Err()
}

// MaxPayload implements [wsroute.Broker]: 1 MiB. The server would take more, and cut off each
// subscriber for whom too much waits (client-output-buffer-limit pubsub).
func (broker) MaxPayload() int { return 1 << 20 }

const (
	// silence is how long nothing may come before the server is pinged.
	silence = 2 * time.Second
	// maxSilent is how many pings may stay without an answer: a network that swallows everything
	// gives no error.
	maxSilent = 3
)

// Subscribe implements [wsroute.Broker].
func (b broker) Subscribe(
	ctx context.Context, topic string, receive func(data []byte), live func(),
) error {
	sub := b.client.Subscribe(ctx, topic)
	stop := context.AfterFunc(ctx, func() { _ = sub.Close() }) // which waits for nothing
	defer func() {
		stop()
		_ = sub.Close()
	}()
	for silent := 0; ; {
		message, err := sub.ReceiveTimeout(ctx, silence)
		switch m := message.(type) {
		case *redis.Subscription: // at first, and after each new connection
			if err := b.answers(ctx); err != nil {
				return err
			}
			live()
		case *redis.Message:
			receive([]byte(m.Payload))
		}
		netError := net.Error(nil)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			silent = 0
		case !errors.As(err, &netError) || !netError.Timeout():
			return err
		case silent == maxSilent:
			return errors.New("wsredis: the server answers no ping")
		default:
			silent++
			if err := sub.Ping(ctx); err != nil {
				return err
			}
		}
	}
}

// answers waits until the client's other connections can be used, too: for up to a second after the
// server is back, go-redis has an error from before for them.
func (b broker) answers(ctx context.Context) error {
	for tries := 0; ; tries++ {
		err := b.client.Ping(ctx).Err()
		if err == nil || tries == 40 {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// keep is how long a log keeps its entries.
const keep = 24 * time.Hour

// Log is a [wsroute.RevocationLog] in a stream.
type Log struct {
	client redis.UniversalClient
	stream string
}

// NewLog returns the log of a program, the Config.Name. The stream name.revocations keeps entries
// for 24 hours.
func NewLog(client redis.UniversalClient, name string) *Log {
	return &Log{client, name + ".revocations"}
}

// Append implements [wsroute.RevocationLog].
func (l *Log) Append(ctx context.Context, entry []byte) error {
	now, err := l.client.Time(ctx).Result()
	if err != nil {
		return err
	}
	return l.client.XAdd(ctx, &redis.XAddArgs{
		Stream: l.stream, MinID: id(now.Add(-keep)), Approx: true, Values: []any{"entry", entry},
	}).Err()
}

// id is the first that an entry of a time may have.
func id(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) + "-0" }

// timeOf is when an entry was added, by the clock of the server.
func timeOf(m redis.XMessage) time.Time {
	ms, _, _ := strings.Cut(m.ID, "-")
	n, _ := strconv.ParseInt(ms, 10, 64) // Redis has made it
	return time.UnixMilli(n)
}

// Since implements [wsroute.RevocationLog], by the clock of the server. The log reaches back to an
// entry that is older than what is asked for; so that there is one, an empty entry is added where
// the last is old.
func (l *Log) Since(
	ctx context.Context, age time.Duration,
) (entries [][]byte, complete bool, err error) {
	now, err := l.client.Time(ctx).Result()
	if err != nil {
		return nil, false, err
	}
	from := now.Add(-age)
	first, err := l.client.XRangeN(ctx, l.stream, "-", "+", 1).Result()
	if err != nil {
		return nil, false, err
	}
	last, err := l.client.XRevRangeN(ctx, l.stream, "+", "-", 1).Result()
	if err != nil {
		return nil, false, err
	}
	if len(last) == 0 || now.Sub(timeOf(last[0])) > keep/2 {
		if err := l.Append(ctx, nil); err != nil {
			return nil, false, err
		}
	}
	found, err := l.client.XRange(ctx, l.stream, id(from), "+").Result()
	for _, m := range found {
		if entry, _ := m.Values["entry"].(string); entry != "" {
			entries = append(entries, []byte(entry))
		}
	}
	return entries, len(first) > 0 && !timeOf(first[0]).After(from), err
}
