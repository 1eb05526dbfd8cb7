package security

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
)

const (
	jwksRefresh = 15 * time.Minute
	jwksOutage  = 24 * time.Hour // or 2 * Refresh, if that is longer
	jwksTimeout = 4 * time.Second
	maxJWKS     = 1 << 20

	maxStrangers = 16 // tokens with unknown keys that wait for one fetch

	// Tokens with unknown keys may cause a burst of fetches, and then one in each interval.
	jwksBurst    = 2
	jwksInterval = 10 * time.Second
	// The waits after failures double from the first to the last.
	jwksFirstRetry = time.Second
	jwksLastRetry  = 30 * time.Second
)

// JWKS is a key set that an issuer publishes (RFC 7517 §5) and rotates, for [JWT].JWKS.
// Its keys for RS256 (RSA), ES256 (P-256) and EdDSA (Ed25519) verify tokens. All others, such
// as symmetric ones, those for encryption and broken ones, are passed over; slog.Default logs
// them with the reason when they change. A token is verified with the keys of its kid and
// algorithm, of which there may be several (RFC 7517 §4.5); one without a kid with the keys
// without one, or else with the only key of its algorithm.
//
// The set is fetched for the first token, so that a program starts while its issuer is
// down. It is refreshed in the background at the first token after Refresh, for which no token
// waits. At twice that age a token waits for the fetch, so that a withdrawn key is accepted no
// longer. If that fetch fails, the old keys are used until the set is 24 hours old, or twice
// Refresh if that is longer; then tokens are refused with 503.
//
// A token with an unknown key waits for a fetch, which all such tokens share, so that a rotation
// works at its first token. Invented keys cause a few fetches only: two at once, and then one in
// 10 seconds. Once there is a set, at most 16 such tokens wait for one fetch. A token whose key
// cannot be looked for is refused with 503 and Retry-After, never with 401.
//
// Make one with &JWKS{URL: …}; it must not be copied, and is safe for concurrent use.
type JWKS struct {
	// URL is the address of the set: https, or http on this machine. It is the jwks_uri of the
	// issuer, and not /.well-known/openid-configuration, which names that. Required.
	URL string
	// Refresh is the age at which the set is fetched again: at least 10 seconds.
	// By default, 15 minutes.
	Refresh time.Duration
	// Client fetches the set, for programs that need a proxy or certificates of their
	// own. Redirects to another host, responses of more than 1 MiB, and fetches of more
	// than 4 s fail with every client. By default, one that keeps no connection.
	Client *http.Client

	mu         sync.Mutex
	keys       []Key
	passedOver map[string]string  // the other keys of the set, and why
	seen       map[[2]string]bool // algorithm and kid of this set's keys and those before
	fetched    time.Time          // when keys were fetched
	until      time.Time          // from then on, a token waits for a fetch
	fetching   chan struct{}      // closed at the end of the fetch that is under way, or nil
	strangers  int                // tokens with unknown keys that it made wait
	failed     error              // of the last fetch
	retry      time.Time          // no fetch before this, after a failure
	wait       time.Duration      // between the last failure and retry
	paid       time.Time          // the fetches for unknown keys fill their budget until then
}

// faults returns the reasons why the set cannot be fetched safely.
func (s *JWKS) faults(scheme string) (f faults) {
	u, err := url.Parse(s.URL)
	usable := err == nil && u.Hostname() != "" && u.User == nil && u.Fragment == ""
	f.addIf(!usable, scheme+" has a JWKS without a usable URL", "set URL to the issuer's jwks_uri")
	f.addIf(usable && u.Scheme != "https" && (u.Scheme != "http" || !thisMachine(u.Hostname())),
		scheme+" fetches its keys without TLS",
		"set URL to an https address; http is for this machine alone")
	f.addIf(s.Refresh != 0 && s.Refresh < jwksInterval,
		fmt.Sprintf("%s has a JWKS with a Refresh of %v", scheme, s.Refresh),
		fmt.Sprintf("set Refresh to at least %v, or leave it out for %v", jwksInterval, jwksRefresh))
	return f
}

