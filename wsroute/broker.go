package wsroute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"example.com/usher/internal/link"
)

// Broker carries what the processes of one program tell each other, such as NATS or Redis:
// [LocalBroker] is for several routers in one process. It may lose, repeat or delay messages: usher
// numbers them, notices, and makes good what was lost. Its methods are called concurrently.
type Broker interface {
	// Publish returns nil when the broker has the message; an error does not say that nobody
	// gets it.
	Publish(ctx context.Context, topic string, data []byte) error
	// Subscribe calls receive for each message of a topic, those of this process too, and live
	// each time that the subscription is in force: at first, and whenever messages may have been
	// lost since. It calls one after the other, until ctx ends, and neither after it has
	// returned. An error means that it is to be called again.
	Subscribe(ctx context.Context, topic string, receive func(data []byte), live func()) error
	// MaxPayload is how many bytes a message may have. A larger one is refused before it is
	// published.
	MaxPayload() int
}

// RevocationLog keeps revocations for processes that were cut off from the broker, or start later.
// Its methods are called concurrently.
type RevocationLog interface {
	// Append adds an entry with the time of the log.
	Append(ctx context.Context, entry []byte) error
	// Since returns the entries that are no older than an age, by the time of the log, the oldest
	// first. complete is false if the log does not reach back so far, as when it was emptied.
	Since(ctx context.Context, age time.Duration) (entries [][]byte, complete bool, err error)
}

// LocalBroker is a [Broker] between the routers of one process, for tests and small programs. The
// zero value is ready.
type LocalBroker struct {
	mu   sync.Mutex
	subs map[string][]*localSub
}

type localSub struct {
	mu    sync.Mutex
	queue [][]byte
	come  chan struct{}
}

// MaxPayload implements [Broker]: 1 MiB, as NATS has it.
func (*LocalBroker) MaxPayload() int { return 1 << 20 }

// Publish implements [Broker].
func (b *LocalBroker) Publish(_ context.Context, topic string, data []byte) error {
	b.mu.Lock() // all get it in the same order
	defer b.mu.Unlock()
	for _, s := range b.subs[topic] {
		s.mu.Lock()
		s.queue = append(s.queue, data)
		s.mu.Unlock()
		select {
		case s.come <- struct{}{}:
		default:
		}
	}
	return nil
}

// Subscribe implements [Broker].
func (b *LocalBroker) Subscribe(
	ctx context.Context, topic string, receive func(data []byte), live func(),
) error {
	s := &localSub{come: make(chan struct{}, 1)}
	b.mu.Lock()
	if b.subs == nil {
		b.subs = map[string][]*localSub{}
	}
	b.subs[topic] = append(b.subs[topic], s)
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.subs[topic] = slices.DeleteFunc(b.subs[topic], func(o *localSub) bool { return o == s })
	}()
	live()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.come:
		}
		s.mu.Lock()
		queue := s.queue
		s.queue = nil
		s.mu.Unlock()
		for _, data := range queue {
			receive(data)
		}
	}
}

var topicName = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

// brokerFaults says what is wrong with the settings of a broker.
func (c *Config) brokerFaults() (bad []string) {
	switch {
	case c.Broker == nil && (c.RequireBroker || c.RevocationLog != nil):
		bad = append(bad, "Config.RequireBroker and Config.RevocationLog are for a Config.Broker, "+
			"and there is none")
	case c.Broker != nil && !topicName.MatchString(c.Name):
		bad = append(bad, fmt.Sprintf("Config.Name is %q: with a Broker, the program needs a name "+
			"of 1 to 64 of a to z, 0 to 9, _ and -, the same in all processes", c.Name))
	}
	return bad
}

// logEvery is the time between looks into the log of revocations, and logMargin how far a look
// reaches back behind the last one.
const (
	logEvery  = 10 * time.Second
	logMargin = 30 * time.Second
	logRetry  = 250 * time.Millisecond // after the first failure; each further one doubles it
)

// topic is one of the broker's.
type topic struct {
	shared *shared
	name   string
	link   *link.Link
	traces []*Trace    // those that there were at Mount
	down   atomic.Bool // which the log says once
}

