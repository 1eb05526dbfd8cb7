package wsroute

import "bytes"

// envelope is what stands around a message on the wire of [HandleMessages].
type envelope struct {
	kind []byte // the value of the type member, without its quotes
	ref  []byte // of the ref member, as it stands; nil for none
}

// maxRef is how many bytes of text a ref may have, and maxRefDigits how many digits.
const (
	maxRef       = 64
	maxRefDigits = 19
)

// open reads the type and the ref of a message, without an allocation. The reason is empty if
// both are as they must be, and the rest may still be no JSON.
func (e *envelope) open(data []byte, member string) (reason string) {
	s := scanner{data: data}
	if !s.next('{') {
		return reasonNoJSON
	}
	*e = envelope{}
	typed, referred, bad := false, false, false
	for more := !s.next('}'); more; {
		key, plain, ok := s.text()
		if !ok || !s.next(':') {
			return reasonNoJSON
		}
		value := s.value()
		if value == nil {
			return reasonNoJSON
		}
		switch {
		case !plain:
			bad = true
		case string(key) == member:
			e.kind, ok = unquoted(value)
			bad = bad || !ok || typed
			typed = true
		case string(key) == refMember:
			e.ref, ok = reference(value)
			bad = bad || !ok || referred
			referred = true
		}
		if more = s.next(','); !more && !s.next('}') {
			return reasonNoJSON
		}
	}
	if s.space(); s.at < len(data) {
		return reasonNoJSON
	}
	if bad || !typed {
		return reasonInvalid
	}
	return ""
}

// reference returns a ref as it stands, nil for null, and whether it is one.
func reference(value []byte) (ref []byte, ok bool) {
	if string(value) == "null" {
		return nil, true
	}
	if text, ok := unquoted(value); ok {
		control := func(c rune) bool { return c < ' ' }
		if len(text) > maxRef || bytes.ContainsFunc(text, control) {
			return nil, false
		}
		return value, true
	}
	digits := bytes.TrimPrefix(value, []byte("-"))
	for _, c := range digits {
		if c < '0' || c > '9' {
			return nil, false
		}
	}
	if n := len(digits); n == 0 || n > maxRefDigits || digits[0] == '0' && len(value) > 1 {
		return nil, false
	}
	return value, true
}

// unquoted returns what stands in a string without escapes.
func unquoted(value []byte) (text []byte, ok bool) {
	if value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
		return nil, false
	}
	return value[1 : len(value)-1], true
}

// scanner walks over JSON that may be broken: encoding/json reads it afterwards.
type scanner struct {
	data []byte
	at   int
}

func (s *scanner) space() {
	for s.at < len(s.data) && bytes.IndexByte([]byte(" \t\r\n"), s.data[s.at]) >= 0 {
		s.at++
	}
}

// next skips space, and a character if it stands there.
func (s *scanner) next(c byte) bool {
	s.space()
	if s.at < len(s.data) && s.data[s.at] == c {
		s.at++
		return true
	}
	return false
}

// text reads a string. plain says that it has no escapes.
func (s *scanner) text() (text []byte, plain, ok bool) {
	if !s.next('"') {
		return nil, false, false
	}
	begin := s.at
	for plain = true; s.at < len(s.data); s.at++ {
		switch s.data[s.at] {
		case '\\':
			plain = false
			s.at++
		case '"':
			s.at++
			return s.data[begin : s.at-1], plain, true
		}
	}
	return nil, false, false
}

// value reads a value of any depth, and returns it as it stands; nil if there is none.
func (s *scanner) value() []byte {
	s.space()
	begin, depth := s.at, 0
	for s.at < len(s.data) {
		switch c := s.data[s.at]; c {
		case '"':
			if _, _, ok := s.text(); !ok {
				return nil
			}
			if depth == 0 {
				return s.data[begin:s.at]
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return s.plain(begin)
			}
			if depth--; depth == 0 {
				s.at++
				return s.data[begin:s.at]
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return s.plain(begin)
			}
		}
		s.at++
	}
	return nil
}

// plain returns a number or a word that has ended here, or nil.
func (s *scanner) plain(begin int) []byte {
	if s.at == begin {
		return nil
	}
	return s.data[begin:s.at]
}
