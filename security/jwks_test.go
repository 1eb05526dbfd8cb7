package security_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/internal/memconn"
	"example.com/usher/security"
)

// endpoint is an issuer's, in the memory of a bubble, and does as it is told.
type endpoint struct {
	mu      sync.Mutex
	answer  http.HandlerFunc // nil: nobody listens
	fetches int
}

func (e *endpoint) set(answer http.HandlerFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

func (e *endpoint) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fetches
}

// client reaches the endpoint under any name.
func (e *endpoint) client(t *testing.T) *http.Client {
	l := memconn.Listen()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		answer := e.answer
		e.mu.Unlock()
		answer(w, r)
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			e.mu.Lock()
			e.fetches++
			down := e.answer == nil
			e.mu.Unlock()
			if down {
				return nil, errors.New("connection refused")
			}
			return l.Dial(ctx)
		},
	}}
}

// published makes a set of public keys as an issuer writes it.
func published(named map[string]any) http.HandlerFunc {
	var keys []map[string]any
	for id, public := range named {
		keys = append(keys, publicJWK(id, public))
	}
	body := encode(map[string]any{"keys": keys})
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func publicJWK(id string, public any) map[string]any {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return map[string]any{"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": part(string(k.N.Bytes())), "e": part(string(big.NewInt(int64(k.E)).Bytes()))}
	case *ecdsa.PublicKey:
		raw, _ := k.Bytes()
		return map[string]any{"kty": "EC", "kid": id, "crv": "P-256", "x": part(string(raw[1:33])), "y": part(string(raw[33:]))}
	case ed25519.PublicKey:
		return map[string]any{"kty": "OKP", "kid": id, "crv": "Ed25519", "x": part(string(k))}
	}
	return map[string]any{"kty": "oct", "kid": id, "k": part(string(secret))}
}

// remote is a JWT whose keys the endpoint publishes.
func remote(t *testing.T, e *endpoint) security.Scheme[Claims] {
	return prepared(t, security.JWT[Claims]{
		JWKS: &security.JWKS{URL: "http://localhost/keys", Client: e.client(t)}, Issuer: issuer, Audience: audience,
	})
}

func rs(id string) string {
	return sign(jwt.SigningMethodRS256, keys().rsa, map[string]any{"kid": id}, nil)
}

// told is what comes of a token: "ok", or the status of the refusal.
func told(scheme security.Scheme[Claims], token string) string {
	_, err := authenticate(scheme, token)
	if r, ok := errors.AsType[*depends.Rejection](err); ok {
		return fmt.Sprint(r.Status, " ", r.Reason)
	} else if err != nil {
		return err.Error()
	}
	return "ok"
}

const (
	good  = "ok"
	away  = "503 unavailable"
	wrong = "401 invalid_token"
)

func TestJWKSThatIsDownAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		scheme := remote(t, e)
		for range 5 {
			if got := told(scheme, rs("k1")); got != away {
				t.Errorf("down: %s", got)
			}
		}
		if e.count() != 1 {
			t.Errorf("%d fetches within the first retry", e.count())
		}
		e.set(published(map[string]any{"k1": &keys().rsa.PublicKey}))
		time.Sleep(time.Second + time.Millisecond)
		if got := told(scheme, rs("k1")); got != good {
			t.Errorf("up: %s", got)
		}
	})
}

func TestJWKSRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		k := keys()
		e.set(published(map[string]any{"k1": &k.rsa.PublicKey}))
		scheme := remote(t, e)
		if got := told(scheme, rs("k1")); got != good {
			t.Fatal(got)
		}
		e.set(published(map[string]any{"k2": &k.rsa.PublicKey, "k3": &k.ecdsa.PublicKey, "k4": k.ed25519.Public()}))
		for name, test := range map[string]struct{ token, want string }{
			"rotated": {rs("k2"), good}, "ES256": {sign(jwt.SigningMethodES256, k.ecdsa, map[string]any{"kid": "k3"}, nil), good},
			"EdDSA": {sign(jwt.SigningMethodEdDSA, k.ed25519, map[string]any{"kid": "k4"}, nil), good}, "no kid": {sign(jwt.SigningMethodRS256, k.rsa, nil, nil), good},
		} {
			if got := told(scheme, test.token); got != test.want {
				t.Errorf("%s: %s", name, got)
			}
		}
		if got := told(scheme, rs("k1")); got != wrong {
			t.Errorf("withdrawn: %s", got)
		}
	})
}

func TestAThousandInventedKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		e.set(published(map[string]any{"k1": &keys().rsa.PublicKey}))
		scheme := remote(t, e)
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				if got := told(scheme, rs(fmt.Sprint("bogus", i))); got != wrong && got != away {
					t.Errorf("got %s", got)
				}
			})
		}
		all.Wait()
		if n := e.count(); n > 3 {
			t.Errorf("%d fetches", n)
		}
		if got := told(scheme, rs("k1")); got != good {
			t.Errorf("the honest one: %s", got)
		}
		time.Sleep(10 * time.Second)
		e.set(published(map[string]any{"k2": &keys().rsa.PublicKey}))
		if got := told(scheme, rs("k2")); got != good {
			t.Errorf("a rotation after a flood: %s", got)
		}
	})
}

func TestAnOutageGoesUnnoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		e.set(published(map[string]any{"k1": &keys().rsa.PublicKey}))
		scheme := remote(t, e)
		told(scheme, rs("k1"))
		e.set(nil)
		for range 24 {
			time.Sleep(time.Hour)
			start := time.Now()
			if got := told(scheme, rs("k1")); got != good || time.Since(start) != 0 {
				t.Fatalf("after %v: %s", time.Since(start), got)
			}
			synctest.Wait()
		}
		if got := told(scheme, rs("k2")); got != away {
			t.Errorf("an unknown key in an outage: %s", got)
		}
		before := e.count()
		e.set(published(map[string]any{"k2": &keys().rsa.PublicKey}))
		time.Sleep(31 * time.Second)
		told(scheme, rs("k1")) // refreshes behind it
		synctest.Wait()
		if got := told(scheme, rs("k2")); got != good || e.count() != before+1 {
			t.Errorf("after the outage: %s, %d fetches", got, e.count()-before)
		}
	})
}

