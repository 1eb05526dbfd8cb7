package wsroute

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"example.com/usher/depends"
	"example.com/usher/internal/graph"
	"example.com/usher/internal/link"
	"example.com/usher/internal/presence"
	"example.com/usher/internal/wsconn"
)

// ErrBrokerBehind is the error of a message for which there is no room in the queue for the broker,
// of 8 MiB. The members in this process have got it, and those in others have not.
var ErrBrokerBehind = errors.New("wsroute: the broker takes messages more slowly than they are sent")

// Rooms are rooms by their name, with what their members tell of themselves, in all processes of
// the program: see [NewRooms]. A room is there as long as it has members. All methods are safe
// for concurrent use.
//
// The members in a process get the messages of a room that one process sends in the order in
// which it has sent them. Messages from several processes may be in another order here than there.
// What a process sends while it is cut off from the broker, others do not get.
//
// A room's name is any string, and no secret: it is not among those of the broker's topics.
type Rooms[Event, Presence any] struct {
	shared   *shared
	topic    topic
	union    *union                  // nil if Event is a type of its own
	types    map[string]reflect.Type // of its messages
	seed     maphash.Seed
	stripes  [64]stripe[Event]
	table    *presence.Table
	joined   atomic.Uint64 // how many have, which is a member's number
	asked    atomic.Bool   // for all that is present, which waits to be published
	unknown  budget        // of log lines, guarded by the topic's hooks
	mu       sync.Mutex
	onChange func(room string, present []Presence)
	changed  map[string]bool // rooms of which onChange is to be told; nil while nobody tells it
}

// stripe has some of the rooms. Its lock keeps the order in which messages go to the members and
// to the broker.
type stripe[Event any] struct {
	mu    sync.Mutex
	rooms map[string]*membership[Event]
}

type membership[Event any] struct {
	Room[Event]
	numbers map[*peer]uint64
}

// Audience says which members are meant: those whose [depends.Identity] agrees with everything that
// is set, at the moment in which a message reaches their process. The zero value means all.
type Audience struct {
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject,omitempty"`
	Session string `json:"session,omitempty"`
	// Scope is one that the credential of the member's connection grants, as [Scopes] asks it.
	Scope string `json:"scope,omitempty"`
}

func (a Audience) has(p *peer) bool {
	if a == (Audience{}) {
		return true
	}
	who := Revocation{Issuer: a.Issuer, Subject: a.Subject, Session: a.Session}
	return who.matches(p.authorised.Identity(), p.since) &&
		(a.Scope == "" || p.kept != nil && p.kept.Granted(a.Scope))
}

// NewRooms returns the rooms of a router, whose members are told Events, and tell Presences of
// themselves. With [Config.Broker] they reach over all processes whose Config.Name and name are
// the same; name is 1 to 64 of a to z, 0 to 9, _ and -. members are the types of Event, as for
// [HandleMessages]; nil if Event is a struct, say, that loops send.
//
// Events and Presences cross as JSON, and must be the same when it is read. A process that knows
// another version of a type reads what it knows of it, and passes over names that it does not know;
// the log says "message of another version", at most once a minute.
//
// Faults are told by Mount. After Mount, NewRooms panics.
func NewRooms[Event, Presence any](
	r *Router, name string, members Union[Event],
) *Rooms[Event, Presence] {
	s := r.shared
	if s.mounted.Load().begun {
		misuse("NewRooms %s after Mount", name)
	}
	rooms := &Rooms[Event, Presence]{
		shared: s, seed: maphash.MakeSeed(), types: map[string]reflect.Type{},
	}
	rooms.table = presence.New(presence.Hooks{
		Send:    func(frame []byte) { _ = rooms.post(frame, nil) }, // the others notice
		SendAll: rooms.postPresence,
		Changed: rooms.tellOf,
		Decode: func(data []byte) (any, error) {
			var p Presence
			var err error
			panicked := protect("reading a Presence", func() { err = json.Unmarshal(data, &p) })
			return p, cmp.Or(panicked, err)
		},
	})
	note := func(text string) {
		s.bad = append(s.bad, fmt.Sprintf("NewRooms(%q) at %v: %s", name, graph.Caller(), text))
	}
	if !topicName.MatchString(name) || s.roomNames[name] {
		note("the name must be 1 to 64 of a to z, 0 to 9, _ and -, and no other rooms' of the router")
	}
	s.roomNames[name] = true
	if event := reflect.TypeFor[Event](); members != nil || event.Kind() == reflect.Interface {
		u, bad := newUnion(members, nil, false)
		for _, text := range bad {
			note(text)
		}
		if members == nil {
			note("no type is named, and " + graph.TypeName(event) + " is an interface")
		}
		rooms.union = u
		for t, name := range u.names {
			rooms.types[name] = t
		}
	} else {
		rooms.types[""] = event
	}
	s.rooms = append(s.rooms, func() *topic {
		rooms.join(name)
		return &rooms.topic
	})
	return rooms
}

