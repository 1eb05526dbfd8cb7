// Package link carries the messages of one topic between the processes of a program, over a broker
// that may lose, repeat or delay them, and tells when something may be missing.
//
// Each process numbers what it publishes, and beats every two seconds with its last number. A
// number that is missing, and a beat of its own that does not come back, are a gap: what was lost
// must be asked for by other means. A number that comes twice is dropped.
//
//	frame = "u1" kind id number payload
//	kind  = "m" for messages, "b" for a beat, "g" for a goodbye
//	id    = 16 random bytes of the process, for each start
//	payload of "m" = *(length message)
package link

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

// Broker is wsroute's.
type Broker interface {
	Publish(ctx context.Context, topic string, data []byte) error
	Subscribe(ctx context.Context, topic string, receive func([]byte), live func()) error
	MaxPayload() int
}

// ID names a process, from its start to its end.
type ID [16]byte

// Times of a link.
const (
	// BeatEvery is the time between beats.
	BeatEvery = 2 * time.Second
	// echoWithin is how long a beat of one's own may take to come back.
	echoWithin = 6 * time.Second
	// GoneAfter is how long a process may be silent.
	GoneAfter = 30 * time.Second
	// retryAfter is the time between attempts to subscribe.
	retryAfter = time.Second
	// publishWithin bounds beats and goodbyes.
	publishWithin = 2 * time.Second
)

// IsLive is the reason of the gap with which a subscription begins.
const IsLive = "live"

// Hooks are called one after the other, and must not call the link.
type Hooks struct {
	// Receive gets each message of another process, once, in the order of its process.
	Receive func(from ID, data []byte)
	// Gap says that messages may be missing: when the link is live, at first and again, and
	// whenever a gap is found or has ended.
	Gap func(why string)
	// State is sent with each beat, and Heard gets it with each beat of another process; Gone
	// says that a process has ended or is silent for long.
	State func() []byte
	Heard func(from ID, state []byte)
	Gone  func(from ID)
	// Failed gets what goes wrong with the broker, and what comes and is no frame.
	Failed func(error)
}

// Link is one topic. Make one with [Start].
type Link struct {
	broker Broker
	topic  string
	hooks  Hooks
	self   ID
	end    context.CancelFunc
	ended  sync.WaitGroup
	live   chan struct{} // closed when it is live for the first time
	once   sync.Once
	out    outbox
	posted chan struct{} // closed when the outbox is published, after Close

	turn   chan struct{} // holds a token while nobody publishes
	number uint64        // of the last message that was published; whoever publishes has it

	mu    sync.Mutex // while a hook runs
	peers map[ID]*peer
	echo  time.Time // when a beat of our own came last
	lost  bool      // none has come for too long
}

// peer is another process.
type peer struct {
	last  uint64
	heard time.Time
}

// Start subscribes to a topic, again and again while the broker fails, until Close.
func Start(broker Broker, topic string, hooks Hooks) *Link {
	ctx, cancel := context.WithCancel(context.Background())
	l := &Link{
		broker: broker, topic: topic, hooks: hooks, end: cancel, live: make(chan struct{}),
		turn: make(chan struct{}, 1), peers: map[ID]*peer{}, echo: time.Now(),
		out: outbox{come: make(chan struct{}, 1)}, posted: make(chan struct{}),
	}
	_, _ = rand.Read(l.self[:]) // it never fails
	l.turn <- struct{}{}
	l.ended.Go(func() { l.subscribe(ctx) })
	l.ended.Go(func() { l.beat(ctx) })
	l.ended.Go(func() { l.post(ctx) })
	return l
}

// Live returns a channel that is closed when the link is live for the first time.
func (l *Link) Live() <-chan struct{} { return l.live }

// Self returns the name of this process on the link.
func (l *Link) Self() ID { return l.self }

// Close publishes what was posted, says goodbye to the others and ends the link, within some
// seconds. No hook is called any more when it has returned; Publish goes on to work. It may be
// called again.
func (l *Link) Close() {
	l.out.close()
	select {
	case <-l.posted:
	case <-time.After(publishWithin):
	}
	ctx, cancel := context.WithTimeout(context.Background(), publishWithin)
	defer cancel()
	_ = l.publish(ctx, 'g', nil) // the others find out by themselves
	l.end()
	l.ended.Wait()
}

// Publish hands messages to the broker, in one of its own. After an error they may have arrived all
// the same.
func (l *Link) Publish(ctx context.Context, messages ...[]byte) error {
	var payload []byte
	for _, m := range messages {
		payload = AppendPart(payload, m)
	}
	return l.publish(ctx, 'm', payload)
}

