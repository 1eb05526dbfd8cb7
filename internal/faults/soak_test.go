package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/conformance"
	"example.com/usher/internal/memconn"
	"example.com/usher/wsroute"
)

// member is who a connection of these tests is: the request says so.
type member struct{ name string }

func members() *depends.Graph {
	deps := depends.New()
	var n atomic.Int64
	depends.Provide(deps, func(ctx context.Context, _ none) (member, error) {
		m := member{strconv.FormatInt(n.Add(1), 10)}
		depends.Identify(ctx, depends.Identity{Subject: m.name})
		depends.ValidUntil(ctx, time.Now().Add(time.Hour))
		return m, nil
	})
	return deps
}

// inUse is what a process holds, after two collections.
func inUse() (goroutines int, heap uint64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), m.HeapAlloc + m.StackInuse
}

// TestRevokeOfMany ends one of 5 000 connections and then all the others, of which
// none takes part. Nothing of them is left, and more of them leave no more.
func TestRevokeOfMany(t *testing.T) {
	many := 5000
	if testing.Short() {
		many = 500
	}
	w := begin(t, members(), &wsroute.Config{Logger: slog.New(slog.DiscardHandler)}, func(ctx context.Context, c *conn, _ struct{ _ member }) error { return echo(ctx, c, none{}) })
	before, _ := inUse()
	var held [3]uint64
	for round := range held {
		w.revokeMany(many, round*many)
		after := 0
		// Stacks of goroutines that have ended are given back by one collection or another.
		for deadline := time.Now().Add(20 * time.Second); after == 0 || after > before || grown(held[round], held[0]); {
			if after, held[round] = inUse(); time.Now().After(deadline) {
				break
			}
		}
		if after > before {
			t.Fatalf("of %d goroutines there are %d", before, after)
		}
	}
	if grown(held[2], held[0]) {
		t.Errorf("the memory in use grew to %v", held)
	}
}

// grown says whether memory in use is more than it was, by more than chance.
func grown(now, first uint64) bool { return now > first+first/4 }

// revokeMany opens many connections, of which the first has a name one above first,
// and ends them.
func (w *world) revokeMany(many, first int) {
	w.t.Helper()
	peers := make([]*conformance.Peer, many)
	for i := range peers {
		c, err := w.l.Dial(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if peers[i], err = conformance.Open(c, nil); err != nil {
			w.t.Fatal(err)
		}
	}
	start := time.Now()
	if n, err := w.ws.Revoke(w.t.Context(), wsroute.Revocation{Subject: strconv.Itoa(first + 77)}); n != 1 || err != nil {
		w.t.Fatalf("%d, %v", n, err)
	}
	one := time.Since(start)
	if got := closed(peers[76]); got != "3000 revoked" {
		w.t.Errorf("closed with %q", got)
	}
	for i := 0; i < many; i += many / 50 {
		_ = say(peers[i], text("still here"))
		if e, err := peers[i].Read(); err != nil || string(e.Payload) != "still here" {
			w.t.Fatalf("number %d: %v, %v", i, e, err)
		}
	}
	start = time.Now()
	if n, err := w.ws.Revoke(w.t.Context(), wsroute.Revocation{IssuedBefore: time.Now().Add(time.Hour)}); n != many-1 || err != nil {
		w.t.Fatalf("%d, %v", n, err)
	}
	all := time.Since(start)
	for range many {
		w.caused(wsroute.ErrRevoked)
	}
	for _, p := range peers {
		_ = p.Conn.Close()
	}
	w.t.Logf("one of %d was revoked in %v, the others in %v", many, one, all)
}

// TestSoak lets clients connect, talk, stall, vanish, be revoked and expire, all of it
// by chance. SOAK is for how long, SOAK_CLIENTS how many at once, SOAK_SEED the seed.
// In the end each message has come exactly once, in order, or its connection's end
// explains why it has not.
func TestSoak(t *testing.T) {
	length, clients, seed := 2*time.Second, 100, uint64(time.Now().UnixNano())
	if d, err := time.ParseDuration(os.Getenv("SOAK")); err == nil {
		length, clients = d, 2000
	}
	if n, err := strconv.Atoi(os.Getenv("SOAK_CLIENTS")); err == nil {
		clients = n
	}
	if n, err := strconv.ParseUint(os.Getenv("SOAK_SEED"), 10, 64); err == nil {
		seed = n
	}
	if testing.Short() {
		length = 200 * time.Millisecond
	}
	t.Logf("SOAK=%v SOAK_CLIENTS=%d SOAK_SEED=%d", length, clients, seed)
	s := &soak{t: t, until: time.Now().Add(length), of: map[string]*record{}}
	before := runtime.NumGoroutine()
	s.serve()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for r := rand.New(rand.NewPCG(seed, uint64(i))); time.Now().Before(s.until); { //nolint:gosec // a seed is wanted
				s.live(r)
			}
		})
	}
	all.Wait()
	s.w.stop()
	for deadline := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			var stacks bytes.Buffer
			_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
			t.Fatalf("%d goroutines are left over:\n%s", runtime.NumGoroutine()-before, &stacks)
		}
		runtime.Gosched()
	}
	if n := s.room.Len(); n != 0 {
		t.Errorf("%d are still in the room", n)
	}
	if s.lives.Load() == 0 || s.said.Load() == 0 || s.told.Load() == 0 {
		t.Error("nothing has happened")
	}
	t.Logf("%d connections, %d messages said, %d told; ends: %d", s.lives.Load(), s.said.Load(), s.told.Load(), len(s.of))
}

