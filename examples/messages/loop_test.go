package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func startAuction(t *testing.T, auction *Auction) *wstest.Server {
	t.Helper()
	ws := wsroute.New(depends.New(), quiet())
	openAuction(ws, auction)
	return wstest.Start(t, ws)
}

// TestWhatIsSaid sends the same to each of the routes; the text "(100000 bytes)" stands
// for a message of that length.
func TestWhatIsSaid(t *testing.T) {
	srv := startAuction(t, &Auction{})
	for _, route := range []string{"/strict", "/bids", "/picture"} {
		var b strings.Builder
		var ws *websocket.Conn
		for _, said := range []struct {
			kind int
			text string
		}{
			{websocket.TextMessage, `{"item":"lamp","cents":250}`},
			{websocket.TextMessage, `{"item":"lamp","cents":-1}`},
			{websocket.TextMessage, `{"item":"lamp","cents":"many"}`},
			{websocket.TextMessage, `{"item":"lamp","cents":300,"note":"for you"}`},
			{websocket.BinaryMessage, `GIF89a`},
			{websocket.BinaryMessage, "(100000 bytes)"},
		} {
			if ws == nil {
				ws = wstest.Dial[string, string](t, srv, route).WebSocket
			}
			data := []byte(said.text)
			if said.text == "(100000 bytes)" {
				data = make([]byte, 100_000)
			}
			if err := ws.WriteMessage(said.kind, data); err != nil {
				t.Fatal(err)
			}
			_, answer, err := ws.ReadMessage()
			if err != nil {
				answer, ws = []byte(err.Error()), nil // the next one comes on a new connection
			}
			fmt.Fprintf(&b, "%-46s %s\n", said.text, answer)
		}
		golden(t, "testdata"+route+".txt", b.String())
	}
}

// TestSlowReaders: nobody waits for those who watch and do not read.
func TestSlowReaders(t *testing.T) {
	const bids = 5000 // more than what the network holds
	synctest.Test(t, func(t *testing.T) {
		auction := &Auction{}
		srv := startAuction(t, auction)
		watcher := wstest.Dial[string, Taken](t, srv, "/watch")
		ledger := wstest.Dial[string, Taken](t, srv, "/ledger")
		synctest.Wait()
		for range bids {
			if _, err := auction.Take(t.Context(), Bid{"lamp", 250}); err != nil {
				t.Fatal(err)
			}
		}
		seen, last := 0, 0
		for last < bids {
			taken := watcher.Receive()
			if taken.Bid <= last {
				t.Fatalf("%d after %d", taken.Bid, last)
			}
			seen, last = seen+1, taken.Bid
		}
		if seen == bids {
			t.Error("nothing was dropped")
		}
		if got := ledger.Closed(); got.Code != 1013 {
			t.Errorf("the ledger: %v", got)
		}
	})
}