// TestAnswersThatAreRefused, each within the bound, while the old keys stay.
func TestAnswersThatAreRefused(t *testing.T) {
	k := keys()
	for name, answer := range map[string]http.HandlerFunc{
		"10 MiB": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"keys":[`)
			for range 10 << 10 {
				_, _ = io.WriteString(w, strings.Repeat(" ", 1<<10))
			}
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://evil.example/keys", http.StatusFound)
		},
		"garbage":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"empty":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":[]}`) },
		"symmetric": published(map[string]any{"k2": nil}),
		"not found": http.NotFound,
		"too many": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"keys":[`+strings.Repeat("{},", 100)+`{}]}`)
		},
		"slow drip": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(100 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{}
				e.set(published(map[string]any{"k1": &k.rsa.PublicKey}))
				scheme := remote(t, e)
				if got := told(scheme, rs("k1")); got != good {
					t.Fatal(got)
				}
				e.set(answer)
				start := time.Now()
				if got := told(scheme, rs("k2")); got != away || time.Since(start) > 5*time.Second {
					t.Errorf("after %v: %s", time.Since(start), got)
				}
				if got := told(scheme, rs("k1")); got != good {
					t.Errorf("the old key: %s", got)
				}
				time.Sleep(time.Second) // the slow one notices that nobody reads any more
			})
		})
	}
}

// TestKeysThatArePassedOver: the rest of the set is used.
func TestKeysThatArePassedOver(t *testing.T) {
	k := keys()
	change := func(id string, changes map[string]any) map[string]any {
		return merge(publicJWK(id, &k.rsa.PublicKey), changes)
	}
	set := []any{
		change("enc", map[string]any{"use": "enc"}), change("private", map[string]any{"d": "AQAB"}), change("other", map[string]any{"alg": "RS512"}),
		change("weak", map[string]any{"n": "AQAB"}), change("broken", map[string]any{"n": "###"}), change(strings.Repeat("x", 129), nil),
		map[string]any{"kty": "EC", "crv": "P-384", "kid": "p384"},
		map[string]any{"kty": "EC", "crv": "P-256", "kid": "off", "x": part(strings.Repeat("x", 32)), "y": part(strings.Repeat("y", 32))},
		map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": "short", "x": "AQAB"},
		map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": "identity", "x": part("\x01" + strings.Repeat("\x00", 31))},
		map[string]any{"kty": 7},
		"text", change("good", nil),
	}
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		e.set(func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": set})
		})
		scheme := remote(t, e)
		for id, want := range map[string]string{"good": good, "enc": wrong, "private": wrong, "other": wrong, "weak": wrong, "broken": wrong} {
			if got := told(scheme, rs(id)); got != want {
				t.Errorf("%s: %s", id, got)
			}
			time.Sleep(time.Minute)
		}
		header, payload, _ := strings.Cut(sign(jwt.SigningMethodEdDSA, k.ed25519, map[string]any{"kid": "identity"}, nil), ".")
		payload, _, _ = strings.Cut(payload, ".")
		if got := told(scheme, header+"."+payload+"."+part("\x01"+strings.Repeat("\x00", 63))); got != wrong {
			t.Errorf("a signature that anybody makes for a published key of small order: %s", got)
		}
		hmac := sign(jwt.SigningMethodHS256, secret, map[string]any{"kid": "good"}, nil)
		if got := told(scheme, hmac); got != wrong {
			t.Errorf("HS256 beside a published key: %s", got)
		}
	})
}

// TestJWKSFromAServer over TCP, with the client that is ours.
func TestJWKSFromAServer(t *testing.T) {
	server := httptest.NewServer(published(map[string]any{"k1": &keys().rsa.PublicKey}))
	defer server.Close()
	scheme := prepared(t, security.JWT[Claims]{JWKS: &security.JWKS{URL: server.URL}, Issuer: issuer, Audience: audience})
	if got := told(scheme, rs("k1")); got != good {
		t.Error(got)
	}
}

func TestJWKSThatMustNotStart(t *testing.T) {
	for url, want := range map[string]string{
		"":                               "without a usable URL",
		"https://":                       "without a usable URL",
		"https://:443/keys":              "without a usable URL",
		"https://u:p@login.example/keys": "without a usable URL",
		"http://login.example/keys":      "without TLS",
		"ftp://localhost/keys":           "without TLS",
		"https://login.example/keys":     "",
		"http://127.0.0.1:8080/keys":     "",
		"http://[::1]/keys":              "",
	} {
		faults := security.JWT[Claims]{JWKS: &security.JWKS{URL: url}, Issuer: issuer, Audience: audience}.Describe().Faults
		if text := fmt.Sprint(faults); want == "" && len(faults) > 0 || !strings.Contains(text, want) {
			t.Errorf("%s: %s", url, text)
		}
	}
	both := config()
	both.JWKS = &security.JWKS{URL: "https://login.example/keys", Refresh: -1}
	if text := fmt.Sprint(both.Describe().Faults); !strings.Contains(text, "both Keys and a JWKS") || !strings.Contains(text, "a Refresh of -1ns") {
		t.Error(text)
	}
}

// TestJWKSReady: a program may wait for its keys, and ask whether it has any.
func TestJWKSReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		set := &security.JWKS{URL: "http://localhost/keys", Client: e.client(t)}
		for range 3 {
			if err := set.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "connection refused") {
				t.Errorf("down: %v", err)
			}
		}
		if e.count() != 1 {
			t.Errorf("%d fetches within the first retry", e.count())
		}
		time.Sleep(time.Second + time.Millisecond)
		held := make(chan struct{})
		e.set(func(http.ResponseWriter, *http.Request) { <-held })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := set.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("slow: %v", err)
		}
		close(held)
		synctest.Wait()
		time.Sleep(time.Minute)
		e.set(published(map[string]any{"k1": &keys().rsa.PublicKey}))
		if err := set.Ready(t.Context()); err != nil {
			t.Errorf("up: %v", err)
		}
		e.set(nil)
		time.Sleep(time.Hour)
		if err := set.Ready(t.Context()); err != nil {
			t.Errorf("an outage with keys: %v", err)
		}
		for _, url := range []string{"", "http://login.example/keys"} {
			if err := (&security.JWKS{URL: url}).Ready(t.Context()); err == nil {
				t.Errorf("%q is fetched", url)
			}
		}
	})
}