// join begins to listen.
func (t *topic) join(s *shared, name string, hooks link.Hooks) {
	t.shared, t.name, t.traces = s, s.config.Name+"."+name, s.config.Trace
	found := hooks.Gap
	hooks.Gap = func(why string) {
		if why == link.IsLive {
			t.down.Store(false)
		}
		t.tell(BrokerInfo{Event: "gap", Text: why})
		found(why)
	}
	hooks.Failed = t.failed
	t.link = link.Start(s.config.Broker, t.name, hooks)
}

func (t *topic) failed(err error) {
	t.tell(BrokerInfo{Event: "error", Err: err})
	if !t.down.Swap(true) {
		t.shared.config.Logger.Warn("broker failed", "topic", t.name, "error", short(err.Error()))
	}
}

// cluster connects a router with those of other processes.
type cluster struct {
	topic // of revocations
	rooms []*topic
	gaps  chan struct{} // revocations may be missing
	soon  chan struct{} // others have not been told of some
	end   context.CancelFunc
	ended sync.WaitGroup

	mu        sync.Mutex
	pending   []Revocation // which others have not been told of
	interrupt func()       // ends what catchUp asks the broker or the log

	seen   map[string]bool // entries of the log, of the last look
	failed bool            // which the log says once
}

// join connects with the other processes, and waits until the broker is there.
func (s *shared) join() error {
	if s.config.Broker == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &cluster{
		gaps: make(chan struct{}, 1), soon: make(chan struct{}, 1), end: cancel, interrupt: func() {},
	}
	c.join(s, "revoked", link.Hooks{
		Receive: func(_ link.ID, data []byte) { c.revoked(data) },
		Gap: func(string) {
			c.mu.Lock()
			c.interrupt() // what is under way may be lost
			c.mu.Unlock()
			select {
			case c.gaps <- struct{}{}:
			default: // they will be looked for anyway
			}
		},
		State: func() []byte { return nil },
		Heard: func(link.ID, []byte) {},
		Gone:  func(link.ID) {},
	})
	for _, join := range s.rooms {
		c.rooms = append(c.rooms, join())
	}
	c.ended.Go(func() { c.catchUp(ctx) })
	late := time.NewTimer(s.config.ResolveTimeout)
	defer late.Stop()
	for _, t := range slices.Concat(c.rooms, []*topic{&c.topic}) {
		select {
		case <-t.link.Live():
			continue
		case <-late.C:
		}
		absent := fmt.Errorf(
			"wsroute: Config.Broker was not there within %v", s.config.ResolveTimeout)
		if s.config.RequireBroker {
			c.leave()
			return absent
		}
		t.failed(absent)
		break
	}
	s.cluster.Store(c)
	if s.hub.draining() { // meanwhile
		c.leave()
	}
	return nil
}

// leave ends the connection with the other processes. What this one revokes afterwards is still
// published.
func (c *cluster) leave() {
	var all sync.WaitGroup
	for _, t := range slices.Concat(c.rooms, []*topic{&c.topic}) {
		all.Go(t.link.Close)
	}
	all.Wait()
	c.end()
	c.ended.Wait()
}

// revoked takes revocations of another process, or of the log. One that is none means nobody.
func (c *cluster) revoked(entries ...[]byte) {
	var all []Revocation
	for _, data := range entries {
		var r Revocation
		if json.Unmarshal(data, &r) == nil && r != (Revocation{}) {
			all = append(all, r)
		}
	}
	c.shared.revokeAll(all)
}

// maxPending is how many revocations wait for the broker to come back.
const maxPending = 1 << 12

// publish tells the other processes of a revocation. In the log stands until when it was meant:
// read later, it must not end what has come since. What neither log nor broker takes is told later.
func (c *cluster) publish(ctx context.Context, r Revocation) error {
	live, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if r.IssuedBefore.IsZero() {
		r.IssuedBefore = time.Now()
	}
	log := c.shared.config.RevocationLog
	if log != nil {
		entry, marshal := json.Marshal(r)
		err = errors.Join(marshal, log.Append(ctx, entry))
	}
	published := c.link.Publish(ctx, live)
	if err != nil || log == nil && published != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.pending) < maxPending {
			c.pending = append(c.pending, r)
		}
	}
	return errors.Join(err, published)
}

