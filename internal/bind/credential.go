package bind

import (
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"example.com/usher/depends"
)

// The two ways in which a subprotocol carries a token, since a browser can set
// no other header: as Kubernetes does, in an offer of its own, whose name says
// what for and whose end is the token in base64url; and as an offer behind the
// marker.
const (
	bearerOffer    = "base64url.bearer.authorization."
	anyBearerOffer = "base64url.bearer." // Phoenix has a form of its own
	BearerMarker   = "bearer"
)

var (
	errOffer  = errors.New("a subprotocol that carries a token is not base64url of UTF-8 text")
	errCookie = errors.New("the cookie of the credential does not parse")
	errAlone  = errors.New("a subprotocol that carries a token is offered alone; " +
		"one that can be selected must stand beside it")
)

// found is a credential, and where it stood.
type found struct {
	source *depends.Source
	value  string
}

// find returns the one credential of a scheme, or the refusal.
func (r *Request) find(s *depends.Scheme) (c found, err error) {
	n, err := r.credentials(s, &c)
	switch {
	case err != nil:
		return c, badCredential(s, c.source, err)
	case n == 0:
		return c, noCredential(s, r.unread(s))
	case n > 1:
		return c, manyCredentials(s, c.source)
	}
	return c, nil
}

// credentials finds what the sources of a scheme hold: the first, and how many
// there are. An error is a source that cannot be read, which is then the first.
func (r *Request) credentials(s *depends.Scheme, first *found) (n int, err error) {
	for i := range s.Sources {
		source := &s.Sources[i]
		if n > 0 && source.Alternative != first.source.Alternative {
			break // the first that is present decides
		}
		switch source.In {
		case "query":
			for _, value := range r.query.values(source.Name, r.one[:0]) {
				n = first.add(n, source, strings.TrimSpace(value))
			}
		case "header":
			for _, line := range r.HTTP.Header[source.Name] {
				n = first.add(n, source, take(source.Prefix, line))
			}
		case "cookie":
			before := n
			for _, c := range r.HTTP.CookiesNamed(source.Name) {
				n = first.add(n, source, c.Value)
			}
			switch sent, value := named(r.HTTP.Header["Cookie"], source.Name); {
			case sent > 1:
				n = before + sent
				if before == 0 {
					first.source = source
				}
			case sent == 1 && n == before && value != "":
				first.source = source
				return 0, errCookie
			}
		case "subprotocol":
			if n, err = r.offered(s, source, n, first); err != nil {
				first.source = source
				return 0, err
			}
		}
	}
	return n, nil
}

// unread returns a source whose header holds something, for one that found no credential:
// that of another scheme, say, or one without the prefix. It is nil if there is none.
func (r *Request) unread(s *depends.Scheme) *depends.Source {
	for i := range s.Sources {
		source := &s.Sources[i]
		if source.In != "header" {
			continue
		}
		for _, line := range r.HTTP.Header[source.Name] {
			if strings.TrimSpace(line) != "" {
				return source
			}
		}
	}
	return nil
}

// named counts the cookies of a name as they were sent. Those that are empty or do not
// parse are not among a request's cookies, and make the name ambiguous all the same.
func named(lines []string, name string) (n int, last string) {
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			if key, value, _ := strings.Cut(pair, "="); strings.TrimSpace(key) == name {
				n, last = n+1, strings.Trim(value, " \t\"")
			}
		}
	}
	return n, last
}

// add counts a credential, unless it is empty.
func (c *found) add(n int, source *depends.Source, value string) int {
	if value == "" {
		return n
	}
	if n == 0 {
		c.source, c.value = source, value
	}
	return n + 1
}

// offered looks among the subprotocols.
func (r *Request) offered(
	s *depends.Scheme, source *depends.Source, n int, first *found,
) (int, error) {
	// The fetch of a page that diagnoses cannot offer a subprotocol, but it can set a header.
	if r.Diagnose && !slices.ContainsFunc(s.Sources, isBearer) {
		for _, line := range r.HTTP.Header["Authorization"] {
			n = first.add(n, source, take(BearerMarker, line))
		}
	}
	_, tokens, err := splitOffers(r.Protocols, source.Name)
	for _, token := range tokens {
		n = first.add(n, source, token)
	}
	return n, err
}

// take returns the credential in a header line of a source with a prefix, or "".
func take(prefix, line string) string {
	if prefix == "" {
		return strings.TrimSpace(line)
	}
	scheme, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if !strings.EqualFold(scheme, prefix) {
		return ""
	}
	return strings.TrimSpace(rest)
}

// mayHold reports whether a header line may hold a credential, although not a space but
// another character that no scheme's name has (RFC 9110 §5.6.2) ends the prefix.
func mayHold(prefix, line string) bool {
	line = strings.TrimSpace(line)
	if len(line) <= len(prefix) || !strings.EqualFold(line[:len(prefix)], prefix) {
		return false
	}
	c := line[len(prefix)]
	return c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0
}

// MaxOffers is how many subprotocols a handshake may offer.
const MaxOffers = 32

// Offers returns the subprotocols of header lines, in order (RFC 6455 §11.3.4:
// there may be several lines), and at most one more than MaxOffers.
func Offers(lines []string) []string {
	var list []string
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			if list = append(list, item); len(list) > MaxOffers {
				return list
			}
		}
	}
	return list
}

