package wsconn

import "encoding/binary"

// MaxEmpty is how many empty fragments a message may have. They are allowed by
// RFC 6455 §5.4, count for no limit of size, and have no use.
const MaxEmpty = 1000

// heads follows the heads of the frames that the peer sends (RFC 6455 §5.2), for what
// gorilla lets pass: a reserved bit on a frame that cannot be compressed (RFC 7692 §6), a
// close frame with half a code, and empty fragments without end.
type heads struct {
	head    [2 + 8]byte // of the frame that has begun, without its mask
	n       uint8       // bytes of it
	off     bool        // the frames are broken, as gorilla will say
	empties uint16
	left    uint64 // bytes of the frame's mask and payload
}

// scan looks at bytes as they come, and returns how many of them stand before a fault.
func (h *heads) scan(b []byte) (good int, fault *violation) {
	for i := 0; i < len(b) && !h.off; {
		if h.left > 0 {
			skipped := min(h.left, uint64(len(b)-i))
			h.left -= skipped
			i += int(skipped) //nolint:gosec // at most len(b)
			continue
		}
		h.head[h.n] = b[i]
		h.n++
		if fault := h.look(); fault != nil {
			return i, fault
		}
		i++
	}
	return len(b), nil
}

// look judges a head as far as it is there, and begins the payload when it is complete.
func (h *heads) look() *violation {
	first, opcode := h.head[0], h.head[0]&0xf
	if first&compressedBit != 0 && opcode != opText && opcode != opBinary {
		return breach(CodeProtocol, "protocol_error", "a reserved bit on a frame with opcode %d", opcode)
	}
	if h.n < 2 {
		return nil
	}
	length := uint64(h.head[1] & 0x7f)
	switch more := h.head[2:h.n]; {
	case length == 126 && len(more) < 2, length == 127 && len(more) < 8:
		return nil
	case length == 126:
		length = uint64(binary.BigEndian.Uint16(more))
	case length == 127:
		length = binary.BigEndian.Uint64(more)
	}
	const mask = 4
	h.n, h.left = 0, length+mask
	switch {
	case h.head[1]&0x80 == 0 || length > 1<<62: // gorilla goes no further
		h.off = true
	case opcode == opClose && length == 1:
		return breach(CodeProtocol, "protocol_error", "a close frame with half a code")
	case opcode == opText || opcode == opBinary:
		h.empties = 0
	case opcode == opContinuation && length == 0:
		if h.empties++; h.empties > MaxEmpty {
			return breach(CodePolicy, "too_many_fragments", "more than %d empty fragments", MaxEmpty)
		}
	}
	return nil
}
