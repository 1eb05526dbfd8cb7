package processes_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"
)

// kills is how often the broker is killed.
func kills() int {
	if os.Getenv("PROCESSES") == "full" {
		return 10
	}
	return 2
}

const (
	rooms     = 50
	perServer = 1000
)

// crowd are the clients of a cluster.
type crowd struct {
	*cluster
	clients map[string]*client // by their subject, which names server and number
	room    map[string]string
	where   map[string]int // the server
}

// connectAll connects many to each server, some at a time.
func (c *cluster) connectAll() *crowd {
	c.t.Helper()
	all := &crowd{cluster: c, clients: map[string]*client{}, room: map[string]string{}, where: map[string]int{}}
	var mu sync.Mutex
	var wait sync.WaitGroup
	places := make(chan struct{}, 50)
	for i := range perServer * len(c.servers) {
		wait.Add(1)
		places <- struct{}{}
		go func() {
			defer wait.Done()
			defer func() { <-places }()
			server := i % len(c.servers)
			sub, room := fmt.Sprintf("u%05d", i), fmt.Sprint("r", i%rooms)
			one, err := tryDial(c.servers[server], sub, room)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				c.t.Error(err)
				return
			}
			all.clients[sub], all.room[sub], all.where[sub] = one, room, server
		}()
	}
	wait.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
	return all
}

// members returns who is in a room.
func (c *crowd) members(room string) (subs []string) {
	for sub, r := range c.room {
		if r == room {
			subs = append(subs, sub)
		}
	}
	slices.Sort(subs)
	return subs
}

// agrees waits until all rooms are known everywhere.
func (c *crowd) agrees(limit time.Duration) time.Duration {
	c.t.Helper()
	begun := time.Now()
	for r := range rooms {
		room := fmt.Sprint("r", r)
		c.agree(max(limit-time.Since(begun), time.Second), room, c.members(room))
	}
	return time.Since(begun)
}

// forget takes a client out.
func (c *crowd) forget(sub string) {
	delete(c.clients, sub)
	delete(c.room, sub)
	delete(c.where, sub)
}

// some returns a subject.
func (c *crowd) some() string {
	for sub := range c.clients {
		return sub
	}
	c.t.Fatal("nobody is left")
	return ""
}

// lost says which clients have ended that should not have.
func (c *crowd) lost() (subs []string) {
	for sub, one := range c.clients {
		if !one.open() {
			subs = append(subs, fmt.Sprint(sub, " ", one.code))
		}
	}
	return subs
}

// liveAgain returns when the revocations of a server were live for the last time.
func (s *server) liveAgain(t *testing.T, after time.Time) time.Time {
	t.Helper()
	var at time.Time
	until(t, within, func() (err error) {
		at, err = s.gap(after, func(text string) bool { return text == "faults.revoked live" })
		return err
	})
	return at
}

// gap returns when the first one after a time was told that is wanted.
func (s *server) gap(after time.Time, wanted func(text string) bool) (time.Time, error) {
	text, err := s.ask("/gaps", nil)
	if err != nil {
		return time.Time{}, err
	}
	for line := range strings.Lines(text) {
		nanos, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseInt(nanos, 10, 64)
		if err != nil {
			return time.Time{}, err
		}
		if when := time.Unix(0, n); when.After(after) && wanted(rest) {
			return when, nil
		}
	}
	return time.Time{}, fmt.Errorf("none since %v in\n%s", after, text)
}

func (s *server) goroutines(t *testing.T) int {
	t.Helper()
	text, err := s.ask("/goroutines", nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestTheBrokerIsKilled for 5 s, again and again, under traffic: no connection is lost, who is
// revoked meanwhile is gone 1 s after the gap, all know who is present within 45 s, and at the end
// no goroutine is left.
func TestTheBrokerIsKilled(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		c := startCluster(t, kind)
		before := make([]int, len(c.servers))
		for i, s := range c.servers {
			before[i] = s.goroutines(t)
		}
		all := c.connectAll()
		t.Logf("%d connected, presence agrees after %v", len(all.clients), all.agrees(45*time.Second))
		for i := range 300 { // so that the log has something to be read
			if _, err := c.servers[i%3].ask("/revoke", url.Values{"sub": {fmt.Sprint("nobody", i)}}); err != nil {
				t.Fatal(err)
			}
		}
		for n := range kills() {
			all.kill(n)
		}
		for _, one := range all.clients {
			_ = one.conn.Close()
		}
		all.clients, all.room = nil, nil
		for i, s := range c.servers {
			until(t, within, func() error {
				if now := s.goroutines(t); now > before[i]+5 { // those that answer the question
					return fmt.Errorf("server %d has %d goroutines, %d before", i, now, before[i])
				}
				return nil
			})
		}
	})
}

