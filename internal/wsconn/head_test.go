package wsconn

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// FuzzHeads: in however many pieces frames come, the same bytes of them are good, and the
// fault behind these is the same.
func FuzzHeads(f *testing.F) {
	for _, seed := range []string{
		"\x81\x85\x00\x00\x00\x00Hello", "\x88\x81\x00\x00\x00\x00\x03", "\x88\x82\x00\x00\x00\x00\x03\xe8", "\xc9\x80\x00\x00\x00\x00",
		"\x01\x80\x00\x00\x00\x00\x00\x80\x00\x00\x00\x00", "\x82\xfe\x00\x03\x00\x00\x00\x00abc\xc0\x80", "\x82\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00a",
		"\x81\x05Hello", "\xc1\x81\x00\x00\x00\x00x\x40\x80",
	} {
		f.Add([]byte(seed), uint8(1))
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, frames []byte, chop uint8) {
		var whole heads
		good, fault := whole.scan(bytes.Clone(frames))
		if good > len(frames) || (fault == nil) != (good == len(frames)) {
			t.Fatalf("%d of %d bytes are good, %v", good, len(frames), fault)
		}
		var inPieces heads
		n, at := 0, min(int(chop)+1, max(1, len(frames)))
		for rest := frames; len(rest) > 0; {
			piece := rest[:min(at, len(rest))]
			k, other := inPieces.scan(piece)
			n, rest = n+k, rest[len(piece):]
			if other != nil {
				if fault == nil || *other != *fault {
					t.Fatalf("in pieces of %d: %v, not %v", at, other, fault)
				}
				break
			}
		}
		if n != good {
			t.Fatalf("in pieces of %d, %d bytes are good, not %d", at, n, good)
		}
	})
}

// FuzzOffersOfDeflate: no offer breaks the reading of it, and one that is taken names the
// extension.
func FuzzOffersOfDeflate(f *testing.F) {
	for _, seed := range []string{
		"permessage-deflate", "permessage-deflate; client_max_window_bits=\"10\"", "foo; a=\"b, permessage-deflate\", permessage-deflate;", "permessage-deflate; server_max_window_bits=8, permessage-deflate",
		"\"", "\\", ",;=,", "permessage-deflate; client_max_window_bits=",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		taken := offersDeflate([]string{line})
		if taken && !strings.Contains(line, deflateName) {
			t.Fatalf("%q was taken", line)
		}
		// Spaces around a parameter and an offer that nobody knows change nothing.
		if strings.Contains(line, `"`) || strings.Contains(line, `\`) {
			return
		}
		if again := offersDeflate([]string{"x, " + strings.ReplaceAll(line, ";", " ; ")}); again != taken {
			t.Fatalf("%q: taken %t, and with spaces %t", line, taken, again)
		}
	})
}

// TestBucket counts by its rate.
func TestBucket(t *testing.T) {
	var b bucket
	r := Rate{PerSecond: 10, Burst: 3}
	for i := range 4 {
		if got := b.take(r); got != (i < 3) {
			t.Errorf("event %d of a burst of 3: %t", i, got)
		}
	}
	b.at -= int64(100 * time.Millisecond)
	if !b.take(r) || b.take(r) {
		t.Error("a tenth of a second is one event")
	}
	for range 100 {
		if !b.take(Rate{}) {
			t.Error("no rate refuses nothing")
		}
	}
}
