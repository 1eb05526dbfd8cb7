package conformance

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"time"
)

// Run asks a case of a server. dial connects to it.
func (c Case) Run(ctx context.Context, dial func(context.Context) (net.Conn, error)) error {
	conn, err := dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(bound))
	var early []byte
	if c.Early {
		early = encode(c.Send)
	}
	p, err := Open(conn, early)
	if err != nil {
		return err
	}
	heard, wrote := make(chan struct{}, len(c.Want)+1), make(chan struct{})
	go func() {
		defer close(wrote)
		if !c.Early {
			c.say(conn, heard)
		}
	}()
	err = c.hear(p, heard)
	close(heard)
	<-wrote
	if err != nil {
		return err
	}
	return p.Gone()
}

func encode(frames []Frame) (octets []byte) {
	for _, f := range frames {
		octets = append(octets, f.Encode()...)
	}
	return octets
}

// say sends the frames. A server that has closed need not take all of them.
func (c Case) say(conn net.Conn, heard <-chan struct{}) {
	came := 0
	for len(c.Send) > 0 {
		for came < c.Send[0].After {
			<-heard
			came++
		}
		n := 1
		for n < len(c.Send) && c.Send[n].After <= came {
			n++
		}
		if chopped(conn, encode(c.Send[:n]), c.Chop) != nil {
			return
		}
		c.Send = c.Send[n:]
	}
}

// chopped writes octets so many at a time.
func chopped(conn net.Conn, octets []byte, chop int) error {
	if chop == 0 {
		chop = max(1, len(octets))
	}
	for len(octets) > 0 {
		n, err := conn.Write(octets[:min(chop, len(octets))])
		if err != nil {
			return err
		}
		octets = octets[n:]
	}
	return nil
}

// hear compares what comes with what is wanted, up to the close frame, which it
// answers if it was the server's.
func (c Case) hear(p *Peer, heard chan<- struct{}) error {
	want := c.Want
	closed := len(want) > 0 && want[len(want)-1].Opcode == Close
	if !closed {
		want = append(want[:len(want):len(want)], closing(1000))
	}
	for i, w := range want {
		if i == len(want)-1 && !closed {
			if _, err := p.Conn.Write(Frame{Opcode: Close, Payload: body(1000, "")}.Encode()); err != nil {
				return err
			}
		}
		got, err := p.Read()
		if err != nil {
			return fmt.Errorf("in place of %v: %w", w, err)
		}
		same := got.Opcode == w.Opcode && bytes.Equal(got.Payload, w.Payload)
		if w.Opcode == Close && got.Opcode == Close { // the reason is the server's own
			same = len(w.Payload) == 0 && len(got.Payload) == 0 || len(w.Payload) > 0 && bytes.HasPrefix(got.Payload, w.Payload)
		}
		if !same {
			return fmt.Errorf("got %v in place of %v", got, w)
		}
		heard <- struct{}{}
	}
	if closed && !c.closes() {
		_, _ = p.Conn.Write(Frame{Opcode: Close, Payload: want[len(want)-1].Payload}.Encode()) // it may be gone
	}
	return nil
}

// closes says whether the client has sent a close frame already.
func (c Case) closes() bool {
	return slices.ContainsFunc(c.Send, func(f Frame) bool { return f.Opcode == Close })
}
