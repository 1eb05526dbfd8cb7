package security_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
)

// TestAWithdrawnKey is not used beyond twice Refresh: neither the first token after an idle time
// nor a slow fetch, a failed one or an outage of a day lets it in for longer.
func TestAWithdrawnKey(t *testing.T) {
	k1 := published(map[string]any{"k1": &keys().rsa.PublicKey})
	k2 := published(map[string]any{"k2": &keys().rsa.PublicKey})
	slow := func(answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { time.Sleep(3 * time.Second); answer(w, r) }
	}
	broken := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	hangs := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, test := range map[string]struct {
		idle    time.Duration
		answer  http.HandlerFunc
		want    string
		atMost  time.Duration
		failure bool
	}{
		"in the refresh":            {20 * time.Minute, k2, good, 0, false},
		"just before":               {30*time.Minute - 1, slow(k2), good, 0, false},
		"after twice Refresh":       {30 * time.Minute, k2, wrong, 0, false},
		"a day later":               {25 * time.Hour, k2, wrong, 0, false},
		"during a slow fetch":       {31 * time.Minute, slow(k2), wrong, 3 * time.Second, false},
		"still there":               {31 * time.Minute, slow(k1), good, 3 * time.Second, false},
		"a failure":                 {31 * time.Minute, broken, good, 0, false},
		"nobody listens":            {24 * time.Hour, nil, good, 0, false},
		"the issuer hangs":          {31 * time.Minute, hangs, good, 4 * time.Second, false},
		"an outage of a day":        {24*time.Hour + 1, nil, away, 0, false},
		"it hangs for more":         {48 * time.Hour, hangs, away, 4 * time.Second, false},
		"a failure long ago":        {31 * time.Minute, k2, wrong, 0, true},
		"a failure within Refresh":  {14 * time.Minute, k2, good, 0, true},
		"an outage that has passed": {48 * time.Hour, k1, good, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{}
				e.set(k1)
				scheme := remote(t, e)
				if got := told(scheme, rs("k1")); got != good {
					t.Fatal(got)
				}
				if test.failure {
					e.set(nil)
					time.Sleep(31 * time.Minute)
					if got := told(scheme, rs("k1")); got != good {
						t.Fatalf("in the outage: %s", got)
					}
				}
				e.set(test.answer)
				time.Sleep(test.idle)
				start := time.Now()
				if got := told(scheme, rs("k1")); got != test.want || time.Since(start) > test.atMost {
					t.Errorf("after %v: %s", time.Since(start), got)
				}
				time.Sleep(5 * time.Second) // the endpoint notices that nobody waits
			})
		})
	}
}

// TestAnOutageDelaysOneToken of a busy program: those after it know that the issuer is away.
func TestAnOutageDelaysOneToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		e.set(published(map[string]any{"k1": &keys().rsa.PublicKey}))
		scheme := remote(t, e)
		told(scheme, rs("k1"))
		e.set(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		time.Sleep(31 * time.Minute)
		waited := 0
		for range 400 {
			start := time.Now()
			if got := told(scheme, rs("k1")); got != good {
				t.Fatal(got)
			}
			if time.Since(start) > 0 {
				waited++
			}
			time.Sleep(10 * time.Second)
		}
		if waited != 1 {
			t.Errorf("%d tokens waited", waited)
		}
		time.Sleep(5 * time.Second)
	})
}

