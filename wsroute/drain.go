package wsroute

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"example.com/usher/internal/wsconn"
)

// drainPace is how many connections are told to go in a second, unless
// Config.DrainWindow is too short for that: they all come back elsewhere.
const drainPace = 10_000

// Drained is what became of the connections of a router.
type Drained struct {
	// Clean is how many ended with the full closing handshake, and Forced how many
	// without, because the peer was lost or took part too late.
	Clean, Forced int
	// Stuck is how many have not ended: their handlers or cleanups still run.
	Stuck int
}

// Ready says whether the router takes connections. A health check for a load
// balancer asks it: it is false before Mount, after a Mount that failed, and as soon as
// Drain begins.
func (r *Router) Ready() bool {
	return !r.shared.hub.draining() && r.wiring() == nil
}

// draining says whether Drain has been called.
func (h *hub) draining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.empty != nil
}

// Drain refuses new connections with 503, and handshakes in flight too, and closes
// all others with 1012 "server_restart", spread over as much of Config.DrainWindow as
// 10 000 a second need, in random order. It returns when every handler has returned
// and every cleanup has run. When ctx ends before that, it cuts off the sockets that
// are left and returns an error. It may be called again, to wait longer for handlers. With
// [Config.Broker] it takes up to 4 s more, to publish what waits and to say goodbye.
// A drained router takes no connection any more.
func (r *Router) Drain(ctx context.Context) (Drained, error) {
	if c := r.shared.cluster.Load(); c != nil {
		defer c.leave()
	}
	h := &r.shared.hub
	h.closeAll(ctx, h.beginDrain())
	select {
	case <-h.empty:
	case <-ctx.Done():
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	report := h.drained
	for p := range h.peers {
		report.Stuck++
		p.conn.Cut()
	}
	if report.Stuck == 0 {
		return report, nil
	}
	return report, fmt.Errorf("wsroute: drain: %d connections have not ended: %w",
		report.Stuck, context.Cause(ctx))
}

// beginDrain ends the handshakes in flight and returns the open connections.
func (h *hub) beginDrain() (open []*peer) {
	h.mu.Lock()
	if h.empty == nil {
		h.empty = make(chan struct{})
		if len(h.peers) == 0 {
			close(h.empty)
		}
	}
	var early []*peer
	for p := range h.peers {
		if p.counted.handshake {
			early = append(early, p)
		} else {
			open = append(open, p)
		}
	}
	h.mu.Unlock()
	for _, p := range early {
		p.restart()
	}
	return open
}

// restart closes a connection because the server goes.
func (p *peer) restart() {
	p.conn.End(ErrDraining, wsconn.CodeRestart, "server_restart", false)
}

// closeAll closes connections, each in its share of Config.DrainWindow; once ctx has ended, the
// rest at once.
func (h *hub) closeAll(ctx context.Context, open []*peer) {
	rand.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
	n := time.Duration(max(1, len(open)))
	share := min(h.config.DrainWindow/n, time.Second/drainPace)
	begin, due := time.Now(), time.Duration(0)
	for _, p := range open {
		due += 2 * rand.N(share+1)
		if early := due - time.Since(begin); early > 0 { // a timer that was late is made up for
			select {
			case <-time.After(early):
			case <-ctx.Done():
			}
		}
		p.restart()
	}
}
