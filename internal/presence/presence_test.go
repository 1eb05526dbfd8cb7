package presence_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/usher/internal/link"
	"example.com/usher/internal/presence"
)

// notebook is a table, and what it sends.
type notebook struct {
	*presence.Table
	sent    [][]byte
	answers int
	changed []string
}

func table(self byte) *notebook {
	n := &notebook{}
	n.Table = presence.New(presence.Hooks{
		Send:    func(frame []byte) { n.sent = append(n.sent, frame) },
		SendAll: func() { n.answers++ },
		Changed: func(room string) { n.changed = append(n.changed, room) },
		Decode: func(data []byte) (any, error) {
			if string(data) == "bad" {
				return nil, errors.New("bad")
			}
			return string(data), nil
		},
	})
	n.Begin(link.ID{self})
	return n
}

func (n *notebook) put(t *testing.T, room string, number uint64, data string) {
	t.Helper()
	if err := n.Put(room, number, []byte(data)); err != nil {
		t.Error(err)
	}
}

// take returns what was sent, and forgets it.
func (n *notebook) take() [][]byte {
	sent := n.sent
	n.sent = nil
	return sent
}

func (n *notebook) hears(t *testing.T, from byte, frames ...[]byte) {
	t.Helper()
	for _, frame := range frames {
		if !n.Receive(link.ID{from}, frame) {
			t.Errorf("%q is not taken", frame)
		}
	}
}

func (n *notebook) has(t *testing.T, room string, want ...any) {
	t.Helper()
	if diff := cmp.Diff(want, n.Present(room)); diff != "" {
		t.Errorf("present in %s (-want +got):\n%s", room, diff)
	}
}

func TestChanges(t *testing.T) {
	one, two := table(1), table(2)
	one.put(t, "r", 1, "ada")
	two.put(t, "r", 1, "bob")
	one.put(t, "r", 2, "eve")
	two.hears(t, 1, one.take()...)
	one.hears(t, 2, two.take()...)
	one.has(t, "r", "ada", "eve", "bob")
	two.has(t, "r", "ada", "eve", "bob")
	one.put(t, "r", 1, "ada, away")
	one.Remove("r", 2)
	two.hears(t, 1, one.take()...)
	two.has(t, "r", "ada, away", "bob")
	two.Gone(link.ID{1})
	two.has(t, "r", "bob")
	if diff := cmp.Diff([]string{"r", "r", "r", "r", "r", "r"}, two.changed); diff != "" {
		t.Error(diff)
	}
}

// TestAChangeThatIsLost: those behind it are passed over, and the second beat finds it out.
func TestAChangeThatIsLost(t *testing.T) {
	one, two := table(1), table(2)
	one.put(t, "r", 1, "ada")
	one.take()
	one.put(t, "r", 2, "eve")
	two.hears(t, 1, one.take()...)
	two.has(t, "r")
	two.Heard(link.ID{1}, one.Digest())
	if len(two.sent) > 0 {
		t.Error("it asks at once, when the change may be under way")
	}
	two.Heard(link.ID{1}, one.Digest())
	question := two.take()
	if len(question) != 1 {
		t.Fatalf("it sends %q", question)
	}
	third := table(3)
	for _, n := range []*notebook{one, third} {
		n.hears(t, 2, question...)
	}
	if one.answers != 1 || third.answers != 0 {
		t.Errorf("the owner answers %d times, another %d times", one.answers, third.answers)
	}
	one.put(t, "r", 3, "kim") // it is behind the snapshot in the queue, which has it already
	two.hears(t, 1, one.Snapshot(1000)...)
	two.has(t, "r", "ada", "eve", "kim")
	two.hears(t, 1, one.take()...)
	two.has(t, "r", "ada", "eve", "kim")
	one.put(t, "r", 4, "lee")
	came := one.take()
	one.Remove("r", 4)
	one.Remove("r", 3)
	two.hears(t, 1, one.Snapshot(1000)...)
	two.hears(t, 1, came...)
	two.has(t, "r", "ada", "eve")
	two.hears(t, 1, one.take()...)
	two.has(t, "r", "ada", "eve")
	two.Heard(link.ID{1}, one.Digest())
	two.Heard(link.ID{1}, one.Digest())
	if len(two.sent) > 0 {
		t.Errorf("it asks although it lacks nothing: %q", two.sent)
	}
}

