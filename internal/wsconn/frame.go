package wsconn

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"sync"
)

// The opcodes of RFC 6455 §5.2, and the bits beside them.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa

	opNone = 0xf // of the answer to the handshake, which is no frame

	finalBit      = 0x80
	compressedBit = 0x40 // RSV1 (RFC 7692 §6)
)

// headRoom is the longest head of a frame that is not masked.
const headRoom = 10

// maxPooled is the largest buffer that is kept for the next message.
const maxPooled = 64 << 10

// Outgoing is a message to send: its payload, and the one frame that it becomes. Several
// connections may send it, one after the other.
type Outgoing struct {
	Label string // for a [Tracer]

	op       byte
	plain    bytes.Buffer // room for a head, then the payload
	deflated bytes.Buffer // the same, compressed
	frames   [2][]byte    // within them; nil until it is needed
	kept     bool         // a queue holds on to it
}

var outgoings = sync.Pool{New: func() any { return new(Outgoing) }}

// NewOutgoing returns an empty message to write the payload to.
func NewOutgoing(binary bool) *Outgoing {
	o := outgoings.Get().(*Outgoing) //nolint:forcetypeassert // the pool holds nothing else
	o.op, o.frames, o.Label = opText, [2][]byte{}, ""
	if binary {
		o.op = opBinary
	}
	o.plain.Reset()
	o.deflated.Reset()
	o.plain.Write(make([]byte, headRoom))
	return o
}

// Write adds to the payload.
func (o *Outgoing) Write(b []byte) (int, error) { return o.plain.Write(b) }

// WriteString adds to the payload.
func (o *Outgoing) WriteString(s string) (int, error) { return o.plain.WriteString(s) }

// Release lets the message's memory be used again, unless a queue needs it.
func (o *Outgoing) Release() {
	if !o.kept && o.plain.Cap() <= maxPooled && o.deflated.Cap() <= maxPooled {
		outgoings.Put(o)
	}
}

// frame returns the message as its frame, which is written once: a queue may hold it.
func (o *Outgoing) frame(deflate bool) []byte {
	switch {
	case deflate && o.frames[1] == nil:
		compress(&o.deflated, o.plain.Bytes()[headRoom:])
		o.frames[1] = framed(finalBit|compressedBit|o.op, o.deflated.Bytes())
	case !deflate && o.frames[0] == nil:
		o.frames[0] = framed(finalBit|o.op, o.plain.Bytes())
	}
	if deflate {
		return o.frames[1]
	}
	return o.frames[0]
}

// framed puts the head of a frame in front of its payload, for which b has room (RFC 6455
// §5.2; a server masks nothing).
func framed(first byte, b []byte) []byte {
	switch n := len(b) - headRoom; {
	case n <= 125:
		b = b[headRoom-2:]
		b[1] = byte(n)
	case n < 1<<16:
		b = b[headRoom-4:]
		b[1] = 126
		binary.BigEndian.PutUint16(b[2:], uint16(n))
	default:
		b[1] = 127
		binary.BigEndian.PutUint64(b[2:], uint64(n))
	}
	b[0] = first
	return b
}

// controlFrame returns a ping, a pong or a close frame.
func controlFrame(op byte, payload []byte) []byte {
	return append([]byte{finalBit | op, byte(len(payload))}, payload...)
}

// closeFrame returns a close frame; code 1005 stands for one without a code.
func closeFrame(code int, reason string) []byte {
	if code == CodeNoStatus {
		return controlFrame(opClose, nil)
	}
	body := binary.BigEndian.AppendUint16(nil, uint16(code)) //nolint:gosec // one that may be sent
	return controlFrame(opClose, append(body, reason...))
}

var compressors = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // the level is one
	return w
}}

// compress writes room for a head and the compressed payload (RFC 7692 §7.2.1).
func compress(to *bytes.Buffer, payload []byte) {
	const tail = 4 // of a flushed block, which is not sent
	to.Write(make([]byte, headRoom))
	w := compressors.Get().(*flate.Writer) //nolint:forcetypeassert // the pool holds nothing else
	w.Reset(to)
	_, _ = w.Write(payload) // memory takes everything
	_ = w.Flush()
	compressors.Put(w)
	to.Truncate(to.Len() - tail)
}
