package wsroute

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/usher/depends"
)

// What black-box tests look at directly.
var (
	ParseOrigin = func(s string) bool { _, ok := parseListed(s); return ok }
	Matches     = func(pattern, path string) bool {
		segments, _ := parsePattern(pattern)
		return matches(segments, strings.Split(path, "/"))
	}
)

// AllowsOrigin decides as an open route of a router with these Origins does on a request to a
// host.
func AllowsOrigin(allowed, lines []string, host string) bool {
	return AllowsRequest(allowed, nil, true, &http.Request{Host: host, Header: http.Header{"Origin": lines}})
}

// AllowsRequest decides as a route of a router with these Origins and TrustedProxies does.
func AllowsRequest(allowed, trusted []string, open bool, r *http.Request) bool {
	policy, _ := newOriginPolicy(allowed)
	proxies, _ := newProxies(trusted)
	return policy.allows(r, proxies, open)
}

// Lose ends a connection as a failed write does.
func Lose[R, S any](c *Conn[R, S]) { c.peer.conn.Cut() }

// Hide is what Serve hands to the program's handler for a request.
func Hide(r *Router, req *http.Request) *http.Request { return r.shared.mounted.Load().hide(req, nil) }

// HideWithoutRoutes is Hide with routes that must not be looked at.
func HideWithoutRoutes(r *Router, req *http.Request) {
	all := *r.shared.mounted.Load()
	all.endpoints = []*endpoint{nil}
	all.hide(req, nil)
}

// HiddenNames counts the names by which Serve takes credentials out of requests.
func HiddenNames(r *Router) (query, offers int) {
	all := r.shared.mounted.Load()
	return len(all.secrets), len(all.offers)
}

// SelfSigned is a certificate.
func SelfSigned(t *testing.T) tls.Certificate {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

// HoldsHidden says whether a context has what Serve has taken out of a request.
func HoldsHidden(ctx context.Context) bool { return ctx.Value(hiddenKey{}) != nil }

// MaxRevoked is how many revocations are remembered.
const MaxRevoked = maxRevoked

// RevokedSince reports whether somebody who was known at a time has been revoked since.
func RevokedSince(r *Router, who depends.Identity, known time.Time) bool {
	return r.shared.hub.revokedSince(who, known, known) != nil
}