// join begins to listen to the other processes.
func (r *Rooms[Event, Presence]) join(name string) {
	r.topic.join(r.shared, "rooms."+name, link.Hooks{
		Receive: r.receive,
		Gap:     func(string) {}, // the table finds out by itself
		State:   r.table.Digest,
		Heard:   r.table.Heard,
		Gone:    r.table.Gone,
	})
	r.table.Begin(r.topic.link.Self())
}

// OnChange lets f be called when somebody has joined or left a room, or tells something else of
// themselves, in any process: f may tell the members here, by [Rooms.SendLocal]. present is as
// [Rooms.Present] returns it. There is one call at a time, of several changes that are close
// together. It is called before Mount, once.
func (r *Rooms[Event, Presence]) OnChange(f func(room string, present []Presence)) {
	if r.shared.mounted.Load().begun || r.onChange != nil {
		misuse("OnChange after Mount, or twice")
	}
	r.onChange = f
}

// tellOf has onChange called.
func (r *Rooms[Event, Presence]) tellOf(room string) {
	if r.onChange == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = map[string]bool{}
		go r.tellAll()
	}
	r.changed[room] = true
}

func (r *Rooms[Event, Presence]) tellAll() {
	told := false
	defer func() {
		if !told { // onChange has ended the goroutine
			go r.tellAll()
		}
	}()
	for {
		r.mu.Lock()
		changed := r.changed
		if r.changed = map[string]bool{}; len(changed) == 0 {
			r.changed = nil
		}
		r.mu.Unlock()
		if len(changed) == 0 {
			told = true
			return
		}
		for room := range changed {
			if err := protect("OnChange", func() { r.onChange(room, r.Present(room)) }); err != nil {
				r.shared.config.Logger.Error("OnChange failed", "error", short(err.Error()))
			}
		}
	}
}

// in calls f with a room, nil if it has no members here, under the lock of its stripe.
func (r *Rooms[Event, Presence]) in(
	room string, f func(*stripe[Event], *membership[Event]) error,
) error {
	s := &r.stripes[maphash.String(r.seed, room)%uint64(len(r.stripes))]
	s.mu.Lock()
	defer s.mu.Unlock()
	return f(s, s.rooms[room])
}

// Join makes a connection a member of a room, until it ends or the peer's close frame is read, or
// [Rooms.Leave] is called. Joining again replaces what it tells of itself. The error is of a
// Presence that does not survive JSON or is too large for the broker, or of a route whose Union
// lacks a type of the rooms'. A handler whose cleanups fail has joined all the same.
func (r *Rooms[Event, Presence]) Join(conn member[Event], room string, tells Presence) error {
	data, err := json.Marshal(tells)
	if err != nil {
		return fmt.Errorf("wsroute: Join: %w", err)
	}
	if err := r.fits(presence.EntryMost + len(room) + len(data)); err != nil {
		return err
	}
	p := conn.sends(*new(Event))
	if p == nil {
		return errors.New("wsroute: Join: a Sender of no connection")
	}
	if err := r.speaks(p); err != nil {
		return err
	}
	return r.in(room, func(s *stripe[Event], m *membership[Event]) error {
		if m == nil {
			m = &membership[Event]{numbers: map[*peer]uint64{}}
		}
		number := m.numbers[p]
		if number == 0 {
			number = r.joined.Add(1)
		}
		if err := r.table.Put(room, number, data); err != nil {
			return fmt.Errorf("wsroute: Join: %w", err)
		}
		if s.rooms == nil {
			s.rooms = map[string]*membership[Event]{}
		}
		s.rooms[room], m.numbers[p] = m, number
		m.join(p, func() { r.leave(p, room) })
		return nil
	})
}

