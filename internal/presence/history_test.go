package presence_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/usher/internal/link"
	"example.com/usher/internal/presence"
)

var histories = flag.Int("histories", usualHistories, "how many random histories TestHistories has")

// network is a broker between nodes that can be cut from each other.
type network struct {
	mu    sync.Mutex
	rand  *rand.Rand
	nodes map[*node]bool
	loss  float64 // of messages, without an error
	twice float64 // of messages, which come twice
	fails float64 // of Publish, whether or not it has been delivered
	late  time.Duration
}

// node is the broker as one process sees it.
type node struct {
	net   *network
	side  int  // nodes of two sides do not hear each other
	away  bool // the broker does not answer
	inbox chan []byte
	end   chan error // of the subscription
}

var errAway = errors.New("the broker is away")

func (*node) MaxPayload() int { return 1 << 20 }

func (n *node) Publish(_ context.Context, _ string, data []byte) error {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	if n.away {
		return errAway
	}
	for other := range n.net.nodes {
		times := 1
		if n.net.rand.Float64() < n.net.twice {
			times = 2
		}
		if other.side != n.side || other.away || n.net.rand.Float64() < n.net.loss {
			times = 0
		}
		for range times {
			select {
			case other.inbox <- data:
			default: // it is too slow
			}
		}
	}
	if n.net.rand.Float64() < n.net.fails {
		return errAway
	}
	return nil
}

func (n *node) Subscribe(ctx context.Context, _ string, receive func([]byte), live func()) error {
	n.net.mu.Lock()
	away := n.away
	if !away {
		n.net.nodes[n] = true
	}
	n.net.mu.Unlock()
	if away {
		return errAway
	}
	defer func() {
		n.net.mu.Lock()
		defer n.net.mu.Unlock()
		delete(n.net.nodes, n)
	}()
	live()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-n.end:
			return err
		case data := <-n.inbox:
			n.net.mu.Lock()
			late := time.Duration(n.net.rand.Int64N(int64(n.net.late) + 1))
			n.net.mu.Unlock()
			time.Sleep(late)
			receive(data)
		}
	}
}

// process is a program with the link and the table of its rooms.
type process struct {
	node  *node
	link  *link.Link
	table *presence.Table
	most  int // of a frame
	here  map[place]string
	last  uint64
}

type place struct {
	room   string
	number uint64
}

func start(net *network) *process {
	p := &process{here: map[place]string{}, most: 200}
	p.node = &node{net: net, inbox: make(chan []byte, 1000), end: make(chan error, 1)}
	ready := make(chan struct{}) // hooks may be called before there is a link
	send := func(post func() error) {
		select {
		case <-ready:
			_ = post() // the others notice
		default:
		}
	}
	p.table = presence.New(presence.Hooks{
		Send: func(frame []byte) { send(func() error { return p.link.Post(frame, nil) }) },
		SendAll: func() {
			send(func() error { return p.link.PostAll(func() [][]byte { return p.table.Snapshot(p.most) }) })
		},
		Changed: func(string) {},
		Decode: func(data []byte) (any, error) {
			var text string
			err := json.Unmarshal(data, &text)
			return text, err
		},
	})
	p.link = link.Start(p.node, "t", link.Hooks{
		Receive: func(from link.ID, data []byte) { p.table.Receive(from, data) },
		Gap:     func(string) {},
		State:   p.table.Digest,
		Heard:   p.table.Heard,
		Gone:    p.table.Gone,
		Failed:  func(error) {},
	})
	p.table.Begin(p.link.Self())
	close(ready)
	return p
}

func (p *process) put(room, text string) error {
	p.last++
	p.here[place{room, p.last}] = text
	data, err := json.Marshal(text)
	if err != nil {
		return err
	}
	return p.table.Put(room, p.last, data)
}

func (p *process) remove(r *rand.Rand) {
	if len(p.here) == 0 {
		return
	}
	places := make([]place, 0, len(p.here))
	for at := range p.here {
		places = append(places, at)
	}
	slices.SortFunc(places, func(a, b place) int { return int(a.number) - int(b.number) }) //nolint:gosec // they are small
	at := places[r.IntN(len(places))]
	delete(p.here, at)
	p.table.Remove(at.room, at.number)
}

