package bind

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"

	"example.com/usher/depends"
	"example.com/usher/internal/graph"
)

// PathValue is a parameter that the router took from the path.
type PathValue struct{ Name, Value string }

// Request is the handshake request as the resolver reads it. It belongs to one
// resolution.
type Request struct {
	Plan     *Plan
	HTTP     *http.Request
	Path     []PathValue
	RawQuery string // of the request as the peer sent it, credentials included
	Client   func(*http.Request) netip.Addr
	// Protocols are the subprotocols that the peer offers, tokens included.
	Protocols []string
	// Diagnose says that the peer asks only whether it would be let in.
	Diagnose bool
	// WithBody says that a dependency which takes the request may read its body.
	WithBody bool

	// Foreign is the foreign router's context, as long as the handshake lasts.
	Foreign any

	query   query
	one     [1]string          // the single value that Values returns
	bad     *depends.Rejection // for parameters
	source  *depends.Source    // where the credential stood
	renewed *string            // a credential that takes its place
}

// Parse reads the query. An error is a pair that does not decode, of a parameter that the plan
// reads: it would otherwise vanish in silence.
func (r *Request) Parse() error {
	r.query = query(r.RawQuery)
	return r.query.check(r.Plan.reads)
}

// Query returns the last value of a query parameter, or "".
func (r *Request) Query(name string) string {
	if values := r.query.values(name, nil); len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

// Values returns what the request holds under a parameter's name. The result is
// valid until the next call.
func (r *Request) Values(in, name string) []string {
	switch in {
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
		return cookies(r.HTTP.Header["Cookie"], name)
	}
	return nil
}

// cookies returns the values of a cookie as they stand, without quotes around them. Browsers
// send bytes that RFC 6265 §4.1.1 does not allow, such as JSON, and net/http drops such cookies.
func cookies(lines []string, name string) (found []string) {
	for pair := range strings.SplitSeq(strings.Join(lines, ";"), ";") {
		key, value, _ := strings.Cut(textproto.TrimString(pair), "=")
		if textproto.TrimString(key) != name {
			continue
		}
		if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		found = append(found, value)
	}
	return found
}

// Refused returns the refusal of a request without the credentials that the plan
// asks for, or with too many. Resolving would return the same, but has to be set
// up first.
func (r *Request) Refused() error {
	for i := range r.Plan.schemes {
		s := &r.Plan.schemes[i]
		switch c, err := r.credentials(s.Scheme); {
		case err != nil:
		case c.count == 1:
			return nil // whether it is good comes first
		case c.count == 0 && s.optional:
			continue
		case c.count == 0 && r.elsewhere(s.Scheme) == "":
			return s.missing
		}
		_, err := r.find(s.Scheme)
		return &graph.Error{Provider: s.Name, Err: err}
	}
	return nil
}

// BadParam notes a parameter that is refused, and returns the refusal of all that were.
func (r *Request) BadParam(loc []string, code, bound string) error {
	if r.bad == nil {
		r.bad = &depends.Rejection{Status: http.StatusUnprocessableEntity, Reason: "invalid_parameters"}
	}
	if !slices.ContainsFunc(r.bad.Params, func(have depends.ParamError) bool {
		return have.Code == code && slices.Equal(have.Loc, loc)
	}) {
		r.bad.Params = append(r.bad.Params, depends.ParamError{Loc: loc, Code: code, Param: bound})
	}
	return r.bad
}

// Authenticate hands the one credential of a scheme to it.
func (r *Request) Authenticate(ctx context.Context, p *graph.Provider, out any) error {
	scheme := SchemeOf(p)
	c := found{source: r.source}
	if r.renewed != nil {
		c.value = *r.renewed
	} else {
		var err error
		if c, err = r.find(scheme); err != nil {
			return err
		}
		r.source = c.source
	}
	if err := p.Invoke(ctx, r.credential(c), out); err != nil {
		return c.hinted(RefuseUnknown(err, challengeOf(scheme, c.source), "invalid_credentials"))
	}
	return nil
}

// Granted refuses a value of a scheme's type, also one that a test puts in its place, that does
// not grant the scopes.
func (r *Request) Granted(p *graph.Provider, scopes []string, value any) error {
	granted := p.Granted(value)
	for _, scope := range scopes {
		if !slices.Contains(granted, scope) {
			return insufficientScope(p, r.source, scopes)
		}
	}
	return nil
}

// credential returns what was found as schemes get it.
func (r *Request) credential(c found) *depends.Credential {
	return graph.NewCredential(c.source, c.value, r).(*depends.Credential)
}

// FindCredential takes the one credential of a scheme out of a request that is for no route,
// or refuses as a handshake would be: 401 for none, 400 for more than one. For a scheme that
// must not start it returns an error that is no Rejection.
func FindCredential(r *http.Request, scheme depends.Scheme) (depends.Credential, error) {
	s := canonical(scheme)
	if len(s.Faults) > 0 {
		return depends.Credential{}, fmt.Errorf("depends: unsafe configuration: %s", s.Faults[0].Fact)
	}
	request := &Request{
		Plan: &Plan{Secrets: Names{}, reads: Names{}}, HTTP: r, RawQuery: r.URL.RawQuery, WithBody: true,
		Protocols: Offers(r.Header["Sec-Websocket-Protocol"]),
	}
	request.Plan.add(s, false)
	if request.Parse() != nil {
		return depends.Credential{}, &depends.Rejection{
			Status: http.StatusBadRequest, Reason: "invalid_query",
			Err: errors.New("the query has a bad % or a ;"),
		}
	}
	c, err := request.find(s)
	if err != nil {
		return depends.Credential{}, err
	}
	return *request.credential(c), nil
}

// Keep returns the request as an open connection keeps it: without credentials, and without
// what ends with the handshake.
func (r *Request) Keep() *Request {
	kept := *r
	kept.HTTP = r.Snapshot()
	kept.RawQuery, kept.query, kept.Protocols, kept.Foreign = kept.HTTP.URL.RawQuery, "", nil, nil
	return &kept
}

// Guest says that no credential has come with the request.
func (r *Request) Guest() bool { return r.source == nil }

// Renewed returns a request that was kept, with a new credential where the first one stood; for a
// guest, where the scheme looks first.
func (r *Request) Renewed(credential string) (*Request, error) {
	renewed := *r
	renewed.renewed = &credential
	if r.Guest() && len(r.Plan.schemes) == 1 && len(r.Plan.schemes[0].Sources) > 0 {
		renewed.source = &r.Plan.schemes[0].Sources[0]
	}
	if renewed.Guest() {
		return nil, &depends.Rejection{
			Status: http.StatusBadRequest, Reason: "nothing_to_renew",
			Err: errors.New("there is no credential to renew"),
		}
	}
	return &renewed, nil
}

// Snapshot returns the request that dependencies may keep: without the
// credentials of the plan's schemes, without a body unless the request is WithBody, with the
// route as its Pattern, and with a context that has the values of the request's but not its end.
func (r *Request) Snapshot() *http.Request {
	out := r.HTTP.Clone(context.WithoutCancel(r.HTTP.Context()))
	out.Body = http.NoBody
	if r.WithBody {
		out.Body = r.HTTP.Body
		stripForm(out, r.Plan.Secrets)
	} else { // middleware may have parsed them; they can be parsed again
		out.Form, out.PostForm, out.MultipartForm = nil, nil, nil
	}
	if r.Plan.Plan != nil {
		out.Pattern = r.Plan.Target.Label
	}
	for _, v := range r.Path {
		out.SetPathValue(v.Name, v.Value)
	}
	stripHeaders(out.Header, r.Plan.Sources, r.Plan.Speaks)
	r.Plan.Secrets.Strip(out)
	return out
}

// ClientAddr returns the address of the peer.
func (r *Request) ClientAddr() netip.Addr { return r.Client(r.HTTP) }

// Diagnosing says that nothing may be spent.
func (r *Request) Diagnosing() bool { return r.Diagnose }

// ForScheme returns what a scheme may look at: the request without the credentials of the
// plan's schemes. What it reads of the body is there to be read once more.
func (r *Request) ForScheme() *http.Request {
	body := r.HTTP.Body
	out := r.Snapshot()
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

// stripForm leaves in a parsed form what the body has under the names, and not what
// the query has.
func stripForm(r *http.Request, names Names) {
	for name := range r.Form {
		if !names.in(name) {
			continue
		}
		delete(r.Form, name)
		if values := r.PostForm[name]; values != nil {
			r.Form[name] = values
		}
	}
}
