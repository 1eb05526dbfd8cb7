package wsroute

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.com/usher/internal/bind"
)

// originPolicy decides whose pages may connect.
type originPolicy struct {
	list    []string      // as they were written; nil means the page's own host
	allowed []bind.Origin // of the list; the host "*.name" stands for its subdomains
}

// explain says it in words, for a route that may authenticate nobody.
func (p originPolicy) explain(open bool) string {
	switch {
	case p.list == nil && open:
		return "the server's own pages, at an IP address or localhost; programs"
	case p.list == nil:
		return "the server's own pages; programs"
	case len(p.list) == 0:
		return "no page; programs"
	}
	return strings.Join(p.list, ", ") + "; programs"
}

func newOriginPolicy(list []string) (p originPolicy, bad []string) {
	p.list = slices.Clone(list)
	for _, text := range list {
		if o, ok := parseListed(text); ok {
			p.allowed = append(p.allowed, o)
		} else if !isAppOrigin(text) {
			bad = append(bad, fmt.Sprintf("Config.Origins: %q is no origin: %s", text, originAdvice(text)))
		}
	}
	return p, bad
}

// parseListed reads an origin, or the pattern scheme://*.name[:port] for all subdomains of a
// name. Those of a top-level domain are everybody's, and an IP address has none.
func parseListed(text string) (bind.Origin, bool) {
	scheme, rest, pattern := strings.Cut(text, "://*.")
	if !pattern {
		return bind.ParseOrigin(text)
	}
	o, ok := bind.ParseOrigin(scheme + "://" + rest)
	last := o.Host[strings.LastIndex(o.Host, ".")+1:]
	narrow := last != o.Host || last == "localhost"
	o.Host = "*." + o.Host
	return o, ok && narrow && strings.Trim(last, "0123456789") != ""
}

var appOrigin = regexp.MustCompile(`^([a-z][a-z0-9+.-]*)://[A-Za-z0-9._~-]+(:[0-9]+)?$`)

// isAppOrigin says whether text is the origin of an app's pages, such as tauri://localhost,
// which is not compared but as a whole. Chromium sends file:// for a page of a file.
func isAppOrigin(text string) bool {
	m := appOrigin.FindStringSubmatch(text)
	web := []string{"http", "https", "ws", "wss", "ftp", "file"}
	return text == "file://" || m != nil && !slices.Contains(web, m[1])
}

// allows decides by the Origin lines and the Host of a request. A client without Origin is
// no browser: it carries no cookies of somebody else's, and passes. A name could be made to
// point here (DNS rebinding), whose pages have no credential, so open routes take none.
func (p originPolicy) allows(r *http.Request, proxies proxies, open bool) bool {
	lines := r.Header["Origin"]
	switch {
	case len(lines) != 1:
		return len(lines) == 0
	case slices.Contains(p.list, lines[0]):
		return !strings.Contains(lines[0], "*")
	case p.list == nil:
		host := proxies.host(r)
		return bind.OwnPage(r, proxies.scheme(r), host) && (!open || !bind.Rebindable(host))
	}
	o, ok := bind.ParseOrigin(lines[0])
	return ok && slices.ContainsFunc(p.allowed, func(listed bind.Origin) bool {
		above, pattern := strings.CutPrefix(listed.Host, "*")
		if pattern && strings.HasSuffix(o.Host, above) {
			listed.Host = o.Host
		}
		return listed == o
	})
}

// originAdvice says how to write an origin instead.
func originAdvice(text string) string {
	switch {
	case text == "*":
		return "there is no allowing all; list those of your pages"
	case text == "null":
		return "pages in a sandboxed frame of any site send it; serve the page by HTTP"
	case strings.Contains(text, "*"):
		return "write https://*.example.com for all subdomains of a name, and no other wildcard"
	case strings.HasPrefix(text, "ws"):
		return "write the page's own scheme, https:// or http://"
	case !bind.IsASCII(text):
		return "write the name in punycode, xn--..., as a browser sends it"
	}
	return "write scheme://host or scheme://host:port, nothing else"
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
	if len(e.origins) == 0 { // allowed, but where a browser may have added the credential
		return "a browser adds such a credential by itself, and so an Origin is demanded: " +
			"let the program send an allowed one, or a credential in another place"
	}
	const longest = 300 // a host name has at most 253 bytes
	text := e.origins[0]
	_, web := bind.ParseOrigin(text)
	if !web && !isAppOrigin(text) || len(e.origins) > 1 || len(text) > longest {
		return originAdvice(text)
	}
	return "to allow it: Origins: []string{" + strconv.Quote(text) + "}"
}
