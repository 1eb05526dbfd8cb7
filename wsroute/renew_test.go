package wsroute_test

import (
	"context"
	"errors"
	"fmt"
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

// firstInput is what OnOpen was given.
type firstInput struct{ renewInput }

// seenMsg answers the message "see".
type seenMsg struct {
	Text string `json:"text"`
}

func (seenMsg) event() {}

// addSeeing adds a route whose message "see" is answered with what OnOpen was given, what its
// Live fields say now, and what the message is given.
func addSeeing(ws *wsroute.Router, path string) *wsroute.Channel[event] {
	c := wsroute.HandleMessages(ws, path, wsroute.Union[event]{"seen": seenMsg{}}, wsroute.Renewable)
	wsroute.OnOpen(c, func(_ context.Context, in struct {
		renewInput
		Opened *firstInput
	},
	) error {
		in.Opened.renewInput = in.renewInput
		return nil
	})
	wsroute.Answer(c, "see", func(_ context.Context, _ nothing, in struct {
		Opened  *firstInput
		Pass    pass
		Account owner
	},
	) (seenMsg, error) {
		first, now, account := in.Opened, in.Opened.Now.Get(), in.Opened.Live.Get()
		return seenMsg{fmt.Sprint(first.Pass.text, first.Account.made, " ", now.text, account.made,
			" ", in.Pass.text, in.Account.made)}, nil
	})
	return c
}

// tell is a loop that answers "?" with what it sees, and renews by any other message.
func tell(ctx context.Context, conn *wsroute.Conn[string, string], in renewInput) error {
	for {
		m, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		answer := fmt.Sprint(in.Pass.text, in.Account.made, " ", in.Now.Get().text, in.Live.Get().made)
		if m != "?" {
			until, err := conn.Renew(m)
			if err != nil {
				return err
			}
			answer = "until " + until.UTC().Format(time.RFC3339)
		}
		if err := conn.Send(ctx, answer); err != nil {
			return err
		}
	}
}

func serveRenewable(t *testing.T, released *atomic.Int32) *wstest.Server {
	deps := renewable(released)
	depends.Provide(deps, func(context.Context, none) (*firstInput, error) { return &firstInput{}, nil })
	ws := wsroute.New(deps, quiet())
	addSeeing(ws, "/")
	wsroute.Handle(ws, "/loop", tell, wsroute.Renewable)
	return wstest.Start(t, ws)
}

// manner is how a peer speaks to a route of serveRenewable.
type manner struct {
	path, see, renew, renewed string
	seen                      func(first, now string) string
}

var manners = map[string]manner{
	"messages": {
		"/", see, `{"type":"renew","ref":8,"token":"%s"}`,
		`{"type":"renewed","ref":8,"expires":"%s"}`, seen,
	},
	"a loop": {"/loop", "?", "%s", "until %s", func(first, now string) string { return first + " " + now }},
}

const see = `{"type":"see"}`

// seen is its answer.
func seen(first, now string) string {
	return `{"type":"seen","text":"` + first + " " + now + " " + now + `"}`
}

// renewBy is the message that renews.
func renewBy(token string) string { return fmt.Sprintf(`{"type":"renew","ref":8,"token":%q}`, token) }

// renewedForEver is its answer if the new values do not expire.
const renewedForEver = `{"type":"renewed","ref":8,"expires":null}`

// TestRenewal: the token's end moves, Live values change, plain ones do not but for those of the
// next message, and what was made again is released when it is replaced, the first at the end.
func TestRenewal(t *testing.T) {
	for name, by := range manners {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var released atomic.Int32
				srv := serveRenewable(t, &released)
				start := time.Now()
				c := wstest.Dial[string, string](t, srv, by.path+"?pass=ada/1h/old")
				converse(t, c, by.see, by.seen("old1", "old1"))
				renew := func(credential string, until time.Duration) {
					t.Helper()
					converse(t, c, fmt.Sprintf(by.renew, credential),
						fmt.Sprintf(by.renewed, start.Add(until).UTC().Format(time.RFC3339)))
				}
				time.Sleep(20 * time.Second)
				renew("ada/1h/new", time.Hour+20*time.Second)
				converse(t, c, by.see, by.seen("old1", "new2"))
				renew("ada/2h/newer", 2*time.Hour+20*time.Second)
				converse(t, c, by.see, by.seen("old1", "newer3"))
				synctest.Wait()
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
		})
	}
}

