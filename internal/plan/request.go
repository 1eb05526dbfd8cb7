package plan

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// PathValue is a parameter that the router took from the path.
type PathValue struct{ Name, Value string }

// Request is the handshake request as the resolver reads it. It belongs to one
// resolution.
type Request struct {
	Plan     *Plan // of the route; nil for the request of no route
	HTTP     *http.Request
	Path     []PathValue
	RawQuery string // of the request as the peer sent it, credentials included
	Client   netip.Addr
	// Protocols are the subprotocols that the peer offers, tokens included.
	Protocols []string
	// Diagnose says that the peer asks only whether it would be let in.
	Diagnose bool
	// WithBody says that a dependency which takes the request may read its body.
	WithBody bool

	// Foreign is the foreign router's context, as long as the handshake lasts.
	Foreign any

	query   query
	cookies []*http.Cookie
	one     [1]string // holds a single value for who asks for the values of a name
}

// ForScheme makes a request ready to be asked for the credential of a scheme
// outside of any route.
func (r *Request) ForScheme() error {
	r.Protocols = Offers(r.HTTP.Header["Sec-Websocket-Protocol"])
	r.cookies = r.HTTP.Cookies()
	r.query = query(r.RawQuery)
	return r.query.check()
}

// Find returns the one credential of a scheme, or the refusal.
func (r *Request) Find(s *Scheme) (*Credential, error) {
	c := &Credential{Of: r, Scheme: s}
	n, err := r.credentials(s, c)
	switch {
	case err != nil:
		return nil, hooks.BadCredential(s, c.Source, err)
	case n == 0:
		return nil, hooks.NoCredential(s, r.unread(s))
	case n > 1:
		return nil, hooks.ManyCredentials(s, c.Source)
	}
	return c, nil
}

// Parse reads what the plan will need, once. An error is a query that does not
// decode: its bad pairs would otherwise vanish in silence.
func (r *Request) Parse() error {
	r.query = query(r.RawQuery)
	if err := r.query.check(); err != nil {
		return err
	}
	if r.Plan.readsCookies {
		r.cookies = r.HTTP.Cookies()
	}
	return nil
}

// Query returns the last value of a query parameter, or "".
func (r *Request) Query(name string) string {
	if values := r.query.values(name, nil); len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

// values returns what the request holds under a parameter's name. The result is
// valid until the next call.
func (r *Request) values(p *param) []string {
	name := p.key
	switch p.in {
	case "query":
		return r.query.values(name, r.one[:0])
	case "path":
		for _, v := range r.Path {
			if v.Name == name {
				r.one[0] = v.Value
				return r.one[:]
			}
		}
	case "header":
		if name == "Host" { // net/http keeps it apart
			r.one[0] = r.HTTP.Host
			return r.one[:]
		}
		return r.HTTP.Header[name]
	case "cookie":
		var found []string
		for _, c := range r.cookies {
			if c.Name == name {
				found = append(found, c.Value)
			}
		}
		return found
	}
	return nil
}

// Refused returns the refusal of a request without the credentials that the plan
// asks for, or with too many. Resolving would return the same, but has to be set
// up; most strangers need no more than a look.
func (r *Request) Refused() error {
	p := r.Plan
	for i := range p.steps {
		s := p.steps[i].provider.Scheme
		if s == nil {
			return nil
		}
		var first Credential
		n, err := r.credentials(s, &first)
		switch {
		case err == nil && n == 1:
			return nil // whether it is good comes first
		case err == nil && n == 0 && p.steps[i].soft:
			continue
		case err == nil && n == 0 && r.unread(s) == nil:
			return p.steps[i].stranger
		}
		_, err = r.Find(s)
		return &Error{Provider: p.steps[i].provider.Func.Name, Err: err}
	}
	return nil
}

// Snapshot returns the request that dependencies may keep: without the
// credentials of the plan's schemes, without a body, and with a context that
// has the values of the request's but not its end.
func (r *Request) Snapshot() *http.Request {
	return r.without(r.Plan.SecretParams(), r.Plan.Sources())
}

// Request returns what the scheme may look at: the request without the credentials of the
// plan's schemes or, outside of any route, its own. What it reads of the body is there to
// be read once more.
func (c *Credential) Request() *http.Request {
	r, body := c.Of, c.Of.HTTP.Body
	var out *http.Request
	if r.Plan != nil {
		out = r.Snapshot()
	} else {
		out = r.without(c.Scheme.secretParams(), c.Scheme.Sources)
	}
	if r.WithBody && body != nil && body != http.NoBody {
		var read bytes.Buffer
		out.Body = io.NopCloser(io.TeeReader(body, &read))
		r.HTTP.Body = rereadable{io.MultiReader(&read, body), body}
	}
	return out
}

// rereadable is a body of which some was read.
type rereadable struct {
	io.Reader
	io.Closer
}

func (r *Request) without(secrets []string, sources []Source) *http.Request {
	out := r.HTTP.Clone(context.WithoutCancel(r.HTTP.Context()))
	out.Body, out.GetBody, out.Cancel, out.Response = http.NoBody, nil, nil, nil //nolint:staticcheck // Cancel is deprecated, and must not leak
	if r.WithBody {
		out.Body = r.HTTP.Body
		stripForm(out, secrets)
	} else { // middleware may have parsed them; they can be parsed again
		out.Form, out.PostForm, out.MultipartForm = nil, nil, nil
	}
	for _, v := range r.Path {
		out.SetPathValue(v.Name, v.Value)
	}
	stripHeaders(out.Header, sources)
	out.URL.RawQuery = StripQuery(out.URL.RawQuery, secrets)
	out.RequestURI = out.URL.RequestURI()
	return out
}

// stripForm leaves in a parsed form what the body has under the names, and not what
// the query has.
func stripForm(r *http.Request, names []string) {
	if r.Form == nil {
		return
	}
	for _, name := range names {
		delete(r.Form, name)
		if values := r.PostForm[name]; values != nil {
			r.Form[name] = values
		}
	}
}

// StripQuery returns a raw query without the parameters of the given names, the
// others untouched and in order. A name counts that is written with escapes, stands
// behind a semicolon, or has a "?", "+", space or NUL too many.
func StripQuery(raw string, names []string) string {
	if raw == "" || len(names) == 0 {
		return raw
	}
	var kept []string
	for _, pair := range strings.Split(raw, "&") {
		if !carries(pair, names) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

// carries says whether one of the names stands in a pair.
func carries(pair string, names []string) bool {
	for part := range strings.SplitSeq(pair, ";") {
		key, _, _ := strings.Cut(part, "=")
		key, _, _ = strings.Cut(key, "%00")
		if decoded, err := url.QueryUnescape(key); err == nil {
			key = decoded
		}
		if contains(names, key) || contains(names, strings.TrimLeft(key, "?+ ")) {
			return true
		}
	}
	return false
}

func contains(list []string, s string) bool {
	for _, item := range list {
		if item == s {
			return true
		}
	}
	return false
}
