package wsconn

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"example.com/usher/internal/memconn"
)

// hijackable is a request's answer on a connection.
type hijackable struct {
	http.ResponseWriter
	conn net.Conn
}

func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// TestAnEndAtTheVeryBeginning: a connection that ends just as it opens, and its 101 is
// still being written, tells the peer so.
func TestAnEndAtTheVeryBeginning(t *testing.T) {
	set := &Settings{
		Limits: Limits{ReadLimit: 99, ReadAhead: 1, PingInterval: time.Hour, PongTimeout: 2 * time.Hour, CloseTimeout: time.Minute},
		Errors: &Errors{},
	}
	for range 5000 {
		server, client := memconn.Pipe()
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.Header.Set("Sec-Websocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
		socket, _, err := Upgrade(hijackable{httptest.NewRecorder(), server}, request, nil, false, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		c := New(t.Context(), set)
		go c.End(errors.New("over"), 1012, "", true)
		go func() {
			c.Open(socket, Hooks{})
			c.AfterClose(func() {})
		}()
		reader := bufio.NewReader(client)
		if _, err := http.ReadResponse(reader, request); err != nil { //nolint:bodyclose // a 101 has none
			t.Fatal(err)
		} else if n, err := readFrame(reader); err != nil || n != 2 {
			t.Fatal(n, err)
		}
		_ = client.Close()
	}
}

// opened returns a connection over TCP and its peer's side.
func opened(t *testing.T, set *Settings, hooks Hooks) (*Conn, net.Conn) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	socket, _, err := Upgrade(hijackable{httptest.NewRecorder(), server}, request, nil, false, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	c := New(t.Context(), set)
	c.Open(socket, hooks)
	t.Cleanup(func() {
		c.End(errors.New("over"), 0, "", true)
		c.AfterClose(func() {})
		_ = client.Close()
	})
	return c, client
}

// say sends a masked text.
func say(t *testing.T, to net.Conn, texts ...string) {
	for _, text := range texts {
		frame := append([]byte{finalBit | opText, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
		if _, err := to.Write(frame); err != nil {
			t.Fatal(err)
		}
	}
}

func heard(t *testing.T, c *Conn, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	m, err := c.Receive(ctx)
	if err != nil {
		t.Fatalf("in place of %s: %v", want, err)
	}
	if got := m.Buf.String(); got != want {
		t.Errorf("received %s and not %s", got, want)
	}
}

func asideSettings() *Settings {
	return &Settings{Errors: &Errors{}, Limits: Limits{
		ReadLimit: 99, ReadAhead: 1, PingInterval: time.Hour, PongTimeout: 2 * time.Hour, StallTimeout: time.Hour, CloseTimeout: time.Minute,
	}}
}

// TestBehindWorkThatFails: what was read behind it is dropped, and reading goes on where the
// inbox was full.
func TestBehindWorkThatFails(t *testing.T) {
	fail := make(chan struct{})
	c, client := opened(t, asideSettings(), Hooks{Aside: func(m *Message) (bool, func() bool) {
		if m.Buf.String() != "aside" {
			return false, nil
		}
		return true, func() bool { <-fail; return false }
	}})
	say(t, client, "aside", "dropped", "kept")
	for full := false; !full; runtime.Gosched() {
		c.mu.Lock()
		full = !c.stalled.IsZero()
		c.mu.Unlock()
	}
	close(fail)
	heard(t, c, "kept")
}

// TestTwoWorks: the second begins when the first has returned, and each holds back what was
// read behind it.
func TestTwoWorks(t *testing.T) {
	set := asideSettings()
	set.ReadAhead = 9
	works := make(chan chan bool, 2)
	c, client := opened(t, set, Hooks{Aside: func(m *Message) (bool, func() bool) {
		if m.Buf.String() != "aside" {
			return false, nil
		}
		return true, func() bool {
			done := make(chan bool)
			works <- done
			return <-done
		}
	}})
	say(t, client, "aside", "1", "aside", "2")
	first := <-works
	select {
	case <-works:
		t.Fatal("both run at once")
	case <-time.After(50 * time.Millisecond):
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if m, err := c.Receive(ctx); err == nil {
		t.Errorf("%s is received before the first has returned", m.Buf.String())
	}
	first <- true
	heard(t, c, "1")
	second := <-works
	second <- true
	heard(t, c, "2")
}

// TestTheClockStepsBack: nobody has sent more for that.
func TestTheClockStepsBack(t *testing.T) {
	b := bucket{at: time.Now().Add(time.Hour).UnixNano()}
	if !b.take(Rate{PerSecond: 1, Burst: 1}) {
		t.Error("the first event is too many")
	}
}
