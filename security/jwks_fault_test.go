package security_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
)

// fetched is a JWT whose keys are fetched with a client from a URL.
func fetched(t *testing.T, url string, client *http.Client) security.Scheme[Claims] {
	return prepared(t, security.JWT[Claims]{JWKS: &security.JWKS{URL: url, Client: client}, Issuer: issuer, Audience: audience})
}

// TestJWKSErrorsAreFitForALog: no query, which may hold a secret, and no page of text.
func TestJWKSErrorsAreFitForALog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		scheme := fetched(t, "http://localhost/keys?api_key=canary", e.client(t))
		for range 2 {
			_, err := authenticate(scheme, rs("k1"))
			if err == nil || strings.Contains(err.Error(), "canary") || len(err.Error()) > 300 {
				t.Errorf("got %v", err)
			}
			e.set(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://evil.example/?canary="+strings.Repeat("z", 5000), http.StatusFound)
			})
			time.Sleep(2 * time.Second)
		}
	})
}

type panics struct{}

func (panics) RoundTrip(*http.Request) (*http.Response, error) { panic("boom") }

func TestJWKSClientThatPanics(t *testing.T) {
	if got := told(fetched(t, "http://localhost/keys", &http.Client{Transport: panics{}}), rs("k1")); got != away {
		t.Error(got)
	}
}

// TestRotationDuringARefresh: the refresh brings the set from before the rotation,
// so that the token waits for a fetch of its own.
func TestRotationDuringARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		before := published(map[string]any{"k1": &keys().rsa.PublicKey})
		e.set(before)
		scheme := remote(t, e)
		told(scheme, rs("k1"))
		time.Sleep(16 * time.Minute)
		e.set(func(w http.ResponseWriter, r *http.Request) { time.Sleep(time.Second); before(w, r) })
		told(scheme, rs("k1")) // begins the refresh
		time.Sleep(500 * time.Millisecond)
		e.set(published(map[string]any{"k2": &keys().rsa.PublicKey}))
		if got := told(scheme, rs("k2")); got != good || e.count() != 3 {
			t.Errorf("%s after %d fetches", got, e.count())
		}
	})
}

// TestTokenThatFitsTwoKeys is the token's fault: no fetch can help it.
func TestTokenThatFitsTwoKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		e.set(published(map[string]any{"k1": &keys().rsa.PublicKey, "k2": &keys().rsa.PublicKey}))
		scheme := remote(t, e)
		told(scheme, rs("k1"))
		e.set(nil)
		if got := told(scheme, sign(jwt.SigningMethodRS256, keys().rsa, nil, nil)); got != wrong || e.count() != 1 {
			t.Errorf("%s after %d fetches", got, e.count())
		}
	})
}

// TestRetryAfterIsTheBackOff, so that clients do not knock in vain.
func TestRetryAfterIsTheBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		scheme := remote(t, &endpoint{})
		for range 8 {
			told(scheme, rs("k1"))
			time.Sleep(31 * time.Second)
		}
		_, err := authenticate(scheme, rs("k1"))
		if r, ok := errors.AsType[*depends.Rejection](err); !ok || r.RetryAfter != 30*time.Second {
			t.Errorf("got %v", err)
		}
	})
}

// TestAmbiguousKeysAreNotUsed: programs disagree about the use of such a key.
func TestAmbiguousKeysAreNotUsed(t *testing.T) {
	key := strings.TrimSuffix(encode(merge(publicJWK("k1", &keys().rsa.PublicKey), map[string]any{"use": nil})), "}")
	for members, want := range map[string]string{
		`"use":"enc","USE":"sig"`: away, `"use":"enc","use":"sig"`: away, `"key_ops":["encrypt"]`: away, `"key_ops":["verify"]`: good,
	} {
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{}
			e.set(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"keys":[`+key+","+members+`}]}`)
			})
			if got := told(remote(t, e), rs("k1")); got != want {
				t.Errorf("%s: %s", members, got)
			}
		})
	}
}
