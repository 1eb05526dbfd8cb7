package security

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// maxMembers is the most members of an object: each name is compared with every other.
const maxMembers = 128

// member is a registered name and the characters with which its JSON value may begin,
// which show the value's type. Empty admits every type.
type member struct{ name, begins string }

const (
	space  = " \t\r\n"
	text   = `"`
	texts  = `"[`          // a string or an array
	number = "-0123456789" // a NumericDate (RFC 7519 §2)
)

// claimMembers are the registered claims (RFC 7519 §4.1).
var claimMembers = []member{
	{"iss", text},
	{"sub", text},
	{"aud", texts},
	{"jti", text},
	{"exp", number},
	{"nbf", number},
	{"iat", number},
}

// headerMembers are the header parameters that readHeader reads (RFC 7515 §4.1, RFC 7797 §3).
var headerMembers = []member{{"alg", text}, {"kid", text}, {"typ", text}, {"crit", ""}, {"b64", ""}}

// checkMembers refuses an object which readers understand in different ways: one with a name
// twice (RFC 7515 §4, RFC 7519 §4), with names that differ by case alone, with a registered
// name in another case, or with a registered member of another type. encoding/json takes the
// last of two names, and ignores their case.
//
// It checks the outermost members only, and leaves the syntax to encoding/json.
func checkMembers(data []byte, registered []member) error {
	if !utf8.Valid(data) {
		return badToken(jwt.ErrTokenMalformed, "not UTF-8")
	}
	data, isObject := bytes.CutPrefix(bytes.TrimLeft(data, space), []byte("{"))
	if !isObject {
		return badToken(jwt.ErrTokenMalformed, "not a JSON object")
	}
	seen := make([][]byte, 0, 16)
	for name, rest := nextMember(data); len(rest) > 0; name, rest = nextMember(rest) {
		for _, m := range registered {
			same := string(name) == m.name
			if same && m.begins != "" && strings.IndexByte(m.begins, rest[0]) < 0 {
				return badToken(jwt.ErrTokenMalformed, "%s has a value of the wrong type", name)
			}
			if !same && strings.EqualFold(string(name), m.name) {
				return badToken(jwt.ErrTokenMalformed, "%+.40q differs from a registered name by case", name)
			}
		}
		twice := func(other []byte) bool { return bytes.EqualFold(name, other) }
		if slices.ContainsFunc(seen, twice) {
			return badToken(jwt.ErrTokenMalformed, "%+.40q is there twice", name)
		}
		if len(seen) == maxMembers {
			return badToken(jwt.ErrTokenMalformed, "more than %d members", maxMembers)
		}
		seen = append(seen, name)
	}
	return nil
}

// memberText returns the string or the number that an object has under a name, which may be
// in another case, as for encoding/json; or "".
func memberText(data []byte, wanted string) string {
	name, rest := nextMember(bytes.TrimLeft(data, space+"{"))
	for ; len(rest) > 0; name, rest = nextMember(rest) {
		switch {
		case !strings.EqualFold(string(name), wanted):
		case rest[0] == '"':
			return string(unescaped(rest[:stringLength(rest)]))
		default:
			return string(rest[:len(rest)-len(bytes.TrimLeft(rest, number+".eE"))])
		}
	}
	return ""
}

// nextMember returns the name of an object's next member, unescaped, and the text from its
// value on, or nil. data begins within the object, before a name or a value.
func nextMember(data []byte) (name, rest []byte) {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			end := i + stringLength(data[i:])
			// A string in front of a colon is a name.
			after, isName := bytes.CutPrefix(bytes.TrimLeft(data[end:], space), []byte(":"))
			if depth == 0 && isName {
				return unescaped(data[i:end]), bytes.TrimLeft(after, space)
			}
			i = end - 1
		}
	}
	return nil, nil
}

// stringLength returns the length of the JSON string that data begins with.
func stringLength(data []byte) int {
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

// unescaped returns the text of a JSON string.
func unescaped(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // an error here is also one of the whole object
	return []byte(s)
}
