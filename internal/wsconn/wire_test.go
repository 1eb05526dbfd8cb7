package wsconn

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/internal/memconn"
)

// readFrame returns the length of the next frame.
func readFrame(r io.Reader) (int, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, err
	}
	n := uint64(head[1])
	if n >= 126 {
		more := make([]byte, 2+6*(n-126))
		if _, err := io.ReadFull(r, more); err != nil {
			return 0, err
		}
		n = 0
		for _, b := range more {
			n = n<<8 | uint64(b)
		}
	}
	_, err := io.CopyN(io.Discard, r, int64(n))
	return int(n), err
}

// message is one of n bytes.
func message(n int) *Outgoing {
	m := NewOutgoing(true)
	m.plain.Write(bytes.Repeat([]byte{byte(n)}, n))
	return m
}

// roomy are limits that nothing here reaches.
var roomy = &Settings{Limits: Limits{SendQueue: 1 << 30, SendMessages: 1 << 20}}

func (w *wire) mustSend(t *testing.T, n int) {
	t.Helper()
	if sent, err := w.send(message(n), false, roomy); !sent || err != nil {
		t.Fatal(sent, err)
	}
}

// TestDiscardNeverCutsAFrame: whatever is queued, and however much of it the peer has
// taken, what follows a discard is a whole frame, and the last one.
func TestDiscardNeverCutsAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(200) {
			random := rand.New(rand.NewPCG(seed, 1))
			server, client := memconn.Pipe()
			w := newWire(server, time.Minute)
			for range 1 + random.IntN(60) {
				w.mustSend(t, random.IntN(10)*random.IntN(9000))
				if err := w.control(opPing, controlFrame(opPing, nil)); err != nil {
					t.Fatal(err)
				}
			}
			taken := make([]byte, random.IntN(100_000))
			_ = client.SetReadDeadline(time.Now().Add(time.Second))
			n, _ := io.ReadFull(client, taken)
			synctest.Wait()
			w.close(closeFrame(1000, "bye"), true)
			if _, err := w.send(message(9), false, roomy); !errors.Is(err, errClosed) {
				t.Fatalf("seed %d: behind the close frame: %v", seed, err)
			}
			go func() {
				w.empty(nil)
				_ = server.Close()
			}()
			_ = client.SetReadDeadline(time.Now().Add(time.Minute))
			rest := io.MultiReader(bytes.NewReader(taken[:n]), client)
			last := -1
			for {
				size, err := readFrame(rest)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				last = size
			}
			if last != len("\x03\xe8bye") {
				t.Fatalf("seed %d: the last frame has %d bytes", seed, last)
			}
			if w.size != 0 || w.messages != 0 || len(w.queue) != 0 {
				t.Fatalf("seed %d: %d bytes and %d messages are left", seed, w.size, w.messages)
			}
		}
	})
}

// TestTheQueueCounts what waits, whichever way it goes.
func TestTheQueueCounts(t *testing.T) {
	server, _ := memconn.Pipe()
	w := newWire(server, time.Minute)
	w.flushing = true // nothing is written
	check := func(size, messages, entries int) {
		t.Helper()
		if w.size != size || w.messages != messages || len(w.queue) != entries {
			t.Errorf("%d bytes, %d messages, %d entries; not %d, %d, %d", w.size, w.messages, len(w.queue), size, messages, entries)
		}
	}
	dropOldest := func() {
		w.drop(slices.IndexFunc(w.queue, func(e entry) bool { return e.isMessage() }))
	}
	for _, n := range []int{0, 125, 126, 65535, 65536} {
		w.mustSend(t, n)
	}
	size := 2 + 127 + 130 + 65539 + 65546
	check(size, 5, 5)
	for i, data := range []string{"a", "longer", "b"} { // the latest stands in the place of the first
		if err := w.control(opPong, controlFrame(opPong, []byte(data))); err != nil {
			t.Fatal(err)
		}
		check(size+2+len(data), 5, 6)
		if i == 0 {
			w.mustSend(t, 10)
			dropOldest()
			size += 12 - 2
			w.mustSend(t, 0)
			size += 2
			dropOldest()
			size -= 127
			w.mustSend(t, 125)
			size += 127
			check(size+3, 6, 7)
			dropOldest()
			size -= 130
			check(size+3, 5, 6)
		}
	}
	w.close(closeFrame(CodeNoStatus, ""), true)
	check(2, 0, 1)
}

// TestFramesOfAMessage: a message becomes a frame once in each form, and its memory is not
// used again while a queue holds it.
func TestFramesOfAMessage(t *testing.T) {
	m := message(300)
	plain, deflated := m.frame(false), m.frame(true)
	if &plain[0] != &m.frame(false)[0] || &deflated[0] != &m.frame(true)[0] {
		t.Error("a frame was made twice")
	}
	if plain[0] != 0x82 || deflated[0] != 0xc2 || len(deflated) >= len(plain) {
		t.Errorf("% x and % x, of %d and %d bytes", plain[:4], deflated[:4], len(plain), len(deflated))
	}
	server, _ := memconn.Pipe()
	w := newWire(server, time.Minute)
	w.flushing = true
	if _, err := w.send(m, true, roomy); err != nil || !m.kept {
		t.Errorf("the message is kept: %t, %v", m.kept, err)
	}
}

// TestAfterABacklogTheSocketIsAsBefore: over TCP, the deadline of the backlog's
// last write has passed when the next message is written directly.
func TestAfterABacklogTheSocketIsAsBefore(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	const timeout = 250 * time.Millisecond
	w := newWire(server, timeout)
	defer server.Close()
	sent := 0
	for w.isEmpty() {
		w.mustSend(t, 60_000)
		sent += 60_004
	}
	if _, err := io.CopyN(io.Discard, client, int64(sent)); err != nil {
		t.Fatal(err)
	}
	w.empty(nil)
	<-time.After(timeout) // whatever deadline was set has passed
	w.mustSend(t, 7)
	if n, err := readFrame(client); n != 7 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

// TestASlowReaderOverTLSIsWaitedFor: a TLS write that times out cannot be taken
// up again, so a pause shorter than the timeout must not interrupt it.
func TestASlowReaderOverTLSIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw, peer := memconn.Pipe()
		server, client := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}), tls.Client(peer, &tls.Config{InsecureSkipVerify: true})
		go func() { _ = server.Handshake() }()
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		w := newWire(server, 5*time.Second)
		const size = 300_000
		w.mustSend(t, size)
		time.Sleep(4 * time.Second)
		_ = client.SetReadDeadline(time.Now().Add(time.Minute))
		if n, err := readFrame(client); n != size || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
		w.mustSend(t, 7)
		if n, err := readFrame(client); n != 7 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
		_ = raw.Close()
		_ = peer.Close()
	})
}

// selfSigned is a certificate.
func selfSigned(t *testing.T) tls.Certificate {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}
