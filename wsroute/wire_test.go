package wsroute

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
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
				_ = w.wait(0, nil)
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
