package security

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// maxMembers bounds the comparison of each name with every other.
const maxMembers = 128

// kind is what the first byte of a JSON value tells of it.
type kind uint8

const (
	unregistered kind = iota // the specification does not know the name
	anything
	text   // a string
	number // a NumericDate (RFC 7519 §2)
	texts  // a string or an array
)

func (k kind) admits(first byte) bool {
	switch k {
	case text:
		return first == '"'
	case number:
		return first == '-' || '0' <= first && first <= '9'
	case texts:
		return first == '"' || first == '['
	}
	return true
}

// claimMember is the kind of a registered claim (RFC 7519 §4.1).
func claimMember(name []byte) kind {
	switch string(name) {
	case "iss", "sub", "jti":
		return text
	case "aud":
		return texts
	case "exp", "nbf", "iat":
		return number
	}
	return unregistered
}

// headerMember is the kind of a header parameter that matters here (RFC 7515
// §4.1, RFC 7797 §3).
func headerMember(name []byte) kind {
	switch string(name) {
	case "alg", "kid", "typ":
		return text
	case "crit", "b64":
		return anything
	}
	return unregistered
}

// checkMembers refuses an object whose members a reader could take for others
// than the issuer meant: the same name twice (RFC 7515 §4, RFC 7519 §4), of
// which encoding/json believes the last; names that differ by case alone, which
// it takes for the same; a registered name in another case; and a registered
// member of another type. data is valid JSON.
//
// It looks at the outermost names only and allocates nothing for usual tokens.
func checkMembers(data []byte, registered func([]byte) kind) error {
	if !utf8.Valid(data) {
		return because(jwt.ErrTokenMalformed, "not UTF-8")
	}
	members, ok := openObject(data)
	if !ok {
		return because(jwt.ErrTokenMalformed, "no JSON object")
	}
	var few [16][]byte
	seen := few[:0]
	for {
		name, first, more := members.next()
		if !more {
			break
		}
		k := registered(name)
		if !k.admits(first) {
			return because(jwt.ErrTokenMalformed, "%s has a value of the wrong type", name)
		}
		if k == unregistered && registered(folded(name)) != unregistered {
			return because(jwt.ErrTokenMalformed, "%+.40q differs from a registered name by case", name)
		}
		for _, other := range seen {
			if bytes.EqualFold(name, other) {
				return because(jwt.ErrTokenMalformed, "%+.40q is there twice", name)
			}
		}
		if len(seen) == maxMembers {
			return because(jwt.ErrTokenMalformed, "more than %d members", maxMembers)
		}
		seen = append(seen, name)
	}
	if members.broken {
		return because(jwt.ErrTokenMalformed, "no JSON object")
	}
	return nil
}

// folded returns the registered name that encoding/json would take name for.
// Besides the case of ASCII, it folds the long s and the Kelvin sign.
func folded(name []byte) []byte {
	for _, r := range registeredNames {
		// A letter of a registered name has at most three bytes in any case.
		if len(name) >= len(r) && len(name) <= 3*len(r) && bytes.EqualFold(name, r) {
			return r
		}
	}
	return nil
}

var registeredNames = [][]byte{
	[]byte("iss"), []byte("sub"), []byte("aud"), []byte("exp"), []byte("nbf"), []byte("iat"), []byte("jti"),
	[]byte("alg"), []byte("kid"), []byte("typ"), []byte("crit"), []byte("b64"),
}

// memberReader goes through the members of one JSON object. It does not check
// the syntax, which encoding/json has done, but is safe if that were not so.
type memberReader struct {
	data   []byte
	at     int
	broken bool // the object does not end
}

func openObject(data []byte) (memberReader, bool) {
	r := memberReader{data: data}
	return r, r.skipTo() == '{'
}

// next returns the next member's name, unescaped, and its value's first byte.
func (r *memberReader) next() (name []byte, first byte, ok bool) {
	r.at++ // over the { or the comma
	if c := r.skipTo(); c != '"' {
		r.broken = c != '}'
		return nil, 0, false
	}
	start := r.at
	plain := r.skipString()
	name = r.data[start:r.at]
	if plain {
		name = name[1 : len(name)-1]
	} else {
		var s string
		if json.Unmarshal(name, &s) != nil {
			r.broken = true
			return nil, 0, false
		}
		name = []byte(s)
	}
	if r.skipTo() != ':' {
		r.broken = true
		return nil, 0, false
	}
	r.at++
	first = r.skipTo()
	r.skipValue()
	return name, first, true
}

// skipTo goes to the next byte that is no white space and returns it, or 0.
func (r *memberReader) skipTo() byte {
	for ; r.at < len(r.data); r.at++ {
		switch c := r.data[r.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// skipString goes behind a string and reports that nothing in it is escaped. A
// string that does not end is reported as escaped.
func (r *memberReader) skipString() (plain bool) {
	plain = true
	for r.at++; r.at < len(r.data); r.at++ {
		switch r.data[r.at] {
		case '\\':
			plain = false
			r.at++
		case '"':
			r.at++
			return plain
		}
	}
	r.at = len(r.data) // an escape at the very end goes past it
	return false
}

// skipValue goes to the comma or the brace behind a value, and stays before it
// so that next finds a brace.
func (r *memberReader) skipValue() {
	for depth := 0; r.at < len(r.data); r.at++ {
		switch r.data[r.at] {
		case '"':
			r.skipString()
			r.at--
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				r.at-- // next steps over one byte
				return
			}
			depth--
		case ',':
			if depth == 0 {
				return
			}
		}
	}
}