func thisMachine(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// find returns the keys that may verify a token. A *depends.Rejection says that it is not
// known whether there is one; any other error is the fault of the token, or the end of ctx.
func (s *JWKS) find(ctx context.Context, h *header) ([]Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A fetch that began before this token came may return the set from before a
	// rotation: if it lacks the key, a second fetch is worth it.
	for fetches := 2; ; fetches-- {
		found, others := matching(s.keys, h)
		if found == nil {
			found = others
		}
		now := time.Now()
		age := now.Sub(s.fetched)
		current := now.Before(s.until) && age <= max(jwksOutage, 2*s.refresh())
		switch {
		case current && len(found) > 1 && !h.named && found[0].named:
			return nil, badToken(jwt.ErrTokenUnverifiable,
				"it has no kid, and the key set has %d keys for %s", len(found), h.algorithm)
		case current && len(found) > 0:
			if age >= s.refresh() && now.After(s.retry) {
				s.beginFetch()
			}
			return found, nil
		case fetches > 0 && s.mayFetch(now):
			if s.fetching == nil {
				fetches = 1
			}
			if err := s.awaitFetch(ctx, len(found) == 0 && s.keys != nil); err != nil {
				return nil, err
			}
		case s.failed != nil:
			return nil, depends.Unavailable(max(s.retry.Sub(now), jwksFirstRetry), s.failure())
		default:
			err := s.lacks(h)
			if fetches > 0 && !s.seen[[2]string{h.algorithm, h.id}] { // it may have been added just now
				err = depends.Unavailable(s.nextFetch(now),
					fmt.Errorf("%w, and was fetched too often of late", err))
			}
			return nil, err
		}
	}
}

// lacks says which key the set does not have, and why, if that is known; s.mu is held.
func (s *JWKS) lacks(h *header) error {
	text := fmt.Sprintf("the key set has no %s key with the ID %s", h.algorithm, quoteID(h.id))
	if why := s.passedOver[quoteID(h.id)]; why != "" {
		text += " that can verify: " + why
	}
	if !h.named {
		text = "it has no kid, and the key set has no key for " + h.algorithm
	}
	return badToken(jwt.ErrTokenUnverifiable, "%s", text)
}

// Ready returns nil if the set was fetched, and otherwise waits for one fetch. Use it in
// a program that should not start without its issuer, or in a health check. It returns
// the error of the last fetch, or the cause of ctx's end. While the endpoint fails, Ready
// does not make usher ask it more often.
func (s *JWKS) Ready(ctx context.Context) error {
	if faults := s.faults("JWKS"); faults != nil {
		return errors.New("security: " + faults[0].Fact)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetched.IsZero() && s.mayFetch(time.Now()) {
		if err := s.awaitFetch(ctx, false); err != nil {
			return err
		}
	}
	if s.fetched.IsZero() {
		return s.failure()
	}
	return nil
}

// failure returns the error of the last fetch; s.mu is held.
func (s *JWKS) failure() error {
	return fmt.Errorf("security: the key set cannot be fetched: %w", s.failed)
}

// mayFetch reports whether a token may cause a fetch now, or wait for one; s.mu is held.
func (s *JWKS) mayFetch(now time.Time) bool {
	switch {
	case s.fetching != nil:
		return true // to wait for it is free
	case s.failed != nil:
		return now.After(s.retry)
	case !now.Before(s.until):
		return true // there is no set, or it is too old
	case s.nextFetch(now) > 0:
		return false
	}
	if s.paid.Before(now) {
		s.paid = now
	}
	s.paid = s.paid.Add(jwksInterval)
	return true
}

// nextFetch is in how long an unknown key is worth a fetch again; s.mu is held.
func (s *JWKS) nextFetch(now time.Time) time.Duration {
	return s.paid.Add(-(jwksBurst - 1) * jwksInterval).Sub(now)
}

func (s *JWKS) refresh() time.Duration { return cmp.Or(s.Refresh, jwksRefresh) }

// beginFetch begins a fetch if none is under way; s.mu is held.
func (s *JWKS) beginFetch() {
	if s.fetching == nil {
		s.fetching, s.strangers = make(chan struct{}), 0
		go s.fetch(s.fetching)
	}
}

// awaitFetch waits for a fetch, and begins one if none is under way. Of strangers, a few may
// wait. s.mu is held by the caller, and free during the wait.
func (s *JWKS) awaitFetch(ctx context.Context, stranger bool) error {
	if s.beginFetch(); stranger {
		s.strangers++
	}
	if stranger && s.strangers > maxStrangers {
		return depends.Unavailable(jwksFirstRetry,
			errors.New("security: too many tokens with unknown keys wait for the key set"))
	}
	ended := s.fetching
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fetch fetches the set. The keys from before stay if that fails.
func (s *JWKS) fetch(ended chan struct{}) {
	keys, passedOver, err := s.get()
	now, refresh := time.Now(), s.refresh()
	s.mu.Lock()
	changed := len(passedOver) > 0 && !maps.Equal(passedOver, s.passedOver)
	s.fetching, s.failed, s.passedOver = nil, err, passedOver
	if err == nil {
		s.keys, s.fetched, s.until, s.wait = keys, now, now.Add(2*refresh), 0
	} else {
		s.wait = min(max(2*s.wait, jwksFirstRetry), jwksLastRetry)
		s.retry = now.Add(s.wait)
		if until := s.retry.Add(refresh); until.After(s.until) {
			s.until = until // in an outage, not every token waits for a fetch
		}
	}
	if s.seen == nil || len(s.seen) > 10*maxKeys {
		s.seen = map[[2]string]bool{}
	}
	for _, k := range keys {
		s.seen[[2]string{k.algorithm, k.id}] = true
	}
	s.mu.Unlock()
	close(ended)
	if changed {
		defer func() { _ = recover() }() // a logger that panics must not end the program
		slog.Info("keys of the key set cannot verify tokens", "passed_over", passedOver)
	}
}

// get asks the endpoint once.
func (s *JWKS) get() (keys []Key, passedOver map[string]string, err error) {
	defer func() {
		if p := recover(); p != nil { // a panic on this goroutine would end the program
			err = fmt.Errorf("the Client panics: %v", p)
		}
		if err != nil {
			err = loggable(err)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), jwksTimeout)
	defer cancel()
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil) // faults has parsed it
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	client := *cmp.Or(s.Client, &http.Client{})
	client.Jar, client.CheckRedirect = nil, sameHost
	request.Close = s.Client == nil // a set is fetched four times an hour
	response, err := client.Do(request)
	if err != nil { // without the URL, whose query may hold a secret
		return nil, nil, errors.Unwrap(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("the endpoint answered %d", response.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxJWKS+1))
	if err != nil {
		return nil, nil, err
	}
	if len(raw) > maxJWKS {
		return nil, nil, fmt.Errorf("the key set has more than %d bytes", maxJWKS)
	}
	return parseJWKS(raw)
}

// sameHost refuses a redirect to another host, and the fourth one.
func sameHost(r *http.Request, via []*http.Request) error {
	first := via[0].URL
	if len(via) > 3 || r.URL.Host != first.Host || r.URL.Scheme != first.Scheme {
		return errors.New("the endpoint redirects to another host")
	}
	return nil
}
