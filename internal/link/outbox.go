package link

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"
)

// ErrBehind is the error of a message that has no room in the outbox, or has waited there for too
// long.
var ErrBehind = errors.New("link: the broker takes messages more slowly than they come")

// ErrClosed is the error of a message that comes after Close.
var ErrClosed = errors.New("link: closed")

// outboxBytes is how much may wait for the broker, unless a single message has more.
const outboxBytes = 8 << 20

// staleAfter is how long a message may wait: what is older surprises more than it helps.
const staleAfter = 10 * time.Second

// togetherBytes is how much goes to the broker in one message, unless a single one has more. Each
// takes a round trip.
const togetherBytes = 32 << 10

// outbox is what waits to be published.
type outbox struct {
	mu     sync.Mutex
	queue  []posted
	bytes  int
	closed bool
	come   chan struct{} // holds a token when something waits
}

type posted struct {
	data   []byte
	frames func() [][]byte // in place of data
	at     time.Time
	size   int // in the outbox
	done   func(error)
}

// Post publishes a message after those that were posted before it, and does not wait. done, unless
// it is nil, gets what has become of it.
func (l *Link) Post(data []byte, done func(error)) error {
	return l.out.add(posted{data: data, at: time.Now(), size: len(data) + 100, done: done})
}

// PostAll publishes what frames returns when it is their turn.
func (l *Link) PostAll(frames func() [][]byte) error { return l.out.add(posted{frames: frames}) }

func (o *outbox) add(p posted) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return ErrClosed
	case o.bytes > 0 && p.size > 0 && o.bytes+p.size > outboxBytes:
		return ErrBehind
	}
	o.queue, o.bytes = append(o.queue, p), o.bytes+p.size
	select {
	case o.come <- struct{}{}:
	default:
	}
	return nil
}

// take returns what waits.
func (o *outbox) take() []posted {
	o.mu.Lock()
	defer o.mu.Unlock()
	queue := o.queue
	o.queue = nil
	return queue
}

// post publishes what waits, until the outbox is closed and empty or ctx ends.
func (l *Link) post(ctx context.Context) {
	defer close(l.posted)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case _, open := <-l.out.come:
			for queue := l.out.take(); len(queue) > 0; {
				n := l.together(queue)
				l.publishPosted(ctx, queue[:n])
				queue = queue[n:]
			}
			if !open {
				return
			}
		}
	}
	for _, p := range l.out.take() {
		p.is(ErrClosed)
	}
}

func (p posted) stale() bool { return p.frames == nil && time.Since(p.at) > staleAfter }

func (p posted) is(err error) {
	if p.done != nil {
		p.done(err)
	}
}

// together returns how many of the first go to the broker in one message.
func (l *Link) together(queue []posted) (n int) {
	room, stale := min(togetherBytes, l.broker.MaxPayload())-headLength, queue[0].stale()
	for ; n < len(queue) && queue[n].frames == nil && queue[n].stale() == stale; n++ {
		if room -= len(queue[n].data) + binary.MaxVarintLen32; room < 0 {
			break
		}
	}
	return max(n, 1)
}

// publishPosted publishes what goes together.
func (l *Link) publishPosted(ctx context.Context, all []posted) {
	var failed error
	switch first := all[0]; {
	case first.frames != nil:
		for _, frame := range first.frames() {
			if failed = l.publishWithin(ctx, frame); failed != nil {
				break
			}
		}
	case first.stale():
		l.skip()
		failed = ErrBehind
	default:
		messages := make([][]byte, len(all))
		for i, p := range all {
			messages[i] = p.data
		}
		failed = l.publishWithin(ctx, messages...)
	}
	if failed != nil && ctx.Err() == nil {
		l.locked(func() { l.hooks.Failed(failed) })
	}
	for _, p := range all {
		l.out.mu.Lock()
		l.out.bytes -= p.size
		l.out.mu.Unlock()
		p.is(failed)
	}
}

func (l *Link) publishWithin(ctx context.Context, messages ...[]byte) error {
	within, cancel := context.WithTimeout(ctx, publishWithin)
	defer cancel()
	return l.Publish(within, messages...)
}

// close lets no message in any more.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.closed = true
		close(o.come)
	}
}

// AppendPart appends a length and so many bytes.
func AppendPart(b, part []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(part))), part...)
}

// CutPart returns what AppendPart has appended, and what follows it.
func CutPart(b []byte) (part, rest []byte, ok bool) {
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) { //nolint:gosec // n is at most len(b)
		return nil, nil, false
	}
	end := n + int(length) //nolint:gosec // it is at most len(b)
	return b[n:end], b[end:], true
}