// splitOffers parts the tokens for name from the subprotocols that can be
// selected, among which the marker stays, at the end: nothing stands behind it
// that could be taken for a token when this is done again.
func splitOffers(offers []string, name string) (rest, tokens []string, err error) {
	marked := false
	for i := 0; i < len(offers); i++ {
		encoded, ok := strings.CutPrefix(offers[i], bearerOffer+name+".")
		switch {
		case ok:
			raw, bad := base64.RawURLEncoding.Strict().DecodeString(encoded)
			// The decoder skips line breaks, so that a token would have many spellings.
			if bad != nil || len(raw) == 0 || !utf8.Valid(raw) || strings.ContainsAny(encoded, "\r\n") {
				err = errOffer
			}
			tokens = append(tokens, string(raw))
		case offers[i] == BearerMarker && i+1 < len(offers):
			marked = true
			i++
			tokens = append(tokens, offers[i])
		default:
			rest = append(rest, offers[i])
		}
	}
	if marked && !slices.Contains(rest, BearerMarker) {
		rest = append(rest, BearerMarker)
	}
	if err == nil && len(tokens) > 0 && len(rest) == 0 {
		err = errAlone
	}
	return rest, tokens, err
}

// Selectable returns the subprotocols that may be selected: those that the peer
// offers, without the tokens of the plan's schemes. marked says that the marker is
// among them because a token stood behind it.
func (r *Request) Selectable() (rest []string, marked bool) {
	rest = r.Protocols
	for _, source := range r.Plan.Sources {
		if source.In != "subprotocol" {
			continue
		}
		before := len(rest)
		rest, _, _ = splitOffers(rest, source.Name)
		marked = marked || len(rest) < before && slices.Contains(rest, BearerMarker)
	}
	return rest, marked
}

// Sayable returns an offer that carries no token, whatever scheme it might be for, or "":
// the marker if it is among them, since any other might be what was meant to follow it.
func Sayable(offers []string) string {
	first := ""
	for _, offer := range offers {
		switch {
		case strings.EqualFold(offer, BearerMarker):
			return offer
		case first == "" && !strings.HasPrefix(strings.ToLower(offer), anyBearerOffer):
			first = offer
		}
	}
	return first
}

// StripOffers returns header lines of subprotocols without the tokens for the
// names, and whether that took anything away. Of more than MaxOffers nothing stays.
func StripOffers(lines, names []string) ([]string, bool) {
	if len(lines) == 0 || len(names) == 0 {
		return lines, false
	}
	offers := Offers(lines)
	if len(offers) > MaxOffers {
		return nil, true
	}
	rest := offers
	for _, name := range names {
		rest, _, _ = splitOffers(rest, name)
	}
	if len(rest) == len(offers) {
		return lines, false
	}
	if len(rest) == 0 {
		return nil, true
	}
	return []string{strings.Join(rest, ", ")}, true
}

// stripCookies returns Cookie lines without the cookies of the names.
func stripCookies(lines, names []string) []string {
	var kept []string
	for _, line := range lines {
		var pairs []string
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.TrimSpace(pair)
			name, _, _ := strings.Cut(pair, "=")
			if pair != "" && !slices.Contains(names, strings.TrimSpace(name)) {
				pairs = append(pairs, pair)
			}
		}
		if len(pairs) > 0 {
			kept = append(kept, strings.Join(pairs, "; "))
		}
	}
	return kept
}

// stripHeaders takes the credentials of sources out of headers, which are the
// caller's own.
func stripHeaders(h http.Header, sources []depends.Source) {
	var cookies, offers []string
	for _, source := range sources {
		switch source.In {
		case "cookie":
			cookies = append(cookies, source.Name)
		case "subprotocol":
			offers = append(offers, source.Name)
		case "header":
			set(h, source.Name, withoutPrefix(h[source.Name], source.Prefix))
		}
	}
	if cookies != nil {
		set(h, "Cookie", stripCookies(h["Cookie"], cookies))
	}
	if offers != nil {
		lines, _ := StripOffers(h["Sec-Websocket-Protocol"], offers)
		set(h, "Sec-Websocket-Protocol", lines)
		// A page that diagnoses sends it there.
		set(h, "Authorization", withoutPrefix(h["Authorization"], BearerMarker))
	}
}

// withoutPrefix returns header lines without those that hold a credential behind a prefix, or
// may have been meant to.
func withoutPrefix(lines []string, prefix string) (kept []string) {
	for _, line := range lines {
		if take(prefix, line) == "" && !mayHold(prefix, line) {
			kept = append(kept, line)
		}
	}
	return kept
}

func set(h http.Header, name string, lines []string) {
	if lines == nil {
		delete(h, name)
		return
	}
	h[name] = lines
}

// IsBasic reports whether a source holds a name and a password (RFC 7617). A browser that has
// asked for them once adds them by itself, as it adds cookies.
func IsBasic(s depends.Source) bool { return isAuthorization(s, "Basic") }

func isBearer(s depends.Source) bool { return isAuthorization(s, BearerMarker) }

func isAuthorization(s depends.Source, prefix string) bool {
	return s.In == "header" && s.Name == "Authorization" && strings.EqualFold(s.Prefix, prefix)
}
