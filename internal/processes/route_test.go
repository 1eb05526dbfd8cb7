package processes_test

import (
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// route is a TCP proxy that can swallow everything without a word.
type route struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func newRoute(t *testing.T, to string) *route {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &route{listener: l, to: to}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.take(conn)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		r.heals()
	})
	return r
}

func (r *route) take(from net.Conn) {
	to, err := net.Dial("tcp", r.to)
	if err != nil {
		_ = from.Close()
		return
	}
	r.mu.Lock()
	r.conns = append(r.conns, from, to)
	r.mu.Unlock()
	go r.copy(from, to)
	go r.copy(to, from)
}

func (r *route) copy(from, to net.Conn) {
	defer func() { _ = to.Close() }()
	_, _ = io.Copy(writer(func(data []byte) (int, error) {
		r.mu.Lock()
		cut := r.cut
		r.mu.Unlock()
		if cut {
			return len(data), nil
		}
		return to.Write(data)
	}), from)
}

type writer func([]byte) (int, error)

func (w writer) Write(data []byte) (int, error) { return w(data) }

func (r *route) cuts() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = true
}

// heals lets both sides connect again: what was swallowed stays away.
func (r *route) heals() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = false
	for _, conn := range r.conns {
		_ = conn.Close()
	}
	r.conns = nil
}

// TestARouteIsCut between two servers of NATS: nobody is told, and a revocation is lost. When it
// heals, the gap is found, and who was revoked is gone.
func TestARouteIsCut(t *testing.T) {
	routesAt, at := freeAddr(t), []string{freeAddr(t), freeAddr(t)}
	r := newRoute(t, routesAt)
	run(t, self(), role+"=nats", "AT="+at[0], "DIR="+t.TempDir(), "CLUSTER=one", "ROUTES_AT="+routesAt)
	listens(t, routesAt, nil)
	run(t, self(), role+"=nats", "AT="+at[1], "DIR="+t.TempDir(), "CLUSTER=two", "ROUTES_AT="+freeAddr(t), "ROUTES=nats-route://"+r.listener.Addr().String())
	t.Setenv("LOG", "none")
	c := &cluster{t: t}
	for i, name := range []string{"a", "b"} {
		listens(t, at[i], nil)
		c.servers = append(c.servers, startServer(t, name, "nats", at[i]))
	}
	here, there := c.servers[0], c.servers[1]
	dial(t, here, "ada", "r")
	bob := dial(t, there, "bob", "r")
	c.agree(within, "r", []string{"ada", "bob"})

	r.cuts()
	cut := time.Now()
	if _, err := here.ask("/revoke", url.Values{"sub": {"bob"}}); err != nil {
		t.Errorf("the server of this side takes it: %v", err)
	}
	if _, err := there.ask("/ban", url.Values{"sub": {"bob"}}); err != nil {
		t.Error(err)
	}
	eve := dial(t, here, "eve", "r")
	<-time.After(8 * time.Second) // longer than own beats may stay away, which they do not
	if !bob.open() {
		t.Error("bob has gone: nothing was lost")
	}
	if _, err := there.gap(cut, func(string) bool { return true }); err == nil {
		t.Error("a gap is found before there is a sign of one")
	}
	if got, err := there.present("r"); err != nil || got != "ada bob" {
		t.Errorf("present on the far side: %q, %v", got, err)
	}
	r.heals()
	healed := time.Now()
	var found time.Time
	until(t, within, func() (err error) {
		found, err = there.gap(healed, func(text string) bool {
			return strings.HasPrefix(text, "faults.revoked") && strings.HasSuffix(text, "messages are missing")
		})
		return err
	})
	code, when := bob.ended(t, within)
	if code != 3000 || when.Sub(found) > 6*time.Second { // it is spread over 5 s
		t.Errorf("ended with %d, %v after the gap was found", code, when.Sub(found))
	}
	took := c.agree(45*time.Second, "r", []string{"ada", "eve"})
	if !eve.open() {
		t.Error("eve is lost")
	}
	t.Logf("found %v after it healed, bob gone %v after that, presence agrees after %v", found.Sub(healed), when.Sub(found), took)
}
