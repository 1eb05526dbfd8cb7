package plan

import (
	"math"
	"sync"
	"time"
)

// Identity is whose connection it is, and by what it shows that.
type Identity struct {
	Issuer, Subject  string
	Session, TokenID string
	IssuedAt         time.Time
	Since            time.Time // when that was found out, if before the handshake
}

// Principal is the same person or program on every connection; the zero value is
// nobody. Issuer and subject are kept apart, since either may contain anything.
type Principal struct{ Issuer, Subject string }

// Principal returns whose connection it is.
func (i Identity) Principal() Principal { return Principal{i.Issuer, i.Subject} }

// Nanos returns a time in nanoseconds since 1970, as near as they go: to the year
// 2262. The zero time is 0, and no other is.
func Nanos(t time.Time) int64 {
	const last = math.MaxInt64 / int64(time.Second)
	switch {
	case t.IsZero():
		return 0
	case t.Unix() >= last:
		return math.MaxInt64
	}
	return max(1, t.UnixNano())
}

// Standing is an identity and until when it holds, once somebody has said so.
type Standing struct {
	mu       sync.Mutex
	identity Identity
	until    int64 // in nanoseconds since 1970, by the wall clock, also after a machine has slept; 0 is never
}

// Set replaces what was said before, and keeps what id leaves open, and the earlier Since.
// An issuer and its subject belong together.
func (s *Standing) Set(id Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id.Subject == "" {
		id.Issuer, id.Subject = s.identity.Issuer, s.identity.Subject
	}
	if id.Session == "" {
		id.Session = s.identity.Session
	}
	if id.TokenID == "" {
		id.TokenID = s.identity.TokenID
	}
	if id.IssuedAt.IsZero() {
		id.IssuedAt = s.identity.IssuedAt
	}
	if since := s.identity.Since; !since.IsZero() && (id.Since.IsZero() || since.Before(id.Since)) {
		id.Since = since
	}
	s.identity = id
}

// Replace forgets what was said before.
func (s *Standing) Replace(id Identity, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.identity, s.until = id, Nanos(until)
}

// Identity returns what was said.
func (s *Standing) Identity() Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity
}

// Limit lets the connection end at a time; the earliest of all wins.
func (s *Standing) Limit(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := Nanos(until); s.until == 0 || at < s.until {
		s.until = at
	}
}

// Until returns when the connection is to end; zero is never.
func (s *Standing) Until() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until == 0 {
		return time.Time{}
	}
	return time.Unix(0, s.until)
}
