package bind

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"unicode/utf8"

	"example.com/usher/depends"
)

// The two ways in which a subprotocol carries a token, but for a prefix of the program's own,
// since a browser can set no other header: as Kubernetes does, in an offer of its own, whose
// name says what for and whose end is the token in base64url; and as an offer behind the
// marker.
const (
	bearerOffer  = "base64url.bearer.authorization."
	BearerMarker = "bearer"
)

// found is a credential, where it stood, and how many there were.
type found struct {
	source *depends.Source
	value  string
	count  int
}

// find returns the one credential of a scheme, or the refusal.
func (r *Request) find(s *depends.Scheme) (found, error) {
	c, err := r.credentials(s)
	switch {
	case err != nil:
		return c, invalidRequest(s, c.source, err, err.Error())
	case c.count == 0:
		return c, noCredential(s, r.elsewhere(s))
	case c.count > 1:
		err := fmt.Errorf("more than one credential for %s", s.Name)
		return c, invalidRequest(s, c.source, err, "more than one credential was sent")
	}
	return c, nil
}

// credentials finds the first credential that the sources of a scheme hold, and counts them.
// An error is a source that cannot be read, which is returned then.
func (r *Request) credentials(s *depends.Scheme) (c found, err error) {
	for i := range s.Sources {
		source := &s.Sources[i]
		if c.count > 0 && source.Alternative != c.source.Alternative {
			break // the first that is present decides
		}
		values, err := r.read(s, source)
		if err != nil {
			return found{source: source}, err
		}
		values = slices.DeleteFunc(values, func(value string) bool { return value == "" })
		if c.count == 0 && len(values) > 0 {
			c.source, c.value = source, values[0]
		}
		c.count += len(values)
	}
	return c, nil
}

// read returns what stands in a source of a scheme, valid until the next call. What is empty
// is no credential.
func (r *Request) read(s *depends.Scheme, source *depends.Source) (values []string, err error) {
	values = r.one[:0]
	switch source.In {
	case "query":
		values = r.query.values(source.Name, values)
		for i := range values {
			values[i] = textproto.TrimString(values[i])
		}
	case "header":
		for _, line := range r.HTTP.Header[source.Name] {
			values = append(values, take(source.Prefix, line))
		}
	case "cookie":
		values = cookies(r.HTTP.Header["Cookie"], source.Name)
		if len(values) != 1 {
			for i := range values { // an empty one makes the name ambiguous all the same
				values[i] += "?"
			}
		} else if (&http.Cookie{Name: "v", Value: values[0]}).Valid() != nil {
			return nil, errors.New("the cookie of the credential does not parse")
		}
	case "subprotocol":
		// The fetch of a page that diagnoses cannot offer one, but it can set a header.
		if r.Diagnose && !slices.ContainsFunc(s.Sources, isBearer) {
			for _, line := range r.HTTP.Header["Authorization"] {
				values = append(values, take(BearerMarker, line))
			}
		}
		o, err := splitOffers(r.Protocols, OfferPrefix(source), r.Plan.Speaks)
		return append(values, o.tokens...), err
	}
	return values, nil
}

// habits are where clients put credentials that are looked for elsewhere. Nothing says so in
// a request with cookies alone, so they come last.
var habits = depends.Scheme{Sources: []depends.Source{
	{In: "query", Name: "token"},
	{In: "query", Name: "access_token", Alternative: 1},
	{In: "query", Name: "ticket", Alternative: 2},
	{In: "subprotocol", Alternative: 3},
	{In: "header", Name: "Authorization", Alternative: 4},
	{In: "header", Name: "X-Api-Key", Alternative: 5},
	{In: "header", Name: "Cookie", Alternative: 6},
}}

