package wsroute_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

var errBroker = errors.New("the broker is away")

// faulty is a broker that can lose what is published, or be away.
type faulty struct {
	wsroute.LocalBroker
	loses, away atomic.Bool
}

func (b *faulty) Publish(ctx context.Context, topic string, data []byte) error {
	switch {
	case b.away.Load():
		return errBroker
	case b.loses.Load():
		return nil
	}
	return b.LocalBroker.Publish(ctx, topic, data)
}

func (b *faulty) Subscribe(ctx context.Context, topic string, receive func([]byte), live func()) error {
	if b.away.Load() {
		return errBroker
	}
	return b.LocalBroker.Subscribe(ctx, topic, receive, live)
}

// memoryLog is a log of revocations.
type memoryLog struct {
	mu      sync.Mutex
	entries [][]byte
	at      []time.Time
	emptied bool
	fails   error
	stuck   bool // Since does not answer
	fragile int  // how often it fails
	reads   atomic.Int32
}

func (l *memoryLog) set(fails error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails = fails
}

func (l *memoryLog) Append(_ context.Context, entry []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails != nil {
		return l.fails
	}
	l.entries, l.at = append(l.entries, entry), append(l.at, time.Now())
	return l.fails
}

func (l *memoryLog) Since(ctx context.Context, age time.Duration) (entries [][]byte, complete bool, err error) {
	l.reads.Add(1)
	l.mu.Lock()
	stuck := l.stuck
	l.mu.Unlock()
	if stuck {
		<-ctx.Done()
		return nil, false, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fragile > 0 {
		l.fragile--
		return nil, false, errBroker
	}
	for i, at := range l.at {
		if time.Since(at) <= age {
			entries = append(entries, l.entries[i])
		}
	}
	return entries, !l.emptied, l.fails
}

var (
	_ wsroute.Broker        = &faulty{}
	_ wsroute.RevocationLog = &memoryLog{}
)

// processes are routers of one program, with what they share.
type processes struct {
	broker faulty
	log    *memoryLog // nil for none
	asked  atomic.Int32
	banned atomic.Bool
}

func (p *processes) router(set func(*wsroute.Config)) *wsroute.Router {
	config := quiet()
	config.Name, config.Broker = "chat", &p.broker
	if p.log != nil {
		config.RevocationLog = p.log
	}
	if set != nil {
		set(config)
	}
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, in struct {
		Subject string `query:"sub"`
	},
	) (member, error) {
		depends.Identify(ctx, depends.Identity{Subject: in.Subject})
		if p.asked.Add(1); p.banned.Load() {
			return member{}, depends.Forbidden("banned", nil)
		}
		return member{in.Subject}, nil
	}, depends.Revalidate(time.Hour))
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/ws", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{ _ member }) error {
		return receiveAll(ctx, conn)
	})
	return ws
}

// TestRevokeReachesAllProcesses: at once.
func TestRevokeReachesAllProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &processes{}
		here, there := p.router(nil), p.router(nil)
		wstest.Start(t, here)
		srv := wstest.Start(t, there)
		ada, bob := wstest.Dial[string, string](t, srv, "/ws?sub=ada"), wstest.Dial[string, string](t, srv, "/ws?sub=bob")
		begun := time.Now()
		if _, err := here.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"}); err != nil {
			t.Error(err)
		}
		if end := untilClosed(ada); end == nil || end.Reason != "revoked" || time.Since(begun) > 0 {
			t.Errorf("got %v after %v", end, time.Since(begun))
		}
		if _, err := here.Revoke(t.Context(), wsroute.Revocation{}); err == nil {
			t.Error("an empty revocation has no error")
		}
		bob.Close(1000, "")
	})
}

// TestARevocationWhileTheBrokerLoses: who does not hear it reads the log when the gap ends.
func TestARevocationWhileTheBrokerLoses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &processes{log: &memoryLog{}}
		here, there := p.router(nil), p.router(nil)
		wstest.Start(t, here)
		srv := wstest.Start(t, there)
		c := wstest.Dial[string, string](t, srv, "/ws?sub=ada")
		time.Sleep(time.Second) // the log tells by the time who is meant
		p.broker.loses.Store(true)
		if _, err := here.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"}); err != nil {
			t.Error(err)
		}
		begun := time.Now()
		time.Sleep(time.Second)
		p.broker.loses.Store(false)
		if end := untilClosed(c); end == nil || end.Reason != "revoked" {
			t.Errorf("got %v", end)
		}
		if took := time.Since(begun); took > 3*time.Second { // the next beat shows the gap
			t.Errorf("after %v", took)
		}
		again := wstest.Dial[string, string](t, srv, "/ws?sub=ada") // it has come since
		time.Sleep(20 * time.Second)
		again.Close(1000, "")
	})
}

