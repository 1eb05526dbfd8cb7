package wsroute_test

import (
	"bytes"
	"compress/flate"
	"context"
	"net"
	"runtime"
	"testing"

	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

func dialOf(srv *wstest.Server) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) { return srv.Connect(ctx) }
}

// TestOffersOfDeflate: an offer is taken if we can do what it asks and say so, else the
// next one is, else none (RFC 7692 §5, §7.1).
func TestOffersOfDeflate(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", echo[string], wsroute.Compress, wsroute.Public)
	srv := wstest.Start(t, ws)
	for offer, taken := range map[string]bool{
		"permessage-deflate":                                                   true,
		"permessage-deflate; server_no_context_takeover":                       true,
		"permessage-deflate; client_no_context_takeover":                       true,
		"permessage-deflate; client_max_window_bits":                           true,
		"permessage-deflate; client_max_window_bits=8":                         true,
		"permessage-deflate; client_max_window_bits=15":                        true,
		`permessage-deflate; client_max_window_bits="10"`:                      true,
		"permessage-deflate;client_max_window_bits;server_no_context_takeover": true,

		// We cannot answer a demand for a smaller window, nor for the one we have.
		"permessage-deflate; server_max_window_bits=8":  false,
		"permessage-deflate; server_max_window_bits=9":  false,
		"permessage-deflate; server_max_window_bits=10": false,
		"permessage-deflate; server_max_window_bits=15": false,

		// What the RFC does not know, or not so, declines the offer.
		"permessage-deflate; foo":                                            false,
		"permessage-deflate; foo=1":                                          false,
		"permessage-deflate; server_max_window_bits":                         false,
		"permessage-deflate; server_max_window_bits=7":                       false,
		"permessage-deflate; server_max_window_bits=16":                      false,
		"permessage-deflate; client_max_window_bits=7":                       false,
		"permessage-deflate; client_max_window_bits=16":                      false,
		"permessage-deflate; client_max_window_bits=20":                      false,
		"permessage-deflate; client_max_window_bits=08":                      false,
		"permessage-deflate; client_max_window_bits=":                        false,
		"permessage-deflate; client_max_window_bits=x":                       false,
		"permessage-deflate; server_no_context_takeover=1":                   false,
		"permessage-deflate; client_no_context_takeover=true":                false,
		"permessage-deflate; client_max_window_bits; client_max_window_bits": false,
		"permessage-deflate; ;":                                              false,
		"x-webkit-deflate-frame":                                             false,
		"permessage-bzip2":                                                   false,
		"":                                                                   false,

		"permessage-deflate; server_max_window_bits=10, permessage-deflate":                                                 true,
		"foo, permessage-deflate; client_max_window_bits":                                                                   true,
		"permessage-deflate; foo, permessage-deflate; bar":                                                                  false,
		`foo; bar="a, permessage-deflate"`:                                                                                  false,
		"permessage-deflate; server_max_window_bits=10; client_max_window_bits, permessage-deflate; client_max_window_bits": true,
	} {
		p := open(t, srv, "Sec-WebSocket-Extensions: "+offer)
		if got := p.Extensions != ""; got != taken {
			t.Errorf("%s: taken %t, with %q", offer, got, p.Extensions)
		}
	}
	p := open(t, srv, "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10", offerDeflate)
	if p.Extensions == "" {
		t.Error("an offer on the second line is not seen")
	}
}

// TestDeflateBothWays: what is sent compressed arrives, whatever its size.
func TestDeflateBothWays(t *testing.T) {
	config := quiet()
	config.Limits.ReadLimit = 1 << 20
	ws := wsroute.New(depends.New(), config)
	wsroute.Handle(ws, "/", echo[string], wsroute.Compress, wsroute.Public)
	srv := wstest.Start(t, ws)
	dialer := websocket.Dialer{NetDialContext: dialOf(srv), EnableCompression: true}
	c, response, err := dialer.Dial("ws://"+srv.Host+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	defer c.Close()
	for i, size := range []int{6, 7, 125, 126, 127, 1 << 10, 65535, 65536, 200_000} {
		want := noise(i, size)
		if err := c.WriteMessage(websocket.TextMessage, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.ReadMessage(); err != nil || string(got) != want {
			t.Fatalf("%d bytes: %d came back, %v", size, len(got), err)
		}
	}
	if err := c.WriteMessage(websocket.TextMessage, nil); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.ReadMessage(); err != nil || len(got) > 0 {
		t.Errorf("of nothing %q came back, %v", got, err)
	}
}

// TestCompression: it works where the route has it, and a bomb is refused at the
// inflated size, without being inflated.
func TestCompression(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/deflate", echo[string], wsroute.Compress, wsroute.Public)
	wsroute.Handle(ws, "/plain", echo[string], wsroute.Public)
	srv := wstest.StartLoopback(t, ws)
	dial := func(path string) (*websocket.Conn, string) {
		dialer := websocket.Dialer{EnableCompression: true}
		c, response, err := dialer.Dial("ws://"+srv.Host+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		t.Cleanup(func() { _ = c.Close() })
		return c, response.Header.Get("Sec-WebSocket-Extensions")
	}
	if _, extension := dial("/plain"); extension != "" {
		t.Errorf("without the option %q was negotiated", extension)
	}
	c, extension := dial("/deflate")
	if extension == "" {
		t.Fatal("nothing was negotiated")
	}
	deflated := []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00} // "Hello", RFC 7692 §7.2.3.1
	raw(t, c, append([]byte{0xc1, 0x87, 0, 0, 0, 0}, deflated...)...)
	head := make([]byte, 9)
	if _, err := c.NetConn().Read(head); err != nil || head[0]&0x40 == 0 {
		t.Errorf("the answer % x is not compressed: %v", head, err)
	}

	bomb := deflate(t, make([]byte, 60<<20))
	if len(bomb) > 64<<10 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	c, _ = dial("/deflate")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	frame := append([]byte{0xc1, 0xfe, byte(len(bomb) >> 8), byte(len(bomb)), 0, 0, 0, 0}, bomb...)
	raw(t, c, frame...)
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, 1009) {
		t.Errorf("got %v", err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
}

// deflate compresses as RFC 7692 §7.2.1 demands: without the last four bytes.
func deflate(t *testing.T, b []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{0, 0, 0xff, 0xff})
}
