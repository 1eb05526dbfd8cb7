package wsroute_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/usher/depends"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// pass is the value of a scheme whose credential is "who/how long/what".
type pass struct{ who, text string }

// owner depends on a pass; made counts the times that it was resolved.
type owner struct {
	name string
	made int
}

var errBanned = depends.Forbidden("banned", errors.New("the account is banned"))

// renewable returns the dependencies of these tests. Whoever is called mallory has
// a pass and no account.
func renewable(released *atomic.Int32) *depends.Graph {
	deps := depends.New()
	scheme := depends.Scheme{Name: "Pass", Challenge: "Bearer", Sources: []depends.Source{{In: "query", Name: "pass"}}}
	provideScheme(deps, scheme, func(ctx context.Context, c depends.Credential) (pass, error) {
		parts := strings.Split(c.Value, "/")
		span, err := time.ParseDuration(parts[1])
		if err != nil {
			return pass{}, depends.Unauthorized("Bearer", err)
		}
		depends.Identify(ctx, depends.Identity{Subject: parts[0]})
		depends.ValidUntil(ctx, time.Now().Add(span))
		if parts[2] == "slow" {
			<-time.After(time.Second)
		}
		return pass{parts[0], parts[2]}, nil
	})
	made := 0
	depends.Provide(deps, func(ctx context.Context, in struct{ Pass pass }) (owner, error) {
		if in.Pass.text == "banned" {
			return owner{}, errBanned
		}
		made++
		depends.Cleanup(ctx, func(context.Context, error) error { released.Add(1); return nil })
		return owner{in.Pass.who, made}, nil
	})
	return deps
}

type renewInput struct {
	Pass    pass
	Account owner
	Live    depends.Live[owner]
	Now     depends.Live[pass]
}

// tell answers each message with what the handler sees.
func tell(ctx context.Context, conn *wsroute.Conn[string, string], in renewInput) error {
	for {
		if _, err := conn.Receive(ctx); err != nil {
			return err
		}
		now, account := in.Now.Get(), in.Live.Get()
		if err := conn.Send(ctx, fmt.Sprint(in.Pass.text, in.Account.made, " ", now.text, account.made)); err != nil {
			return err
		}
	}
}

func serveRenewable(t *testing.T, released *atomic.Int32) *wstest.Server {
	ws := wsroute.New(renewable(released), quiet())
	wsroute.Handle(ws, "/", tell, wsroute.Renewable)
	return wstest.Start(t, ws)
}

// TestRenewal: the token's end moves, Live values change, plain ones do not, and
// what was made anew is released when it is replaced, the first at the end.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var released atomic.Int32
		srv := serveRenewable(t, &released)
		start := time.Now()
		c := wstest.Dial[string, string](t, srv, "/?pass=ada/1h/old")
		ask := func(want string) {
			t.Helper()
			c.Send("?")
			if got := c.Receive(); got != want {
				t.Errorf("the handler sees %q, not %q", got, want)
			}
		}
		ask("old1 old1")
		renew := func(credential, want string) {
			t.Helper()
			c.Send(`{"$renew":"` + credential + `"}`)
			if got := c.Receive(); got != want {
				t.Errorf("got %s", got)
			}
		}
		time.Sleep(20 * time.Second)
		renew("ada/1h/new", fmt.Sprintf(`{"$renewed":"%s"}`, start.Add(time.Hour+20*time.Second).UTC().Format(time.RFC3339)))
		ask("old1 new2")
		renew("ada/2h/newer", fmt.Sprintf(`{"$renewed":"%s"}`, start.Add(2*time.Hour+20*time.Second).UTC().Format(time.RFC3339)))
		ask("old1 newer3")
		if n := released.Load(); n != 1 {
			t.Errorf("%d were released while the connection is open", n)
		}
		if got := untilClosed(c); got.Code != 3000 || got.Reason != "token_expired" || time.Since(start) != 2*time.Hour+20*time.Second {
			t.Errorf("after %v: %v", time.Since(start), got)
		}
		srv.Stop()
		if n := released.Load(); n != 3 {
			t.Errorf("%d were released in the end", n)
		}
	})
}

