package wsroute

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"example.com/usher/depends"
	"example.com/usher/internal/bind"
	"example.com/usher/internal/graph"
	"example.com/usher/internal/wsconn"
)

// Renewable lets a peer stay beyond the end of its token: it sends a new one on the
// open connection of a [HandleMessages] route,
//
//	{"type":"renew","ref":8,"token":"<credential>"}
//
// which is verified at once, whatever is handled at that time; messages behind it wait for the
// result. The scheme that let the connection in verifies it, as if it stood where the first one
// did; it must be the same principal's (see [depends.Identify]; nobody is not the same), or the
// connection closes with 3003 "other_principal". A guest, who came without a credential since the
// scheme's value is [depends.Optional], signs in by it: the credential is read as if it stood where
// the scheme looks first. The providers behind it run again, the next message gets the new values,
// as [depends.Live] fields do, and the peer is told until when they hold, or null:
//
//	{"type":"renewed","ref":8,"expires":"2030-01-02T15:04:05Z"}
//
// A credential or a provider that refuses closes the connection with its code. Who
// sends a second one before the first is answered is closed with 1008. Loops
// call [Conn.Renew] with what comes in a message of theirs.
var Renewable RouteOption = option{"Renewable", func(rt *route) { rt.Renewable = true }}

// A peer may renew renewBurst times at once, and then once in each renewInterval.
const (
	renewBurst    = 10
	renewInterval = time.Second
)

var errOtherPrincipal = errors.New("the new credential is another principal's")

var (
	errRenewing = fmt.Errorf("%w: a credential came while another was verified", ErrProtocol)
	errRenewals = fmt.Errorf("%w: more than one renewal in %v", ErrProtocol, renewInterval)
)

// renewer resolves parts of an open connection anew.
type renewer struct {
	peer    *peer
	request *bind.Request // without credentials
	values  *graph.Values
	guest   bool // it came without a credential, and has not brought one; guarded by values
	busy    atomic.Bool
	all     atomic.Bool // the next check asks all, whether or not they are due
	spent   budget      // guarded by values
}

// budget bounds how often something happens. The zero value is ready.
type budget struct{ spent time.Time } // until when what has happened fills it

// take says whether there is room for one more: burst at once, and then one in each interval.
func (b *budget) take(interval time.Duration, burst int) bool {
	now := time.Now()
	if b.spent.Before(now) {
		b.spent = now
	}
	b.spent = b.spent.Add(interval)
	return b.spent.Sub(now) <= time.Duration(burst)*interval
}

// keep prepares a connection whose messages need values of the resolution, or parts of which
// will be resolved again.
func (p *peer) keep(values *graph.Values, run *graph.Run, request *bind.Request) {
	values.Start(run)
	p.kept = values
	if !run.Plan.Keeps {
		return
	}
	p.authorised.Replace(merged(values.Authorisations()))
	p.renewer = &renewer{peer: p, request: request.Keep(), values: values, guest: request.Guest()}
	p.conn.CheckAt(values.Due())
}

// hooks are what the connection asks.
func (p *peer) hooks(r *http.Request) wsconn.Hooks {
	hooks := wsconn.Hooks{Trace: p.opened(r)}
	if p.renewer != nil {
		hooks.Check = p.renewer.check
	}
	if p.endpoint.route.channel != nil {
		hooks.Aside = p.aside
	}
	return hooks
}

// run calls what resolves again, when nothing else does, within the budget. credential says
// that one is verified.
func (r *renewer) run(credential bool, resolve func(*graph.Run) error) error {
	p, conn, shared := r.peer, r.peer.conn, r.peer.endpoint.shared
	if err := r.values.Lock(conn.Context()); err != nil {
		return err
	}
	defer r.values.Unlock()
	budget := time.AfterFunc(shared.config.ResolveTimeout, func() {
		conn.End(errBudget, wsconn.CodeTryAgain, "timeout", true)
	})
	defer budget.Stop()
	ctx := p.scope.Context(conn.Context())
	known := time.Now()
	accept := func(said []any) error {
		who, until := merged(said)
		if credential { // revocations from before were the providers' to judge, but for a ticket's
			if err := r.mayBe(who); err != nil {
				return err
			}
			if !until.IsZero() && !time.Now().Before(until) {
				return invalidToken("token_expired", ErrExpired)
			}
			known = knownSince(who, known)
		}
		p.authorised.Replace(who, until)
		conn.ExpireAt(until)
		budget.Stop() // what is replaced takes its own time
		return shared.hub.revokedSince(who, known, p.since)
	}
	retire := r.values.WhenUnpinned
	if p.endpoint.route.channel == nil {
		retire = func(release func()) {
			conn.WhenIdle(r.values.Pin().Unpin)
			r.values.WhenUnpinned(release)
		}
	}
	err := resolve(&graph.Run{
		Request: r.request, Connection: ctx, Handshake: ctx, Scope: &p.scope,
		Trace:  p.endpoint.traces,
		Accept: accept, Failed: p.refuse, Retire: retire,
	})
	if err != nil {
		p.refuse(err)
	}
	return err
}

