package wsroute

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"time"

	"example.com/usher/depends"
)

// Config holds what a router's routes have in common. A zero field takes its
// default, a nil *Config all of them. [New] copies it.
type Config struct {
	// Logger gets one line for each refusal and one for the end of each
	// connection, never with a credential or a query. Of headers it shows what refused a
	// handshake: an Origin, X-Forwarded-Proto, and those of the upgrade itself. Lines have
	// no source (slog.HandlerOptions.AddSource), which would be usher's own. A logger that
	// blocks holds nothing up for more than a second: while one line is late, others are
	// dropped. docs/operating.md has all lines, and docs/troubleshooting.md says what each
	// reason means, and what to do. By default, slog.Default().
	Logger *slog.Logger
	// Origins are the web origins whose pages may connect, such as
	// "https://chat.example.com": scheme, host and port, nothing else (RFC 6454 §7).
	// "https://*.example.com" is every subdomain, at any depth, and not example.com;
	// those of apps, such as "tauri://localhost", match as a whole. By default, only
	// pages of the request's own host and port; on a route that authenticates nobody,
	// only if that host is an IP literal or localhost, as a name could be anybody's
	// (DNS rebinding). A client that sends no Origin is no browser and passes, unless
	// its credential is one that browsers add by themselves.
	Origins []string
	// TrustedProxies are the addresses of proxies, such as "10.0.0.7" or
	// "10.0.0.0/8", whose X-Forwarded-For says who the client is: for
	// depends.ClientAddr and the log; whose X-Forwarded-Host says what host it asked
	// for: for Origins. By default none: the other end of the TCP
	// connection is the client, whatever a header says.
	TrustedProxies []string

	// RequireTLS refuses, with 403 "tls_required", connections that did not come
	// over TLS: to this server, or to a trusted proxy whose X-Forwarded-Proto says
	// https or wss. Of several proxies, each must have said so. By default, both come in,
	// since TLS mostly ends at a proxy.
	RequireTLS bool

	// MapError says what a peer is told of an error that a provider or a handler
	// returned, such as a 404 for sql.ErrNoRows, and may change what it would be
	// told of a *depends.Rejection or a [*MessageError]. nil leaves the error as
	// it is. It is not asked about panics and the ends of connections. By
	// default, errors are left as they are. It is called concurrently.
	MapError func(error) *depends.Rejection
	// WriteRefusal gives the refusals of HTTP a form of the program's own: an envelope, a
	// page for browsers. The refusal's header is set already, and its status is sent
	// unless WriteRefusal sends another. r has neither a body nor the credentials of the
	// route; for a path that is none it has its header as it came. If nothing is written, as
	// after a panic, or when nil, the answer is a problem document (RFC 9457). It is called
	// concurrently.
	WriteRefusal func(w http.ResponseWriter, r *http.Request, refusal *depends.Rejection)

	// ResolveTimeout bounds the dependencies of one handshake, all together;
	// after it the client is answered 503. By default, 5 s.
	ResolveTimeout time.Duration
	// CleanupTimeout bounds the context of each cleanup. By default, 5 s.
	CleanupTimeout time.Duration

	// MaxConnections is how many connections the router has at once, handshakes
	// included; more are refused with 503. See [AcceptThenClose] for those that are
	// refused by a close frame. By default, there is no limit.
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

	// MessageErrors is how many messages in a minute may be no JSON, of no known type, or
	// break their rules, on a connection of [HandleMessages]; one more closes it with 1008
	// "too_many_bad_messages". By default, 20.
	MessageErrors int

	// Broker connects the processes that serve the same peers: what Router.Revoke is told
	// reaches all of them. By default, a process is alone. Name is the program's, of a to z, 0 to
	// 9, _ and -, the same in all its processes; it begins the topics of the broker.
	Broker Broker
	Name   string
	// RequireBroker lets Mount fail if the broker is not there within ResolveTimeout. By
	// default, Mount waits so long, logs a warning, and goes on: the broker may come later.
	RequireBroker bool
	// RevocationLog keeps revocations for processes that do not hear them: it is read when
	// messages of the broker may be missing, and every 10 s. By default, there is none, and then
	// providers with depends.Revalidate are asked again, for each connection within 5 s.
	RevocationLog RevocationLog

	// Trace is told what happens, each of them: see [Trace], and docs/operating.md. By
	// default, nobody is.
	Trace []*Trace

	// Limits bound each connection. A group or a route may have others: [Limits] is an
	// option, too.
	Limits Limits
	// DrainTimeout bounds Drain within [Serve]. By default, 30 s.
	DrainTimeout time.Duration
	// DrainWindow is over how much time Drain spreads the closing of connections:
	// at 10 000 a second, or faster if that takes longer. By default, 10 s.
	DrainWindow time.Duration
}

// withDefaults returns a copy of c with every zero field set, and what is wrong
// with the others.
func (c *Config) withDefaults() (out Config, bad []string) {
	out = filled(*cmp.Or(c, &Config{}), Config{
		Logger:         slog.Default(),
		ResolveTimeout: 5 * time.Second, CleanupTimeout: 5 * time.Second,
		DrainWindow: 10 * time.Second, DrainTimeout: 30 * time.Second, MessageErrors: 20,
	})
	out.Limits = out.Limits.over(defaultLimits)
	bad = append(negative("Config", out), out.Limits.faults("Config.Limits")...)
	bad = append(bad, out.brokerFaults()...)
	out.Trace = slices.Clone(out.Trace)
	for i, t := range out.Trace {
		if t == nil {
			bad = append(bad, fmt.Sprintf("Config.Trace[%d] is nil", i))
			continue
		}
		out.Trace[i] = new(filled(*t, noTrace))
	}
	return out, bad
}

// filled returns a struct with the fields of base where its own are zero.
func filled[T any](settings, base T) T {
	of := reflect.ValueOf(base)
	for field, value := range reflect.ValueOf(&settings).Elem().Fields() {
		if value.IsZero() {
			value.Set(of.FieldByIndex(field.Index))
		}
	}
	return settings
}

// negative names the fields of a struct that are below zero.
func negative(what string, settings any) (bad []string) {
	for field, value := range reflect.ValueOf(settings).Fields() {
		if value.CanInt() && value.Int() < 0 || value.CanFloat() && value.Float() < 0 {
			bad = append(bad, fmt.Sprintf("%s.%s is negative: %v", what, field.Name, value))
		}
	}
	return bad
}