// TestARenewalThatIsRefused closes with its code, whatever the peer does, and
// nothing that it says afterwards is delivered.
func TestARenewalThatIsRefused(t *testing.T) {
	for _, c := range []struct {
		name, credential, want string
	}{
		{"another principal's", "eve/1h/new", `3003 "other_principal"`},
		{"a bad one", "ada/never/new", `3000 "unauthorized"`},
		{"one that has expired", "ada/-1s/new", `3000 "token_expired"`},
		{"one that a provider refuses", "ada/1h/banned", `3003 "banned"`},
		{"one that takes too long", "ada/1h/slow", `1013 "timeout"`},
	} {
		for name, peer := range lives {
			t.Run(c.name+", a peer that "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					config := quiet()
					config.Limits.MessageTimeout, config.ResolveTimeout = time.Hour, 900*time.Millisecond
					var over atomic.Bool
					end := make(chan error, 1)
					ws := wsroute.New(renewable(new(atomic.Int32)), config)
					wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ renewInput) error {
						defer context.AfterFunc(ctx, func() { over.Store(true) })()
						if err := conn.Send(ctx, "ready"); err != nil {
							return err
						}
						for {
							if _, err := conn.Receive(ctx); err != nil {
								end <- context.Cause(ctx)
								return err
							}
							if over.Load() {
								t.Error("a message was delivered after the end")
							}
						}
					}, wsroute.Renewable)
					srv := wstest.Start(t, ws)
					p := wstest.Dial[string, string](t, srv, "/?pass=ada/1h/old")
					p.Receive() // the handler runs
					p.Send(`{"$renew":"` + c.credential + `"}`)
					closed := peer(t, p.WebSocket)
					start := time.Now()
					if err := <-end; err == nil {
						t.Error("it ended without a cause")
					}
					srv.Stop()
					if d := time.Since(start); d > 6*time.Second {
						t.Errorf("it was gone after %v", d)
					}
					if got := <-closed; got != "" && got != c.want {
						t.Errorf("closed with %s, not %s", got, c.want)
					}
					_ = p.WebSocket.Close()
					time.Sleep(time.Second) // whoever goes on sending notices
				})
			})
		}
	}
}

// TestNobodyRenewsForSomebodyElse, also where a scheme says of nobody who they are.
func TestNobodyRenewsForSomebodyElse(t *testing.T) {
	deps := depends.New()
	scheme := depends.Scheme{Name: "Key", Challenge: "Key", Sources: []depends.Source{{In: "query", Name: "key"}}}
	provideScheme(deps, scheme, func(_ context.Context, c depends.Credential) (member, error) { return member{c.Value}, nil })
	ws := wsroute.New(deps, quiet())
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{ Who member }) error {
		_, err := conn.Receive(ctx)
		return err
	}, wsroute.Renewable)
	p := wstest.Dial[string, string](t, wstest.Start(t, ws), "/?key=alice")
	p.Send(`{"$renew":"bob"}`)
	if got := p.Closed(); got.Code != 3003 || got.Reason != "other_principal" {
		t.Errorf("closed with %v", got)
	}
}

// TestNoRenewalOfAConnectionWithoutACredential: it is the peer's mistake, and no error of ours.
func TestNoRenewalOfAConnectionWithoutACredential(t *testing.T) {
	var log safeBuffer
	config := quiet()
	config.Logger = slog.New(slog.NewTextHandler(&log, nil))
	ws := wsroute.New(renewable(new(atomic.Int32)), config)
	wsroute.Handle(ws, "/", func(ctx context.Context, conn *wsroute.Conn[string, string], _ struct{ Pass depends.Optional[pass] }) error {
		_, err := conn.Receive(ctx)
		return err
	}, wsroute.Renewable, wsroute.Public)
	srv := wstest.Start(t, ws)
	p := wstest.Dial[string, string](t, srv, "/")
	p.Send(`{"$renew":"ada/1h/x"}`)
	if got := p.Closed(); got.Code != 1008 || got.Reason != "nothing_to_renew" {
		t.Errorf("closed with %v", got)
	}
	srv.Stop()
	if strings.Contains(log.String(), "ERROR") {
		t.Errorf("logged\n%s", log.String())
	}
}

// lives are what a peer may do at the end of its connection. They return the code
// and reason that it saw; "" if it did not look.
var lives = map[string]func(*testing.T, *websocket.Conn) <-chan string{
	"is quiet": func(_ *testing.T, c *websocket.Conn) <-chan string { return seenBy(c) },
	"goes on sending": func(_ *testing.T, c *websocket.Conn) <-chan string {
		go func() {
			for c.WriteMessage(websocket.TextMessage, []byte("transfer")) == nil {
				time.Sleep(time.Millisecond)
			}
		}()
		return seenBy(c)
	},
	"never reads, nor answers the close": func(*testing.T, *websocket.Conn) <-chan string {
		none := make(chan string)
		close(none)
		return none
	},
	"is in the middle of a message": func(t *testing.T, c *websocket.Conn) <-chan string {
		raw(t, c, 0x01, 0x81, 0, 0, 0, 0, 'x')
		return seenBy(c)
	},
}

func seenBy(c *websocket.Conn) <-chan string {
	seen := make(chan string, 1)
	go func() {
		for {
			_, _, err := c.ReadMessage()
			var closed *websocket.CloseError
			if errors.As(err, &closed) {
				seen <- fmt.Sprintf("%d %q", closed.Code, closed.Text)
				return
			}
			if err != nil {
				seen <- err.Error()
				return
			}
		}
	}()
	return seen
}