// soak is a server with one room, and what is known of its connections.
type soak struct {
	t     *testing.T
	w     *world
	room  wsroute.Room[message]
	until time.Time

	lives, said, told atomic.Int64

	mu    sync.Mutex
	order int                // messages of the room
	of    map[string]*record // by connection
}

// record is what the server knows of a connection.
type record struct {
	heard int           // messages that the handler received
	cause error         // of the end
	over  chan struct{} // closed then
}

func (s *soak) serve() {
	deps := depends.New()
	var n atomic.Int64
	depends.Provide(deps, func(ctx context.Context, _ none) (member, error) {
		m := member{strconv.FormatInt(n.Add(1), 10)}
		depends.Identify(ctx, depends.Identity{Subject: m.name})
		depends.ValidUntil(ctx, time.Now().Add(time.Duration(rand.Int64N(int64(4*time.Second)))+time.Second)) //nolint:gosec // no secret
		return m, nil
	})
	config := &wsroute.Config{
		Limits:      wsroute.Limits{PingInterval: time.Second, PongTimeout: 3 * time.Second, WriteTimeout: 2 * time.Second},
		DrainWindow: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	}
	s.w = begin(s.t, deps, config, s.handle)
}

// handle tells the peer its name, and then all what anybody says, numbered.
func (s *soak) handle(ctx context.Context, c *conn, in struct{ Who member }) (err error) {
	mine := &record{over: make(chan struct{})}
	s.mu.Lock()
	s.of[in.Who.name] = mine
	s.mu.Unlock()
	defer func() {
		mine.cause = context.Cause(ctx)
		close(mine.over)
	}()
	if err := c.Send(ctx, message{Data: []byte("you are " + in.Who.name)}); err != nil {
		return err
	}
	s.mu.Lock()
	leave := s.room.Join(c)
	s.mu.Unlock()
	defer leave()
	for {
		m, err := c.Receive(ctx)
		if err != nil {
			return err
		}
		var n int
		if _, err := fmt.Sscan(string(m.Data), &n); err != nil {
			return err
		}
		s.mu.Lock()
		if n != mine.heard {
			s.t.Errorf("%s: message %d came after %d others", in.Who.name, n, mine.heard)
		}
		mine.heard++
		s.order++
		err = s.room.Send(context.Background(), message{Data: []byte(strconv.Itoa(s.order))})
		s.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// live is one connection.
func (s *soak) live(r *rand.Rand) {
	c, err := s.w.l.Dial(s.t.Context())
	if err != nil {
		s.t.Error(err)
		return
	}
	defer func() { _ = c.Close() }()
	p, err := conformance.Open(c, nil)
	if err != nil {
		s.t.Error(err)
		return
	}
	s.lives.Add(1)
	e, err := p.Read()
	var name string
	if _, bad := fmt.Sscanf(string(e.Payload), "you are %s", &name); err != nil || bad != nil {
		return // it expired at once
	}
	over := make(chan struct{})
	stall := r.IntN(20) == 0
	go func() {
		defer close(over)
		if !stall {
			s.listen(p, name)
		}
	}()
	said := 0
	for range r.IntN(30) {
		if s.pause(over, time.Duration(r.IntN(int(200*time.Millisecond)))) || say(p, text(strconv.Itoa(said))) != nil {
			break
		}
		said++
		s.said.Add(1)
	}
	s.leave(r, p, c, name)
	if stall {
		_, _ = io.Copy(io.Discard, c)
	}
	<-over
	s.account(name, said)
}

// pause waits, and says whether the connection is over.
func (s *soak) pause(over <-chan struct{}, d time.Duration) bool {
	select {
	case <-over:
		return true
	case <-time.After(d):
		return false
	}
}

// leave ends a connection in one of the ways that there are.
func (s *soak) leave(r *rand.Rand, p *conformance.Peer, c *memconn.Conn, name string) {
	switch r.IntN(6) {
	case 0:
		c.Reset()
	case 1:
		_ = c.Close()
	case 2:
		c.Vanish()
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
	case 3:
		_, _ = s.w.ws.Revoke(s.t.Context(), wsroute.Revocation{Subject: name}) // it may be over
	case 4: // it expires
	default:
		_ = say(p, conformance.Frame{Opcode: conformance.Close, Payload: []byte{3, 232}})
	}
}

// listen reads what is told: numbers without a gap.
func (s *soak) listen(p *conformance.Peer, name string) {
	last := 0
	for {
		e, err := p.Read()
		switch {
		case err != nil:
			return
		case e.Opcode == conformance.Ping:
			_ = say(p, conformance.Frame{Opcode: conformance.Pong, Payload: e.Payload})
		case e.Opcode == conformance.Close:
			_ = say(p, conformance.Frame{Opcode: conformance.Close, Payload: e.Payload})
			return
		default:
			n, err := strconv.Atoi(string(e.Payload))
			if err != nil || last != 0 && n != last+1 {
				s.t.Errorf("%s was told %q after %d", name, e.Payload, last)
			}
			last = n
			s.told.Add(1)
		}
	}
}

// account waits for the connection's end on the server, and compares.
func (s *soak) account(name string, said int) {
	s.mu.Lock()
	r := s.of[name]
	s.mu.Unlock()
	select {
	case <-r.over:
	case <-time.After(20 * time.Second):
		s.t.Errorf("%s has not ended", name)
		return
	}
	if r.heard > said || r.heard < said && r.cause == nil {
		s.t.Errorf("%s said %d messages, %d came, and it ended because of %v", name, said, r.heard, r.cause)
	}
}