// TestTheBrokerIsAway: Revoke says so, ends the connections of its process, and the others follow
// when the broker is back.
func TestTheBrokerIsAway(t *testing.T) {
	for name, log := range map[string]*memoryLog{"a log": {}, "a log that is away, too": {fails: errBroker}, "none": nil} {
		t.Run(name, func(t *testing.T) { brokerIsAway(t, log) })
	}
}

func brokerIsAway(t *testing.T, log *memoryLog) {
	synctest.Test(t, func(t *testing.T) {
		p := &processes{log: log}
		here, there := p.router(nil), p.router(nil)
		mine := wstest.Dial[string, string](t, wstest.Start(t, here), "/ws?sub=ada")
		srv := wstest.Start(t, there)
		yours := wstest.Dial[string, string](t, srv, "/ws?sub=ada")
		time.Sleep(time.Second)
		p.broker.away.Store(true)
		ended, err := here.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"})
		if ended != 1 || !errors.Is(err, errBroker) {
			t.Errorf("got %d, %v", ended, err)
		}
		if end := untilClosed(mine); end == nil || end.Reason != "revoked" {
			t.Errorf("got %v", end)
		}
		time.Sleep(15 * time.Second) // it is tried again meanwhile
		if log != nil {
			log.set(nil)
		}
		p.broker.away.Store(false)
		begun := time.Now()
		again := wstest.Dial[string, string](t, srv, "/ws?sub=ada") // it is not meant
		if end := untilClosed(yours); end == nil || end.Reason != "revoked" || time.Since(begun) > 11*time.Second {
			t.Errorf("got %v after %v", end, time.Since(begun))
		}
		again.Close(1000, "")
	})
}

// TestWithoutALogConnectionsAreLookedAtAgain: those with providers that can be asked.
func TestWithoutALogConnectionsAreLookedAtAgain(t *testing.T) {
	for name, log := range map[string]*memoryLog{"none": nil, "emptied": {emptied: true}, "failing": {fails: errBroker}} {
		synctest.Test(t, func(t *testing.T) {
			p := &processes{log: log}
			srv := wstest.Start(t, p.router(nil))
			other := wstest.Start(t, p.router(nil))
			c := wstest.Dial[string, string](t, srv, "/ws?sub=ada")
			time.Sleep(20 * time.Second)
			if n := p.asked.Load(); n > 3 { // of the handshake, and of the beginning
				t.Errorf("%s: asked %d times", name, n)
			}
			p.banned.Store(true)
			p.broker.loses.Store(true)
			if end := untilClosed(c); end == nil || end.Reason != "banned" {
				t.Errorf("%s: got %v", name, end)
			}
			p.broker.loses.Store(false)
			other.Stop()
		})
	}
}

// TestAProcessThatStartsLaterReadsTheLog, and spares who has come since.
func TestAProcessThatStartsLaterReadsTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &processes{log: &memoryLog{}}
		first := p.router(nil)
		wstest.Start(t, first)
		if _, err := first.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"}); err != nil {
			t.Error(err)
		}
		var entry wsroute.Revocation
		if err := json.Unmarshal(p.log.entries[0], &entry); err != nil || entry.IssuedBefore.IsZero() {
			t.Errorf("the log has %s, %v", p.log.entries[0], err)
		}
		time.Sleep(time.Second)
		c := wstest.Dial[string, string](t, wstest.Start(t, p.router(nil)), "/ws?sub=ada")
		time.Sleep(20 * time.Second)
		c.Close(1000, "")
	})
}

