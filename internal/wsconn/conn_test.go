package wsconn

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
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