// renewOnce is a loop that renews by its first message, after which none is received.
func renewOnce(t *testing.T, end chan<- error) func(context.Context, *wsroute.Conn[string, string], renewInput) error {
	return func(ctx context.Context, conn *wsroute.Conn[string, string], _ renewInput) error {
		credential, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		if until, err := conn.Renew(credential); err == nil && time.Now().Before(until) {
			t.Errorf("renewed until %v", until)
		}
		if m, err := conn.Receive(ctx); err == nil {
			t.Errorf("%q was delivered after the end", m)
		}
		end <- context.Cause(ctx)
		return err
	}
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
		for manner, by := range manners {
			for name, peer := range lives {
				t.Run(c.name+", by "+manner+", a peer that "+name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						config := quiet()
						config.Limits.MessageTimeout, config.ResolveTimeout = time.Hour, 900*time.Millisecond
						end := make(chan error, 1)
						ws := wsroute.New(renewable(new(atomic.Int32)), config)
						wsroute.Handle(ws, "/loop", renewOnce(t, end), wsroute.Renewable)
						ch := wsroute.HandleMessages(ws, "/", events, wsroute.Renewable)
						wsroute.OnOpen(ch, func(ctx context.Context, _ renewInput) error {
							context.AfterFunc(ctx, func() { end <- context.Cause(ctx) })
							return nil
						})
						wsroute.On(ch, "transfer", func(context.Context, nothing, struct{}) error {
							t.Error("a message behind the renewal was handled")
							return nil
						})
						srv := wstest.Start(t, ws)
						p := wstest.Dial[string, string](t, srv, by.path+"?pass=ada/1h/old")
						synctest.Wait() // OnOpen has run
						p.Send(fmt.Sprintf(by.renew, c.credential))
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
}

// TestNobodyRenewsForSomebodyElse, also where a scheme says of nobody who they are.
func TestNobodyRenewsForSomebodyElse(t *testing.T) {
	deps := depends.New()
	scheme := depends.Scheme{Name: "Key", Challenge: "Key", Sources: []depends.Source{{In: "query", Name: "key"}}}
	provideScheme(deps, scheme, func(_ context.Context, c depends.Credential) (member, error) { return member{c.Value}, nil })
	ws := wsroute.New(deps, quiet())
	wsroute.HandleMessages(ws, "/", events, wsroute.Renewable, wsroute.Require[member]())
	p := wstest.Dial[string, string](t, wstest.Start(t, ws), "/?key=alice")
	p.Send(renewBy("bob"))
	if got := p.Closed(); got.Code != 3003 || got.Reason != "other_principal" {
		t.Errorf("closed with %v", got)
	}
}

// lives are what a peer may do at the end of its connection. They return the code
// and reason that it saw; "" if it did not look.
var lives = map[string]func(*testing.T, *websocket.Conn) <-chan string{
	"is quiet": func(_ *testing.T, c *websocket.Conn) <-chan string { return seenBy(c) },
	"goes on sending": func(_ *testing.T, c *websocket.Conn) <-chan string {
		go func() {
			for c.WriteMessage(websocket.TextMessage, []byte(`{"type":"transfer"}`)) == nil {
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
		c.Send(renewBy("ada/1h/slow"))
		c.Send(renewBy("ada/1h/slow"))
		if got := c.Closed(); got.Code != 1008 || got.Reason != "renewing" {
			t.Errorf("got %v", got)
		}
	})
}

// TestConnRenew is for protocols of the program's own: what renews on a HandleMessages route is
// a message like any other in a loop.
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
		wsroute.Handle(ws, "/plain", func(ctx context.Context, conn *wsroute.Conn[string, string], _ renewInput) error {
			return echo(ctx, conn, none{})
		}, wsroute.Renewable)
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
		for _, m := range []string{"ada/3h/new", renewBy("ada/3h/new")} {
			not.Send(m)
			if got := not.Receive(); !strings.Contains(got, "not Renewable") {
				t.Errorf("got %q", got)
			}
		}
		plain := wstest.Dial[string, string](t, srv, "/plain?pass=ada/1h/old")
		converse(t, plain, renewBy("ada/3h/new"), renewBy("ada/3h/new"))
	})
}

// TestAMessageBehindARenewal waits for its result; one before it does not.
func TestAMessageBehindARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var released atomic.Int32
		c := wstest.Dial[string, string](t, serveRenewable(t, &released), "/?pass=ada/1h/old")
		p := c.WebSocket.NetConn()
		for _, text := range []string{see, renewBy("ada/1h/slow"), see, see} {
			if _, err := p.Write(textFrame(text).Encode()); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		for i, want := range []string{seen("old1", "old1"), "", seen("old1", "slow2"), seen("old1", "slow2")} {
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
		for _, text := range []string{renewBy("ada/1h/banned"), see} {
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
		for _, f := range [][]byte{textFrame(renewBy("ada/1h/slow")).Encode(), textFrame(see).Encode(), closeFrame(1000, "").Encode()} {
			if _, err := p.Write(f); err != nil {
				t.Fatal(err)
			}
		}
		if got := c.Receive(); !strings.HasPrefix(got, `{"type":"renewed",`) {
			t.Errorf("the peer reads %q", got)
		}
		if got := c.Receive(); got != seen("old1", "slow2") {
			t.Errorf("the peer reads %q", got)
		}
		if got := c.Closed(); got.Code != 1000 {
			t.Errorf("closed with %v", got)
		}
	})
}
