package wsroute_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// member is who a connection of these tests is; the peer says so itself.
type member struct{ name string }

// identified is a router whose connections are whoever they say. before is called
// by the provider when it has said who the peer is.
func identified(config *wsroute.Config, before func(), handler func(context.Context, *wsroute.Conn[string, string]) error,
	options ...wsroute.RouteOption,
) *wsroute.Router {
	deps := depends.New()
	depends.Provide(deps, func(ctx context.Context, in struct {
		Subject string `query:"sub"`
		Session string `query:"sid" default:""`
		Token   string `query:"jti" default:""`
		Issued  int64  `query:"iat" default:"0"`
	},
	) (member, error) {
		who := depends.Identity{Issuer: "https://id", Subject: in.Subject, Session: in.Session, TokenID: in.Token}
		if in.Issued != 0 {
			who.IssuedAt = time.Unix(in.Issued, 0)
		}
		depends.Identify(ctx, who)
		if before != nil {
			before()
		}
		return member{in.Subject}, ctx.Err()
	})
	ws := wsroute.New(deps, config)
	wsroute.Handle(ws, "/ws", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{ _ member }) error {
		return handler(ctx, conn)
	}, options...)
	return ws
}

// TestRevoke ends those whom all of the criteria mean, and nobody else.
func TestRevoke(t *testing.T) {
	queries := []string{"sub=ada&sid=s1&jti=t1&iat=100", "sub=ada&sid=s2&jti=t2&iat=200", "sub=bob&sid=s3&jti=t3&iat=100", "sub=eve"}
	for _, c := range []struct {
		name  string
		r     wsroute.Revocation
		ended string
	}{
		{"a subject", wsroute.Revocation{Subject: "ada"}, "01"},
		{"a subject of its issuer", wsroute.Revocation{Issuer: "https://id", Subject: "ada"}, "01"},
		{"a subject of another issuer", wsroute.Revocation{Issuer: "https://other", Subject: "ada"}, ""},
		{"a session", wsroute.Revocation{Session: "s2"}, "1"},
		{"a token", wsroute.Revocation{TokenID: "t3"}, "2"},
		{"a subject's older tokens", wsroute.Revocation{Subject: "ada", IssuedBefore: time.Unix(150, 0)}, "0"},
		{"older tokens", wsroute.Revocation{IssuedBefore: time.Unix(200, 0)}, "02"},
		{"all", wsroute.Revocation{IssuedBefore: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}, "0123"},
		{"what does not go together", wsroute.Revocation{Subject: "bob", Session: "s1"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ws := identified(quiet(), nil, receiveAll)
			srv := wstest.Start(t, ws)
			peers := make([]*wstest.Peer[string, string], len(queries))
			for i, q := range queries {
				peers[i] = wstest.Dial[string, string](t, srv, "/ws?"+q)
			}
			n, err := ws.Revoke(t.Context(), c.r)
			if n != len(c.ended) || err != nil {
				t.Errorf("%d have ended, not %d; %v", n, len(c.ended), err)
			}
			ended := ""
			for i, p := range peers {
				if i < len(queries) && contains(c.ended, fmt.Sprint(i)) {
					if got := untilClosed(p); got == nil || got.Code != 3000 || got.Reason != "revoked" {
						t.Errorf("%s: %v", queries[i], got)
					}
					ended += fmt.Sprint(i)
					continue
				}
				p.Send("still there")
				if got := p.Receive(); got != "still there" {
					t.Errorf("%s: %q", queries[i], got)
				}
			}
			if ended != c.ended {
				t.Errorf("ended: %s", ended)
			}
		})
	}
}

func contains(all, one string) bool {
	for _, r := range all {
		if string(r) == one {
			return true
		}
	}
	return false
}

func TestAnEmptyRevocationEndsNobody(t *testing.T) {
	ws := identified(quiet(), nil, receiveAll)
	c := wstest.Dial[string, string](t, wstest.Start(t, ws), "/ws?sub=ada")
	if n, err := ws.Revoke(t.Context(), wsroute.Revocation{}); n != 0 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
	c.Send("x")
	if got := c.Receive(); got != "x" {
		t.Errorf("got %q", got)
	}
}

// TestRevokeIsEffectiveWhenItReturns: whatever the peer does, nothing of it is
// delivered afterwards, nothing is sent to it, and it is gone within the bound.
func TestRevokeIsEffectiveWhenItReturns(t *testing.T) {
	for name, peer := range map[string]func(*wstest.Peer[string, string]){
		"goes on sending": func(c *wstest.Peer[string, string]) {
			go func() {
				for c.WebSocket.WriteMessage(websocket.TextMessage, []byte("transfer")) == nil {
					time.Sleep(time.Millisecond)
				}
			}()
			go func() { _ = untilClosed(c) }()
		},
		"never reads, nor answers the close": func(*wstest.Peer[string, string]) {},
		"is in the middle of a message": func(c *wstest.Peer[string, string]) {
			_, _ = c.WebSocket.NetConn().Write([]byte{0x01, 0x81, 0, 0, 0, 0, 'x'})
			go func() { _ = untilClosed(c) }()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var over atomic.Bool
				end := make(chan error, 1)
				config := quiet()
				config.Limits.MessageTimeout = time.Hour
				ws := identified(config, nil, func(ctx context.Context, conn *wsroute.Conn[string, string]) error {
					for {
						m, err := conn.Receive(ctx)
						if over.Load() && (err == nil || conn.Send(context.Background(), "x") == nil) {
							t.Errorf("%q came, or something went, after the revocation", m)
						}
						if err != nil {
							end <- context.Cause(ctx)
							return err
						}
					}
				})
				srv := wstest.Start(t, ws)
				c := wstest.Dial[string, string](t, srv, "/ws?sub=ada")
				peer(c)
				time.Sleep(time.Minute / 4)
				start := time.Now()
				if n, err := ws.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"}); n != 1 || err != nil {
					t.Errorf("%d, %v", n, err)
				}
				over.Store(true)
				if err := <-end; !errors.Is(err, wsroute.ErrRevoked) || time.Since(start) != 0 {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
				srv.Stop()
				if d := time.Since(start); d > 5*time.Second {
					t.Errorf("it was gone after %v", d)
				}
				_ = c.WebSocket.Close()
				time.Sleep(time.Second) // whoever goes on sending notices
			})
		})
	}
}

