package wsroute_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/internal/conformance"
	"example.com/usher/internal/memconn"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// discarding are the two ways to drop what a peer says.
var discarding = map[string]func(*wsroute.Router, func(ctx context.Context) error){
	"Conn[Discard, string]": func(ws *wsroute.Router, handler func(context.Context) error) {
		wsroute.Handle(ws, "/", func(ctx context.Context, _ *wsroute.Conn[wsroute.Discard, string], _ none) error {
			return handler(ctx)
		}, wsroute.Public)
	},
	"Conn.Discard": func(ws *wsroute.Router, handler func(context.Context) error) {
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
			conn.Discard()
			return handler(ctx)
		}, wsroute.Public)
	},
}

// TestAPeerThatTalksToNobody stalls nothing on a route that only sends: for as long as it
// talks and answers pings it stays, and when it goes the handler's context ends.
func TestAPeerThatTalksToNobody(t *testing.T) {
	for name, handle := range discarding {
		for end, leave := range map[string]func(*conformance.Peer){
			"closes":   func(p *conformance.Peer) { _, _ = p.Conn.Write(closeFrame(1000, "").Encode()) },
			"leaves":   func(p *conformance.Peer) { _ = p.Conn.Close() },
			"vanishes": func(p *conformance.Peer) { p.Conn.(*memconn.Conn).Vanish() },
		} {
			t.Run(name+" "+end, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ended := make(chan error, 1)
					ws := wsroute.New(depends.New(), quiet())
					handle(ws, func(ctx context.Context) error {
						<-ctx.Done()
						ended <- context.Cause(ctx)
						return nil
					})
					p := open(t, wstest.Start(t, ws))
					go answerPings(p)
					for range 2 * 60 {
						write(t, p, textFrame("ping"), textFrame(strings.Repeat("x", 60<<10)))
						time.Sleep(30 * time.Second)
					}
					start := time.Now()
					leave(p)
					err := <-ended
					var closed *wsroute.CloseError
					if end == "closes" && !errors.As(err, &closed) || end != "closes" && !errors.Is(err, wsroute.ErrPeerLost) {
						t.Errorf("it ended with %v", err)
					}
					if d := time.Since(start); d > 35*time.Second || end != "vanishes" && d != 0 {
						t.Errorf("it ended after %v", d)
					}
				})
			})
		}
	}
}

func answerPings(p *conformance.Peer) {
	for {
		e, err := p.Read()
		if err != nil {
			return
		}
		if e.Opcode == conformance.Ping {
			_, _ = p.Conn.Write(conformance.Frame{Opcode: conformance.Pong, Payload: e.Payload}.Encode())
		}
	}
}

// TestWhatIsDroppedIsBounded as what is received is.
func TestWhatIsDroppedIsBounded(t *testing.T) {
	config := quiet()
	config.Limits.MessageRate, config.Limits.ReadLimit = 5, 1000
	ws := wsroute.New(depends.New(), config)
	begun, received := make(chan none), make(chan error, 10)
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[wsroute.Discard, string], _ none) error {
		begun <- none{}
		_, err := conn.Receive(ctx)
		received <- err
		return err
	}, wsroute.Public)
	srv := wstest.Start(t, ws)
	for name, say := range map[string]func(*wstest.Peer[string, string]){
		"1008 too_many_messages": func(c *wstest.Peer[string, string]) {
			for range 11 {
				c.Send("x")
			}
		},
		"1009 message_too_big": func(c *wstest.Peer[string, string]) { c.Send(strings.Repeat("x", 1001)) },
		"1007 invalid_utf8": func(c *wstest.Peer[string, string]) {
			_ = c.WebSocket.WriteMessage(websocket.TextMessage, []byte{0xff})
		},
	} {
		c := wstest.Dial[string, string](t, srv, "/")
		<-begun
		say(c)
		code, reason, _ := strings.Cut(name, " ")
		if got := c.Closed(); got.Code != atoi(code) || got.Reason != reason {
			t.Errorf("closed with %v, not %s", got, name)
		}
		if err := <-received; !errors.Is(err, wsroute.ErrProtocol) {
			t.Errorf("%s: Receive returned %v", name, err)
		}
	}
}

// TestDiscardBehindAReceive: what was read ahead is dropped too, and what came before is
// the handler's.
func TestDiscardBehindAReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws := wsroute.New(depends.New(), quiet())
		wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ none) error {
			first, err := conn.Receive(ctx)
			if err != nil {
				return err
			}
			time.Sleep(time.Second)
			conn.Discard()
			if err := conn.Send(ctx, "since "+first); err != nil {
				return err
			}
			m, err := conn.Receive(ctx)
			if err == nil {
				t.Errorf("%q was received", m)
			}
			return err
		}, wsroute.Public)
		p := open(t, wstest.Start(t, ws))
		for range 100 { // more than is read ahead
			write(t, p, textFrame("subscribe"))
		}
		if e, err := p.Read(); err != nil || string(e.Payload) != "since subscribe" {
			t.Errorf("the peer reads %v, %v", e, err)
		}
		write(t, p, textFrame("more"), closeFrame(1000, ""))
		if e, err := p.Read(); err != nil || e.Opcode != conformance.Close {
			t.Errorf("the peer reads %v, %v", e, err)
		}
	})
}

// TestNobodySendsDiscard: it is a fault of the route.
func TestNobodySendsDiscard(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, wsroute.Discard], none) error { return nil }, wsroute.Public)
	if _, err := ws.Handler(); err == nil || !strings.Contains(err.Error(), "wsroute.Discard is for what comes, and cannot be sent") {
		t.Errorf("Handler returned %v", err)
	}
}
