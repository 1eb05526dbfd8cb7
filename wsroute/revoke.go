package wsroute

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/wsconn"
)

// ErrRevoked is the end by [Router.Revoke].
var ErrRevoked = errors.New("wsroute: the authorisation was revoked")

// Revocation says whose connections end: those whose [depends.Identity] agrees
// with everything that is set. It can be sent as JSON.
type Revocation struct {
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject,omitempty"`
	Session string `json:"session,omitempty"`
	TokenID string `json:"token_id,omitempty"`
	// IssuedBefore ends connections whose credential was made before that time,
	// or, if that is not known, whose handshake began before it.
	IssuedBefore time.Time `json:"issued_before,omitzero"`
}

// matches reports whether a connection is meant that began at a time.
func (r Revocation) matches(who depends.Identity, since time.Time) bool {
	agrees := func(wanted, have string) bool { return wanted == "" || wanted == have }
	issued := knownSince(who, since) // at the latest, whatever the clock of the issuer says
	if at := who.IssuedAt; !at.IsZero() && at.Before(issued) {
		issued = at
	}
	return agrees(r.Issuer, who.Issuer) && agrees(r.Subject, who.Subject) &&
		agrees(r.Session, who.Session) && agrees(r.TokenID, who.TokenID) &&
		(r.IssuedBefore.IsZero() || issued.Before(r.IssuedBefore))
}

// knownSince is when it was found out who a connection's peer is, of which the resolution
// began at a time.
func knownSince(who depends.Identity, began time.Time) time.Time {
	if who.Since.IsZero() || began.Before(who.Since) {
		return began
	}
	return who.Since
}

// Revoke ends connections: of an account whose password has changed, of a session
// that has signed out, of a token that was stolen. When it returns, no message of
// theirs is delivered any more and none is sent to them; their handlers' contexts
// have ended with [ErrRevoked]. They close with 3000 "revoked", and a peer that does
// not take part in that is cut off within Limits.CloseTimeout and 3 s. A handshake
// that has begun is refused with 401, as is a plain request whose dependencies are being
// resolved, and a ticket that was given before (see security.Tickets).
//
// Revoke ends what is open. Let the providers refuse the credential from then on,
// before Revoke is called: what begins afterwards is theirs to judge. With
// Config.Broker, the other processes of the program are told, and with Config.RevocationLog it is
// written down for those that cannot hear it now. An error is the broker's or the log's: the
// connections of this process have ended all the same, and the others are told when the broker is
// back, unless this process ends before. A revocation in which
// nothing is set is an error, and ends nothing. ended counts those of this process: 0 says
// that the Identity of none agrees, as that of a scheme which does not call depends.Identify.
func (r *Router) Revoke(ctx context.Context, revocation Revocation) (ended int, err error) {
	ended, err = r.shared.revoke(revocation)
	if c := r.shared.cluster.Load(); c != nil && err == nil {
		if err = c.publish(ctx, revocation); err != nil {
			select {
			case c.soon <- struct{}{}:
			default: // it will be told anyway
			}
		}
	}
	return ended, err
}

// revoked is a revocation that must still be met by what has begun to resolve before it,
// or is to be let in by a ticket from before: who they are is known only when they are
// resolved.
type revoked struct {
	Revocation
	at time.Time
}

const (
	// revokedFor is how long a revocation is remembered for them, beside ResolveTimeout: the
	// longest that a ticket may last, which is five minutes, and what it takes to give it.
	revokedFor = 6 * time.Minute
	// maxRevoked is how many are remembered.
	maxRevoked = 1 << 18
)

func (s *shared) revoke(r Revocation) (ended int, err error) {
	if r == (Revocation{}) {
		return 0, errors.New("wsroute: an empty revocation: set IssuedBefore to end all connections")
	}
	return s.revokeAll([]Revocation{r}), nil
}

// revokeAll meets revocations in one pass over all connections.
func (s *shared) revokeAll(all []Revocation) (ended int) {
	byKey := make(map[string][]Revocation, len(all))
	var matching []*peer
	h := &s.hub
	h.mu.Lock()
	for _, r := range all {
		h.remember(r, time.Now(), revokedFor+s.config.ResolveTimeout)
		byKey[r.key()] = append(byKey[r.key()], r)
	}
	for p := range h.peers {
		who := p.authorised.Identity()
		meant := func(r Revocation) bool { return r.matches(who, p.since) }
		for _, key := range keysOf(who) {
			if slices.ContainsFunc(byKey[key], meant) {
				matching = append(matching, p)
				break
			}
		}
	}
	h.mu.Unlock()
	for _, p := range matching {
		if p.conn.End(ErrRevoked, wsconn.CodeUnauthorized, "revoked", true) {
			ended++
		}
	}
	return ended
}

// key is what a revocation is found by among those of [keysOf] a principal.
func (r Revocation) key() string { return cmp.Or(r.TokenID, r.Session, r.Subject, r.Issuer) }

func keysOf(who depends.Identity) [5]string {
	return [...]string{who.TokenID, who.Session, who.Subject, who.Issuer, ""}
}

// remember adds a revocation to the recent ones. After a while, or when there are too many, those
// become the earlier ones, and the earlier ones are forgotten; h.mu is held.
func (h *hub) remember(r Revocation, now time.Time, keep time.Duration) {
	if over := now.Sub(h.turned) > keep; over || len(h.recent) >= maxRevoked/2 {
		h.forgotten = time.Time{}
		if !over && len(h.earlier) > 0 {
			h.forgotten = h.turned
		}
		h.earlier, h.recent, h.turned = h.recent, map[string][]revoked{}, now
	}
	covered := func(old revoked) bool {
		wider := r.IssuedBefore.IsZero() ||
			!old.IssuedBefore.IsZero() && !old.IssuedBefore.After(r.IssuedBefore)
		old.IssuedBefore = r.IssuedBefore
		return wider && old.Revocation == r
	}
	key := r.key()
	h.recent[key] = append(slices.DeleteFunc(h.recent[key], covered), revoked{r, now})
}

// revokedSince returns ErrRevoked if the principal was revoked after it was known, or if that
// is not remembered. since is when their handshake began.
func (h *hub) revokedSince(who depends.Identity, known, since time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !known.After(h.forgotten) {
		return ErrRevoked
	}
	for _, key := range keysOf(who) {
		for _, r := range slices.Concat(h.earlier[key], h.recent[key]) {
			if !known.After(r.at) && r.matches(who, since) {
				return ErrRevoked
			}
		}
	}
	return nil
}
