package wsroute

import (
	"context"
	"sync"

	"example.com/usher/depends"
	"example.com/usher/internal/wsconn"
)

// Room is a set of connections that are told the same: the members of a chat, the
// watchers of a game. The zero value is an empty room. It must not be copied, and
// is safe for concurrent use.
//
// All members get the messages of a room in the same order. A message is encoded
// once, and nobody waits for a member that reads slowly: see [Conn.Send] for what
// becomes of it.
type Room[Send any] struct {
	mu      sync.Mutex
	members map[*peer]func() // how to stop watching for the end
}

// member is a *Conn[Recv, Send], of whatever Recv, or a Sender[Send].
type member[Send any] interface{ sends(Send) *peer }

func (c *Conn[Recv, Send]) sends(Send) *peer { return c.peer }

// Join adds a connection: a [*Conn] whose Send is the room's, or a [Sender]. It is gone from
// the room when it ends or the peer's close frame is read, or when leave is called. Joining
// again changes nothing.
func (r *Room[Send]) Join(conn member[Send]) (leave func()) {
	p := conn.sends(*new(Send))
	leave = func() { r.leave(p) }
	r.join(p, leave)
	return leave
}

// join adds a peer, unless it is here. leave is called when it ends.
func (r *Room[Send]) join(p *peer, leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, here := r.members[p]; here {
		return
	}
	if r.members == nil {
		r.members = map[*peer]func(){}
	}
	r.members[p] = p.conn.OnLeave(leave)
}

func (r *Room[Send]) leave(p *peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if stop, here := r.members[p]; here {
		stop()
		delete(r.members, p)
	}
}

// Len returns how many connections are in the room.
func (r *Room[Send]) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for p := range r.members {
		if p.conn.Outcome().Open {
			n++
		}
	}
	return n
}

// Send queues a message for every member. The error is of a message that does not
// encode, and then nobody is told. With the context of a message's handler that has cleanups
// to run, it waits for them: see [HandleMessages].
func (r *Room[Send]) Send(ctx context.Context, v Send) error {
	return r.send(ctx, v, func(*peer) bool { return true })
}

// SendOthers queues a message for every member but one, which gets its answer, say.
func (r *Room[Send]) SendOthers(ctx context.Context, but member[Send], v Send) error {
	self := but.sends(*new(Send))
	return r.send(ctx, v, func(p *peer) bool { return p != self })
}

// SendTo queues a message for the members that allowed says yes to. It is asked for
// each message anew, with who the member is now, as its providers have told
// [depends.Identify]; it must not call the room.
func (r *Room[Send]) SendTo(ctx context.Context, v Send, allowed func(depends.Identity) bool) error {
	return r.send(ctx, v, func(p *peer) bool { return allowed(p.authorised.Identity()) })
}

func (r *Room[Send]) send(ctx context.Context, v Send, to func(*peer) bool) error {
	encoded := map[*union]*wsconn.Outgoing{}
	if h := handlingOf(ctx); h.holds() {
		// Who is a member by then gets it, as it is now.
		r.mu.Lock()
		err := r.encode(v, encoded)
		r.mu.Unlock()
		if err != nil {
			return err
		}
		if h.hold(func() { _ = r.deliver(v, encoded, to) }) {
			return nil
		}
	}
	return r.deliver(v, encoded, to)
}

// encode writes a message for each codec among the members that it is not written for yet; r.mu
// is held.
func (r *Room[Send]) encode(v Send, encoded map[*union]*wsconn.Outgoing) (err error) {
	if len(r.members) == 0 && len(encoded) == 0 {
		encoded[nil], err = encode(v)
	}
	for p := range r.members {
		if u := p.endpoint.route.codec.out; encoded[u] == nil {
			if encoded[u], err = encodeFor(p, v); err != nil {
				return err
			}
		}
	}
	return err
}

// deliver queues a message. The error is of one that does not encode: nobody is told.
func (r *Room[Send]) deliver(
	v Send, encoded map[*union]*wsconn.Outgoing, to func(*peer) bool,
) error {
	defer func() {
		for _, m := range encoded {
			if m != nil {
				m.Release()
			}
		}
	}()
	r.mu.Lock() // while it is queued: that is what keeps the order
	defer r.mu.Unlock()
	if err := r.encode(v, encoded); err != nil {
		return err
	}
	for p := range r.members {
		if p.conn.Outcome().Open && to(p) { // a member that is lost or too slow ends by itself
			_ = p.conn.Send(context.Background(), encoded[p.endpoint.route.codec.out])
		}
	}
	return nil
}