func TestAMissingBrokerAtTheStart(t *testing.T) {
	for _, required := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			p := &processes{}
			p.broker.away.Store(true)
			var log safeBuffer
			ws := p.router(func(c *wsroute.Config) { c.RequireBroker, c.Logger = required, textLogger(&log) })
			_, err := ws.Handler()
			switch {
			case required && (err == nil || !strings.Contains(err.Error(), "Config.Broker was not there within 5s")):
				t.Errorf("got %v", err)
			case !required && err != nil:
				t.Error(err)
			}
			if !strings.Contains(log.String(), `msg="broker failed" topic=chat.revoked error="the broker is away"`) {
				t.Errorf("the log has %q", log.String())
			}
			if _, err := ws.Drain(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBadBrokerSettings(t *testing.T) {
	for want, config := range map[string]wsroute.Config{
		`Config.Name is ""`:                          {Broker: &wsroute.LocalBroker{}},
		`Config.Name is "A.b"`:                       {Broker: &wsroute.LocalBroker{}, Name: "A.b"},
		"are for a Config.Broker, and there is none": {RevocationLog: &memoryLog{}},
	} {
		ws := wsroute.New(depends.New(), &config)
		if _, err := ws.Handler(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

// TestGarbageOnATopic harms nobody, and a Trace is told.
func TestGarbageOnATopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &processes{}
		var told []string
		var mu sync.Mutex
		srv := wstest.Start(t, p.router(func(c *wsroute.Config) {
			c.Trace = []*wsroute.Trace{{Broker: func(_ context.Context, b wsroute.BrokerInfo) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, fmt.Sprint(b.Topic, " ", b.Event, " ", b.Text, b.Err))
			}}}
		}))
		c := wstest.Dial[string, string](t, srv, "/ws?sub=ada")
		for _, text := range []string{"", "u1m", "garbage of another program, which is longer"} {
			if err := p.broker.Publish(t.Context(), "chat.revoked", []byte(text)); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		c.Close(1000, "")
		mu.Lock()
		defer mu.Unlock()
		if len(told) != 4 || told[0] != "chat.revoked gap live<nil>" || !strings.Contains(told[3], "are no message of this version") {
			t.Errorf("told %q", told)
		}
	})
}

// TestARevocationAfterTheDrain reaches the others: the page that signs somebody out may be served
// by a process that is about to stop.
func TestARevocationAfterTheDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &processes{log: &memoryLog{}}
		here, there := p.router(nil), p.router(nil)
		srv := wstest.Start(t, here)
		c := wstest.Dial[string, string](t, wstest.Start(t, there), "/ws?sub=ada")
		if _, err := here.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := here.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"}); err != nil {
			t.Error(err)
		}
		if end := untilClosed(c); end == nil || end.Reason != "revoked" {
			t.Errorf("got %v", end)
		}
		srv.Stop() // drains again
	})
}

// TestTheLogIsReadAtTheStart, although the broker is away.
func TestTheLogIsReadAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &processes{log: &memoryLog{}}
		p.broker.away.Store(true)
		entry, err := json.Marshal(wsroute.Revocation{Subject: "ada", IssuedBefore: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		p.log.entries, p.log.at = [][]byte{entry}, []time.Time{time.Now()}
		begun := time.Now()
		var log safeBuffer
		ws := p.router(func(c *wsroute.Config) { c.Logger = textLogger(&log) })
		srv := wstest.Start(t, ws)
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("the start took %v", took)
		}
		if n := strings.Count(log.String(), "broker failed"); n != 1 {
			t.Errorf("%d lines say that the broker is away:\n%s", n, log.String())
		}
		if n := p.log.reads.Load(); n == 0 {
			t.Error("the log was not read")
		}
		srv.Stop()
	})
}

// TestAGapIsLookedAfterAtOnce, also while the log does not answer a question from before, and when it
// fails at first.
func TestAGapIsLookedAfterAtOnce(t *testing.T) {
	for name, fragile := range map[string]int{"stuck": 0, "fails twice": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &processes{log: &memoryLog{}}
				here, there := p.router(nil), p.router(nil)
				wstest.Start(t, here)
				c := wstest.Dial[string, string](t, wstest.Start(t, there), "/ws?sub=ada")
				time.Sleep(9500 * time.Millisecond) // the log is read half a second later
				set := func(lost bool, fragile int) {
					p.log.mu.Lock()
					defer p.log.mu.Unlock()
					p.log.stuck, p.log.fragile = lost && fragile == 0, fragile
					p.broker.loses.Store(lost)
				}
				set(true, 0)
				if _, err := here.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"}); err != nil {
					t.Error(err)
				}
				time.Sleep(1500 * time.Millisecond)
				set(false, fragile)
				begun := time.Now()
				if end := untilClosed(c); end == nil || end.Reason != "revoked" || time.Since(begun) > 2*time.Second {
					t.Errorf("%v after %v", end, time.Since(begun))
				}
			})
		})
	}
}

// TestWhatTheLogHasIsMetOnce: each look has the entries of half a minute.
func TestWhatTheLogHasIsMetOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &processes{log: &memoryLog{}}
		here, there := p.router(nil), p.router(nil)
		wstest.Start(t, here)
		srv := wstest.Start(t, there)
		if _, err := here.Revoke(t.Context(), wsroute.Revocation{Subject: "ada", IssuedBefore: time.Now().Add(time.Hour)}); err != nil {
			t.Error(err)
		}
		time.Sleep(12 * time.Second)                            // it is heard, and read
		c := wstest.Dial[string, string](t, srv, "/ws?sub=ada") // it is meant, and new: for the providers to refuse
		time.Sleep(20 * time.Second)
		c.Close(1000, "")
	})
}
