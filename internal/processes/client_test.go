package processes_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// client is a connection, which one goroutine reads.
type client struct {
	sub  string
	conn *websocket.Conn
	mu   sync.Mutex // of writes
	told atomic.Pointer[func(said)]
	end  chan struct{} // closed when it has ended
	code int           // then
	when time.Time     // then
}

func dial(t *testing.T, s *server, sub, room string) *client {
	t.Helper()
	c, err := tryDial(s, sub, room)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.conn.Close() })
	return c
}

func tryDial(s *server, sub, room string) (*client, error) {
	at := "ws://" + s.at + "/ws?" + url.Values{"sub": {sub}, "room": {room}}.Encode()
	dialer := websocket.Dialer{HandshakeTimeout: within, ReadBufferSize: 512, WriteBufferSize: 512}
	conn, r, err := dialer.Dial(at, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", err, r)
	}
	_ = r.Body.Close()
	c := &client{sub: sub, conn: conn, end: make(chan struct{})}
	go c.read()
	return c, nil
}

func (c *client) read() {
	defer close(c.end)
	for {
		_, data, err := c.conn.ReadMessage()
		if err != nil {
			c.code, c.when = 1006, time.Now()
			if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
				c.code = closed.Code
			}
			return
		}
		told := c.told.Load()
		if told == nil {
			continue
		}
		var m struct {
			Type string `json:"type"`
			said
		}
		if json.Unmarshal(data, &m) == nil && m.Type == "said" {
			(*told)(m.said)
		}
	}
}

// onSaid lets f be called with what is said.
func (c *client) onSaid(f func(said)) { c.told.Store(&f) }

func (c *client) say(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"type":"say","from":%q,"n":%d}`, c.sub, n)) // the end tells
}

// ended waits for the end.
func (c *client) ended(t *testing.T, limit time.Duration) (code int, when time.Time) {
	t.Helper()
	select {
	case <-c.end:
		return c.code, c.when
	case <-time.After(limit):
		t.Fatalf("%s is still connected after %v", c.sub, limit)
	}
	return 0, time.Time{}
}

// open says whether it has not ended.
func (c *client) open() bool {
	select {
	case <-c.end:
		return false
	default:
		return true
	}
}
