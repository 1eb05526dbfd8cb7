package plan

import (
	"sync"
	"time"
)

// Identity is whose connection it is, and by what it shows that.
type Identity struct {
	Issuer, Subject  string
	Session, TokenID string
	IssuedAt         time.Time
}

// Principal names the same person or program on every connection, or is "".
func (i Identity) Principal() string {
	if i.Issuer == "" {
		return i.Subject
	}
	return i.Issuer + " " + i.Subject
}

// Standing is an identity and until when it holds, once somebody has said so.
type Standing struct {
	mu       sync.Mutex
	identity Identity
	until    time.Time
}

// Set replaces what was said before, and keeps what id leaves open. An issuer and
// its subject belong together.
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
	s.identity = id
}

// Replace forgets what was said before.
func (s *Standing) Replace(id Identity, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.identity, s.until = id, until
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
	if s.until.IsZero() || until.Before(s.until) {
		s.until = until.Round(0) // the wall clock decides, also after a machine has slept
	}
}

// Until returns when the connection is to end; zero is never.
func (s *Standing) Until() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.until
}