// TestTwoRenewalsAtOnce are one too many.
func TestTwoRenewalsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := wstest.Dial[string, string](t, serveRenewable(t, new(atomic.Int32)), "/?pass=ada/1h/old")
		c.Send(`{"$renew":"ada/1h/slow"}`)
		c.Send(`{"$renew":"ada/1h/slow"}`)
		if got := c.Closed(); got.Code != 1008 || got.Reason != "renewing" {
			t.Errorf("got %v", got)
		}
	})
}

// TestConnRenew is for protocols of the program's own; what looks like a renewal and
// is none is delivered.
func TestConnRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws := wsroute.New(renewable(new(atomic.Int32)), quiet())
		own := func(ctx context.Context, conn *wsroute.Conn[string, string], in struct{ Now depends.Live[pass] }) error {
			for {
				m, err := conn.Receive(ctx)
				if err != nil {
					return err
				}
				until, err := conn.Renew(m)
				if err == nil {
					m = fmt.Sprint(in.Now.Get().text, " for ", time.Until(until))
				} else {
					m = err.Error()
				}
				if err := conn.Send(ctx, m); err != nil {
					return err
				}
			}
		}
		wsroute.Handle(ws, "/own", own, wsroute.Renewable)
		wsroute.Handle(ws, "/not", own)
		srv := wstest.Start(t, ws)
		c := wstest.Dial[string, string](t, srv, "/own?pass=ada/1h/old")
		c.Send("ada/3h/new")
		if got := c.Receive(); got != "new for 3h0m0s" {
			t.Errorf("got %q", got)
		}
		c.Send("eve/3h/new")
		if got := c.Closed(); got.Code != 3003 || got.Reason != "other_principal" {
			t.Errorf("got %v", got)
		}
		not := wstest.Dial[string, string](t, srv, "/not?pass=ada/1h/old")
		for _, m := range []string{"ada/3h/new", `{"$renew":"ada/3h/new"}`} {
			not.Send(m)
			if got := not.Receive(); !strings.Contains(got, "not Renewable") {
				t.Errorf("got %q", got)
			}
		}
		for _, m := range []string{`{"$renew":`, `{"$renewed":"a"}`, `{"text":"$renew"}`} {
			c := wstest.Dial[string, string](t, serveRenewable(t, new(atomic.Int32)), "/?pass=ada/1h/old")
			c.Send(m)
			if got := c.Receive(); got != "old1 old1" {
				t.Errorf("%s: %q", m, got)
			}
		}
	})
}

// TestAMessageBehindARenewal waits for its result; one before it does not.
func TestAMessageBehindARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var released atomic.Int32
		c := wstest.Dial[string, string](t, serveRenewable(t, &released), "/?pass=ada/1h/old")
		p := c.WebSocket.NetConn()
		for _, text := range []string{"before", `{"$renew":"ada/1h/slow"}`, "behind", "further behind"} {
			if _, err := p.Write(textFrame(text).Encode()); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		for i, want := range []string{"old1 old1", "", "old1 slow2", "old1 slow2"} {
			got := c.Receive()
			if want != "" && got != want {
				t.Errorf("answer %d is %q, not %q", i, got, want)
			}
			if d := time.Since(start); (d == 0) != (i == 0) {
				t.Errorf("answer %d came after %v", i, d)
			}
		}
	})
}

// TestAMessageBehindARenewalThatIsRefused is delivered to nobody.
func TestAMessageBehindARenewalThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var released atomic.Int32
		c := wstest.Dial[string, string](t, serveRenewable(t, &released), "/?pass=ada/1h/old")
		p := c.WebSocket.NetConn()
		for _, text := range []string{`{"$renew":"ada/1h/banned"}`, "behind"} {
			if _, err := p.Write(textFrame(text).Encode()); err != nil {
				t.Fatal(err)
			}
		}
		if _, data, err := c.WebSocket.ReadMessage(); !websocket.IsCloseError(err, 3003) {
			t.Errorf("the peer reads %q, %v", data, err)
		}
	})
}

// TestACloseBehindARenewal: what stands between them is heard when the renewal has its
// result.
func TestACloseBehindARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var released atomic.Int32
		c := wstest.Dial[string, string](t, serveRenewable(t, &released), "/?pass=ada/1h/old")
		p := c.WebSocket.NetConn()
		for _, f := range [][]byte{textFrame(`{"$renew":"ada/1h/slow"}`).Encode(), textFrame("behind").Encode(), closeFrame(1000, "").Encode()} {
			if _, err := p.Write(f); err != nil {
				t.Fatal(err)
			}
		}
		if got := c.Receive(); got[:12] != `{"$renewed":` {
			t.Errorf("the peer reads %q", got)
		}
		if got := c.Receive(); got != "old1 slow2" {
			t.Errorf("the peer reads %q", got)
		}
		if got := c.Closed(); got.Code != 1000 {
			t.Errorf("closed with %v", got)
		}
	})
}
