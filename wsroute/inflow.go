package wsroute

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// maxEmpty is how many empty fragments a message may have. They are allowed by
// RFC 6455 §5.4, count for no limit of size, and have no use.
const maxEmpty = 1000

// errTold ends the reading of a peer that was told why.
var errTold = errors.New("wsroute: the peer broke the protocol")

// inflow follows the frames that the peer sends (RFC 6455 §5.2), for what gorilla
// leaves out: a close body of one octet must be refused and 1014 answered, and empty
// fragments come at no cost. It takes well-formed close frames out of the stream, and
// leaves everything else as it is.
type inflow struct {
	head    [2 + 8]byte // of the frame that has begun, without its mask
	n       uint8       // bytes of it
	off     bool        // the frames are broken: gorilla will say so
	empties uint16
	left    uint64 // bytes of the frame's mask and payload
	held    []byte // a close frame, as far as it is here
}

// scan looks at bytes as they come, and returns how many of them gorilla may have.
// The rest is held. full says that the body of a close frame is complete.
func (f *inflow) scan(b []byte) (pass int, full bool, err error) {
	if f.off {
		return len(b), false, nil
	}
	for i := 0; i < len(b); {
		if f.left > 0 {
			skipped := min(f.left, uint64(len(b)-i))
			f.left -= skipped
			i += int(skipped) //nolint:gosec // at most len(b)
			continue
		}
		if f.n == 0 && b[i] == 0x80|websocket.CloseMessage {
			full, err = f.hold(b[i:])
			return i, full, err
		}
		f.head[f.n] = b[i]
		f.n++
		i++
		if err := f.begin(); err != nil {
			return i, false, err
		}
	}
	return len(b), false, nil
}

// begin looks at a frame's header once it is complete.
func (f *inflow) begin() error {
	if f.n < 2 {
		return nil
	}
	length, size := uint64(f.head[1]&0x7f), uint8(2)
	switch length {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	if f.n < size {
		return nil
	}
	switch size {
	case 4:
		length = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 10:
		length = binary.BigEndian.Uint64(f.head[2:])
	}
	opcode := f.head[0] & 0xf
	f.n = 0
	switch {
	case f.head[1]&0x80 == 0 || length > 1<<62: // gorilla goes no further
		f.off = true
		return nil
	case opcode == websocket.TextMessage || opcode == websocket.BinaryMessage:
		f.empties = 0
	case opcode == 0 && length == 0:
		f.empties++
	}
	const mask = 4
	f.left = length + mask
	if f.empties > maxEmpty {
		return errEmpties
	}
	return nil
}

var errEmpties = fmt.Errorf("%w: more than %d empty fragments", ErrProtocol, maxEmpty)

// hold collects a close frame. One that is malformed is let go.
func (f *inflow) hold(b []byte) (full bool, err error) {
	const head = 2 + 4
	f.held = append(f.held, b...)
	if len(f.held) < 2 {
		return false, nil
	}
	if size := f.held[1]; size&0x80 == 0 || size&0x7f > 125 {
		f.off = true
		return false, nil
	}
	return len(f.held) >= head+int(f.held[1]&0x7f), nil
}

// body returns what a complete close frame says.
func (f *inflow) body() []byte {
	const head = 2 + 4
	mask, body := f.held[2:head], f.held[head:head+int(f.held[1]&0x7f)]
	for i := range body {
		body[i] ^= mask[i%len(mask)]
	}
	return body
}

// read is Read between the peer and gorilla.
func (s *socket) read(b []byte) (int, error) {
	for {
		if s.in.off && len(s.in.held) > 0 { // it was no close frame after all
			n := copy(b, s.in.held)
			s.in.held = s.in.held[n:]
			return n, nil
		}
		n, err := s.receive(b)
		if n == 0 {
			return 0, err
		}
		var full bool
		if len(s.in.held) > 0 {
			full, err = s.in.hold(b[:n])
			n = 0
		} else {
			n, full, err = s.in.scan(b[:n])
		}
		switch {
		case err != nil:
			return 0, s.broken(err, closePolicy, "too_many_fragments")
		case full && n > 0:
			s.closing = true // once gorilla has what came before
			return n, nil
		case full:
			return 0, s.peerClosed()
		case n > 0:
			return n, nil
		}
	}
}

// broken tells the peer that it broke the protocol.
func (s *socket) broken(why error, code int, reason string) error {
	s.owner.violated(why, code, reason)
	return errTold
}

// closed takes the peer's close frame (RFC 6455 §5.5.1, §7.4).
func (s *socket) peerClosed() error {
	body := s.in.body()
	code, reason := websocket.CloseNoStatusReceived, ""
	switch {
	case len(body) == 1:
		return s.broken(fmt.Errorf("%w: a close frame with half a code", ErrProtocol), websocket.CloseProtocolError, "protocol_error")
	case len(body) > 1:
		code, reason = int(binary.BigEndian.Uint16(body)), string(body[2:])
	}
	switch {
	case len(body) > 1 && !sendable(code):
		return s.broken(fmt.Errorf("%w: close code %d", ErrProtocol, code), websocket.CloseProtocolError, "protocol_error")
	case !utf8.ValidString(reason):
		return s.broken(fmt.Errorf("%w: a close reason that is not UTF-8", ErrProtocol), closeInvalid, "invalid_utf8")
	}
	s.owner.peerClosed(code, reason)
	return &websocket.CloseError{Code: code, Text: reason}
}
