package wsconn

import (
	"fmt"
	"time"
)

// clock is what a connection's one timer rings for; the connection's lock guards it.
type clock struct {
	timer    *time.Timer
	rings    time.Time // when the timer should ring
	nextPing time.Time
	asked    time.Time // when the first ping was sent behind the last sign of life; or zero
	reads    int64     // of the socket, when it was sent
	taken    int       // by the peer, when it was sent
	pongs    int       // answers to our pings that may still come
	stalled  time.Time // since when the inbox has been full; zero if it is not
	partial  time.Time // when the message began of which more is awaited; zero if none
	grace    time.Time // in peerClosing, when the handler must have finished
	expires  time.Time // by the wall clock; zero is never
	checks   time.Time // when [Hooks].Check is called; zero is never
}

// start sets the timer of a connection that opens; c.mu is held.
func (c *Conn) start(now time.Time) {
	c.nextPing = now.Add(c.set.PingInterval)
	c.timer = time.AfterFunc(never, c.ring)
	c.rearm(now)
}

// running says whether the timer is; c.mu is held.
func (c *Conn) running() bool { return c.phase == open || c.phase == peerClosing }

// ring is called by the timer.
func (c *Conn) ring() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.running() {
		return
	}
	now := time.Now()
	if over := now.Sub(c.rings); over > c.pongTime()/4 {
		c.pausedFor(over, now)
	}
	c.lookForLife(now)
	if due, end := c.deadline(); !now.Before(due) {
		c.close(end(c))
		return
	}
	if !c.checks.IsZero() && !now.Before(c.checks) {
		c.checks = time.Time{}
		go c.hooks.Check()
	}
	if c.waits && !now.Before(c.handed.Add(linger)) {
		c.waits = false
		c.changed.Broadcast()
	}
	if c.phase == open && !now.Before(c.nextPing) {
		c.ping(now)
	}
	c.rearm(now)
}

// pongTime is how long a peer that gives no sign of life has to answer a ping.
func (c *Conn) pongTime() time.Duration { return c.set.PongTimeout - c.set.PingInterval }

// pausedFor takes a pause of our own process off all clocks: nobody is called lost before
// what is waiting has been read and a ping was sent; c.mu is held.
func (c *Conn) pausedFor(d time.Duration, now time.Time) {
	for _, t := range []*time.Time{&c.asked, &c.stalled, &c.partial, &c.grace} {
		if !t.IsZero() {
			*t = t.Add(d)
		}
	}
	c.nextPing = now
}

// lookForLife looks for a sign of life since the first ping that is not answered: something
// was read or, when its time is over, the peer has taken more of what it was sent; c.mu is
// held.
func (c *Conn) lookForLife(now time.Time) {
	switch {
	case c.asked.IsZero() || c.phase != open:
	case c.socket.reads.Load() != c.reads:
		c.asked = time.Time{}
	case now.Before(c.asked.Add(c.pongTime())):
	default:
		if taken := c.socket.wire.taken(); taken > c.taken {
			c.asked, c.taken = now, taken
		}
	}
}

// ping sends a ping; c.mu is held.
func (c *Conn) ping(now time.Time) {
	c.nextPing = now.Add(c.set.PingInterval)
	reads, taken := c.socket.reads.Load(), c.socket.wire.taken()
	if err := c.socket.wire.control(opPing, controlFrame(opPing, nil)); err != nil {
		c.writeFailed(err)
		return
	}
	c.pongs++
	if c.asked.IsZero() {
		c.asked, c.reads, c.taken = now, reads, taken
	}
}

// linger is how long a worker waits for the next message: a goroutine and the growth of its
// stack cost as much as to handle a small message.
const linger = time.Second

// never is later than whatever a clock waits for.
const never = 100 * 365 * 24 * time.Hour

// deadline returns when the connection ends if nothing changes, and how; c.mu is held.
// The pong clock stands still while a full inbox keeps us from reading.
func (c *Conn) deadline() (due time.Time, end func(*Conn) *ending) {
	due = c.nextPing.Add(never)
	sooner := func(since time.Time, wait time.Duration, how func(*Conn) *ending) {
		if at := since.Add(wait); !since.IsZero() && at.Before(due) {
			due, end = at, how
		}
	}
	switch {
	case c.phase == peerClosing:
		sooner(c.grace, 0, (*Conn).peersEnd)
	case !c.stalled.IsZero():
		sooner(c.stalled, c.set.StallTimeout, (*Conn).handlerStalled)
	default:
		sooner(c.asked, c.pongTime(), (*Conn).pingUnanswered)
	}
	if c.phase == open {
		sooner(c.partial, c.set.MessageTimeout, (*Conn).messageTimeout)
	}
	sooner(c.expires, 0, (*Conn).expiry)
	return due, end
}

func (c *Conn) peersEnd() *ending { return c.end }

func (c *Conn) handlerStalled() *ending {
	return discarding(c.set.Errors.Stalled, CodePolicy, "handler_stalled")
}

func (c *Conn) pingUnanswered() *ending {
	return c.lost(fmt.Errorf("no answer to a ping for %v", c.pongTime()))
}

func (c *Conn) messageTimeout() *ending {
	return c.broken(true, breach(CodePolicy, "message_timeout",
		"a message was not complete after %v", c.set.MessageTimeout))
}

// rearm sets the timer to whatever comes first; c.mu is held.
func (c *Conn) rearm(now time.Time) {
	if !c.running() {
		return
	}
	due, _ := c.deadline()
	pause := due.Sub(now)
	if c.phase == open {
		pause = min(pause, c.nextPing.Sub(now))
	}
	if !c.checks.IsZero() {
		pause = min(pause, c.checks.Sub(now))
	}
	if c.waits {
		pause = min(pause, c.handed.Add(linger).Sub(now))
	}
	c.rings = now.Add(pause)
	c.timer.Reset(pause)
}

// stall marks that the inbox is full, or that it is not any more; c.mu is held.
func (c *Conn) stall(full bool) {
	now := time.Now()
	c.stalled = time.Time{}
	if full {
		c.stalled = now
	} else if !c.asked.IsZero() {
		c.asked = now // answers are read only now
	}
	c.rearm(now)
}

// CheckAt sets when [Hooks].Check is called.
func (c *Conn) CheckAt(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checks = t
	c.rearm(time.Now())
}

// ExpireAt sets when the connection expires, by the wall clock; zero is never.
func (c *Conn) ExpireAt(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expires = t.Round(0) // no monotonic clock: it stands still while a machine sleeps
	c.rearm(time.Now())
}

// expiry is the end of the authorisation.
func (c *Conn) expiry() *ending {
	return discarding(c.set.Errors.Expired, CodeUnauthorized, "token_expired")
}

// expire ends a connection that has expired; c.mu is held. The timer sees to that, but not
// while the machine sleeps.
func (c *Conn) expire() {
	if c.phase != opening && !c.expires.IsZero() && !time.Now().Before(c.expires) {
		c.close(c.expiry())
	}
}
