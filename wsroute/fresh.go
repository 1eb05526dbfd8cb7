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

// asked is what Serve knows of a TCP connection: when the last request on it came.
type asked struct {
	conn net.Conn
	born time.Time
	at   atomic.Int64 // as a time since born; 0 if nothing was asked yet
}

func (a *asked) now() { a.at.Store(max(1, int64(time.Since(a.born)))) }

// ago is how long the last request is under way.
func (a *asked) ago() time.Duration { return time.Since(a.born) - time.Duration(a.at.Load()) }

// fresh says whether Shutdown would wait for the connection although nothing was asked on
// it: it does so for five seconds.
func (a *asked) fresh(now time.Time) bool {
	return a.at.Load() == 0 && now.Sub(a.born) <= 5*time.Second
}

// freshConns are the connections on which nothing was asked yet, such as those that
// browsers open in advance, among others that were fresh not long ago: what is no longer
// so is dropped now and then, so that a request costs nothing here.
type freshConns struct {
	mu   sync.Mutex
	list []*asked
	next int // the length at which to drop
}

// track is the server's ConnContext.
func (f *freshConns) track(ctx context.Context, conn net.Conn) context.Context {
	a := &asked{conn: conn, born: time.Now()}
	f.mu.Lock()
	if f.list = append(f.list, a); len(f.list) > f.next {
		f.list = slices.DeleteFunc(f.list, func(old *asked) bool { return !old.fresh(a.born) })
		const least = 32
		f.next = max(least, 2*len(f.list))
	}
	f.mu.Unlock()
	return context.WithValue(ctx, askedKey{}, a)
}

func (f *freshConns) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for _, a := range f.list {
		if a.fresh(now) {
			_ = a.conn.Close()
		}
	}
}