// mayBe says whether the connection may be somebody's by a new credential: a guest becomes
// somebody, and counts as such.
func (r *renewer) mayBe(who depends.Identity) error {
	if !r.guest {
		return samePrincipal(r.peer.authorised.Identity(), who)
	}
	if err := r.peer.endpoint.shared.hub.count(r.peer, principalOf(who)); err != nil {
		return err
	}
	r.guest = false
	return nil
}

// samePrincipal refuses a credential that is not known to be the same principal's.
func samePrincipal(before, after depends.Identity) error {
	err := errOtherPrincipal
	if who := principalOf(after); who == principalOf(before) {
		if who != (principal{}) {
			return nil
		}
		err = fmt.Errorf("%w, or nobody's: depends.Identify was given no Subject for either", err)
	}
	return depends.Forbidden("other_principal", err)
}

// refuse ends an open connection for an error of its providers.
func (p *peer) refuse(err error) {
	if p.conn.Outcome().Cause != nil {
		return
	}
	if err == ErrRevoked { //nolint:errorlint // the hub's own, and no panic's
		p.conn.End(err, wsconn.CodeUnauthorized, "revoked", true)
		return
	}
	code, reason, err := p.endpoint.closing(err)
	p.conn.End(err, code, reason, true)
}

// check resolves again what is due. Until it has, the next check has no time.
func (r *renewer) check() {
	_ = r.run(false, func(run *graph.Run) error {
		err := r.values.Check(run, r.all.Swap(false))
		if err == nil {
			r.peer.conn.CheckAt(r.values.Due())
		}
		if err == nil && r.all.Load() { // it was asked for meanwhile
			r.peer.conn.CheckAt(time.Now())
		}
		return err
	})
}

func (r *renewer) renew(credential string) error {
	return r.run(true, func(run *graph.Run) error {
		if !r.spent.take(renewInterval, renewBurst) {
			return &depends.Rejection{
				CloseCode: wsconn.CodePolicy, Reason: "too_many_renewals", Err: errRenewals,
			}
		}
		renewed, err := r.request.Renewed(credential)
		if err != nil {
			return err
		}
		run.Request = renewed
		return r.values.Renew(run)
	})
}

// aside answers what is usher's own, whatever is handled at that time: a ping, and a new
// credential, which verify looks at. It runs on the reading goroutine.
func (p *peer) aside(in *wsconn.Message) (taken bool, verify func() bool) {
	data, rt := in.Buf.Bytes(), p.endpoint.route
	if in.Binary {
		return false, nil
	}
	ours := bytes.Contains(data, []byte(`"ping"`)) || bytes.Contains(data, []byte(`"cancel"`)) ||
		rt.Renewable && bytes.Contains(data, []byte(`"renew"`))
	if !ours {
		return false, nil // as most messages
	}
	var e envelope
	if e.open(data, rt.codec.out.member) != "" || !json.Valid(data) {
		return false, nil
	}
	switch string(e.kind) {
	case "ping":
		m := begin(rt.codec.out.member, "pong", e.ref)
		_, _ = m.WriteString("}")
		return true, func() bool { // it may wait for room
			p.send(p.conn.Context(), m)
			return true
		}
	case "cancel":
		if e.ref != nil {
			p.talking().cancel(e.ref, in.Number)
		}
		return e.ref != nil, nil
	case "renew":
		var asked struct {
			Token string `json:"token"`
		}
		if !rt.Renewable || json.Unmarshal(data, &asked) != nil || asked.Token == "" {
			return false, nil
		}
		return true, p.renewer.renewal(asked.Token, bytes.Clone(e.ref))
	}
	return false, nil
}

// renewal returns what verifies a credential, and says whether it is a good one.
func (r *renewer) renewal(credential string, ref []byte) (verify func() bool) {
	conn := r.peer.conn
	if !r.busy.CompareAndSwap(false, true) {
		conn.End(errRenewing, wsconn.CodePolicy, "renewing", true)
		return nil
	}
	return func() bool { // an error has ended the connection, so that nobody asks again
		if r.renew(credential) != nil {
			return false
		}
		r.busy.Store(false)
		until := "null"
		if t := r.peer.authorised.Until(); !t.IsZero() {
			until = `"` + t.UTC().Format(time.RFC3339) + `"`
		}
		m := begin(r.peer.endpoint.route.codec.out.member, "renewed", ref)
		_, _ = m.WriteString(`,"expires":` + until + "}")
		r.peer.send(conn.Context(), m)
		return true
	}
}

// Renew renews the connection's credential, as a peer's message does on a route
// that is [Renewable], for a protocol of the program's own. It returns when the new
// values hold. An error has closed the connection with its code, but for a route
// that is not Renewable, where nothing happens. until is zero if they never expire.
func (c *Conn[Recv, Send]) Renew(credential string) (until time.Time, err error) {
	r := c.peer.renewer
	if r == nil || !r.peer.endpoint.route.Renewable {
		return time.Time{}, errors.New("wsroute: Renew: the route is not Renewable")
	}
	if err := r.renew(credential); err != nil {
		return time.Time{}, err
	}
	return r.peer.authorised.Until(), nil
}
