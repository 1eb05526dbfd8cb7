package main

import (
	"testing"
	"testing/synctest"
	"time"

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
		ask := func(c *wstest.Peer[string, string], want string) {
			t.Helper()
			if got := wstest.Ask[Price](t, c, "ask", Ask{"tea"}); got != (Price{"tea", 42, want}) {
				t.Errorf("got %v", got)
			}
		}
		c := wstest.Dial[string, string](t, srv, "/prices?token="+token(key))
		start := time.Now()
		ask(c, "gold")
		tea := wstest.Dial[string, Price](t, srv, "/ticker?token="+token(key))
		if got := tea.Receive(); got != (Price{"tea", 42, "gold"}) {
			t.Errorf("got %v", got)
		}
		plans.Set("ada", "tin")
		time.Sleep(11 * time.Second)
		ask(c, "tin")
		_ = tea.Receive() // of 5 s
		_ = tea.Receive() // of 10 s
		if got := tea.Receive(); got != (Price{"tea", 42, "tin"}) {
			t.Errorf("got %v", got)
		}
		tea.Close(1000, "")

		time.Sleep(15 * time.Second)
		wstest.Converse(t, c,
			`> {"type":"renew","ref":1,"token":"`+token(key)+`"}`,
			`< {"type":"renewed","ref":1,"expires":"2000-01-01T00:01:30Z"}`)
		c.Timeout = 2 * time.Minute
		got := c.Closed()
		if d := time.Since(start); got.Code != 3000 || d < 89*time.Second || d > 91*time.Second {
			t.Errorf("after %v: %v", d, got)
		}

		c = wstest.Dial[string, string](t, srv, "/prices?token="+token(key))
		ask(c, "tin")
		plans.Set("ada", "")
		c.Timeout = time.Minute
		if got := c.Closed(); got.Code != 3003 {
			t.Errorf("without a plan: %v", got)
		}
	})
}