// TestWhatWeCannotSayIs503: a key that may be new since the last fetch is our side's to know; one
// that was withdrawn, and one that a fetch of its own did not find, is the token's fault.
func TestWhatWeCannotSayIs503(t *testing.T) {
	for name, test := range map[string]struct {
		after time.Duration
		kid   string
		want  string
		retry time.Duration
	}{
		"the first token of a rotation":    {time.Second, "k2", away, 9 * time.Second},
		"a second later":                   {2 * time.Second, "k2", away, 8 * time.Second},
		"when a fetch is allowed":          {10 * time.Second, "k2", good, 0},
		"an invention":                     {time.Second, "bogus", away, 9 * time.Second},
		"an invention that was looked for": {10 * time.Second, "bogus", wrong, 0},
		"the key that was withdrawn":       {time.Second, "k0", wrong, 0},
		"the key that stays":               {time.Second, "k1", good, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{}
				public := &keys().rsa.PublicKey
				e.set(published(map[string]any{"k0": public, "k1": public}))
				scheme := remote(t, e)
				told(scheme, rs("k1"))
				time.Sleep(time.Hour)
				e.set(published(map[string]any{"k1": public}))
				told(scheme, rs("k1"))
				for i := range 2 {
					if got := told(scheme, rs(fmt.Sprint("bogus", i))); got != wrong {
						t.Fatal(got)
					}
				}
				e.set(published(map[string]any{"k1": public, "k2": public}))
				time.Sleep(test.after)
				before := e.count()
				if got := told(scheme, rs(test.kid)); got != test.want {
					t.Errorf("got %s", got)
				}
				_, err := authenticate(scheme, rs(test.kid))
				r, _ := errors.AsType[*depends.Rejection](err)
				if test.want == away && (r == nil || r.RetryAfter != test.retry || !strings.Contains(r.Error(), "fetched too often")) {
					t.Errorf("refused with %v", err)
				}
				if test.retry > 0 && e.count() != before {
					t.Errorf("%d fetches beyond the budget", e.count()-before)
				}
			})
		})
	}
}

// TestStrangersDoNotQueue: while the issuer is slow, a few tokens with unknown keys wait for it,
// and the others hold no handshake.
func TestStrangersDoNotQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		set := published(map[string]any{"k1": &keys().rsa.PublicKey})
		e.set(set)
		scheme := remote(t, e)
		told(scheme, rs("k1"))
		e.set(func(w http.ResponseWriter, r *http.Request) { time.Sleep(3 * time.Second); set(w, r) })
		var waiting, atOnce atomic.Int32
		var all sync.WaitGroup
		for i := range 300 {
			all.Go(func() {
				waiting.Add(1)
				start := time.Now()
				got := told(scheme, rs(fmt.Sprint("bogus", i)))
				waiting.Add(-1)
				if time.Since(start) == 0 && got == away {
					atOnce.Add(1)
				} else if got != wrong && got != away {
					t.Errorf("after %v: %s", time.Since(start), got)
				}
			})
		}
		synctest.Wait()
		if n := waiting.Load(); n != 16 || atOnce.Load() != 284 {
			t.Errorf("%d wait, %d were refused at once", n, atOnce.Load())
		}
		if got := told(scheme, rs("k1")); got != good {
			t.Errorf("a known key: %s", got)
		}
		all.Wait()
		if n := e.count(); n > 3 {
			t.Errorf("%d fetches", n)
		}
		time.Sleep(10 * time.Second)
		e.set(published(map[string]any{"k2": &keys().rsa.PublicKey}))
		if got := told(scheme, rs("k2")); got != good {
			t.Errorf("a rotation afterwards: %s", got)
		}
	})
}

// TestKnownKeysQueueForOneFetch: all clients may come back at once after a quiet hour, or while
// the program starts.
func TestKnownKeysQueueForOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		set := published(map[string]any{"k1": &keys().rsa.PublicKey})
		e.set(func(w http.ResponseWriter, r *http.Request) { time.Sleep(time.Second); set(w, r) })
		scheme := remote(t, e)
		for fetches := range 2 {
			var all sync.WaitGroup
			for range 200 {
				all.Go(func() {
					if got := told(scheme, rs("k1")); got != good {
						t.Error(got)
					}
				})
			}
			all.Wait()
			if e.count() != fetches+1 {
				t.Errorf("%d fetches", e.count())
			}
			time.Sleep(time.Hour)
		}
	})
}
