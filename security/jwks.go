package security

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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

	// Unknown IDs may cause so many fetches at once, and then one in each interval.
	jwksBurst    = 2
	jwksInterval = 10 * time.Second
	// While the endpoint fails it is asked again after these waits.
	jwksFirstRetry = time.Second
	jwksLastRetry  = 30 * time.Second
)

// JWKS is a set of keys that an issuer publishes (RFC 7517 §5) and rotates, for
// [JWT].JWKS. Keys verify RS256 (RSA), ES256 (P-256) and EdDSA (Ed25519); others
// in the set, such as those for encryption, are passed over, and symmetric ones
// always.
//
// The set is fetched when the first token comes, so that a program starts while
// its issuer is down, and refreshed behind the tokens that come after Refresh:
// nobody waits for that, and an outage goes unnoticed. A token whose key is
// unknown waits for one fetch, which is shared with all that come meanwhile, so
// that a rotation works at its first token; strangers with invented keys cannot
// cause more than a few: once they have, a key is unknown that was not in the set of
// 10 seconds ago. What fails on our side, or the issuer's, refuses with 503 and never
// with 401.
//
// Make one with &JWKS{URL: …}; it must not be copied, and is safe for concurrent use.
type JWKS struct {
	// URL is where the set is: https, or http on this machine. Required.
	URL string
	// Refresh is how old the set may be before it is fetched anew: at least 10
	// seconds. By default, 15 minutes.
	Refresh time.Duration
	// Client fetches, for programs that need a proxy or certificates of their own.
	// Redirects to another host, answers of more than 1 MiB and of more than 5 s
	// are refused whatever it says. By default, one that keeps no connection.
	Client *http.Client

	mu       sync.Mutex
	keys     []Key
	fetched  time.Time // when keys were
	failed   error     // of the last fetch
	retry    time.Time // not before this, after a failure
	wait     time.Duration
	spent    int       // of the burst
	refilled time.Time // when the burst was last given back
	flight   *flight
}

// flight is a fetch that goes on.
type flight struct {
	done chan struct{}
}

// faults tells why the set cannot be fetched safely.
func (s *JWKS) faults(scheme string) []depends.SchemeFault {
	u, err := url.Parse(s.URL)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return []depends.SchemeFault{{Fact: scheme + " has a JWKS without a usable URL", Hint: "set URL to the issuer's jwks_uri"}}
	case u.Scheme != "https" && (u.Scheme != "http" || !thisMachine(u.Hostname())):
		return []depends.SchemeFault{{Fact: scheme + " fetches its keys without TLS", Hint: "set URL to an https address; http is for this machine alone"}}
	case s.Refresh != 0 && s.Refresh < jwksInterval:
		return []depends.SchemeFault{{Fact: fmt.Sprintf("%s has a JWKS with a Refresh of %v", scheme, s.Refresh), Hint: fmt.Sprintf("set Refresh to at least %v, or leave it out for %v", jwksInterval, jwksRefresh)}}
	}
	return nil
}

