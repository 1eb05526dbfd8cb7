package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLife goes through a connection's life: a change of plan, a renewal, the end of
// the token, and for another one the end of the plan.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := []byte("a key of at least thirty-two bytes")
		plans := &Plans{of: map[string]string{"ada": "gold"}}
		ws, engine, err := newApp(key, plans)
		if err != nil {
			t.Fatal(err)
		}
		srv := wstest.StartHandler(t, ws, engine)
		ask := func(c *wstest.Peer[string, Price], want string) {
			t.Helper()
			c.Send("tea")
			if got := c.Receive(); got != (Price{"tea", 42, want}) {
				t.Errorf("got %v", got)
			}
		}
		c := wstest.Dial[string, Price](t, srv, "/prices?token="+token(key))
		start := time.Now()
		ask(c, "gold")
		plans.Set("ada", "tin")
		time.Sleep(11 * time.Second)
		ask(c, "tin")

		time.Sleep(19 * time.Second)
		_ = c.WebSocket.SetWriteDeadline(time.Time{}) // those of Send have passed
		_ = c.WebSocket.SetReadDeadline(time.Time{})
		if err := c.WebSocket.WriteMessage(websocket.TextMessage, []byte(`{"$renew":"`+token(key)+`"}`)); err != nil {
			t.Fatal(err)
		}
		if _, m, err := c.WebSocket.ReadMessage(); err != nil || string(m) != `{"$renewed":"2000-01-01T00:01:30Z"}` {
			t.Errorf("got %s, %v", m, err)
		}
		_ = c.WebSocket.SetReadDeadline(time.Time{})
		_, _, err = c.WebSocket.ReadMessage()
		if d := time.Since(start); !websocket.IsCloseError(err, 3000) || d < 89*time.Second || d > 91*time.Second {
			t.Errorf("after %v: %v", d, err)
		}

		c = wstest.Dial[string, Price](t, srv, "/prices?token="+token(key))
		ask(c, "tin")
		plans.Set("ada", "")
		_ = c.WebSocket.SetReadDeadline(time.Time{})
		_, _, err = c.WebSocket.ReadMessage()
		if !websocket.IsCloseError(err, 3003) {
			t.Errorf("without a plan: %v", err)
		}
	})
}