// speaks says whether the route of a peer has all messages of the rooms.
func (r *Rooms[Event, Presence]) speaks(p *peer) error {
	u := p.endpoint.route.codec.out
	if r.union == nil || u == nil {
		return nil
	}
	for t := range r.union.names {
		if _, ok := u.names[t]; !ok {
			return fmt.Errorf("wsroute: Join: %s is in the Union of the rooms, and not in that of %s",
				graph.TypeName(t), p.endpoint.target.Label)
		}
	}
	return nil
}

// Leave ends a membership.
func (r *Rooms[Event, Presence]) Leave(conn member[Event], room string) {
	r.leave(conn.sends(*new(Event)), room)
}

func (r *Rooms[Event, Presence]) leave(p *peer, room string) {
	_ = r.in(room, func(s *stripe[Event], m *membership[Event]) error {
		if m == nil || m.numbers[p] == 0 {
			return nil
		}
		m.leave(p)
		r.table.Remove(room, m.numbers[p])
		if delete(m.numbers, p); len(m.numbers) == 0 {
			delete(s.rooms, room)
		}
		return nil
	})
}

// Present returns what the members of a room tell of themselves, in all processes and in the same
// order everywhere: one for each connection, which must not be changed. It asks nobody. A process
// that has died is noticed within 35 s.
func (r *Rooms[Event, Presence]) Present(room string) []Presence {
	values := r.table.Present(room)
	present := make([]Presence, len(values))
	for i, v := range values {
		present[i], _ = v.(Presence) // nil is none, of an any
	}
	return present
}

// Send queues a message for all members. The error is of a message that does not encode or is too
// large for the broker, and then nobody is told; or [ErrBrokerBehind], or [ErrDraining] after a
// drain. Nothing says that the broker has it: while it is away, other processes do not hear it.
// With the context of a message's handler that has cleanups to run, it waits for them (see
// [HandleMessages]), and an error is logged.
func (r *Rooms[Event, Presence]) Send(ctx context.Context, room string, v Event) error {
	return r.send(ctx, room, v, Audience{}, nil)
}

// SendOthers queues a message for all members but one, which gets its answer, say.
func (r *Rooms[Event, Presence]) SendOthers(
	ctx context.Context, but member[Event], room string, v Event,
) error {
	return r.send(ctx, room, v, Audience{}, but.sends(v))
}

// SendTo queues a message for those members that are meant: see [Audience].
func (r *Rooms[Event, Presence]) SendTo(
	ctx context.Context, room string, to Audience, v Event,
) error {
	return r.send(ctx, room, v, to, nil)
}

// SendLocal queues a message for the members in this process, if allowed, unless it is nil, says
// yes to who they are now; it must not call the rooms. It is for what reaches every process in
// another way.
func (r *Rooms[Event, Presence]) SendLocal(
	room string, v Event, allowed func(depends.Identity) bool,
) error {
	return r.in(room, func(_ *stripe[Event], m *membership[Event]) error {
		return m.tell(v, func(p *peer) bool {
			return allowed == nil || allowed(p.authorised.Identity())
		})
	})
}

// tell queues a message for members here.
func (m *membership[Event]) tell(v Event, to func(*peer) bool) error {
	if m == nil { // it must have a form, all the same
		return new(Room[Event]).deliver(v, map[*union]*wsconn.Outgoing{}, to)
	}
	return m.deliver(v, map[*union]*wsconn.Outgoing{}, to)
}

