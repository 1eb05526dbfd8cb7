package wsroute

import (
	"fmt"
	"time"

	"example.com/usher/internal/plan"
)

// tick is the connection's one timer: ping, lost peer, stalled handler, expiry, and
// what must be resolved anew.
func (s *session) tick() {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	now := time.Now()
	due, why := s.deadline()
	if !now.Before(due) {
		s.mu.Unlock()
		s.late(why)
		return
	}
	if !s.checks.IsZero() && !now.Before(s.checks) {
		s.checks = time.Time{} // until it is done
		go s.again.check()
	}
	ping := !now.Before(s.nextPing)
	if ping {
		s.nextPing = now.Add(s.lim.PingInterval)
	}
	s.rearm(now)
	s.mu.Unlock()
	if !ping {
		return
	}
	if err := s.socket.wire.control(opPing, controlFrame(opPing, nil)); err != nil {
		s.writeFailed(err)
	}
}

// lateness is why a connection ends at a certain time.
type lateness uint8

const (
	lateRead lateness = iota
	lateHandler
	lateMessage
	lateAuthorisation
)

// deadline returns when the connection ends if nothing changes, and why; s.mu is held.
// The pong clock stands still while a full inbox keeps us from reading.
func (s *session) deadline() (due time.Time, why lateness) {
	if s.stalled.IsZero() {
		due, why = s.socket.touched().Add(s.lim.PongTimeout), lateRead
	} else {
		due, why = s.stalled.Add(s.lim.StallTimeout), lateHandler
	}
	if late := s.partial.Add(s.lim.MessageTimeout); !s.partial.IsZero() && late.Before(due) {
		due, why = late, lateMessage
	}
	if at := s.expires.Load(); at != 0 && time.Unix(0, at).Before(due) {
		due, why = time.Unix(0, at), lateAuthorisation
	}
	return due, why
}

// late ends the connection at its deadline.
func (s *session) late(why lateness) {
	switch why {
	case lateRead:
		s.lose(fmt.Errorf("nothing was read for %v", s.lim.PongTimeout))
	case lateHandler:
		s.end(ErrStalled, closePolicy, "handler_stalled", true)
	case lateMessage:
		s.end(fmt.Errorf("%w: a message was not complete after %v", ErrProtocol, s.lim.MessageTimeout), closePolicy, "message_timeout", true)
	case lateAuthorisation:
		s.expire()
	}
}

// rearm sets the timer to whatever comes first; s.mu is held.
func (s *session) rearm(now time.Time) { s.timer.Reset(s.pause(now)) }

// retime sets the timer anew, when the connection expires at another time, or is checked
// at one.
func (s *session) retime(checks *time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if checks != nil {
		s.checks = *checks
	}
	if !s.ended {
		s.rearm(time.Now())
	}
}

// pause is the time until whatever comes first; s.mu is held.
func (s *session) pause(now time.Time) time.Duration {
	due, _ := s.deadline()
	next := min(due.Sub(now), s.nextPing.Sub(now))
	if !s.checks.IsZero() {
		next = min(next, s.checks.Sub(now))
	}
	return next
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

func (s *session) expire() { s.end(ErrExpired, closeExpired, "token_expired", true) }
