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
// open connection, as a JSON object with this member,
//
//	{"$renew":"<credential>"}
//
// which no handler receives, however it is written: with spaces, escapes or other members, as
// text or binary. If the credential is no string, or empty, the connection closes with 1008
// "invalid_renewal". The scheme that let the connection in verifies it, as
// if it stood where the first one did; it must be the same principal's (see
// [depends.Identify]; nobody is not the same), or the connection closes with 3003
// "other_principal". The providers behind it run again,
// [depends.Live] fields read the new values, and the peer is told until when they
// hold, or null:
//
//	{"$renewed":"2030-01-02T15:04:05Z"}
//
// A credential or a provider that refuses closes the connection with its code, and a peer
// that was let in without one is closed with 1008 "nothing_to_renew". Who
// sends a second one before the first is answered is closed with 1008. Protocols of
// the program's own call [Conn.Renew] instead.
var Renewable RouteOption = option{"Renewable", func(rt *route) { rt.Renewable = true }}

// A peer may renew renewBurst times at once, and then once in each renewInterval.
const (
	renewBurst    = 10
	renewInterval = time.Second
)

var errOtherPrincipal = errors.New("the new credential is another principal's")

var (
	errRenewing = fmt.Errorf("%w: a credential came while another was verified", ErrProtocol)
	errRenewal  = fmt.Errorf("%w: the member $renew of a message is no credential", ErrProtocol)
	errRenewals = fmt.Errorf("%w: more than one renewal in %v", ErrProtocol, renewInterval)
)

// renewer resolves parts of an open connection anew.
type renewer struct {
	peer    *peer
	request *bind.Request // without credentials
	values  *graph.Values
	busy    atomic.Bool
	spent   time.Time // the renewals fill their budget until then; guarded by values
}

// keepForRenewal prepares a connection whose parts will be resolved again.
func (p *peer) keepForRenewal(values *graph.Values, run *graph.Run, request *bind.Request) {
	values.Start(run)
	p.authorised.Replace(merged(values.Authorisations()))
	p.renewer = &renewer{peer: p, request: request.Keep(), values: values}
	p.conn.CheckAt(values.Due())
}

// hooks are what the connection asks.
func (p *peer) hooks(r *http.Request) wsconn.Hooks {
	hooks := wsconn.Hooks{Trace: p.opened(r)}
	if p.renewer != nil {
		hooks.Aside, hooks.Check = p.renewer.renewal, p.renewer.check
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
			if err := samePrincipal(p.authorised.Identity(), who); err != nil {
				return err
			}
			known = knownSince(who, known)
		}
		p.authorised.Replace(who, until)
		conn.ExpireAt(until)
		budget.Stop() // what is replaced takes its own time
		return shared.hub.revokedSince(who, known, p.since)
	}
	err := resolve(&graph.Run{
		Request: r.request, Connection: ctx, Handshake: ctx, Scope: &p.scope,
		Trace:  p.endpoint.traces,
		Accept: accept, Failed: p.refuse, Retire: conn.WhenIdle,
	})
	if err != nil {
		p.refuse(err)
	}
	return err
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
		err := r.values.Check(run)
		if err == nil {
			r.peer.conn.CheckAt(r.values.Due())
		}
		return err
	})
}

func (r *renewer) renew(credential string) error {
	return r.run(true, func(run *graph.Run) error {
		if now := time.Now(); r.spent.Before(now) {
			r.spent = now
		}
		if r.spent = r.spent.Add(renewInterval); time.Until(r.spent) > renewBurst*renewInterval {
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

// renewal reports whether a message is a credential, and returns what verifies it, which says
// whether it is a good one. It runs on the reading goroutine.
func (r *renewer) renewal(in *wsconn.Message) (taken bool, verify func() bool) {
	text, renewable := in.Buf.Bytes(), r.peer.endpoint.route.Renewable
	if !renewable || !bytes.Contains(text, []byte("$renew")) && !bytes.Contains(text, []byte(`\u`)) {
		return false, nil // as most messages
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil || members["$renew"] == nil {
		return false, nil
	}
	conn := r.peer.conn
	var credential string
	if json.Unmarshal(members["$renew"], &credential) != nil || credential == "" {
		conn.End(errRenewal, wsconn.CodePolicy, "invalid_renewal", true)
		return true, nil
	}
	if !r.busy.CompareAndSwap(false, true) {
		conn.End(errRenewing, wsconn.CodePolicy, "renewing", true)
		return true, nil
	}
	return true, func() bool { // an error has ended the connection, so that nobody asks again
		if r.renew(credential) != nil {
			return false
		}
		r.busy.Store(false)
		_ = conn.Send(conn.Context(), r.answer())
		return true
	}
}

// answer tells the peer until when it may stay.
func (r *renewer) answer() *wsconn.Outgoing {
	until := "null"
	if t := r.peer.authorised.Until(); !t.IsZero() {
		until = `"` + t.UTC().Format(time.RFC3339) + `"`
	}
	m, _ := encodeText(`{"$renewed":` + until + `}`) // it is ASCII
	return m
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