// tellPending tells the others of what they have not been told, until that fails again.
func (c *cluster) tellPending(ctx context.Context) (err error) {
	c.mu.Lock()
	pending := c.pending
	c.pending = nil
	c.mu.Unlock()
	for i, r := range pending {
		within, cancel := context.WithTimeout(ctx, c.shared.config.ResolveTimeout)
		err = c.publish(within, r)
		cancel()
		if err != nil {
			c.mu.Lock()
			c.pending = append(c.pending, pending[i+1:]...)
			c.mu.Unlock()
			break
		}
	}
	return err
}

// catchUp makes good what was lost, until ctx ends: it reads the log of revocations at each gap
// and every ten seconds, and at the start, whether or not the broker is there. Where there is
// none, or it does not reach back, all connections are looked at again.
func (c *cluster) catchUp(ctx context.Context) {
	log := c.shared.config.RevocationLog
	next := time.NewTimer(logEvery)
	defer next.Stop()
	if log != nil {
		select {
		case c.gaps <- struct{}{}:
		default: // it is live already
		}
	}
	last, gap, retry := time.Now().Add(-revokedFor), false, logRetry
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.gaps:
			gap, retry = true, logRetry
		case <-c.soon:
			next.Reset(logRetry)
			continue
		case <-next.C:
		}
		within, cancel := context.WithCancel(ctx)
		c.mu.Lock()
		c.interrupt = cancel
		c.mu.Unlock()
		err := c.tellPending(within)
		begun, complete := time.Now(), false
		if log != nil {
			var failed error
			if complete, failed = c.read(within, log, begun.Sub(last)+logMargin); failed == nil {
				last = begun // or the next look reaches back as far
			}
			err = errors.Join(err, failed)
		}
		if gap && !complete && within.Err() == nil {
			c.shared.lookAgain()
		}
		cancel()
		gap = false
		if err == nil {
			next.Reset(logEvery)
			retry = logRetry
		} else {
			next.Reset(retry)
			retry = min(2*retry, logEvery)
		}
	}
}

// read takes what the log has of late and the last look has not seen, and says whether the log
// reaches back so far.
func (c *cluster) read(
	ctx context.Context, log RevocationLog, age time.Duration,
) (complete bool, err error) {
	within, cancel := context.WithTimeout(ctx, c.shared.config.ResolveTimeout)
	defer cancel()
	entries, complete, err := log.Since(within, age)
	seen, unseen := make(map[string]bool, len(entries)), [][]byte(nil)
	for _, entry := range entries {
		if seen[string(entry)] = true; !c.seen[string(entry)] {
			unseen = append(unseen, entry)
		}
	}
	c.revoked(unseen...)
	if err == nil {
		c.seen, c.failed = seen, false
		return complete, nil
	}
	if ctx.Err() == nil {
		c.tell(BrokerInfo{Event: "error", Err: err})
		if !c.failed {
			c.shared.config.Logger.Warn("revocation log failed", "error", short(err.Error()))
		}
		c.failed = true
	}
	return false, err
}

// lookAgainWithin is over how much time connections are looked at again.
const lookAgainWithin = 5 * time.Second

// lookAgain lets each connection's providers with depends.Revalidate run again soon.
func (s *shared) lookAgain() {
	_, open := s.hub.open()
	for _, p := range open {
		if p.renewer != nil {
			p.renewer.all.Store(true)
			p.conn.CheckAt(time.Now().Add(rand.N(lookAgainWithin)))
		}
	}
}

// BrokerInfo is something about a [Broker].
type BrokerInfo struct {
	Topic string
	Event string // "gap": messages may be missing; or "error"
	Text  string // of a gap, what it is
	Err   error  // of an error
}

func (t *topic) tell(info BrokerInfo) {
	info.Topic = t.name
	for _, trace := range t.traces {
		err := protect("a Trace", func() { trace.Broker(context.Background(), info) })
		if err != nil {
			t.shared.config.Logger.Error("trace of the broker failed", "error", short(err.Error()))
		}
	}
}
