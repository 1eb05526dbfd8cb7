package bind

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"example.com/usher/depends"
)

// Origin is the origin of a web page (RFC 6454 §4) with its default port written out.
type Origin struct{ Scheme, Host, Port string }

// ParseOrigin reads scheme://host[:port] as a browser writes it for a page of a web server
// (RFC 6454 §7), and nothing else: no user, path, query, white space or list, and not "null".
func ParseOrigin(text string) (o Origin, ok bool) {
	if !IsASCII(text) { // ToLower makes ASCII of some other letters
		return Origin{}, false
	}
	scheme, rest, _ := strings.Cut(text, "://")
	o.Scheme = strings.ToLower(scheme)
	o.Host, o.Port = splitHost(rest)
	valid := isBracketed(o.Host) || isHostName(o.Host) && !strings.HasPrefix(rest, "[")
	if o.Port == "" {
		o.Port = defaultPort(o.Scheme)
		valid = valid && !strings.HasSuffix(rest, ":")
	}
	_, err := strconv.ParseUint(o.Port, 10, 16)
	valid = valid && err == nil && o.Port[0] != '0'
	return o, valid && (o.Scheme == "http" || o.Scheme == "https")
}

// isHostName says whether text, in lower case, can be a host's name or IPv4 address:
// labels of letters, digits, hyphens and, in some networks, underscores.
func isHostName(text string) bool {
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// isBracketed says whether text is an IPv6 address in brackets. Zones mean something on
// one machine alone, and no browser sends them.
func isBracketed(text string) bool {
	inner, opened := strings.CutPrefix(text, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	addr, err := netip.ParseAddr(inner)
	return opened && closed && err == nil && addr.Is6() && addr.Zone() == ""
}

// IsASCII says whether all of a text is ASCII.
func IsASCII(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c > unicode.MaxASCII })
}

// splitHost parts host[:port]; the host is in lower case, IPv6 in its brackets.
func splitHost(hostport string) (host, port string) {
	hostport = strings.ToLower(hostport)
	if !strings.Contains(hostport, ":") { // most often; the error below is not cheap
		return hostport, ""
	}
	h, p, err := net.SplitHostPort(hostport)
	if err != nil {
		return hostport, ""
	}
	if strings.Contains(h, ":") {
		h = "[" + h + "]"
	}
	return h, p
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// Rebindable says whether whoever owns the name of a Host could make it point here: any
// name but localhost, which resolvers answer themselves.
func Rebindable(host string) bool {
	name, _ := splitHost(host)
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err != nil && name != "localhost"
}

// OwnPage reports whether a page of the request's own host sent it, by headers that browsers
// set and pages cannot. scheme and host are those of the URL that the client asked for;
// scheme is "" if it cannot be known. A handshake has no Sec-Fetch-Site in every browser.
func OwnPage(r *http.Request, scheme, host string) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && r.Header["Upgrade"] == nil {
		return site == "same-origin"
	}
	lines := r.Header["Origin"]
	if len(lines) != 1 {
		return false
	}
	o, ok := ParseOrigin(lines[0])
	name, port := splitHost(host)
	if port == "" { // both servers of a machine have such a Host
		port = defaultPort(cmp.Or(scheme, o.Scheme))
	}
	return ok && o.Host == name && o.Port == port
}

// proxyHeaders are what proxies add, and no page can set or suppress.
var proxyHeaders = []string{"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Via"}

// Scheme is that of the URL which the client of a request asked for, or "" if it cannot be
// known: TLS may end at a proxy. One that adds no header stands in front of a host with a
// name whose page came over TLS, since browsers let that open no ws: URL but of loopback.
func Scheme(r *http.Request) string {
	sent := func(name string) bool { return r.Header[name] != nil }
	switch {
	case r.TLS != nil:
		return "https"
	case Rebindable(r.Host) || slices.ContainsFunc(proxyHeaders, sent):
		return ""
	}
	return "http"
}

// Forged reports whether a page of another site may have caused a request with a credential:
// a browser adds cookies by itself, and a name and a password that its user has entered once;
// and no page is named that may ask. allows decides by the Origin. Programs send no header of a
// browser's beside a name and a password.
func Forged(r *http.Request, source *depends.Source, allows func(*http.Request) bool) bool {
	site, named := r.Header.Get("Sec-Fetch-Site"), r.Header["Origin"] != nil
	if source.In != "cookie" && (!isAuthorization(*source, "Basic") || !named && site == "") {
		return false
	}
	return site != "same-origin" && (!named || !allows(r))
}

// Forged reports whether one of the plan's schemes found such a credential.
func (r *Request) Forged(allows func(*http.Request) bool) bool {
	for _, s := range r.Plan.schemes {
		first, _ := r.credentials(s.Scheme)
		if first.source != nil && Forged(r.HTTP, first.source, allows) {
			return true
		}
	}
	return false
}

type allowedKey struct{}

// WithAllowedOrigin returns a request whose Origin was found to be allowed.
func WithAllowedOrigin(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), allowedKey{}, true))
}

// HasAllowedOrigin reports whether a request comes from WithAllowedOrigin.
func HasAllowedOrigin(r *http.Request) bool { return r.Context().Value(allowedKey{}) != nil }