func (r *Rooms[Event, Presence]) send(
	ctx context.Context, room string, v Event, to Audience, but *peer,
) error {
	frame, err := r.encode(ctx, room, v, to)
	if err != nil {
		return err
	}
	deliver := func(v Event) error {
		return r.in(room, func(_ *stripe[Event], m *membership[Event]) error {
			err := m.tell(v, func(p *peer) bool { return p != but && to.has(p) })
			if err != nil {
				return err
			}
			return r.post(frame, nil)
		})
	}
	h := handlingOf(ctx)
	if frame == nil || !h.holds() {
		return deliver(v)
	}
	then, _, err := r.decode(frame[1:]) // as it is when it is sent
	if err != nil {
		return err
	}
	held := h.hold(func() {
		if err := deliver(then); err != nil {
			h.logFailed(err)
		}
	})
	if !held {
		return deliver(then)
	}
	return nil
}

// The kinds of frames beside those of package presence.
const (
	frameEvent = 'e' // room, audience, type, data
	frameClose = 'c' // room, audience, closing
)

// encode returns the frame of a message, nil if nobody needs it.
func (r *Rooms[Event, Presence]) encode(
	ctx context.Context, room string, v Event, to Audience,
) (frame []byte, err error) {
	name := ""
	if r.union != nil {
		if name, err = r.union.nameOf(v); err != nil {
			return nil, err
		}
	}
	if r.shared.config.Broker == nil && !handlingOf(ctx).holds() {
		return nil, nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("wsroute: Send: %w", err)
	}
	frame, err = frameFor(frameEvent, room, to)
	if err != nil {
		return nil, err
	}
	frame = link.AppendPart(link.AppendPart(frame, []byte(name)), data)
	return frame, r.fits(len(frame))
}

func frameFor(kind byte, room string, to Audience) ([]byte, error) {
	audience := []byte(nil)
	if to != (Audience{}) {
		if !utf8.ValidString(to.Issuer + to.Subject + to.Session + to.Scope) {
			return nil, errors.New("wsroute: an Audience that is no UTF-8")
		}
		audience, _ = json.Marshal(to) // it has strings alone
	}
	return link.AppendPart(link.AppendPart([]byte{kind}, []byte(room)), audience), nil
}

// readAudience refuses what another version asks and this one does not know: it would mean all.
func readAudience(data []byte) (to Audience, err error) {
	if len(data) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.DisallowUnknownFields()
		if err = decoder.Decode(&to); err != nil {
			err = fmt.Errorf("an audience: %w", err)
		}
	}
	return to, err
}

// fits refuses what the broker does not carry.
func (r *Rooms[Event, Presence]) fits(size int) error {
	broker := r.shared.config.Broker
	if broker == nil || size+link.Overhead <= broker.MaxPayload() {
		return nil
	}
	return fmt.Errorf("wsroute: %d bytes are more than the broker's MaxPayload of %d",
		size+link.Overhead, broker.MaxPayload())
}

func (r *Rooms[Event, Presence]) post(frame []byte, done func(error)) error {
	if r.shared.cluster.Load() == nil {
		if done != nil {
			done(nil)
		}
		return nil
	}
	return ofLink(r.topic.link.Post(frame, done))
}

// ofLink says what an error of a link is called here.
func ofLink(err error) error {
	switch {
	case errors.Is(err, link.ErrBehind):
		return ErrBrokerBehind
	case errors.Is(err, link.ErrClosed):
		return ErrDraining
	}
	return err
}

// postPresence publishes who is here, once when it is its turn, however many have asked.
func (r *Rooms[Event, Presence]) postPresence() {
	if r.asked.Swap(true) {
		return
	}
	_ = r.topic.link.PostAll(func() [][]byte { // or it has ended
		r.asked.Store(false)
		return r.table.Snapshot(r.shared.config.Broker.MaxPayload() - link.Overhead)
	})
}

