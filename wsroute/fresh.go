package wsroute

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

type askedKey struct{}

// asked is what Serve knows of a TCP connection and of the last request on it.
type asked struct {
	conn net.Conn
	born time.Time
	at   atomic.Int64 // as a time since born; 0 if nothing was asked yet

	mu       sync.Mutex
	answered int // requests whose handlers have returned
}

func (a *asked) now() { a.at.Store(max(1, int64(time.Since(a.born)))) }

// returned says that the handler of a request has.
func (a *asked) returned() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answered++
}

// cutter returns what closes the connection, unless by then its present request is over:
// the goroutine that answers it may outlive it, as below an http.TimeoutHandler.
func (a *asked) cutter() func() {
	a.mu.Lock()
	defer a.mu.Unlock()
	present := a.answered
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.answered == present {
			_ = a.conn.Close()
		}
	}
}

// ago is how long the last request is under way.
func (a *asked) ago() time.Duration { return time.Since(a.born) - time.Duration(a.at.Load()) }

// freshFor is how long Shutdown waits for a connection on which nothing was asked.
const freshFor = 5 * time.Second

// fresh says whether Shutdown would wait for the connection.
func (a *asked) fresh(now time.Time) bool {
	return a.at.Load() == 0 && now.Sub(a.born) <= freshFor
}

// freshConns are the connections on which nothing was asked yet, such as those that
// browsers open in advance, among others of the same age: what is too old to be fresh is
// dropped now and then, so that a request costs nothing here.
type freshConns struct {
	mu    sync.Mutex
	list  []*asked // in order of birth, or nearly so
	next  int      // the length at which to drop, so that little is held
	timer *time.Timer
	over  bool
}

// track is the server's ConnContext.
func (f *freshConns) track(ctx context.Context, conn net.Conn) context.Context {
	a := &asked{conn: conn, born: time.Now()}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.list = append(f.list, a); len(f.list) > f.next {
		f.keep(a.born)
	}
	if f.timer == nil && !f.over {
		f.timer = time.AfterFunc(freshFor, f.drop)
	}
	return context.WithValue(ctx, askedKey{}, a)
}

// drop forgets what is not fresh any more, and comes again if there is more.
func (f *freshConns) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keep(time.Now())
	f.timer = nil
	if len(f.list) == 0 {
		f.list = nil // it may have been long
	} else if !f.over {
		f.timer = time.AfterFunc(freshFor, f.drop)
	}
}

// keep drops all but those that are fresh; f.mu is held.
func (f *freshConns) keep(now time.Time) {
	const least = 32
	f.list = slices.DeleteFunc(f.list, func(a *asked) bool { return !a.fresh(now) })
	f.next = max(least, 2*len(f.list))
}

func (f *freshConns) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	if f.timer != nil {
		f.timer.Stop()
	}
	now := time.Now()
	for _, a := range f.list {
		if a.fresh(now) {
			_ = a.conn.Close()
		}
	}
}
