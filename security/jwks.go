package security

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
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
	jwksTimeout = 5 * time.Second
	maxJWKS     = 1 << 20

	// Tokens with unknown keys may cause a burst of fetches, and then one in each interval.
	jwksBurst    = 2
	jwksInterval = 10 * time.Second
	// The waits after failures double from the first to the last.
	jwksFirstRetry = time.Second
	jwksLastRetry  = 30 * time.Second
)

// JWKS is a key set that an issuer publishes (RFC 7517 §5) and rotates, for [JWT].JWKS.
// Its keys for RS256 (RSA), ES256 (P-256) and EdDSA (Ed25519) verify tokens; all others,
// such as symmetric ones and those for encryption, are ignored.
//
// The set is fetched for the first token, so that a program starts while its issuer is
// down. It is refreshed in the background at the first token after Refresh: no token
// waits for that, and tokens are still verified with the old keys while the endpoint is
// down. A token with an unknown key waits for a fetch, which all such tokens share, so
// that a rotation works at its first token. Invented keys cause a few fetches only: two
// at once, and then one in 10 seconds. If the keys cannot be fetched, a token with an
// unknown key is refused with 503, never with 401.
//
// Make one with &JWKS{URL: …}; it must not be copied, and is safe for concurrent use.
type JWKS struct {
	// URL is the address of the set: https, or http on this machine. Required.
	URL string
	// Refresh is the age at which the set is fetched again: at least 10 seconds.
	// By default, 15 minutes.
	Refresh time.Duration
	// Client fetches the set, for programs that need a proxy or certificates of their
	// own. Redirects to another host, responses of more than 1 MiB, and fetches of more
	// than 5 s fail with every client. By default, one that keeps no connection.
	Client *http.Client

	mu       sync.Mutex
	keys     []Key
	fetched  time.Time     // when keys were fetched
	fetching chan struct{} // closed at the end of the fetch that is under way, or nil
	failed   error         // of the last fetch
	retry    time.Time     // no fetch before this, after a failure
	wait     time.Duration // between the last failure and retry
	spent    int           // fetches of the burst that were used
	refilled time.Time     // when spent last went down
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

// find returns the key that verifies a token. A *depends.Rejection says that the keys
// cannot be fetched; any other error is the fault of the token, or the end of ctx.
func (s *JWKS) find(ctx context.Context, algorithm, id string, named bool) (Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A fetch that began before this token came may return the set from before a
	// rotation: if it lacks the key, a second fetch is worth it.
	for fetches := 2; ; fetches-- {
		found := s.lookup(algorithm, id, named)
		now := time.Now()
		switch {
		case len(found) == 1:
			if now.Sub(s.fetched) >= s.refresh() && now.After(s.retry) {
				s.beginFetch()
			}
			return found[0], nil
		case len(found) > 1:
			return Key{}, badToken(jwt.ErrTokenUnverifiable,
				"it has no kid, and the key set has %d keys for %s", len(found), algorithm)
		case fetches > 0 && s.mayFetch(now):
			if s.fetching == nil {
				fetches = 1
			}
			if err := s.awaitFetch(ctx); err != nil {
				return Key{}, err
			}
		case s.failed != nil:
			return Key{}, depends.Unavailable(max(s.retry.Sub(now), jwksFirstRetry), s.failure())
		case named:
			return Key{}, badToken(jwt.ErrTokenUnverifiable,
				"the key set has no %s key with the ID %+.40q", algorithm, id)
		default:
			return Key{}, badToken(jwt.ErrTokenUnverifiable,
				"it has no kid, and the key set has no key for %s", algorithm)
		}
	}
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
		if err := s.awaitFetch(ctx); err != nil {
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

// lookup returns the keys of the set for a token's algorithm and kid; s.mu is held.
func (s *JWKS) lookup(algorithm, id string, named bool) (found []Key) {
	for _, k := range s.keys {
		if k.algorithm == algorithm && (!named || k.named && k.id == id) {
			found = append(found, k)
		}
	}
	return found
}

// mayFetch reports whether an unknown key is worth a fetch now; s.mu is held.
func (s *JWKS) mayFetch(now time.Time) bool {
	switch {
	case s.fetching != nil:
		return true // to wait for it is free
	case s.failed != nil:
		return now.After(s.retry)
	case s.fetched.IsZero():
		return true
	}
	if back := int(now.Sub(s.refilled) / jwksInterval); back > 0 {
		s.spent, s.refilled = max(0, s.spent-back), now
	}
	if s.spent >= jwksBurst {
		return false
	}
	s.spent++
	return true
}

func (s *JWKS) refresh() time.Duration { return cmp.Or(s.Refresh, jwksRefresh) }

// beginFetch begins a fetch if none is under way; s.mu is held.
func (s *JWKS) beginFetch() {
	if s.fetching == nil {
		s.fetching = make(chan struct{})
		go s.fetch(s.fetching)
	}
}

// awaitFetch waits for a fetch, and begins one if none is under way. s.mu is held by the
// caller, and free during the wait.
func (s *JWKS) awaitFetch(ctx context.Context) error {
	s.beginFetch()
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
	defer close(ended)
	keys, err := s.get()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetching, s.failed = nil, err
	now := time.Now()
	if err != nil {
		s.wait = min(max(2*s.wait, jwksFirstRetry), jwksLastRetry)
		s.retry = now.Add(s.wait)
		return
	}
	if s.fetched.IsZero() {
		s.refilled = now
	}
	s.keys, s.fetched, s.wait = keys, now, 0
}

// get asks the endpoint once.
func (s *JWKS) get() (keys []Key, err error) {
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
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return nil, errors.New("the URL is not valid")
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	client := http.Client{}
	if s.Client != nil {
		client = *s.Client
	}
	client.Jar, client.CheckRedirect = nil, sameHost
	request.Close = s.Client == nil // a set is fetched four times an hour
	response, err := client.Do(request)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the URL, whose query may hold a secret
		}
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the endpoint answered %d", response.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxJWKS+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxJWKS {
		return nil, fmt.Errorf("the key set has more than %d bytes", maxJWKS)
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
