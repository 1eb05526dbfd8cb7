package wsroute_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestNoCredentialReachesTheHandler: a JSON object with a member $renew is a renewal however it is
// written, and is answered or closes the connection; what only mentions it is a message.
func TestNoCredentialReachesTheHandler(t *testing.T) {
	const answered, closed, delivered = `{"$renewed":"`, `1008 "invalid_renewal"`, "old1 old1"
	for text, want := range map[string]string{
		`{"$renew":"ada/1h/new"}`:                               answered,
		`{ "$renew" : "ada/1h/new" }`:                           answered,
		" \t\r\n{\"$renew\":\"ada/1h/new\"}\n":                  answered,
		"{\n  \"$renew\": \"ada/1h/new\"\n}":                    answered,
		`{"$renew":"ada\/1h\/new"}`:                             answered,
		`{"\u0024renew":"ada/1h/new"}`:                          answered,
		`{"\u0024\u0072\u0065\u006e\u0065\u0077":"ada/1h/new"}`: answered,
		`{"$re\u006Eew":"ada/1h/new"}`:                          answered,
		`{"$renew":"ada/1h/new","id":7}`:                        answered,
		`{"type":"say","n":1e999,"$renew":"ada/1h/new"}`:        answered,
		`{"$renew":"x","$renew":"ada/1h/new"}`:                  answered,
		`{"$renew":"ada/1h/new","\u0024renew":["x"]}`:           closed,
		`{"$renew":["ada/1h/new"]}`:                             closed,
		`{"$renew":{"token":"ada/1h/new"}}`:                     closed,
		`{"$renew":7}`:                                          closed,
		`{"$renew":null}`:                                       closed,
		`{"$renew":""}`:                                         closed,
		`{"$renewed":"ada/1h/new"}`:                             delivered,
		`{"$Renew":"x"}`:                                        delivered,
		`{"text":{"$renew":"x"}}`:                               delivered,
		`{"text":"send {\"$renew\":\"x\"}"}`:                    delivered,
		`[{"$renew":"x"}]`:                                      delivered,
		`"$renew"`:                                              delivered,
		`how do I use $renew?`:                                  delivered,
		`{C:\users}`:                                            delivered,
		`{"$renew":`:                                            delivered,
	} {
		for name, kind := range map[string]int{"text": websocket.TextMessage, "binary": websocket.BinaryMessage} {
			if kind == websocket.BinaryMessage && want == delivered {
				continue // the handler of this test takes text
			}
			synctest.Test(t, func(t *testing.T) {
				p := wstest.Dial[string, string](t, serveRenewable(t, new(atomic.Int32)), "/?pass=ada/1h/old")
				if err := p.WebSocket.WriteMessage(kind, []byte(text)); err != nil {
					t.Fatal(err)
				}
				_, got, err := p.WebSocket.ReadMessage()
				if c, ok := err.(*websocket.CloseError); ok { //nolint:errorlint // gorilla's own
					got = fmt.Appendf(nil, "%d %q", c.Code, c.Text)
				}
				if !strings.HasPrefix(string(got), want) {
					t.Errorf("%s %s: got %s, want %s", name, text, got, want)
				}
			})
		}
	}
}

// TestRenewalsHaveARate: each verifies a credential and asks the providers, so that a peer may ask
// for ten at once and then for one in a second, by whatever message.
func TestRenewalsHaveARate(t *testing.T) {
	own := func(ctx context.Context, conn *wsroute.Conn[string, string], _ renewInput) error {
		for {
			m, err := conn.Receive(ctx)
			if err != nil {
				return err
			}
			if _, err = conn.Renew(m); err != nil {
				return err
			}
			if err = conn.Send(ctx, "ok"); err != nil {
				return err
			}
		}
	}
	for name, message := range map[string]string{"/": `{"$renew":"ada/1h/new"}`, "/own": "ada/1h/new"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ws := wsroute.New(renewable(new(atomic.Int32)), quiet())
				wsroute.Handle(ws, "/", tell, wsroute.Renewable)
				wsroute.Handle(ws, "/own", own, wsroute.Renewable)
				p := wstest.Dial[string, string](t, wstest.Start(t, ws), name+"?pass=ada/1h/old")
				renew := func(n int) (renewed int) {
					for range n {
						p.Send(message)
						if _, _, err := p.WebSocket.ReadMessage(); err != nil {
							if !websocket.IsCloseError(err, 1008) || !strings.Contains(err.Error(), "too_many_renewals") {
								t.Errorf("closed with %v", err)
							}
							return renewed
						}
						renewed++
					}
					return renewed
				}
				if n := renew(10); n != 10 {
					t.Errorf("%d at once", n)
				}
				for range 100 {
					time.Sleep(time.Second)
					if renew(1) != 1 {
						t.Fatal("one in a second is too many")
					}
				}
				time.Sleep(5 * time.Second)
				if n := renew(100); n != 5 {
					t.Errorf("%d after 5 s", n)
				}
			})
		})
	}
}
