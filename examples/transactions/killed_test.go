package main

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// vanish are the ways in which a client goes in the middle of a message.
var vanish = map[string]func(*testing.T, *websocket.Conn){
	"RST": func(t *testing.T, c *websocket.Conn) {
		t.Helper()
		if err := c.NetConn().(*net.TCPConn).SetLinger(0); err != nil {
			t.Error(err)
		}
		_ = c.NetConn().Close()
	},
	"FIN": func(_ *testing.T, c *websocket.Conn) { _ = c.NetConn().Close() },
	"close frame": func(_ *testing.T, c *websocket.Conn) {
		text := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		_ = c.WriteControl(websocket.CloseMessage, text, time.Now().Add(time.Second))
		_ = c.NetConn().Close()
	},
}

// witness notes of each transfer whether its connection had ended when its handler returned.
type witness struct {
	mu      sync.Mutex
	ended   map[string]bool
	entered chan struct{} // a transfer is half done
	leave   chan bool     // whether it waits for the end of its context
}

// pause is half-way. What it notes is the last that is sure to be before the cleanups.
func (w *witness) pause(ctx context.Context, m Transfer) error {
	w.entered <- struct{}{}
	if <-w.leave {
		<-ctx.Done()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended[m.ID] = ctx.Err() != nil
	return nil // as if it had not seen the end
}

// TestAThousandKilledClients: a client goes in the middle of a message, and a handler that does not
// look at its context returns nil. Nothing is half done, and nothing is committed whose connection
// had ended when its handler returned. Every other handler returns while the client goes.
func TestAThousandKilledClients(t *testing.T) {
	for name, kill := range vanish {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := accounts(t)
			w := &witness{ended: map[string]bool{}, entered: make(chan struct{}), leave: make(chan bool)}
			config := &wsroute.Config{
				Logger: slog.New(slog.DiscardHandler),
				Limits: wsroute.Limits{CloseGrace: 5 * time.Millisecond}, // after a close frame
			}
			srv := wstest.StartLoopback(t, newRouter(db, "k", config),
				depends.OverrideValue[Screening](w.pause))
			const kills = 334
			for i := range kills {
				client := fmt.Sprint(i)
				c := wstest.Dial[string, string](t, srv, "/accounts", wstest.Header("X-Key", "k"))
				c.Send(`{"type":"transfer","id":"` + client + `","to":"bob","cents":1}`)
				<-w.entered
				if i%2 == 0 {
					kill(t, c.WebSocket)
					w.leave <- true
					continue
				}
				go func() { w.leave <- false }()
				kill(t, c.WebSocket)
			}
			srv.Stop()
			consistent(t, db)
			checkCommitted(t, db, w, kills)
		})
	}
}

func checkCommitted(t *testing.T, db *sql.DB, w *witness, kills int) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT id FROM transfers")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	committed := 0
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		if committed++; w.ended[id] {
			t.Errorf("%s was committed, and its connection had ended", id)
		}
	}
	if rows.Err() != nil || len(w.ended) != kills || committed > kills/2 {
		t.Errorf("%d transfers, %d committed, %v", len(w.ended), committed, rows.Err())
	}
	t.Logf("%d of %d were committed before the end was seen", committed, kills)
}
