package wsroute

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/internal/memconn"
)

// frame is an unmasked binary frame of n bytes (RFC 6455 §5.2).
func frame(n int) []byte {
	var b []byte
	switch {
	case n < 126:
		b = []byte{0x82, byte(n)}
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16([]byte{0x82, 126}, uint16(n))
	default:
		b = binary.BigEndian.AppendUint64([]byte{0x82, 127}, uint64(n))
	}
	return append(b, bytes.Repeat([]byte{byte(n)}, n)...)
}

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

// TestDiscardNeverCutsAFrame: whatever is queued, and however much of it the
// peer has taken, what follows a discard is a whole frame.
func TestDiscardNeverCutsAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(200) {
			random := rand.New(rand.NewPCG(seed, 1))
			server, client := memconn.Pipe()
			w := newWire(server, nil, time.Minute)
			w.frames = true
			for range 1 + random.IntN(60) {
				f := frame(random.IntN(10) * random.IntN(9000))
				for cut := 2 + 8*random.IntN(2); len(f) > 0; cut = 1 + random.IntN(9000) { // as gorilla does: the header in one piece
					cut = min(max(cut, 10), len(f))
					if _, err := w.Write(f[:cut]); err != nil {
						t.Fatal(err)
					}
					f = f[cut:]
				}
			}
			taken := make([]byte, random.IntN(100_000))
			_ = client.SetReadDeadline(time.Now().Add(time.Second))
			n, _ := io.ReadFull(client, taken)
			synctest.Wait()
			w.discard()
			if _, err := w.Write(frame(7)); err != nil {
				t.Fatal(err)
			}
			go func() {
				_ = w.wait(func() bool { return w.size == 0 }, nil)
				_ = w.Close()
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
			if last != 7 {
				t.Fatalf("seed %d: the last frame has %d bytes", seed, last)
			}
			if w.queued() != 0 {
				t.Fatalf("seed %d: %d bytes are left", seed, w.queued())
			}
		}
	})
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
	w := newWire(server, nil, timeout)
	w.frames = true
	defer w.Close()
	sent := 0
	for w.queued() == 0 {
		f := frame(60_000)
		sent += len(f)
		if _, err := w.Write(f); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.CopyN(io.Discard, client, int64(sent)); err != nil {
		t.Fatal(err)
	}
	if err := w.wait(func() bool { return w.size == 0 }, nil); err != nil {
		t.Fatal(err)
	}
	<-time.After(timeout) // whatever deadline was set has passed
	if _, err := w.Write(frame(7)); err != nil {
		t.Fatal(err)
	}
	if n, err := readFrame(client); n != 7 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

// TestASlowReaderOverTLSIsWaitedFor: a TLS write that times out cannot be taken
// up again, so a pause shorter than the timeout must not interrupt it.
func TestASlowReaderOverTLSIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw, peer := memconn.Pipe()
		server, client := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}), tls.Client(peer, &tls.Config{InsecureSkipVerify: true})
		go func() { _ = server.Handshake() }()
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		w := newWire(server, nil, 5*time.Second)
		w.frames = true
		const size = 300_000
		if _, err := w.Write(frame(size)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		_ = client.SetReadDeadline(time.Now().Add(time.Minute))
		if n, err := readFrame(client); n != size || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
		if _, err := w.Write(frame(7)); err != nil {
			t.Fatal(err)
		}
		if n, err := readFrame(client); n != 7 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
		_ = raw.Close()
		_ = peer.Close()
	})
}

// certificate is self-signed.
func certificate(t *testing.T) tls.Certificate {
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
