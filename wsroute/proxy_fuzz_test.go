package wsroute

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// FuzzForwarded: the client is the other end, or an address in the header behind trusted
// proxies alone, and nothing that a stranger writes before it changes that.
func FuzzForwarded(f *testing.F) {
	for _, remote := range []string{"10.0.0.7:4711", "10.0.0.7", "192.0.2.1:80", "[::1]:80", "[::ffff:10.0.0.7]:80", "[fe80::1%eth0]:80", "@", ""} {
		for _, seed := range []string{
			"", "192.0.2.9", "192.0.2.9, 10.0.0.8", "10.0.0.8,10.0.0.9",
			"6.6.6.6\n192.0.2.9, 10.0.0.8", "192.0.2.9:80", "[2001:db8::1]", "[2001:db8::1]:80",
			"2001:db8::1", "::ffff:192.0.2.9", "unknown", "unknown, 10.0.0.8", "192.0.2.9, ,",
			"010.0.0.1", "1.2.3", "fe80::1%eth0",
		} {
			f.Add(remote, seed, "6.6.6.6")
		}
	}
	trusted, _ := newProxies([]string{"10.0.0.0/8", "::1", "fe80::/10"})
	f.Fuzz(func(t *testing.T, remote, forwarded, forged string) {
		ask := func(p proxies, lines ...string) netip.Addr {
			return p.client(&http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": lines}})
		}
		lines := strings.Split(forwarded, "\n")
		got, end := ask(trusted, lines...), otherEnd(&http.Request{RemoteAddr: remote})
		var named []netip.Addr
		for item := range listItems(lines) {
			named = append(named, parseAddr(item))
		}
		switch {
		case got.Zone() != "" || got.Is4In6():
			t.Errorf("%v has another form", got)
		case got != end && (!trusted.trust(end) || !slices.Contains(named, got)):
			t.Errorf("%s, %q: got %v", remote, lines, got)
		case ask(nil, lines...) != end:
			t.Errorf("%s, %q: a header counts that nobody is trusted with", remote, lines)
		}
		if again := ask(trusted, append([]string{forged}, lines...)...); again != got && !trusted.trust(got) {
			t.Errorf("%s, %q: with %q before it %v became %v", remote, lines, forged, got, again)
		}
	})
}