// skip takes a number that is not published, so that the others notice.
func (l *Link) skip() {
	<-l.turn
	l.number++
	l.turn <- struct{}{}
}

func (l *Link) publish(ctx context.Context, kind byte, payload []byte) error {
	select { // numbers go out in their order
	case <-l.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { l.turn <- struct{}{} }()
	if kind == 'm' {
		l.number++
	}
	return l.broker.Publish(ctx, l.topic, frame(kind, l.self, l.number, payload))
}

var magic = []byte("u1")

const headLength = len("u1") + 1 + len(ID{}) + 8

// Overhead is how many bytes a message has on the broker beside its data, at the most.
const Overhead = headLength + binary.MaxVarintLen32

func frame(kind byte, id ID, number uint64, payload []byte) []byte {
	out := make([]byte, 0, headLength+len(payload))
	out = append(append(append(out, magic...), kind), id[:]...)
	return append(binary.BigEndian.AppendUint64(out, number), payload...)
}

func parse(data []byte) (kind byte, id ID, number uint64, payload []byte, ok bool) {
	if len(data) < headLength || !bytes.HasPrefix(data, magic) {
		return 0, id, 0, nil, false
	}
	rest := data[len(magic):]
	kind, rest = rest[0], rest[1:]
	rest = rest[copy(id[:], rest):]
	ok = kind == 'm' || kind == 'b' || kind == 'g'
	return kind, id, binary.BigEndian.Uint64(rest), rest[8:], ok
}

func (l *Link) subscribe(ctx context.Context) {
	for {
		err := l.broker.Subscribe(ctx, l.topic, l.receive, l.isLive)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = fmt.Errorf("the subscription to %s has ended", l.topic)
		}
		l.locked(func() { l.hooks.Failed(err) })
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return
		}
	}
}

func (l *Link) locked(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *Link) isLive() {
	l.once.Do(func() { close(l.live) })
	l.locked(func() {
		l.echo, l.lost = time.Now(), false
		l.hooks.Gap(IsLive)
	})
}

// receive takes what the broker delivers.
func (l *Link) receive(data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kind, from, number, payload, ok := parse(data)
	switch {
	case !ok:
		l.hooks.Failed(fmt.Errorf(
			"%d bytes on %s are no message of this version", len(data), l.topic))
	case from == l.self:
		l.ownCame(kind)
	case kind == 'g':
		if l.peers[from] != nil {
			delete(l.peers, from)
			l.hooks.Gone(from)
		}
	default:
		l.from(kind, from, number, payload)
	}
}

func (l *Link) ownCame(kind byte) {
	if kind != 'b' {
		return
	}
	l.echo = time.Now()
	if l.lost {
		l.lost = false
		l.hooks.Gap("a beat of our own has come back")
	}
}

// from takes a message or a beat of another process.
func (l *Link) from(kind byte, from ID, number uint64, payload []byte) {
	p := l.peers[from]
	if p == nil { // what it has sent before is not known here
		p = &peer{}
		l.peers[from] = p
	}
	p.heard = time.Now()
	expected := p.last
	if kind == 'm' {
		expected++
	}
	if number > expected {
		l.hooks.Gap(fmt.Sprintf("%d messages are missing", number-expected))
	}
	switch {
	case kind == 'b':
		p.last = max(p.last, number)
		l.hooks.Heard(from, payload)
	case number > p.last: // others have come already
		p.last = number
		for len(payload) > 0 {
			message, rest, ok := CutPart(payload)
			if !ok {
				l.hooks.Failed(fmt.Errorf("a frame on %s lacks %d bytes or more", l.topic, len(payload)))
				break
			}
			l.hooks.Receive(from, message)
			payload = rest
		}
	}
}

// beat sends beats, and finds out who is silent.
func (l *Link) beat(ctx context.Context) {
	ticker := time.NewTicker(BeatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var state []byte
		l.locked(func() {
			l.silent(time.Now())
			state = l.hooks.State()
		})
		within, cancel := context.WithTimeout(ctx, publishWithin)
		if err := l.publish(within, 'b', state); err != nil && ctx.Err() == nil {
			l.locked(func() { l.hooks.Failed(err) })
		}
		cancel()
	}
}

// silent finds processes that are gone, and out whether our own beats come back; l.mu is held.
func (l *Link) silent(now time.Time) {
	if !l.lost && now.Sub(l.echo) > echoWithin {
		l.lost = true
		l.hooks.Gap("beats of our own do not come back")
	}
	for id, p := range l.peers {
		if now.Sub(p.heard) > GoneAfter {
			delete(l.peers, id)
			l.hooks.Gone(id)
		}
	}
}