// kill lets the broker be away for a while.
func (c *crowd) kill(n int) {
	t := c.t
	t.Helper()
	stop := c.talk()
	c.broker.end(syscall.SIGKILL)
	killed := time.Now()
	type revoked struct {
		sub       string
		by, where int
		client    *client
	}
	var gone []revoked
	var asking sync.WaitGroup
	for i := range 5 { // one a second
		r := revoked{sub: c.some(), by: i % len(c.servers)}
		r.client, r.where = c.clients[r.sub], c.where[r.sub]
		asking.Go(func() { // who is told of it waits for the broker
			_, err := c.servers[r.by].ask("/revoke", url.Values{"sub": {r.sub}})
			if err == nil && time.Since(killed) < 5*time.Second {
				t.Errorf("kill %d: Revoke has no error, and the broker is away", n)
			}
		})
		if r.by == r.where {
			r.client.ended(t, time.Second) // here at once
		}
		gone = append(gone, r)
		c.forget(r.sub)
		if i == 2 { // somebody leaves, and somebody comes, meanwhile
			left := c.some()
			_ = c.clients[left].conn.Close()
			c.forget(left)
			sub := fmt.Sprint("late", n)
			came, err := tryDial(c.servers[r.by], sub, "r0")
			if err != nil {
				t.Fatal(err)
			}
			c.clients[sub], c.room[sub], c.where[sub] = came, "r0", r.by
		}
		<-time.After(time.Until(killed.Add(time.Duration(i+1) * time.Second)))
	}
	c.broker.comes()
	back := time.Now()
	live := make([]time.Time, len(c.servers))
	for i, s := range c.servers {
		live[i] = s.liveAgain(t, killed)
	}
	var latest time.Duration
	for _, r := range gone {
		code, when := r.client.ended(t, within)
		if code != 3000 {
			t.Errorf("kill %d: %s ended with %d", n, r.sub, code)
		}
		gapEnd := live[r.by] // of the process that was told, and of the one that must hear it
		if live[r.where].After(gapEnd) {
			gapEnd = live[r.where]
		}
		late := when.Sub(gapEnd)
		latest = max(latest, late)
		if late > time.Second {
			t.Errorf("kill %d: %s, revoked by %d, was there %v after the gap", n, r.sub, r.by, late)
		}
	}
	took := c.agrees(45 * time.Second)
	stop()
	asking.Wait()
	if lost := c.lost(); len(lost) > 0 {
		t.Errorf("kill %d: lost %v", n, lost)
	}
	t.Logf("kill %d: live %v after the broker, the last revoked gone %v after that, presence agrees after %v",
		n, slices.MaxFunc(live, time.Time.Compare).Sub(back), latest, took)
}

// talk lets some clients speak, until stop.
func (c *crowd) talk() (stop func()) {
	end := make(chan struct{})
	var wait sync.WaitGroup
	speakers := make([]*client, 0, 50)
	for _, one := range c.clients {
		if len(speakers) < cap(speakers) {
			speakers = append(speakers, one)
		}
	}
	wait.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-end:
				return
			case <-time.After(20 * time.Millisecond):
				speakers[rand.IntN(len(speakers))].say(n) //nolint:gosec // no secret
			}
		}
	})
	return func() {
		close(end)
		wait.Wait()
	}
}

// TestRevokeIsFast: on another process, p99 of 500.
func TestRevokeIsFast(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		c := startCluster(t, kind)
		const n = 500
		var took []time.Duration
		for i := range n {
			sub := fmt.Sprint("fast", i)
			one := dial(t, c.servers[1+i%2], sub, "r")
			begun := time.Now()
			if _, err := c.servers[0].ask("/revoke", url.Values{"sub": {sub}}); err != nil {
				t.Fatal(err)
			}
			code, when := one.ended(t, within)
			if code != 3000 {
				t.Fatalf("ended with %d", code)
			}
			took = append(took, when.Sub(begun))
		}
		slices.Sort(took)
		t.Logf("p50 %v, p99 %v, most %v", took[n/2], took[n*99/100], took[n-1])
		if took[n*99/100] > 100*time.Millisecond {
			t.Errorf("p99 is %v", took[n*99/100])
		}
	})
}

