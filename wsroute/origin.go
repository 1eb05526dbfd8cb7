package wsroute

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// origin is a web origin (RFC 6454 §4) with its default port written out.
type origin struct{ scheme, host, port string }

// originPolicy decides whose pages may connect.
type originPolicy struct {
	allowed map[origin]bool // nil means the page's own server
	list    []string        // as they were written, which is how most pages send theirs
}

// explain says it in words.
func (p originPolicy) explain() string {
	switch {
	case p.allowed == nil:
		return "the server's own pages, at an IP address or localhost; programs"
	case len(p.list) == 0:
		return "no page; programs"
	}
	return strings.Join(p.list, ", ") + "; programs"
}

func newOriginPolicy(list []string) (originPolicy, []string) {
	if list == nil {
		return originPolicy{}, nil
	}
	p := originPolicy{allowed: map[origin]bool{}, list: slices.Clone(list)}
	var bad []string
	for _, text := range list {
		o, ok := parseOrigin(text)
		if !ok {
			bad = append(bad, fmt.Sprintf("Config.Origins: %q is no origin: %s", text, originAdvice(text)))
		}
		p.allowed[o] = true
	}
	return p, bad
}

// allows decides by the Origin lines and the Host of a request. A client without
// Origin is no browser: it carries no cookies of somebody else's, and passes.
func (p originPolicy) allows(r *http.Request, proxies proxies) bool {
	lines := r.Header["Origin"]
	if len(lines) == 0 {
		return true
	}
	if len(lines) > 1 {
		return false
	}
	if slices.Contains(p.list, lines[0]) {
		return true
	}
	o, ok := parseOrigin(lines[0])
	if !ok {
		return false
	}
	if p.allowed != nil {
		return p.allowed[o]
	}
	name, port := splitHost(r.Host)
	if port == "" { // both servers of a machine have such a Host
		port = defaultPort(cmp.Or(proxies.scheme(r), o.scheme))
	}
	return o.host == name && o.port == port && !rebindable(name)
}

// rebindable says whether a host name could be made to point here by whoever
// owns it: any name but localhost, which resolvers answer themselves.
func rebindable(name string) bool {
	if name == "localhost" {
		return false
	}
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err != nil
}

// originAdvice says how to write an origin instead.
func originAdvice(text string) string {
	switch {
	case text == "*":
		return "there is no allowing all; list those of your pages"
	case strings.Contains(text, "*"):
		return "there are no wildcards; list each host"
	case strings.ContainsFunc(text, func(c rune) bool { return c > unicode.MaxASCII }):
		return "write the name in punycode, xn--..., as a browser sends it"
	}
	return "write scheme://host or scheme://host:port, nothing else"
}

// parseOrigin reads scheme://host[:port] as a browser writes it, and nothing else:
// no user, path, query, white space or list, and not "null".
func parseOrigin(text string) (origin, bool) {
	for i := range len(text) { // before ToLower, which makes ASCII of some other letters
		if text[i] > unicode.MaxASCII {
			return origin{}, false
		}
	}
	scheme, rest, ok := strings.Cut(text, "://")
	scheme = strings.ToLower(scheme)
	if !ok || scheme != "http" && scheme != "https" {
		return origin{}, false
	}
	host, port := splitHost(rest)
	switch {
	case port != "":
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
			return origin{}, false
		}
	case strings.HasSuffix(rest, ":"):
		return origin{}, false
	default:
		port = defaultPort(scheme)
	}
	valid := hostName(host)
	if strings.HasPrefix(rest, "[") {
		valid = bracketed(host)
	}
	return origin{scheme, host, port}, valid
}

// hostName says whether text, in lower case, can be a host's name or IPv4 address:
// labels of letters, digits, hyphens and, in some networks, underscores.
func hostName(text string) bool {
	last := byte('.')
	for i := range len(text) {
		c := text[i]
		if ('a' > c || c > 'z') && ('0' > c || c > '9') && c != '-' && c != '_' && (c != '.' || last == '.') {
			return false
		}
		last = c
	}
	return last != '.'
}

// bracketed says whether text is an IPv6 address in brackets. Zones mean something on
// one machine alone, and no browser sends them.
func bracketed(text string) bool {
	inner, opened := strings.CutPrefix(text, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	addr, err := netip.ParseAddr(inner)
	return opened && closed && err == nil && addr.Is6() && addr.Zone() == ""
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