// closing is the end of connections.
type closing struct {
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

// Close ends the connections of members that are meant, in every process, with a close code and a
// reason: see [Conn.Close]. It returns when the broker has it, or ctx ends. After an error, those of
// this process have ended all the same, and others may end within 10 s.
func (r *Rooms[Event, Presence]) Close(
	ctx context.Context, room string, to Audience, code int, reason string,
) error {
	if !wsconn.Sendable(code) {
		return fmt.Errorf("wsroute: Rooms.Close: close code %d must not be sent", code)
	}
	end := closing{code, wsconn.CutReason(reason)}
	data, err := json.Marshal(end)
	if err != nil {
		return err
	}
	frame, err := frameFor(frameClose, room, to)
	if err != nil {
		return err
	}
	frame = link.AppendPart(frame, data)
	if err := r.fits(len(frame)); err != nil {
		return err
	}
	done := make(chan error, 1)
	err = r.in(room, func(_ *stripe[Event], m *membership[Event]) error {
		m.end(to, end)
		return r.post(frame, func(err error) { done <- err })
	})
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return ofLink(err)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (m *membership[Event]) end(to Audience, by closing) {
	if m == nil {
		return
	}
	for p := range m.numbers {
		if to.has(p) {
			p.conn.End(ErrClosed, by.Code, by.Reason, false)
		}
	}
}

// receive takes a frame of another process.
func (r *Rooms[Event, Presence]) receive(from link.ID, frame []byte) {
	var err error
	panicked := protect("reading a message of another process", func() { err = r.read(from, frame) })
	if err = cmp.Or(panicked, err); err == nil {
		return
	}
	r.topic.tell(BrokerInfo{Event: "error", Err: err})
	if r.unknown.take(time.Minute, 1) {
		r.shared.config.Logger.Warn("message of another version",
			"topic", r.topic.name, "error", short(err.Error()))
	}
}

func (r *Rooms[Event, Presence]) read(from link.ID, frame []byte) error {
	switch {
	case r.table.Receive(from, frame):
		return nil
	case len(frame) > 0 && frame[0] == frameEvent:
		return r.readEvent(frame[1:])
	case len(frame) > 0 && frame[0] == frameClose:
		return r.readClose(frame[1:])
	}
	return errors.New("a frame of another kind")
}

var errFrame = errors.New("a frame lacks a part")

// readEvent tells members here of a message.
func (r *Rooms[Event, Presence]) readEvent(parts []byte) error {
	room, _, ok := link.CutPart(parts)
	if !ok {
		return errFrame
	}
	return r.in(string(room), func(_ *stripe[Event], m *membership[Event]) error {
		if m == nil {
			return nil
		}
		v, to, err := r.decode(parts)
		if err != nil {
			return err
		}
		return m.tell(v, to.has)
	})
}

// decode reads the parts of a message.
func (r *Rooms[Event, Presence]) decode(parts []byte) (v Event, to Audience, err error) {
	_, rest, _ := link.CutPart(parts)
	audience, rest, _ := link.CutPart(rest)
	name, rest, _ := link.CutPart(rest)
	data, rest, ok := link.CutPart(rest)
	if !ok || len(rest) > 0 {
		return v, to, errFrame
	}
	t := r.types[string(name)]
	if t == nil {
		return v, to, fmt.Errorf("%q is no message of this version", short(string(name)))
	}
	if to, err = readAudience(audience); err != nil {
		return v, to, err
	}
	value, decoder := reflect.New(t), json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // an any keeps a large integer
	if err := decoder.Decode(value.Interface()); err != nil {
		return v, to, fmt.Errorf("message %q: %w", name, err)
	}
	v, _ = value.Elem().Interface().(Event)
	return v, to, nil
}

// readClose ends connections of members here.
func (r *Rooms[Event, Presence]) readClose(parts []byte) error {
	room, rest, _ := link.CutPart(parts)
	audience, rest, _ := link.CutPart(rest)
	data, rest, ok := link.CutPart(rest)
	if !ok || len(rest) > 0 {
		return errFrame
	}
	to, err := readAudience(audience)
	if err != nil {
		return err
	}
	var by closing
	if err := json.Unmarshal(data, &by); err != nil {
		return err
	}
	if !wsconn.Sendable(by.Code) {
		return fmt.Errorf("a close with code %d, which must not be sent", by.Code)
	}
	return r.in(string(room), func(_ *stripe[Event], m *membership[Event]) error {
		m.end(to, by)
		return nil
	})
}