func thisMachine(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// errKeysAway is an answer that we owe and cannot give before wait has passed.
func errKeysAway(err error, wait time.Duration) error {
	return depends.Unavailable(max(wait, jwksFirstRetry), fmt.Errorf("security: the keys cannot be fetched: %w", err))
}

// errUnknownKey says that a later set may have the key: a rotation.
var errUnknownKey = errors.New("unknown key")

// find returns what verifies a token. An error that is a *depends.Rejection is
// our fault, any other the token's.
func (s *JWKS) find(ctx context.Context, algorithm, id string, named bool) (Key, error) {
	// A fetch that was under way when the token came may bring the set from before
	// a rotation: after one that was only joined, another is worth it.
	for fetches := 2; ; fetches-- {
		s.mu.Lock()
		key, err := s.lookup(algorithm, id, named)
		now := time.Now()
		if !errors.Is(err, errUnknownKey) {
			if err == nil && now.Sub(s.fetched) >= s.refresh() && now.After(s.retry) {
				s.fetch()
			}
			s.mu.Unlock()
			return key, err
		}
		joined := s.flight != nil
		if fetches == 0 || !s.mayFetch(now) {
			failed, wait := s.failed, s.retry.Sub(now)
			s.mu.Unlock()
			if failed != nil {
				return Key{}, errKeysAway(failed, wait)
			}
			return Key{}, err
		}
		f := s.fetch()
		s.mu.Unlock()
		if !joined {
			fetches = 1
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return Key{}, context.Cause(ctx)
		}
	}
}

// Ready returns nil if there is a set, and waits for one fetch if there is none yet: for
// a program that would rather not start without its issuer, or says so to a health
// check. It returns why there is none, or the cause of ctx's end; while the endpoint
// fails, it is not asked more often because of Ready.
func (s *JWKS) Ready(ctx context.Context) error {
	if faults := s.faults("JWKS"); faults != nil {
		return errors.New("security: " + faults[0].Fact)
	}
	s.mu.Lock()
	if !s.fetched.IsZero() || s.flight == nil && s.failed != nil && !time.Now().After(s.retry) {
		defer s.mu.Unlock()
		return s.missing()
	}
	f := s.fetch()
	s.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.missing()
}

// missing says why there is no set, if there is none; s.mu is held.
func (s *JWKS) missing() error {
	if !s.fetched.IsZero() {
		return nil
	}
	return fmt.Errorf("security: the keys cannot be fetched: %w", s.failed)
}

// lookup finds a key in the set as it is; s.mu is held.
func (s *JWKS) lookup(algorithm, id string, named bool) (Key, error) {
	var found []Key
	for _, k := range s.keys {
		if k.algorithm == algorithm && (!named || k.named && k.id == id) {
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return Key{}, because(jwt.ErrTokenUnverifiable, "it has no kid, and the set has %d keys for %s", len(found), algorithm)
	case named:
		return Key{}, unknownKey("the set has no %s key with the ID %+.40q", algorithm, id)
	}
	return Key{}, unknownKey("it has no kid, and the set has no key for %s", algorithm)
}

func unknownKey(format string, args ...any) error {
	return because(fmt.Errorf("%w: %w", jwt.ErrTokenUnverifiable, errUnknownKey), format, args...)
}

// mayFetch says whether an unknown key is worth a fetch now; s.mu is held.
func (s *JWKS) mayFetch(now time.Time) bool {
	switch {
	case s.flight != nil:
		return true // it costs nothing to wait for it
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

func (s *JWKS) refresh() time.Duration {
	if s.Refresh == 0 {
		return jwksRefresh
	}
	return s.Refresh
}

// fetch begins a fetch, or returns the one that goes on; s.mu is held.
func (s *JWKS) fetch() *flight {
	if s.flight == nil {
		s.flight = &flight{done: make(chan struct{})}
		go s.fly(s.flight)
	}
	return s.flight
}

// fly fetches the set. What was known before stays if that fails.
func (s *JWKS) fly(f *flight) {
	defer close(f.done)
	keys, err := s.tryGet()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight, s.failed = nil, err
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

// tryGet is get, for a Client of the program's that may panic: on a goroutine of
// ours that would end the program.
func (s *JWKS) tryGet() (keys []Key, err error) {
	defer func() {
		if p := recover(); p != nil {
			keys, err = nil, plain(fmt.Errorf("the Client panics: %v", p))
		}
	}()
	return s.get()
}

// get asks the endpoint once.
func (s *JWKS) get() ([]Key, error) {
	ctx, cancel := context.WithTimeout(context.Background(), jwksTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return nil, errors.New("the URL is none")
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := s.client().Do(request)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the URL, whose query may hold a secret
		}
		return nil, plain(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the endpoint answered %d", response.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxJWKS+1))
	if err != nil {
		return nil, plain(err)
	}
	if len(raw) > maxJWKS {
		return nil, fmt.Errorf("the set has more than %d bytes", maxJWKS)
	}
	return parseJWKS(raw)
}

func (s *JWKS) client() *http.Client {
	c := http.Client{Transport: ownTransport}
	if s.Client != nil {
		c = *s.Client
	}
	c.Jar = nil
	c.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		first := via[0].URL
		if len(via) > 3 || r.URL.Host != first.Host || r.URL.Scheme != first.Scheme {
			return errors.New("the endpoint redirects to another host")
		}
		return nil
	}
	return &c
}

// ownTransport keeps no connection: a set is fetched four times an hour.
var ownTransport = &http.Transport{
	Proxy:               http.ProxyFromEnvironment,
	DialContext:         (&net.Dialer{Timeout: jwksTimeout}).DialContext,
	TLSHandshakeTimeout: jwksTimeout,
	DisableKeepAlives:   true,
	ForceAttemptHTTP2:   true,
}
