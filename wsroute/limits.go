package wsroute

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"example.com/usher/internal/wsconn"
)

// Limits bound a connection, and how long its peer and its handler may take. A zero field
// takes the limit of the group or the [Config] around it, and at last its default. As an
// option of a group or a route,
//
//	wsroute.Handle(ws, "/upload", upload, wsroute.Limits{ReadLimit: 4 << 20})
//
// it changes what is set in it, for these routes alone.
type Limits struct {
	// ReadLimit is the largest message that is read, in bytes; a larger one
	// closes with 1009. By default, 64 KiB.
	ReadLimit int64
	// ReadAhead is how many messages are read ahead of the handler. While there
	// is room, pings, closes and a lost peer are noticed at once although the
	// handler works; when there is none, the peer is slowed down. In bytes, it is bounded
	// by twice ReadLimit. By default, 16.
	ReadAhead int
	// StallTimeout is how long the read-ahead may stay full before the
	// connection closes with 1008 "handler_stalled". By default, 30 s.
	StallTimeout time.Duration
	// MessageTimeout is how long a message may take from its first frame to its
	// last; then the connection closes with 1008 "message_timeout". By default, 10 s.
	MessageTimeout time.Duration
	// MessageRate is how many messages a second a peer may send, and MessageBurst
	// how many at once, by default as many as in two seconds; more close with 1008
	// "too_many_messages". By default, there is no limit. Pings and pongs always
	// have one: 10 a second, 20 at once.
	MessageRate  float64
	MessageBurst int
	// SendQueue is how many bytes may wait for a slow reader. By default, 1 MiB.
	SendQueue int
	// SendMessages is how many messages may wait for a slow reader. By default, 256.
	SendMessages int
	// WriteTimeout is how long a reader may take nothing before the connection
	// is given up. By default, 5 s.
	WriteTimeout time.Duration
	// PingInterval is the time between pings. By default, 25 s.
	PingInterval time.Duration
	// PongTimeout less PingInterval is how long a peer has to answer a ping before it is
	// lost, unless something else is read from it or it takes what it was sent; it must
	// exceed PingInterval. By default, 35 s, which makes 10 s.
	PongTimeout time.Duration
	// CloseTimeout is how long the peer may take to answer a close frame. By
	// default, 2 s.
	CloseTimeout time.Duration
	// CloseGrace is how long a handler may work on a message, counted from Receive, when
	// the peer's close frame stands behind it; if more messages wait, it is counted from
	// the close frame. Then the handler's context ends. By default, 2 s.
	CloseGrace time.Duration
}

var defaultLimits = Limits{
	ReadLimit: 64 << 10, ReadAhead: 16,
	StallTimeout: 30 * time.Second, MessageTimeout: 10 * time.Second,
	SendQueue: 1 << 20, SendMessages: 256, WriteTimeout: 5 * time.Second,
	PingInterval: 25 * time.Second, PongTimeout: 35 * time.Second,
	CloseTimeout: 2 * time.Second, CloseGrace: 2 * time.Second,
}

func (l Limits) apply(rt *route) {
	rt.limits = l.over(rt.limits)
	rt.Options = append(rt.Options, "Limits{"+l.unlike(Limits{})+"}")
}

// unlike prints the limits that are not those of base.
func (l Limits) unlike(base Limits) string {
	var list []string
	of := reflect.ValueOf(base)
	for field, value := range reflect.ValueOf(l).Fields() {
		if !value.Equal(of.FieldByIndex(field.Index)) {
			list = append(list, fmt.Sprintf("%s: %v", field.Name, value))
		}
	}
	return strings.Join(list, ", ")
}

// over returns l with the limits of base where it has none. A burst belongs to its rate.
func (l Limits) over(base Limits) Limits {
	if l.MessageRate != 0 && l.MessageBurst == 0 {
		base.MessageBurst = max(1, int(2*l.MessageRate))
	}
	return filled(l, base)
}

// faults says what is wrong with limits, alone or over the defaults.
func (l Limits) faults(what string) (bad []string) {
	bad = negative(what, l)
	if l.MessageBurst > 0 && l.MessageRate == 0 {
		bad = append(bad, what+" has a MessageBurst without a MessageRate")
	}
	if all := l.over(defaultLimits); all.PongTimeout <= all.PingInterval {
		bad = append(bad, fmt.Sprintf(
			"%s.PongTimeout (%v) must exceed PingInterval (%v), or every quiet peer is lost",
			what, all.PongTimeout, all.PingInterval))
	}
	return bad
}

// settings are what the connections of a route are bounded by.
func (rt *route) settings(c *Config) *wsconn.Settings {
	return &wsconn.Settings{
		Limits: wsconn.Limits(rt.limits.over(c.Limits)), Errors: ends,
		DropOldest: rt.DropOldest, Discard: rt.receives == reflect.TypeFor[Discard](),
	}
}