// elsewhere names a place that holds something for a scheme which has found no credential:
// its own header without the prefix, one of the habits, or subprotocols. It is empty if there is
// none.
func (r *Request) elsewhere(s *depends.Scheme) (place string) {
	for _, source := range s.Sources {
		if source.In == "header" && take("", strings.Join(r.HTTP.Header[source.Name], "")) != "" {
			return "header " + source.Name
		}
		if source.In == "subprotocol" && len(r.Protocols) > 0 { // in another form, perhaps
			place = "header Sec-WebSocket-Protocol"
		}
	}
	first, _ := r.credentials(&habits)
	if first.source == nil {
		return place
	}
	return Place(*first.source)
}

// take returns the credential in a header line of a source with a prefix, or "".
func take(prefix, line string) string {
	if prefix == "" {
		return textproto.TrimString(line)
	}
	scheme, rest, _ := strings.Cut(textproto.TrimString(line), " ")
	if !strings.EqualFold(scheme, prefix) {
		return ""
	}
	return textproto.TrimString(rest)
}

// mayHold reports whether a header line may hold a credential, although not a space but
// another character that no scheme's name has (RFC 9110 §5.6.2) ends the prefix.
func mayHold(prefix, line string) bool {
	rest, ok := cutPrefix(textproto.TrimString(line), prefix)
	return ok && rest != "" &&
		(rest[0] <= ' ' || rest[0] >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, rest[0]) >= 0)
}

// MaxOffers is how many subprotocols a handshake may offer.
const MaxOffers = 32

// Offers returns the subprotocols of header lines, in order (RFC 6455 §11.3.4:
// there may be several lines), and at most one more than MaxOffers.
func Offers(lines []string) []string {
	var list []string
	for item := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if item = textproto.TrimString(item); item == "" {
			continue
		}
		if list = append(list, item); len(list) > MaxOffers {
			return list
		}
	}
	return list
}

// OfferPrefix returns how a subprotocol begins that carries a token for a source.
func OfferPrefix(s *depends.Source) string {
	if s.Prefix != "" {
		return s.Prefix
	}
	return bearerOffer + s.Name + "."
}

// offers are the subprotocols of a handshake, parted.
type offers struct {
	rest   []string // can be selected
	tokens []string
	marker string // as it was offered beside a token
}

// splitOffers parts the tokens behind a prefix, and behind the marker, from the subprotocols
// that can be selected. With a marker behind which nothing stands, all that the route does
// not speak may be its token. Doing this again takes nothing else away.
func splitOffers(list []string, prefix string, speaks []string) (o offers, err error) {
	encoded := strings.HasPrefix(prefix, bearerOffer)
	marks := func(i int) bool { return encoded && strings.EqualFold(list[i], BearerMarker) }
	for i := 0; i < len(list); i++ {
		token, ok := cutPrefix(list[i], prefix)
		switch {
		case ok && encoded:
			raw, bad := base64.RawURLEncoding.Strict().DecodeString(token)
			// The decoder skips line breaks, so that a token would have many spellings.
			if bad != nil || len(raw) == 0 || !utf8.Valid(raw) || strings.ContainsAny(token, "\r\n") {
				err = errors.New("a subprotocol that carries a token is not base64url of UTF-8 text")
			}
			o.tokens = append(o.tokens, string(raw))
		case ok:
			o.tokens = append(o.tokens, token)
		case marks(i):
			o.marker = list[i]
			if i+1 < len(list) && !marks(i+1) {
				i++
				o.tokens = append(o.tokens, list[i])
			}
		default:
			o.rest = append(o.rest, list[i])
		}
	}
	if o.tokens == nil && o.marker != "" { // it is the last
		n := len(o.rest)
		o.rest = slices.DeleteFunc(o.rest, func(offer string) bool {
			return !slices.Contains(speaks, offer)
		})
		if len(o.rest) < n {
			return o, errors.New("the subprotocol bearer is the last; the token must stand behind it")
		}
		o.rest, o.marker = append(o.rest, o.marker), ""
	}
	if err == nil && len(o.tokens) > 0 && len(o.rest) == 0 && o.marker == "" {
		err = errors.New("a subprotocol that carries a token is offered alone; " +
			"one that can be selected must stand beside it")
	}
	return o, err
}

