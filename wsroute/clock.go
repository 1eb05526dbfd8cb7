package wsroute

import (
	"fmt"
	"time"

	"example.com/usher/internal/plan"
)

// clock is what a session's one timer rings for; the session's lock guards it.
type clock struct {
	timer    *time.Timer
	rings    time.Time // when the timer should ring
	nextPing time.Time
	asked    time.Time // when the first ping was sent that is not answered; zero if none is
	reads    int64     // of the socket, then
	taken    int       // by the peer, then
	pongs    int       // answers to our pings that may still come
	stalled  time.Time // since when the inbox has been full; zero if it is not
	partial  time.Time // when the message began of which more is awaited; zero if none
	checks   time.Time // when something must be resolved anew; zero is never
	grace    time.Time // in peerClosing, when the handler must have done
}

// start sets the timer of a connection that opens; s.mu is held.
func (s *session) start(now time.Time) {
	s.nextPing = now.Add(s.lim.PingInterval)
	if s.again != nil {
		s.checks = s.again.due()
	}
	pause := s.pause(now)
	s.rings = now.Add(pause)
	s.timer = time.AfterFunc(pause, s.tick)
}

// tick is the connection's one timer: ping, lost peer, stalled handler, expiry, and what
// must be resolved anew.
func (s *session) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != open && s.phase != peerClosing {
		return
	}
	now := time.Now()
	if late := now.Sub(s.rings); late > s.pongTime()/4 {
		s.pauseBy(late, now)
	}
	s.look(now)
	if due, e := s.deadline(); !now.Before(due) {
		s.close(e)
		return
	}
	if !s.checks.IsZero() && !now.Before(s.checks) {
		s.checks = time.Time{} // until it is done
		go s.again.check()
	}
	if s.phase == open && !now.Before(s.nextPing) {
		s.ping(now)
	}
	s.rearm(now)
}

// pongTime is how long a peer that gives no sign of life has to answer a ping.
func (s *session) pongTime() time.Duration { return s.lim.PongTimeout - s.lim.PingInterval }

// pauseBy takes a pause of our own process off all clocks: nobody is called lost before
// what is waiting has been read and a ping was sent; s.mu is held.
func (s *session) pauseBy(late time.Duration, now time.Time) {
	for _, t := range []*time.Time{&s.asked, &s.stalled, &s.partial, &s.grace} {
		if !t.IsZero() {
			*t = t.Add(late)
		}
	}
	s.nextPing = now
}

// look looks for life since the first ping that is not answered: something was read or,
// when its time is over, the peer has taken more of what it was sent; s.mu is held.
func (s *session) look(now time.Time) {
	switch {
	case s.asked.IsZero() || s.phase != open:
	case s.socket.reads.Load() != s.reads:
		s.asked = time.Time{}
	case now.Before(s.asked.Add(s.pongTime())):
	default:
		if taken := s.socket.wire.taken(); taken > s.taken {
			s.asked, s.taken = now, taken
		}
	}
}

// ping sends a ping; s.mu is held.
func (s *session) ping(now time.Time) {
	s.nextPing = now.Add(s.lim.PingInterval)
	reads := s.socket.reads.Load()
	taken, err := s.socket.wire.ping()
	if err != nil {
		s.writeFailed(err)
		return
	}
	s.pongs++
	if s.asked.IsZero() {
		s.asked, s.reads, s.taken = now, reads, taken
	}
}

// never is later than whatever a clock waits for.
const never = 100 * 365 * 24 * time.Hour

// deadline returns when the connection ends if nothing changes, and how; s.mu is held.
// The pong clock stands still while a full inbox keeps us from reading.
func (s *session) deadline() (due time.Time, e ending) {
	due = s.nextPing.Add(never)
	sooner := func(at time.Time, how ending) {
		if at.Before(due) {
			due, e = at, how
		}
	}
	switch {
	case s.phase == peerClosing:
		sooner(s.grace, ending{})
	case !s.stalled.IsZero():
		sooner(s.stalled.Add(s.lim.StallTimeout), ending{cause: ErrStalled, code: closePolicy, reason: "handler_stalled", discard: true})
	case !s.asked.IsZero():
		sooner(s.asked.Add(s.pongTime()), lost(fmt.Errorf("no answer to a ping for %v", s.pongTime())))
	}
	if !s.partial.IsZero() && s.phase == open {
		sooner(s.partial.Add(s.lim.MessageTimeout), ending{
			cause: fmt.Errorf("%w: a message was not complete after %v", ErrProtocol, s.lim.MessageTimeout),
			code:  closePolicy, reason: "message_timeout", discard: true,
		})
	}
	if at := s.expires.Load(); at != 0 {
		sooner(time.Unix(0, at), expiry)
	}
	return due, e
}

// rearm sets the timer to whatever comes first; s.mu is held.
func (s *session) rearm(now time.Time) {
	if s.phase == open || s.phase == peerClosing {
		pause := s.pause(now)
		s.rings = now.Add(pause)
		s.timer.Reset(pause)
	}
}

// retime sets the timer anew, when the connection expires at another time, or is checked
// at one.
func (s *session) retime(checks *time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if checks != nil {
		s.checks = *checks
	}
	s.rearm(time.Now())
}

// pause is the time until whatever comes first; s.mu is held.
func (s *session) pause(now time.Time) time.Duration {
	due, _ := s.deadline()
	next := due.Sub(now)
	if s.phase == open {
		next = min(next, s.nextPing.Sub(now))
	}
	if !s.checks.IsZero() {
		next = min(next, s.checks.Sub(now))
	}
	return next
}

// stall marks since when the inbox is full, or with the zero time that it is not; s.mu is
// held.
func (s *session) stall(since time.Time) {
	now := time.Now()
	if s.stalled = since; since.IsZero() && !s.asked.IsZero() {
		s.asked = now // answers are read only now
	}
	s.rearm(now)
}

// expired says whether the time is over. The timer sees to that, but not while the
// machine sleeps.
func (s *session) expired() bool {
	at := s.expires.Load()
	return at != 0 && time.Now().UnixNano() >= at
}

// expireAt sets when the connection expires; zero is never.
func (s *session) expireAt(t time.Time) {
	s.expires.Store(plan.Nanos(t))
}

// expiry is the end of the authorisation.
var expiry = ending{cause: ErrExpired, code: closeExpired, reason: "token_expired", discard: true}

// expire ends a connection that has expired; s.mu is held.
func (s *session) expire() { s.close(expiry) }
