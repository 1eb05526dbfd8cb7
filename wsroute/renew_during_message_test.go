package wsroute_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// grant is the value of a scheme whose credential names the scopes that it grants.
type grant string

func (g grant) Scopes() []string { return strings.Split(string(g), "+") }

// session is made from a grant, and says whether it has been released.
type session struct {
	grant    grant
	released *atomic.Bool
}

// serveSessions serves a channel of one account, with a scheme whose credentials are scopes.
// "slow" works for five seconds, "quick" for none; "write" needs that scope. wide are messages
// that are handled at once.
func serveSessions(t *testing.T, log *record, wide int) *wstest.Peer[string, string] {
	deps := depends.New()
	scheme := depends.Scheme{
		Name: "Grant", Challenge: "Bearer", Sources: []depends.Source{{In: "query", Name: "grant"}},
	}
	provideScheme(deps, scheme, func(ctx context.Context, c depends.Credential) (grant, error) {
		depends.Identify(ctx, depends.Identity{Subject: "ada", TokenID: c.Value})
		if c.Value == "late" {
			time.Sleep(time.Second)
		}
		return grant(c.Value), nil
	})
	depends.Provide(deps, func(ctx context.Context, in struct{ Grant grant }) (session, error) {
		s := session{in.Grant, new(atomic.Bool)}
		depends.Cleanup(ctx, func(context.Context, error) error {
			s.released.Store(true)
			log.add("released %s", s.grant)
			return nil
		})
		return s, nil
	})
	work := func(name string, span time.Duration) func(context.Context, nothing, struct{ Session session }) (doneMsg, error) {
		return func(_ context.Context, _ nothing, in struct{ Session session }) (doneMsg, error) {
			time.Sleep(span)
			if in.Session.released.Load() {
				t.Errorf("%s works with %s, which is released", name, in.Session.grant)
			}
			log.add("%s with %s", name, in.Session.grant)
			return doneMsg{}, nil
		}
	}
	ws := wsroute.New(deps, quiet())
	c := wsroute.HandleMessages(ws, "/", events, wsroute.Renewable, wsroute.Require[session]())
	wsroute.Answer(c, "slow", work("slow", 5*time.Second), wsroute.Concurrent(wide))
	wsroute.Answer(c, "quick", work("quick", 0))
	wsroute.Answer(c, "write", work("write", 0), wsroute.Scopes("write"))
	wsroute.Answer(c, "who", func(_ context.Context, _ nothing, in struct{ Sender wsroute.Sender[event] }) (saidMsg, error) {
		return saidMsg{From: in.Sender.Identity().TokenID}, nil
	})
	return wstest.Dial[string, string](t, wstest.Start(t, ws), "/?grant=read")
}

// is compares a record with what should be in it.
func (r *record) is(t *testing.T, want ...string) {
	t.Helper()
	if got := r.take(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestARenewalDuringAMessage: it is verified at once, and the message keeps what it was given
// until it has ended; a message behind both gets the new values.
func TestARenewalDuringAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log record
		p := serveSessions(t, &log, 1)
		start := time.Now()
		converse(t, p, renewBy("one"), renewedForEver) // the handshake's are released at the end
		wstest.Converse(t, p,
			`> {"type":"quick"}`,
			`< {"type":"done"}`,
			`> {"type":"slow"}`)
		synctest.Wait()
		log.is(t, "quick with one")
		wstest.Converse(t, p,
			"> "+renewBy("late"),
			"< "+renewedForEver)
		if d := time.Since(start); d != time.Second {
			t.Errorf("renewed after %v", d)
		}
		p.Send(`{"type":"quick"}`)
		synctest.Wait()
		log.is(t, "quick with late")
		wstest.Converse(t, p, `< {"type":"done"}`, `< {"type":"done"}`)
		synctest.Wait()
		log.is(t, "slow with one", "released one")
	})
}

// TestARenewalDuringAMessageInOrder: one that is handled alone delays those behind it, and no
// renewal.
func TestARenewalDuringAMessageInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log record
		deps := renewable(new(atomic.Int32))
		ws := wsroute.New(deps, quiet())
		c := wsroute.HandleMessages(ws, "/", events, wsroute.Renewable)
		wsroute.Answer(c, "work", func(_ context.Context, _ nothing, in struct {
			Pass    pass
			Account owner
		},
		) (doneMsg, error) {
			time.Sleep(5 * time.Second)
			log.add("worked with %s%d", in.Pass.text, in.Account.made)
			return doneMsg{}, nil
		})
		wsroute.OnOpen(c, func(context.Context, renewInput) error { return nil })
		p := wstest.Dial[string, string](t, wstest.Start(t, ws), "/?pass=ada/1h/old")
		start := time.Now()
		wstest.Converse(t, p,
			`> {"type":"work","ref":1}`,
			`> {"type":"work","ref":2}`,
			"> "+renewBy("ada/1h/slow"),
			`> {"type":"work","ref":3}`,
			`< {"type":"renewed","ref":8,"expires":"*"}`)
		if d := time.Since(start); d != time.Second {
			t.Errorf("renewed after %v", d)
		}
		wstest.Converse(t, p,
			`< {"type":"done","ref":1}`,
			`< {"type":"done","ref":2}`,
			`< {"type":"done","ref":3}`)
		log.is(t, "worked with old1", "worked with slow2", "worked with slow2")
	})
}