// cutPrefix is strings.CutPrefix without regard to case.
func cutPrefix(text, prefix string) (rest string, ok bool) {
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return "", false
	}
	return text[len(prefix):], true
}

// Selectable returns the subprotocols that may be selected: those that the peer offers,
// without the tokens of the plan's schemes; and the marker, if it came with a token.
func (r *Request) Selectable() (rest []string, marker string) {
	rest = r.Protocols
	for i, source := range r.Plan.Sources {
		if source.In != "subprotocol" {
			continue
		}
		o, _ := splitOffers(rest, OfferPrefix(&r.Plan.Sources[i]), r.Plan.Speaks)
		rest, marker = o.rest, cmp.Or(marker, o.marker)
	}
	return rest, marker
}

// StripOffers returns header lines of subprotocols without the tokens behind the prefixes, for
// a route that speaks some, and whether that took anything away. Of more than MaxOffers
// nothing stays.
func StripOffers(lines, prefixes, speaks []string) ([]string, bool) {
	if len(lines) == 0 || len(prefixes) == 0 {
		return lines, false
	}
	list := Offers(lines)
	if len(list) > MaxOffers {
		return nil, true
	}
	rest := list
	for _, prefix := range prefixes {
		carries := func(offer string) bool {
			_, ok := cutPrefix(offer, prefix)
			return ok || strings.EqualFold(offer, BearerMarker)
		}
		if slices.ContainsFunc(rest, carries) {
			o, _ := splitOffers(rest, prefix, speaks)
			rest = o.rest
		}
	}
	if len(rest) == len(list) {
		return lines, false
	}
	if len(rest) == 0 {
		return nil, true
	}
	return []string{strings.Join(rest, ", ")}, true
}

// stripCookies returns Cookie lines without the cookies of the names.
func stripCookies(lines, names []string) (rest []string) {
	for _, line := range lines {
		pairs := slices.DeleteFunc(strings.Split(line, ";"), func(pair string) bool {
			name, _, _ := strings.Cut(pair, "=")
			return slices.Contains(names, textproto.TrimString(name))
		})
		if line = textproto.TrimString(strings.Join(pairs, ";")); line != "" {
			rest = append(rest, line)
		}
	}
	return rest
}

// stripHeaders takes the credentials of sources out of headers, which are the
// caller's own.
func stripHeaders(h http.Header, sources []depends.Source, speaks []string) {
	var cookies, prefixes []string
	for i, source := range sources {
		switch source.In {
		case "cookie":
			cookies = append(cookies, source.Name)
		case "subprotocol":
			prefixes = append(prefixes, OfferPrefix(&sources[i]))
		case "header":
			set(h, source.Name, withoutPrefix(h[source.Name], source.Prefix))
		}
	}
	if cookies != nil {
		set(h, "Cookie", stripCookies(h["Cookie"], cookies))
	}
	if prefixes != nil {
		lines, _ := StripOffers(h["Sec-Websocket-Protocol"], prefixes, speaks)
		set(h, "Sec-Websocket-Protocol", lines)
		// A page that diagnoses sends it there.
		set(h, "Authorization", withoutPrefix(h["Authorization"], BearerMarker))
	}
}

// withoutPrefix returns header lines without those that hold a credential behind a prefix, or
// may have been meant to.
func withoutPrefix(lines []string, prefix string) []string {
	return slices.DeleteFunc(lines, func(line string) bool {
		return take(prefix, line) != "" || mayHold(prefix, line)
	})
}

func set(h http.Header, name string, lines []string) {
	if len(lines) == 0 {
		delete(h, name)
		return
	}
	h[name] = lines
}

func isBearer(s depends.Source) bool { return isAuthorization(s, BearerMarker) }

func isAuthorization(s depends.Source, prefix string) bool {
	return s.In == "header" && s.Name == "Authorization" && strings.EqualFold(s.Prefix, prefix)
}