// TestAProcessEnds: its members leave everywhere, at once after SIGTERM, and within 45 s after
// SIGKILL.
func TestAProcessEnds(t *testing.T) {
	c := startCluster(t, "nats")
	last := func(names ...string) {
		for i := range c.servers {
			dial(t, c.servers[i], names[i], "r")
		}
		c.agree(within, "r", names)
	}
	last("a", "b", "c")
	begun := time.Now()
	c.servers[2].end(syscall.SIGTERM)
	ended := time.Now()
	c.servers = c.servers[:2]
	c.agree(2*time.Second, "r", []string{"a", "b"})
	t.Logf("SIGTERM: the process ends after %v, its member is gone %v after that", ended.Sub(begun), time.Since(ended))
	c.servers[1].end(syscall.SIGKILL)
	c.servers = c.servers[:1]
	t.Logf("SIGKILL: gone after %v", c.agree(45*time.Second, "r", []string{"a"}))
}

// order checks that a client gets the messages of each goroutine of each process in its order, and
// that all clients get those of one process in the same order.
type order struct {
	mu    sync.Mutex
	next  map[string]int
	all   []string
	wrong []string
}

func follow(c *client) *order {
	o := &order{next: map[string]int{}}
	c.onSaid(func(m said) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if m.N != o.next[m.From] {
			o.wrong = append(o.wrong, fmt.Sprintf("%s: %d in place of %d", m.From, m.N, o.next[m.From]))
		}
		o.next[m.From] = m.N + 1
		o.all = append(o.all, fmt.Sprint(m.From, " ", m.N))
	})
	return o
}

func (o *order) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.all)
}

// of returns the messages of one process.
func (o *order) of(process string) (texts []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, text := range o.all {
		if strings.HasPrefix(text, process) {
			texts = append(texts, text)
		}
	}
	return texts
}

// TestOrder: 4,000 messages of 8 goroutines in each process come to all members in one order per
// process.
func TestOrder(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		c := startCluster(t, kind)
		var orders []*order
		for i, s := range c.servers {
			orders = append(orders, follow(dial(t, s, fmt.Sprint(i), "r")))
		}
		c.agree(within, "r", []string{"0", "1", "2"})
		const n = 4000
		c.burst(n, 0, "r")
		for i, o := range orders {
			until(t, within, func() error {
				if got := o.count(); got != n*len(c.servers) {
					return fmt.Errorf("member %d has got %d messages of %d", i, got, n*len(c.servers))
				}
				return nil
			})
			if len(o.wrong) > 0 {
				t.Errorf("member %d: %d out of order, the first %s", i, len(o.wrong), o.wrong[0])
			}
			for _, process := range []string{"a", "b", "c"} {
				if !slices.Equal(o.of(process), orders[0].of(process)) {
					t.Errorf("members 0 and %d got the messages of %s in different orders", i, process)
				}
			}
		}
	})
}

// burst lets all servers send to a room at once, and returns how long the slowest took.
func (c *cluster) burst(n, size int, room string) (took time.Duration) {
	c.t.Helper()
	var wait sync.WaitGroup
	times := make([]time.Duration, len(c.servers))
	for i, s := range c.servers {
		wait.Go(func() {
			text, err := s.ask("/burst", url.Values{"n": {strconv.Itoa(n)}, "wide": {"8"}, "size": {strconv.Itoa(size)}, "room": {room}})
			if err != nil {
				c.t.Errorf("server %d: %v", i, err)
				return
			}
			times[i], _ = time.ParseDuration(text)
		})
	}
	wait.Wait()
	return slices.Max(times)
}

// TestRate compares what three processes deliver, each in a room of its own without a broker, with
// what they deliver in one room over it: as many messages to as many members.
func TestRate(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		const members, messages = 100, 300
		var rates []float64
		for _, with := range []string{"none", kind, "none", kind} {
			rates = append(rates, rate(t, with, members, messages))
		}
		alone, together := max(rates[0], rates[2]), max(rates[1], rates[3])
		t.Logf("deliveries a second and process: %.0f alone, %.0f in one room of three processes: %.2f", alone, together, together/alone)
	})
}