// TestRevokeCatchesAHandshake at whatever step it is.
func TestRevokeCatchesAHandshake(t *testing.T) {
	for _, early := range []bool{false, true} {
		var ws *wsroute.Router
		identify := func() {
			if n, err := ws.Revoke(t.Context(), wsroute.Revocation{Subject: "ada"}); err != nil || n != 1 {
				t.Errorf("%d, %v", n, err)
			}
		}
		if early { // before it is known who it is
			deps := depends.New()
			depends.Provide(deps, func(ctx context.Context, _ none) (member, error) {
				if n, err := ws.Revoke(ctx, wsroute.Revocation{Subject: "ada"}); err != nil || n != 0 {
					t.Errorf("%d, %v", n, err)
				}
				depends.Identify(ctx, depends.Identity{Subject: "ada"})
				return member{"ada"}, nil
			})
			ws = wsroute.New(deps, quiet())
			wsroute.Handle(ws, "/ws", func(context.Context, *wsroute.Conn[string, string], struct{ _ member }) error {
				t.Error("the handler ran")
				return nil
			}, wsroute.Public)
		} else {
			ws = identified(quiet(), identify, receiveAll)
		}
		r := wstest.Refused(t, wstest.Start(t, ws), "/ws?sub=ada")
		if r.Status != 401 || r.Problem.Reason != "revoked" {
			t.Errorf("early %t: %d %s", early, r.Status, r.Body)
		}
	}
}

func TestARevocationAsJSON(t *testing.T) {
	text, err := json.Marshal(wsroute.Revocation{Subject: "ada", IssuedBefore: time.Unix(0, 0).UTC()})
	if want := `{"subject":"ada","issued_before":"1970-01-01T00:00:00Z"}`; err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
}

// TestARevocationDuringARenewalOrRevalidation: Revoke ends the connection, whether it is called
// before or after the new identity is known.
func TestARevocationDuringARenewalOrRevalidation(t *testing.T) {
	for name, test := range map[string]struct {
		revocation wsroute.Revocation
		begin      func(*wstest.Peer[string, string])
	}{
		"a renewal": {wsroute.Revocation{TokenID: "t2"}, func(p *wstest.Peer[string, string]) { p.Send(renewBy("t2")) }},
		"a check":   {wsroute.Revocation{Session: "s2"}, func(*wstest.Peer[string, string]) {}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				deps := depends.New()
				called, goOn, calls := make(chan bool, 1), make(chan bool), 0
				scheme := depends.Scheme{Name: "Pass", Challenge: "Bearer", Sources: []depends.Source{{In: "query", Name: "pass"}}}
				provideScheme(deps, scheme, func(ctx context.Context, c depends.Credential) (pass, error) {
					depends.Identify(ctx, depends.Identity{Subject: "ada", TokenID: c.Value})
					return pass{text: c.Value}, nil
				})
				depends.Provide(deps, func(ctx context.Context, _ struct{ Pass pass }) (owner, error) {
					calls++
					depends.Identify(ctx, depends.Identity{Session: fmt.Sprint("s", calls)})
					if calls == 2 {
						called <- true
						<-goOn
					}
					return owner{made: calls}, nil
				}, depends.Revalidate(10*time.Second))
				ws := wsroute.New(deps, quiet())
				c := wsroute.HandleMessages(ws, "/", events, wsroute.Renewable)
				var live depends.Live[owner]
				wsroute.OnOpen(c, func(_ context.Context, in struct{ Live depends.Live[owner] }) error {
					live = in.Live
					return nil
				})
				wsroute.On(c, "hello", func(_ context.Context, _ nothing, in struct{ Owner owner }) error {
					if made := max(in.Owner.made, live.Get().made); made != 1 { // who is not revoked, until then
						t.Errorf("a message was handled for owner %d", made)
					}
					return nil
				})
				srv := wstest.Start(t, ws)
				p := wstest.Dial[string, string](t, srv, "/?pass=t1")
				test.begin(p)
				<-called
				if n, err := ws.Revoke(t.Context(), test.revocation); n != 0 || err != nil {
					t.Errorf("%d were known, %v", n, err)
				}
				close(goOn)
				p.Send(`{"type":"hello"}`)
				if got := p.Closed(); got.Code != 3000 || got.Reason != "revoked" {
					t.Errorf("closed with %v", got)
				}
			})
		})
	}
}