// TestScopesAfterARenewal: messages behind it are judged by the new scopes, and the Sender knows
// the new token.
func TestScopesAfterARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log record
		p := serveSessions(t, &log, 1)
		wstest.Converse(t, p,
			`> {"type":"write","ref":1}`,
			`< {"type":"error","ref":1,"reason":"insufficient_scope"}`,
			"> "+renewBy("read+write"),
			`> {"type":"write","ref":2}`,
			`> {"type":"who","ref":3}`,
			"< "+renewedForEver,
			`< {"type":"done","ref":2}`,
			`< {"type":"said","ref":3,"from":"read+write","text":""}`,
			"> "+renewBy("late"),
			`> {"type":"write","ref":4}`,
			"< "+renewedForEver,
			`< {"type":"error","ref":4,"reason":"insufficient_scope"}`)
		synctest.Wait()
		log.is(t, "write with read+write", "released read+write")
	})
}

// TestReplacedValuesAreReleasedInOrder: those of several renewals during concurrent messages,
// each when the last message with them or with older ones has ended.
func TestReplacedValuesAreReleasedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log record
		p := serveSessions(t, &log, 3)
		for _, g := range []string{"one", "two", "three"} {
			converse(t, p, renewBy(g), renewedForEver)
			p.Send(`{"type":"slow"}`)
			time.Sleep(time.Second)
		}
		converse(t, p, renewBy("four"), renewedForEver)
		log.is(t)
		for _, want := range [][]string{
			{"slow with one", "released one"}, {"slow with two", "released two"}, {"slow with three", "released three"},
		} {
			p.Receive()
			synctest.Wait()
			log.is(t, want...)
		}
		p.Close(1000, "")
		synctest.Wait()
		if got := log.take(); len(got) != 2 || got[0] != "released four" && got[1] != "released four" {
			t.Errorf("at the end: %q", got)
		}
	})
}

// TestReplacedValuesWaitForThoseMadeFromThem: a value outlives what was made from it, also when
// both were replaced, one after the other, during one message.
func TestReplacedValuesWaitForThoseMadeFromThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type made struct{ released *atomic.Bool }
		deps := depends.New()
		depends.Provide(deps, func(ctx context.Context, _ none) (made, error) {
			m := made{new(atomic.Bool)}
			depends.Cleanup(ctx, func(context.Context, error) error { m.released.Store(true); return nil })
			return m, nil
		}, depends.Revalidate(10*time.Second))
		depends.Provide(deps, func(ctx context.Context, in struct{ Made made }) (looked, error) {
			depends.Cleanup(ctx, func(context.Context, error) error {
				time.Sleep(100 * time.Millisecond)
				if in.Made.released.Load() {
					t.Error("what it was made from is released already")
				}
				return nil
			})
			return looked{}, nil
		}, depends.Revalidate(2*time.Second))
		ws := wsroute.New(deps, quiet())
		c := wsroute.HandleMessages(ws, "/", events, wsroute.Public, wsroute.Require[looked]())
		wsroute.Answer(c, "work", func(context.Context, nothing, struct{ _ looked }) (doneMsg, error) {
			time.Sleep(15 * time.Second)
			return doneMsg{}, nil
		})
		p := wstest.Dial[string, string](t, wstest.Start(t, ws), "/")
		p.Timeout = time.Minute
		for range 5 {
			converse(t, p, `{"type":"work"}`, `{"type":"done"}`)
		}
		p.Close(1000, "")
	})
}

// TestMessagesAndRenewalsAtOnce is for the race detector: values are read, replaced and released
// while concurrent messages begin and end.
func TestMessagesAndRenewalsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log record
		p := serveSessions(t, &log, 8)
		p.Timeout = time.Hour
		answered := make(chan int)
		go func() {
			n, renewed := 0, 0
			for renewed < 20 {
				if p.Receive() == renewedForEver {
					renewed++
					continue
				}
				n++
			}
			answered <- n
		}()
		asked := 0
		for i := range 20 {
			p.Send(renewBy(fmt.Sprint("token", i)))
			for range 10 {
				p.Send([]string{`{"type":"slow"}`, `{"type":"quick"}`}[asked%2])
				asked++
			}
			time.Sleep(20 * time.Second)
		}
		n := <-answered
		for range asked - n {
			p.Receive()
		}
		p.Close(1000, "")
		synctest.Wait()
		released := 0
		for _, line := range log.take() {
			if strings.HasPrefix(line, "released ") {
				released++
			}
		}
		if released != 21 {
			t.Errorf("%d of 21 sessions were released", released)
		}
	})
}