// kill ends a process without a word. Nobody hears it any more.
func (p *process) kill() {
	p.node.net.mu.Lock()
	p.node.side = -1 // a goodbye reaches nobody
	p.node.net.mu.Unlock()
	p.link.Close()
}

// history lets things happen to some processes, and returns those that are alive.
func history(t *testing.T, r *rand.Rand, net *network, report func(string, ...any)) (alive []*process) {
	for range 2 + r.IntN(3) {
		alive = append(alive, start(net))
	}
	for step := range 10 + r.IntN(40) {
		i := r.IntN(len(alive))
		p := alive[i]
		what := r.IntN(20)
		net.mu.Lock()
		switch what {
		case 0:
			p.node.side = 1 - p.node.side&1
		case 1:
			p.node.away = !p.node.away
			if p.node.away && r.IntN(2) == 0 { // or it hangs
				select {
				case p.node.end <- errAway:
				default:
				}
			}
		case 2:
			net.loss = r.Float64() / 2
		case 3:
			net.twice, net.late = r.Float64()/2, time.Duration(r.Int64N(int64(time.Second)))
		case 4:
			net.fails = r.Float64() / 2
		}
		net.mu.Unlock()
		switch {
		case what == 5 && len(alive) > 1:
			p.kill()
			alive = slices.Delete(alive, i, i+1)
		case what == 6 && len(alive) > 1:
			p.link.Close()
			alive = slices.Delete(alive, i, i+1)
		case what == 7 && len(alive) < 5:
			alive = append(alive, start(net))
		case what >= 8 && what < 15:
			if err := p.put(fmt.Sprint("room ", r.IntN(3)), fmt.Sprint(step)); err != nil {
				t.Error(err)
			}
		case what >= 15 && what < 18:
			p.remove(r)
		}
		report("%v: %d to %d of %d", time.Now().Format("05.000"), what, i, len(alive))
		time.Sleep(time.Duration(r.Int64N(int64(5 * time.Second))))
	}
	return alive
}

// heal ends all that is wrong with the network.
func (n *network) heal(alive []*process) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss, n.twice, n.fails, n.late = 0, 0, 0, 0
	for _, p := range alive {
		p.node.side, p.node.away = 0, false
	}
}

// TestHistories: whatever has happened, 45 s after it all know the same. Nothing here compares the
// clocks of two processes: they send no times.
func TestHistories(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for n := range *histories {
		if !t.Run("", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { converges(t, seed, uint64(n)) }) }) { //nolint:gosec // no n is negative
			t.Fatalf("history %d of seed %d", n, seed)
		}
	}
}

func converges(t *testing.T, seed, n uint64) {
	r := rand.New(rand.NewPCG(seed, n))                                             //nolint:gosec // no secret
	net := &network{nodes: map[*node]bool{}, rand: rand.New(rand.NewPCG(seed, ^n))} //nolint:gosec // no secret
	var story []string
	alive := history(t, r, net, func(format string, args ...any) { story = append(story, fmt.Sprintf(format, args...)) })
	net.heal(alive)
	time.Sleep(45 * time.Second)
	want := map[string][]string{}
	for _, p := range alive {
		for at, text := range p.here {
			want[at.room] = append(want[at.room], text)
		}
	}
	for _, texts := range want {
		slices.Sort(texts)
	}
	got := make([]map[string][]string, len(alive))
	for i, p := range alive {
		got[i] = map[string][]string{}
		for room := range 3 {
			room := fmt.Sprint("room ", room)
			for _, text := range p.table.Present(room) {
				got[i][room] = append(got[i][room], text.(string)) //nolint:forcetypeassert // Decode makes them
			}
			slices.Sort(got[i][room])
			if diff := cmp.Diff(want[room], got[i][room]); diff != "" {
				t.Errorf("process %d, %s (-want +got):\n%s", i, room, diff)
			}
		}
	}
	if t.Failed() {
		t.Log(story)
	}
	for _, p := range alive {
		p.link.Close()
	}
}
