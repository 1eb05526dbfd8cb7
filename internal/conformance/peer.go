// Package conformance asks a WebSocket server what RFC 6455 demands of one, octet by
// octet, with a client of its own. The server must return every message untouched.
package conformance

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// The opcodes of RFC 6455 §5.2.
const (
	Continuation = 0x0
	Text         = 0x1
	Binary       = 0x2
	Close        = 0x8
	Ping         = 0x9
	Pong         = 0xa
)

// Frame is a frame to send. The zero value of the fields below Payload is what the
// RFC demands of a client.
type Frame struct {
	Opcode  byte
	More    bool // FIN is not set
	Payload []byte
	RSV     byte   // the three reserved bits
	Bare    bool   // no mask
	Wide    int    // 16 or 64: the length takes so many bits though fewer would do
	After   int    // is sent once so many events have come
	Length  uint64 // stands in the header in place of the payload's
}

// Encode returns the octets of a frame.
func (f Frame) Encode() []byte {
	first := f.Opcode | f.RSV<<4
	if !f.More {
		first |= 0x80
	}
	masked := byte(0x80)
	if f.Bare {
		masked = 0
	}
	length := uint64(len(f.Payload))
	if f.Length != 0 {
		length = f.Length
	}
	out := []byte{first}
	switch {
	case f.Wide != 64 && f.Wide != 16 && length <= 125:
		out = append(out, masked|byte(length))
	case f.Wide != 64 && length <= 0xffff:
		out = binary.BigEndian.AppendUint16(append(out, masked|126), uint16(length))
	default:
		out = binary.BigEndian.AppendUint64(append(out, masked|127), length)
	}
	if f.Bare {
		return append(out, f.Payload...)
	}
	mask := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	out = append(out, mask[:]...)
	for i, b := range f.Payload {
		out = append(out, b^mask[i%4])
	}
	return out
}

// Event is what a server has sent: a whole message, or a control frame.
type Event struct {
	Opcode  byte
	Payload []byte
}

// String is for failures.
func (e Event) String() string {
	if e.Opcode == Close && len(e.Payload) >= 2 {
		return fmt.Sprintf("close %d %q", binary.BigEndian.Uint16(e.Payload), e.Payload[2:])
	}
	if len(e.Payload) > 60 {
		return fmt.Sprintf("%#x with %d octets", e.Opcode, len(e.Payload))
	}
	return fmt.Sprintf("%#x with %q", e.Opcode, e.Payload)
}

// Peer is a client's end of a connection.
type Peer struct {
	Conn net.Conn
	// Extensions is what the server has accepted (RFC 6455 §9.1).
	Extensions string

	r *bufio.Reader
}

// Open makes a handshake on a connection, with more header lines if there are any.
// early is sent together with it.
func Open(conn net.Conn, early []byte, lines ...string) (*Peer, error) {
	p := &Peer{Conn: conn, r: bufio.NewReader(conn)}
	request := "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
	for _, line := range lines {
		request += line + "\r\n"
	}
	if _, err := conn.Write(append([]byte(request+"\r\n"), early...)); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(p.r, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	const accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" // of that key, RFC 6455 §1.3
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-WebSocket-Accept") != accept ||
		!strings.EqualFold(response.Header.Get("Upgrade"), "websocket") {
		return nil, fmt.Errorf("the answer to the handshake is %s %v", response.Status, response.Header)
	}
	p.Extensions = response.Header.Get("Sec-WebSocket-Extensions")
	return p, nil
}

// ErrServer is a fault of the server's frames.
var ErrServer = errors.New("the server broke the protocol")

// Read returns the server's next event.
func (p *Peer) Read() (Event, error) {
	var message Event
	begun := false
	for {
		fin, opcode, payload, err := p.frame()
		switch {
		case err != nil:
			return Event{}, err
		case opcode >= Close:
			if !fin || len(payload) > 125 {
				return Event{}, fmt.Errorf("%w: a control frame that is too long or in parts", ErrServer)
			}
			return Event{opcode, payload}, nil
		case (opcode == Continuation) != begun:
			return Event{}, fmt.Errorf("%w: opcode %d where it must not be", ErrServer, opcode)
		case !begun:
			begun, message.Opcode = true, opcode
		}
		message.Payload = append(message.Payload, payload...)
		if fin {
			return message, nil
		}
	}
}

func (p *Peer) frame() (fin bool, opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(p.r, head[:]); err != nil {
		return false, 0, nil, err
	}
	fin, opcode = head[0]&0x80 != 0, head[0]&0xf
	reserved := head[0] & 0x70
	if p.Extensions != "" && opcode != Continuation && opcode < Close {
		reserved &^= 0x40 // a compressed message (RFC 7692 §6)
	}
	if reserved != 0 || head[1]&0x80 != 0 || opcode > Binary && opcode < Close || opcode > Pong {
		return false, 0, nil, fmt.Errorf("%w: a frame that begins with % x", ErrServer, head)
	}
	length := uint64(head[1])
	var wide [8]byte
	switch length {
	case 126:
		if _, err = io.ReadFull(p.r, wide[6:]); err != nil {
			return false, 0, nil, err
		}
	case 127:
		if _, err = io.ReadFull(p.r, wide[:]); err != nil {
			return false, 0, nil, err
		}
	}
	if length >= 126 {
		least := map[uint64]uint64{126: 126, 127: 1 << 16}[length]
		if length = binary.BigEndian.Uint64(wide[:]); length < least {
			return false, 0, nil, fmt.Errorf("%w: the length %d is not written with the fewest octets", ErrServer, length)
		}
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(p.r, payload)
	return fin, opcode, payload, err
}

// Gone waits for the server to end the TCP connection.
func (p *Peer) Gone() error {
	_ = p.Conn.SetReadDeadline(time.Now().Add(bound))
	n, err := io.Copy(io.Discard, p.r)
	if err != nil {
		return fmt.Errorf("the server did not end the TCP connection: %w", err)
	}
	if n > 0 {
		return fmt.Errorf("the server sent %d octets after its close frame", n)
	}
	return nil
}

// bound is how long a server may take for anything.
const bound = 20 * time.Second