// TestAnswersAreFew: one in a second is for all.
func TestAnswersAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := table(1)
		question := append([]byte{'?', 1}, make([]byte, 15)...)
		for range 100 {
			one.hears(t, 2, question)
			time.Sleep(100 * time.Millisecond)
		}
		if one.answers != 10 {
			t.Errorf("%d answers in 10 s", one.answers)
		}
	})
}

// TestSnapshotsInParts are taken when they are whole.
func TestSnapshotsInParts(t *testing.T) {
	one := table(1)
	for i := range 20 {
		one.put(t, fmt.Sprint("r", i%2), uint64(i+1), strings.Repeat("x", 50)) //nolint:gosec // it is small
	}
	parts := one.Snapshot(200)
	for _, part := range parts {
		if len(part) > 200 {
			t.Errorf("a part has %d bytes", len(part))
		}
	}
	if len(parts) < 7 {
		t.Fatalf("%d parts", len(parts))
	}
	for name, order := range map[string][]int{"without the first": {1}, "without one": {0, 2}, "with another twice": {0, 2, 2}, "with the first twice": {0, 0, 2}, "backwards": {1, 0}} {
		two := table(2)
		for _, i := range order {
			two.hears(t, 1, parts[i])
		}
		for _, part := range parts[3:] {
			two.hears(t, 1, part)
		}
		if len(two.Present("r0")) > 0 {
			t.Errorf("%s: it is taken", name)
		}
		two.hears(t, 1, parts...)
		if len(two.Present("r0")) != 10 || len(two.Present("r1")) != 10 || len(two.changed) != 2 {
			t.Errorf("%s: %d and %d, changed %q", name, len(two.Present("r0")), len(two.Present("r1")), two.changed)
		}
	}
	two := table(2)
	two.hears(t, 1, parts[:2]...)
	one.put(t, "r0", 21, "new")
	newer := one.Snapshot(200)
	two.hears(t, 1, newer[2:]...) // parts of two versions make none
	if len(two.Present("r0")) > 0 {
		t.Error("parts of two versions are taken")
	}
	two.hears(t, 1, newer...)
	two.hears(t, 1, parts...) // an old one, which was late
	if len(two.Present("r0")) != 11 {
		t.Errorf("%d present", len(two.Present("r0")))
	}
}

// TestAnEmptySnapshot takes away what has gone.
func TestAnEmptySnapshot(t *testing.T) {
	one, two := table(1), table(2)
	one.put(t, "r", 1, "ada")
	two.hears(t, 1, one.take()...)
	one.Remove("r", 1)
	two.hears(t, 1, one.Snapshot(100)...)
	two.has(t, "r")
}

// TestEntriesThatCannotBeRead are left out.
func TestEntriesThatCannotBeRead(t *testing.T) {
	one, two := table(1), table(2)
	if err := one.Put("r", 1, []byte("bad")); err == nil || len(one.take()) > 0 {
		t.Error("an entry of one's own that cannot be read is put")
	}
	one.put(t, "r", 1, "good")
	two.hears(t, 1, one.take()...)
	two.hears(t, 1, []byte("+\x02\x01r\x01\x03bad"), []byte("+\x03\x01r\x02\x02ok"))
	two.has(t, "r", "ok")
}

func TestFramesThatAreNone(t *testing.T) {
	for _, frame := range []string{"", "x", "+", "+\x01", "+\x01\x05r", "=", "=\x01\x00", "=\x01\x00\x01\xff", "-\x01\x01r"} {
		two := table(2)
		if two.Receive(link.ID{1}, []byte(frame)) {
			t.Errorf("%q is taken", frame)
		}
		two.has(t, "r")
	}
}

func FuzzReceive(f *testing.F) {
	one := table(1)
	if err := one.Put("r", 1, []byte("ada")); err != nil {
		f.Fatal(err)
	}
	f.Add(one.take()[0])
	f.Add(one.Snapshot(100)[0])
	f.Add([]byte("?" + strings.Repeat("\x01", 16)))
	f.Fuzz(func(t *testing.T, frame []byte) {
		two := table(2)
		ok := two.Receive(link.ID{1}, frame)
		if present := two.Present("r"); !ok && len(present) > 0 {
			t.Errorf("%q is refused, and has put %q", frame, present)
		}
	})
}
