package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// vars is what the page shows.
type vars struct {
	Handshakes  map[string]int `json:"handshakes"`
	HandshakeUs map[string]int `json:"handshake_us"`
	Providers   map[string]int `json:"providers"`
	ProviderUs  map[string]int `json:"provider_us"`
	MessagesIn  map[string]int `json:"messages_in"`
	BytesIn     map[string]int `json:"bytes_in"`
	MessagesOut map[string]int `json:"messages_out"`
	BytesOut    map[string]int `json:"bytes_out"`
	Dropped     map[string]int `json:"dropped"`
	Pings       map[string]int `json:"pings"`
	PingUs      map[string]int `json:"ping_us"`
	Closed      map[string]int `json:"closed"`
	Now         wsroute.Stats  `json:"now"`
}

func shown(t *testing.T, m *metrics) (v vars) {
	t.Helper()
	page := httptest.NewRecorder()
	m.ServeHTTP(page, httptest.NewRequest("GET", "/debug/vars", nil))
	decoder := json.NewDecoder(page.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestEveryNumber, on a clock that stands still but for what the test waits for.
func TestEveryNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws, m := newApp(func(_ context.Context, key [sha256.Size]byte) (User, error) {
			time.Sleep(3 * time.Millisecond)
			if key != sha256.Sum256([]byte("sesame")) {
				return User{}, depends.ErrAbsent
			}
			return User{"alice"}, nil
		})
		srv := wstest.Start(t, ws)
		const route = "GET /echo"
		key := wstest.Header("X-Api-Key", "sesame")

		wstest.Refused(t, srv, "/echo")
		wstest.Refused(t, srv, "/echo", wstest.Header("X-Api-Key", "guessed"))
		quick := wstest.Dial[string, string](t, srv, "/echo", key)
		quick.Send("hello")
		quick.Receive()
		quick.WebSocket.SetPingHandler(func(payload string) error {
			time.Sleep(20 * time.Millisecond)
			return quick.WebSocket.WriteControl(websocket.PongMessage, []byte(payload), time.Now().Add(time.Second))
		})
		_ = quick.WebSocket.SetReadDeadline(time.Time{})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _, _ = quick.WebSocket.ReadMessage() // answers the ping
		}()
		time.Sleep(26 * time.Second)
		open := vars{
			Handshakes:  map[string]int{route + " 101": 1, route + " 401 credentials_required": 1, route + " 401 invalid_key": 1},
			HandshakeUs: map[string]int{route: 6000},
			Providers:   map[string]int{"APIKey": 2}, ProviderUs: map[string]int{"APIKey": 6000},
			MessagesIn: map[string]int{route: 1}, BytesIn: map[string]int{route: 5},
			MessagesOut: map[string]int{route: 1}, BytesOut: map[string]int{route: 5},
			Dropped: map[string]int{}, Pings: map[string]int{route: 1}, PingUs: map[string]int{route: 20_000},
			Closed: map[string]int{},
			Now:    wsroute.Stats{Routes: []wsroute.RouteStats{{Route: route, Open: 1, Handlers: 1}}},
		}
		if diff := cmp.Diff(open, shown(t, m)); diff != "" {
			t.Errorf("while one is open (-want +got):\n%s", diff)
		}
		frame := websocket.FormatCloseMessage(4321, "enough")
		_ = quick.WebSocket.WriteControl(websocket.CloseMessage, frame, time.Now().Add(time.Second))
		<-ended

		// A peer that does not read what it is sent.
		slow := wstest.Dial[string, string](t, srv, "/echo", key)
		const size = 60_000
		for ws.Stats().Routes[0].QueuedMessages < 3 {
			slow.Send(strings.Repeat("x", size))
			synctest.Wait()
		}
		full := shown(t, m)
		waiting := full.Now.Routes[0].QueuedMessages
		if waiting == 0 || full.Now.Routes[0].QueuedBytes < waiting*size {
			t.Errorf("nothing waits: %+v", full.Now)
		}
		_ = slow.WebSocket.NetConn().Close()
		synctest.Wait()
		want := open
		want.Handshakes[route+" 101"], want.HandshakeUs[route] = 2, 9000
		want.Providers["APIKey"], want.ProviderUs["APIKey"] = 3, 9000
		want.MessagesIn[route], want.BytesIn[route] = full.MessagesIn[route], 5+size*(full.MessagesIn[route]-1)
		want.MessagesOut[route], want.BytesOut[route] = full.MessagesOut[route], 5+size*(full.MessagesOut[route]-1)
		want.Dropped[route] = waiting
		want.Closed[route+" other"], want.Closed[route+" 1006"] = 1, 1
		want.Now.Routes[0] = wsroute.RouteStats{Route: route}
		if diff := cmp.Diff(want, shown(t, m)); diff != "" {
			t.Errorf("when all is over (-want +got):\n%s", diff)
		}
		if in, out := full.MessagesIn[route], full.MessagesOut[route]; in != out || out <= waiting {
			t.Errorf("%d came, %d went, %d waited", in, out, waiting)
		}
	})
}
