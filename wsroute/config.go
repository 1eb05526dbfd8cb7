package wsroute

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/wsconn"
)

// Config holds what a router's routes have in common. A zero field takes its
// default, a nil *Config all of them. [New] copies it.
type Config struct {
	// Logger gets one line for each refusal and one for the end of each
	// connection, never with a credential, a query or a header's value but an Origin
	// that is refused. They have no source (slog.HandlerOptions.AddSource), which
	// would be usher's own. By default, slog.Default().
	Logger *slog.Logger
	// Origins are the web origins whose pages may connect, such as
	// "https://chat.example.com": scheme, host and port, nothing else. By
	// default, only a page that was served from the request's own host and port,
	// and only if that host is an IP literal or localhost; a name could be
	// anybody's (DNS rebinding). A client that sends no Origin is no browser and passes.
	Origins []string
	// TrustedProxies are the addresses of proxies, such as "10.0.0.7" or
	// "10.0.0.0/8", whose X-Forwarded-For says who the client is: for
	// depends.ClientAddr and the log. By default none: the other end of the TCP
	// connection is the client, whatever a header says.
	TrustedProxies []string

	// RequireTLS refuses, with 403 "tls_required", connections that did not come
	// over TLS: to this server, or to a trusted proxy whose X-Forwarded-Proto says
	// https or wss. By default, both come in, since TLS mostly ends at a proxy.
	RequireTLS bool

	// MapError says what a peer is told of an error that a provider or a handler
	// returned, such as a 404 for sql.ErrNoRows, and may change what it would be
	// told of a *depends.Rejection or a [*MessageError]. nil leaves the error as
	// it is. It is not asked about panics and the ends of connections. By
	// default, errors are left as they are. It is called concurrently.
	MapError func(error) *depends.Rejection
	// OnUpgrade may add headers and cookies to the 101, and remove what
	// middleware has set for it. The request is without credentials. The names
	// that the handshake itself needs, such as Sec-WebSocket-Accept, are refused
	// with 500. By default, the 101 has the headers that middleware has set. It
	// is called concurrently.
	OnUpgrade func(r *http.Request, header http.Header)

	// ResolveTimeout bounds the dependencies of one handshake, all together;
	// after it the client is answered 503. By default, 5 s.
	ResolveTimeout time.Duration
	// CleanupTimeout bounds the context of each cleanup. By default, 5 s.
	CleanupTimeout time.Duration

	// MaxConnections is how many connections the router has at once, handshakes
	// included; more are refused with 503. By default, there is no limit.
	MaxConnections int
	// MaxHandshakes is how many handshakes are resolved at once; more are refused
	// with 503. By default, there is no limit.
	MaxHandshakes int
	// MaxPerAddress is how many connections one address has at once, or one /64 of
	// IPv6; more are refused with 429. See TrustedProxies. Peers without an address, as
	// at a Unix socket, are not counted, which the log says once. By default, there is
	// no limit.
	MaxPerAddress int
	// MaxPerPrincipal is how many connections have the same principal at once (see
	// depends.Identify); more are refused with 429. By default, there is no limit.
	MaxPerPrincipal int

	// Broadcast takes what Router.Revoke is told to the other processes that serve
	// the same peers. By default, Revoke ends the connections of this one alone.
	Broadcast Broadcast

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
	// DrainTimeout bounds Drain within [Serve]. By default, 30 s.
	DrainTimeout time.Duration
	// DrainWindow is over how much time Drain spreads the closing of connections:
	// at 10 000 a second, or faster if that takes longer. By default, 10 s.
	DrainWindow time.Duration
}

// withDefaults returns a copy of c with every zero field set, and what is wrong
// with the others.
func (c *Config) withDefaults() (Config, []string) {
	var out Config
	if c != nil {
		out = *c
	}
	var bad []string
	if out.Logger == nil {
		out.Logger = slog.Default()
	}
	for _, d := range []struct {
		name  string
		field *time.Duration
		value time.Duration
	}{
		{"ResolveTimeout", &out.ResolveTimeout, 5 * time.Second},
		{"CleanupTimeout", &out.CleanupTimeout, 5 * time.Second},
		{"MessageTimeout", &out.MessageTimeout, 10 * time.Second},
		{"StallTimeout", &out.StallTimeout, 30 * time.Second},
		{"WriteTimeout", &out.WriteTimeout, 5 * time.Second},
		{"PingInterval", &out.PingInterval, 25 * time.Second},
		{"PongTimeout", &out.PongTimeout, 35 * time.Second},
		{"CloseTimeout", &out.CloseTimeout, 2 * time.Second},
		{"CloseGrace", &out.CloseGrace, 2 * time.Second},
		{"DrainWindow", &out.DrainWindow, 10 * time.Second},
		{"DrainTimeout", &out.DrainTimeout, 30 * time.Second},
	} {
		if *d.field < 0 {
			bad = append(bad, fmt.Sprintf("Config.%s is negative: %v", d.name, *d.field))
		}
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if out.MaxConnections < 0 || out.MaxHandshakes < 0 || out.MaxPerAddress < 0 || out.MaxPerPrincipal < 0 {
		bad = append(bad, "Config.MaxConnections, MaxHandshakes, MaxPerAddress or MaxPerPrincipal is negative")
	}
	if out.ReadLimit < 0 || out.ReadAhead < 0 || out.SendQueue < 0 || out.SendMessages < 0 {
		bad = append(bad, "Config.ReadLimit, ReadAhead, SendQueue or SendMessages is negative")
	}
	if out.MessageRate < 0 || out.MessageBurst < 0 || out.MessageBurst > 0 && out.MessageRate == 0 {
		bad = append(bad, "Config.MessageRate or MessageBurst is negative, or there is a burst without a rate")
	}
	if out.MessageBurst == 0 {
		out.MessageBurst = max(1, int(2*out.MessageRate))
	}
	out.ReadLimit = cmp.Or(out.ReadLimit, 64<<10)
	out.ReadAhead = cmp.Or(out.ReadAhead, 16)
	out.SendQueue = cmp.Or(out.SendQueue, 1<<20)
	out.SendMessages = cmp.Or(out.SendMessages, 256)
	if out.PongTimeout <= out.PingInterval {
		bad = append(bad, fmt.Sprintf("Config.PongTimeout (%v) must exceed PingInterval (%v), or every quiet peer is lost", out.PongTimeout, out.PingInterval))
	}
	return out, bad
}

// settings are what a connection of a route is bounded by.
func (c *Config) settings(rt *route) *wsconn.Settings {
	return &wsconn.Settings{
		ReadLimit: c.ReadLimit, ReadAhead: c.ReadAhead, SendQueue: c.SendQueue, SendMessages: c.SendMessages,
		MessageTimeout: c.MessageTimeout, MessageRate: wsconn.Rate{PerSecond: c.MessageRate, Burst: c.MessageBurst},
		PingInterval: c.PingInterval, PongTimeout: c.PongTimeout, StallTimeout: c.StallTimeout,
		WriteTimeout: c.WriteTimeout, CloseTimeout: c.CloseTimeout, CloseGrace: c.CloseGrace,
		DropOldest: rt.drops, Discard: rt.discards, Errors: words,
	}
}