func rate(t *testing.T, kind string, members, messages int) float64 {
	t.Helper()
	c := &cluster{t: t}
	at := ""
	if kind != "none" {
		c.broker = newBroker(t, kind)
		at = c.broker.at
	}
	for _, name := range []string{"a", "b", "c"} {
		c.servers = append(c.servers, startServer(t, name, kind, at))
	}
	var orders []*order
	for _, s := range c.servers {
		for i := range members {
			orders = append(orders, follow(dial(t, s, fmt.Sprintf("m%03d", i), "r")))
		}
	}
	for _, s := range c.servers { // all have joined, and those elsewhere are known
		want := members
		if kind != "none" {
			want *= len(c.servers)
		}
		until(t, within, func() error {
			text, err := s.present("r")
			if got := len(strings.Fields(text)); err != nil || got != want {
				return fmt.Errorf("%d are present: %w", got, err)
			}
			return nil
		})
	}
	each, want := messages*len(c.servers), messages*len(c.servers)
	if kind != "none" { // a message comes to the members of all
		each = messages
	}
	begun := time.Now()
	c.burst(each/8*8, 0, "r")
	want = want / 8 * 8
	if kind != "none" {
		want = each / 8 * 8 * len(c.servers)
	}
	for i, o := range orders {
		until(t, within, func() error {
			if got := o.count(); got != want {
				return fmt.Errorf("member %d has got %d messages of %d", i, got, want)
			}
			return nil
		})
		if len(o.wrong) > 0 {
			t.Errorf("member %d: %d out of order, the first %s", i, len(o.wrong), o.wrong[0])
		}
	}
	took := time.Since(begun)
	for _, s := range c.servers {
		s.end(syscall.SIGTERM)
	}
	if c.broker != nil {
		c.broker.end(syscall.SIGKILL)
	}
	return float64(want*members) / took.Seconds()
}

// TestWhatABrokerDoesNotTake harms nobody but its sender.
func TestWhatABrokerDoesNotTake(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		t.Setenv("MAX_PAYLOAD", "65536") // of NATS
		c := startCluster(t, kind)
		a, b := dial(t, c.servers[0], "a", "r"), dial(t, c.servers[1], "b", "r")
		long := strings.Repeat("x", 5000)
		dial(t, c.servers[0], "long", long)
		dial(t, c.servers[1], "all", ">")
		c.agree(within, "r", []string{"a", "b"})
		c.agree(within, long, []string{"long"})
		c.agree(within, ">", []string{"all"})
		heard := follow(b)
		size := "70000"
		if kind == "redis" {
			size = "1100000"
		}
		_, err := c.servers[0].ask("/burst", url.Values{"n": {"1"}, "wide": {"1"}, "size": {size}, "room": {"r"}})
		if err == nil || !strings.Contains(err.Error(), "more than the broker's MaxPayload") {
			t.Errorf("got %v", err)
		}
		c.garbage()
		for _, s := range c.servers {
			if _, err := s.ask("/burst", url.Values{"n": {"1"}, "wide": {"1"}, "size": {"10"}, "room": {"r"}}); err != nil {
				t.Error(err)
			}
		}
		until(t, within, func() error {
			if got := heard.count(); got != 3 {
				return fmt.Errorf("%d messages have come", got)
			}
			return nil
		})
		c.agree(within, "r", []string{"a", "b"})
		if !a.open() || !b.open() {
			t.Error("a connection is lost")
		}
	})
}

// garbage publishes what is in no form of usher to its topics.
func (c *cluster) garbage() {
	c.t.Helper()
	var publish func(topic, text string) error
	if c.broker.kind == "nats" {
		conn, err := nats.Connect("nats://" + c.broker.at)
		if err != nil {
			c.t.Fatal(err)
		}
		defer conn.Close()
		publish = func(topic, text string) error {
			if err := conn.Publish(topic, []byte(text)); err != nil {
				return err
			}
			return conn.Flush()
		}
	} else {
		client := redis.NewClient(&redis.Options{Addr: c.broker.at})
		defer func() { _ = client.Close() }()
		publish = func(topic, text string) error { return client.Publish(c.t.Context(), topic, text).Err() }
	}
	head := "u1m" + strings.Repeat("i", 16) + "\x00\x00\x00\x00\x00\x00\x00"
	for i, text := range []string{"", "x", "u1", "u2m" + strings.Repeat("y", 100), head + "\x01", head + "\x02e\x01r", head + "\x03+\x01\xff", head + "\x04zzz", strings.Repeat("\xff", 10_000)} {
		for _, topic := range []string{"faults.revoked", "faults.rooms.rooms"} {
			if err := publish(topic, text); err != nil {
				c.t.Errorf("%d: %v", i, err)
			}
		}
	}
}
