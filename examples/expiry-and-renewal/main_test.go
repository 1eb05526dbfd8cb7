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
		if err := c.WebSocket.WriteMessage(websocket.TextMessage, []byte(`{"$renew":"`+token(key)+`"}`)); err != nil {
			t.Fatal(err)
		}
		if _, m, err := c.WebSocket.ReadMessage(); err != nil || string(m) != `{"$renewed":"2000-01-01T00:01:30Z"}` {
			t.Errorf("got %s, %v", m, err)
		}
		c.Timeout = 2 * time.Minute
		got := c.Closed()
		if d := time.Since(start); got.Code != 3000 || d < 89*time.Second || d > 91*time.Second {
			t.Errorf("after %v: %v", d, got)
		}

		c = wstest.Dial[string, Price](t, srv, "/prices?token="+token(key))
		ask(c, "tin")
		plans.Set("ada", "")
		c.Timeout = time.Minute
		if got := c.Closed(); got.Code != 3003 {
			t.Errorf("without a plan: %v", got)
		}
	})
}
