package wsroute_test

import (
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

// TestTheFormOfARenewal: whatever names the type renew is answered, and no handler sees it.
func TestTheFormOfARenewal(t *testing.T) {
	const (
		renewed   = `{"type":"renewed","ref":8,"expires":"2000-01-01T01:00:00Z"}`
		noRef     = `{"type":"renewed","expires":"2000-01-01T01:00:00Z"}`
		invalid   = `{"type":"error","ref":8,"reason":"invalid_message"}`
		noRefBad  = `{"type":"error","reason":"invalid_message"}`
		noJSON    = `{"type":"error","reason":"invalid_json"}`
		broken    = `{"type":"error","ref":8,"reason":"invalid_json"}`
		unknown   = `{"type":"error","ref":8,"reason":"unknown_type"}`
		noBinary  = `{"type":"error","reason":"binary_not_accepted"}`
		otherRef  = `{"type":"renewed","ref":"a","expires":"2000-01-01T01:00:00Z"}`
		aPass     = "ada/1h/new"
		aTokenToo = `"token":"` + aPass + `"`
	)
	for text, want := range map[string]string{
		`{"type":"renew","ref":8,"token":"ada/1h/new"}`:                                renewed,
		" \t\r\n{\n \"type\" : \"renew\", \"ref\":8,\n\"token\" : \"ada/1h/new\"\n}\n": renewed,
		`{` + aTokenToo + `,"ref":8,"type":"renew"}`:                                   renewed,
		`{"type":"renew","ref":8,"token":"ada\/1h\/\u006eew"}`:                         renewed,
		`{"type":"renew","ref":8,"more":{"type":"say"},` + aTokenToo + `}`:             renewed,
		`{"type":"renew","token":"ada/1h/new"}`:                                        noRef,
		`{"type":"renew","ref":null,"token":"ada/1h/new"}`:                             noRef,
		`{"type":"renew","ref":"a","token":"ada/1h/new"}`:                              otherRef,

		`{"type":"renew","ref":8}`:                              invalid,
		`{"type":"renew","ref":8,"token":""}`:                   invalid,
		`{"type":"renew","ref":8,"token":null}`:                 invalid,
		`{"type":"renew","ref":8,"token":7}`:                    invalid,
		`{"type":"renew","ref":8,"token":["ada/1h/new"]}`:       invalid,
		`{"type":"renew","ref":8,"token":{"v":"ada/1h/new"}}`:   invalid,
		`{"type":"renew","ref":1.5,` + aTokenToo + `}`:          noRefBad,
		`{"type":"renew","ref":"\u0061",` + aTokenToo + `}`:     noRefBad,
		`{"type":"renew","ref":[8],` + aTokenToo + `}`:          noRefBad,
		`{"type":"rene\u0077",` + aTokenToo + `}`:               noRefBad,
		`{"typ\u0065":"renew",` + aTokenToo + `}`:               noRefBad,
		`{"type":"renew","type":"renew",` + aTokenToo + `}`:     noRefBad,
		`{"type":"renew","t\u006fken":"ada/1h/new"}`:            noRefBad,
		`{"type":["renew"],` + aTokenToo + `}`:                  noRefBad,
		`{"kind":"renew",` + aTokenToo + `}`:                    noRefBad,
		`{"type":"Renew","ref":8,` + aTokenToo + `}`:            unknown,
		`{"type":"renewed","ref":8,` + aTokenToo + `}`:          unknown,
		`{"type":"renew","ref":8,` + aTokenToo:                  broken,
		`[{"type":"renew","ref":8,` + aTokenToo + `}]`:          noJSON,
		`{"type":"renew","ref":8,"x":tru,` + aTokenToo + `}`:    broken,
		`{"type":"ping","ref":8,"x":tru}`:                       broken,
		`{"type":"what","ref":8,"x":tru}`:                       broken,
		`"renew"`:                                               noJSON,
		`{"type":"see","x":{"type":"renew",` + aTokenToo + `}}`: seen("old1", "old1"),
		`{"type":"see","x":"renew"}`:                            seen("old1", "old1"),
	} {
		for kind, want := range map[int]string{websocket.TextMessage: want, websocket.BinaryMessage: noBinary} {
			synctest.Test(t, func(t *testing.T) {
				p := wstest.Dial[string, string](t, serveRenewable(t, new(atomic.Int32)), "/?pass=ada/1h/old")
				if err := p.WebSocket.WriteMessage(kind, []byte(text)); err != nil {
					t.Fatal(err)
				}
				if got := p.Receive(); got != want {
					t.Errorf("%d %s:\n got %s\nwant %s", kind, text, got, want)
				}
			})
		}
	}
}

// TestRenewByTypeMember: a renewal has its type where the messages of its route have theirs, and
// is no type of a route that is not Renewable.
func TestRenewByTypeMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws := wsroute.New(renewable(new(atomic.Int32)), quiet())
		wsroute.HandleMessages(ws, "/kind", events, wsroute.Require[pass](), wsroute.Renewable, wsroute.TypeMember("kind"))
		wsroute.HandleMessages(ws, "/not", events, wsroute.Require[pass]())
		srv := wstest.Start(t, ws)
		kind := wstest.Dial[string, string](t, srv, "/kind?pass=ada/1h/old")
		converse(t, kind, `{"kind":"renew","ref":8,"type":1,"token":"ada/1h/new"}`,
			`{"kind":"renewed","ref":8,"expires":"2000-01-01T01:00:00Z"}`)
		converse(t, kind, `{"kind":"renew","ref":8}`, `{"kind":"error","ref":8,"reason":"invalid_message"}`)
		converse(t, kind, renewBy("ada/1h/new"), `{"kind":"error","ref":8,"reason":"invalid_message"}`)
		not := wstest.Dial[string, string](t, srv, "/not?pass=ada/1h/old")
		converse(t, not, renewBy("ada/1h/new"), `{"type":"error","ref":8,"reason":"unknown_type"}`)
		converse(t, not, renewBy(""), `{"type":"error","ref":8,"reason":"unknown_type"}`)
	})
}

// TestBadRenewalsAreCounted: as other messages that cannot be read.
func TestBadRenewalsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := wstest.Dial[string, string](t, serveRenewable(t, new(atomic.Int32)), "/?pass=ada/1h/old")
		for range 20 {
			converse(t, p, renewBy(""), `{"type":"error","ref":8,"reason":"invalid_message"}`)
		}
		p.Send(renewBy(""))
		if got := untilClosed(p); got.Code != 1008 || got.Reason != "too_many_bad_messages" {
			t.Errorf("closed with %v", got)
		}
	})
}

// TestRenewalsHaveARate: each verifies a credential and asks the providers, so that a peer may ask
// for ten at once and then for one in a second, by whatever message.
func TestRenewalsHaveARate(t *testing.T) {
	for name, by := range manners {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := wstest.Dial[string, string](t, serveRenewable(t, new(atomic.Int32)), by.path+"?pass=ada/1h/old")
				renew := func(n int) (renewed int) {
					for range n {
						p.Send(fmt.Sprintf(by.renew, "ada/1h/new"))
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
