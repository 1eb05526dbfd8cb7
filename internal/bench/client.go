package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// The client knows just enough of HTTP and RFC 6455 to ask, and to see that the
// answer is the one that was asked for. It keeps nothing for an idle connection
// but the socket.
const (
	handshakeKey = "dGhlIHNhbXBsZSBub25jZQ=="
	acceptKey    = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" // RFC 6455 §1.3

	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9

	patience = 30 * time.Second
)

// ask is a handshake, and the answer that it must get.
type ask struct {
	name      string
	path      string
	token     string
	origin    string
	status    int
	challenge string
	reason    string
}

// asks are the handshakes that are measured, with a token that is good.
func asks(token string) []ask {
	forged := token[:len(token)-5] + swapped(token[len(token)-5]) + token[len(token)-4:]
	const good = roomPath + "lobby?since=7"
	return []ask{
		{"accepted", good, token, origin, 101, "", ""},
		{"no-token", good, "", origin, 401, "Bearer", "credentials_required"},
		{"bad-token", good, forged, origin, 401, `Bearer error="invalid_token"`, "invalid_token"},
		{"bad-parameter", roomPath + "lobby?since=-1", token, origin, 422, "", "invalid_parameters"},
		{"foreign-origin", good, token, "https://evil.example", 403, "", "origin_not_allowed"},
	}
}

// swapped is another letter of base64.
func swapped(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func (a ask) request() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: chat.example.com\r\nUser-Agent: bench\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n", a.path, handshakeKey)
	if a.origin != "" {
		fmt.Fprintf(&b, "Origin: %s\r\n", a.origin)
	}
	if a.token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", a.token)
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// sources are the loopback addresses that connections come from in turn: one has
// not enough ports for all of them.
const sources = 16

var nextSource atomic.Uint32

// dial connects from the next of the source addresses. The port is chosen when
// the peer is known, so that it need not be free towards everybody.
func dial(addr string) (net.Conn, error) {
	host := net.IPv4(127, 0, 0, byte(1+nextSource.Add(1)%sources))
	d := net.Dialer{
		Timeout: patience, LocalAddr: &net.TCPAddr{IP: host}, KeepAlive: -1,
		Control: func(_, _ string, raw syscall.RawConn) error {
			const bindAddressNoPort = 24 // linux/in.h; elsewhere it fails, and ports may run out
			return raw.Control(func(fd uintptr) {
				_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, bindAddressNoPort, 1)
			})
		},
	}
	conn, err := d.Dial("tcp4", addr)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(patience))
}

