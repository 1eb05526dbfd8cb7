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
	case !isASCII(text):
		return "write the name in punycode, xn--..., as a browser sends it"
	}
	return "write scheme://host or scheme://host:port, nothing else"
}

// parseOrigin reads scheme://host[:port] as a browser writes it, and nothing else:
// no user, path, query, white space or list, and not "null".
func parseOrigin(text string) (o origin, ok bool) {
	if !isASCII(text) { // ToLower makes ASCII of some other letters
		return origin{}, false
	}
	scheme, rest, _ := strings.Cut(text, "://")
	o.scheme = strings.ToLower(scheme)
	o.host, o.port = splitHost(rest)
	valid := isHostName(o.host)
	if strings.HasPrefix(rest, "[") {
		valid = isBracketed(o.host)
	}
	if o.port == "" {
		o.port = defaultPort(o.scheme)
		valid = valid && !strings.HasSuffix(rest, ":")
	}
	port, err := strconv.ParseUint(o.port, 10, 16)
	valid = valid && err == nil && port != 0 && o.port[0] != '0'
	return o, valid && (o.scheme == "http" || o.scheme == "https")
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

func isASCII(text string) bool {
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

// originError is a refused Origin; its hint is what to add, to Config or to the request.
type originError struct {
	origins []string
	host    string
}

func (e *originError) Error() string {
	return fmt.Sprintf("wsroute: origin %.200q is not allowed for host %.200q", e.origins, e.host)
}

func (e *originError) hint() string {
	if len(e.origins) == 0 { // allowed, but where a cookie counts
		return "the route takes what a browser adds by itself, such as a cookie, " +
			"and so demands an Origin: let the program send an allowed one"
	}
	const longest = 300 // a host name has at most 253 bytes
	if _, ok := parseOrigin(e.origins[0]); !ok || len(e.origins) > 1 || len(e.origins[0]) > longest {
		return ""
	}
	return "to allow it: Origins: []string{" + strconv.Quote(e.origins[0]) + "}"
}