// open makes a handshake that must be accepted. r is lent for its answer.
func (a ask) open(addr string, r *bufio.Reader) (net.Conn, error) {
	conn, err := dial(addr)
	if err != nil {
		return nil, err
	}
	if err := a.exchange(conn, r); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// whole is a connection from beginning to end: an open one goes through the
// closing handshake, a refused one ends with its answer.
func (a ask) whole(addr string, r *bufio.Reader) error {
	conn, err := a.open(addr, r)
	if err != nil {
		return err
	}
	defer conn.Close()
	if a.status != 101 {
		return nil
	}
	if _, err := conn.Write(frame(opClose, []byte{0x03, 0xe8})); err != nil {
		return err
	}
	return closed(r, 1000)
}

// closed reads a close frame of the code, and the end behind it.
func closed(r *bufio.Reader, code uint16) error {
	op, payload, err := readFrame(r, nil)
	if err != nil {
		return fmt.Errorf("instead of a close frame: %w", err)
	}
	if op != opClose || len(payload) != 2 || binary.BigEndian.Uint16(payload) != code {
		return fmt.Errorf("the closing frame is %d %q, want close with %d", op, payload, code)
	}
	if rest, err := r.Peek(1); !errors.Is(err, io.EOF) {
		return fmt.Errorf("behind the close frame: %q, %v, want the end", rest, err)
	}
	return nil
}

// exchange asks, and checks the answer.
func (a ask) exchange(conn net.Conn, r *bufio.Reader) error {
	if _, err := conn.Write(a.request()); err != nil {
		return err
	}
	r.Reset(conn)
	got, err := readAnswer(r)
	if err != nil {
		return fmt.Errorf("%s: no answer: %w", a.name, err)
	}
	fault := func(what, got, want string) error {
		return fmt.Errorf("%s: the %s is %q, want %q", a.name, what, got, want)
	}
	switch {
	case got.status != a.status:
		return fault("status", strconv.Itoa(got.status)+" "+string(got.body), strconv.Itoa(a.status))
	case got.header["www-authenticate"] != a.challenge:
		return fault("challenge", got.header["www-authenticate"], a.challenge)
	case a.status == 101:
		for _, want := range [...][2]string{
			{"sec-websocket-accept", acceptKey},
			{"upgrade", "websocket"},
			{"connection", "Upgrade"},
			{"sec-websocket-extensions", ""},
			{"sec-websocket-protocol", ""},
		} {
			if value := got.header[want[0]]; !strings.EqualFold(value, want[1]) {
				return fault(want[0], value, want[1])
			}
		}
		return nil
	case got.header["content-type"] != "application/problem+json":
		return fault("content type", got.header["content-type"], "application/problem+json")
	case got.header["cache-control"] != "no-store":
		return fault("cache control", got.header["cache-control"], "no-store")
	case r.Buffered() > 0:
		return fmt.Errorf("%s: %d bytes stand behind the body", a.name, r.Buffered())
	}
	var p problem
	if err := json.Unmarshal(got.body, &p); err != nil {
		return fmt.Errorf("%s: the body: %w", a.name, err)
	}
	if got, want := p, (problem{"about:blank", http.StatusText(a.status), a.status, a.reason, p.Errors}); !reflect.DeepEqual(got, want) {
		return fault("problem", fmt.Sprint(got), fmt.Sprint(want))
	}
	if a.status == 422 && (len(p.Errors) != 1 || p.Errors[0].Code != "gte") {
		return fault("problem's errors", fmt.Sprint(p.Errors), "one, gte")
	}
	return nil
}

// answer is a response, read.
type answer struct {
	status int
	header map[string]string // by lower case name
	body   []byte
}

func readAnswer(r *bufio.Reader) (answer, error) {
	got := answer{header: map[string]string{}}
	line, err := r.ReadString('\n')
	if err != nil {
		return got, err
	}
	words := strings.Fields(line)
	if len(words) < 2 || words[0] != "HTTP/1.1" {
		return got, fmt.Errorf("not HTTP/1.1: %q", line)
	}
	if got.status, err = strconv.Atoi(words[1]); err != nil {
		return got, err
	}
	for {
		if line, err = r.ReadString('\n'); err != nil {
			return got, err
		}
		if line == "\r\n" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		name = strings.ToLower(name)
		if before, twice := got.header[name]; twice {
			value = before + ", " + strings.TrimSpace(value) // of what is to be there once
		}
		got.header[name] = strings.TrimSpace(value)
	}
	if length := got.header["content-length"]; length != "" {
		n, err := strconv.ParseUint(length, 10, 16)
		if err != nil {
			return got, err
		}
		got.body = make([]byte, n)
		if _, err := io.ReadFull(r, got.body); err != nil {
			return got, err
		}
	}
	return got, nil
}

// frame is a masked frame (RFC 6455 §5.2).
func frame(op byte, payload []byte) []byte {
	b := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i%4])
	}
	return b
}

// readFrame reads the next frame that is no ping into buf, or a larger one.
func readFrame(r *bufio.Reader, buf []byte) (op byte, payload []byte, err error) {
	for {
		var head [10]byte
		if _, err := io.ReadFull(r, head[:2]); err != nil {
			return 0, nil, err
		}
		if head[0]&0x80 == 0 || head[0]&0x70 != 0 || head[1]&0x80 != 0 {
			return 0, nil, fmt.Errorf("a frame begins with %x: in parts, extended or masked", head[:2])
		}
		length := int(head[1])
		switch length {
		case 126:
			_, err = io.ReadFull(r, head[2:4])
			length = int(binary.BigEndian.Uint16(head[2:]))
		case 127:
			return 0, nil, errors.New("a frame of more than 64 KiB")
		}
		if err != nil {
			return 0, nil, err
		}
		if cap(buf) < length {
			buf = make([]byte, length)
		}
		buf = buf[:length]
		if _, err := io.ReadFull(r, buf); err != nil {
			return 0, nil, err
		}
		if op = head[0] & 0x0f; op != opPing {
			return op, buf, nil
		}
	}
}
