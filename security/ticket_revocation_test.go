package security_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// counter is a route for tokens and the tickets that they buy.
type counter struct {
	t    *testing.T
	ws   *wsroute.Router
	srv  *wstest.Server
	desk http.Handler
}

// trade starts one. correct runs in the provider of the principal that asks for a ticket.
func trade(t *testing.T, correct func(context.Context, *Claims)) *counter {
	t.Helper()
	bought := &security.Tickets[Claims]{}
	token := security.Scheme[Claims](config())
	deps := depends.New()
	security.Use(deps, security.OneOf[Claims](token, bought))
	ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
	wsroute.HandleMessages(ws, "/", wsroute.Union[error]{}, wsroute.Renewable, wsroute.Require[Claims]())
	wsroute.HandleHTTP(ws, http.MethodGet, "/me", func(w http.ResponseWriter, _ *http.Request, in struct{ Who Claims }) error {
		return json.NewEncoder(w).Encode(in.Who.Name)
	})
	return &counter{t, ws, wstest.Start(t, ws), bought.Handler(func(r *http.Request) (Claims, error) {
		claims, err := security.Authenticate(r, token)
		correct(r.Context(), &claims)
		return claims, err
	})}
}

// buy returns a ticket for the route.
func (c *counter) buy(claims object) (ticket string) {
	c.t.Helper()
	return c.buyFor("/", claims)
}

func (c *counter) buyFor(path string, claims object) (ticket string) {
	c.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/ticket", strings.NewReader(`{"path":"`+path+`"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+mint(nil, claims))
	w := httptest.NewRecorder()
	c.desk.ServeHTTP(w, r)
	var body struct{ Ticket string }
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != http.StatusOK {
		c.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return body.Ticket
}

func (c *counter) dial(ticket string) *wstest.Peer[string, string] {
	c.t.Helper()
	return wstest.Dial[string, string](c.t, c.srv, "/?ticket="+ticket)
}

// visit is a plain request with a ticket.
func (c *counter) visit(ticket string) (status int) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, "http://"+c.srv.Host+"/me?ticket="+ticket, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	response, err := c.srv.Client().Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

func (c *counter) revoke(r wsroute.Revocation) int {
	c.t.Helper()
	n, err := c.ws.Revoke(c.t.Context(), r)
	if err != nil {
		c.t.Error(err)
	}
	return n
}

func asItIs(context.Context, *Claims) {}

// TestATicketMayEndBeforeItsToken: at the exp of the claims it is given for, or at the end that
// the principal provider names.
func TestATicketMayEndBeforeItsToken(t *testing.T) {
	for name, shorten := range map[string]func(context.Context, *Claims){
		"by the claims": func(_ context.Context, c *Claims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(time.Minute)) },
		"by its word":   func(ctx context.Context, _ *Claims) { depends.ValidUntil(ctx, time.Now().Add(time.Minute)) },
	} {
		synctest.Test(t, func(t *testing.T) {
			c := trade(t, shorten)
			start := time.Now()
			peer := c.dial(c.buy(object{"exp": start.Add(5 * time.Minute).Unix()}))
			_, _, err := peer.WebSocket.ReadMessage()
			if after := time.Since(start); after > time.Minute+time.Second || !strings.Contains(fmt.Sprint(err), "token_expired") {
				t.Errorf("%s: after %v %v", name, after, err)
			}
		})
	}
}

// TestATicketHasTheIdentityOfItsPrincipal: what the principal provider says of the identity goes
// before the claims.
func TestATicketHasTheIdentityOfItsPrincipal(t *testing.T) {
	c := trade(t, func(ctx context.Context, _ *Claims) {
		depends.Identify(ctx, depends.Identity{Subject: "account-42", TokenID: "k1"})
	})
	peers := []*wstest.Peer[string, string]{c.dial(c.buy(object{"jti": "t1"})), c.dial(c.buy(object{"jti": "t1"}))}
	if n := c.revoke(wsroute.Revocation{TokenID: "t1"}); n != 0 {
		t.Errorf("%d are the token's still", n)
	}
	if n := c.revoke(wsroute.Revocation{Subject: "account-42", TokenID: "k1"}); n != len(peers) {
		t.Errorf("%d of %d are the account's", n, len(peers))
	}
	for _, peer := range peers {
		peer.Closed()
	}
}

// TestARevocationEndsTickets: tickets that are out, whether they are used for a handshake or to
// renew, and none that is given later.
func TestARevocationEndsTickets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := trade(t, asItIs)
		open := c.dial(c.buy(object{"jti": "t0"}))
		early, renewal, plain := c.buy(object{"jti": "t1"}), c.buy(object{"jti": "t1"}), c.buyFor("/me", object{"jti": "t1"})
		time.Sleep(time.Second)
		if n := c.revoke(wsroute.Revocation{TokenID: "t1"}); n != 0 {
			t.Errorf("%d connections had the token", n)
		}
		c.revoke(wsroute.Revocation{TokenID: "another"})
		time.Sleep(time.Second)
		late := c.buy(object{"jti": "t1"}) // the Handler would have refused a revoked token
		if r := wstest.Refused(t, c.srv, "/?ticket="+early); r.Status != 401 || r.Problem.Reason != "revoked" {
			t.Errorf("a ticket from before: %d %v", r.Status, r.Problem)
		}
		c.dial(late).Close(1000, "")
		open.Send(`{"type":"renew","token":"` + renewal + `"}`)
		if got := open.Closed(); got.Code != 3000 || got.Reason != "revoked" {
			t.Errorf("a renewal with one: %v", got)
		}
		if got := c.visit(c.buyFor("/me", object{"jti": "t1"})); got != 200 {
			t.Errorf("a plain request with a new one: %d", got)
		}
		if got := c.visit(plain); got != 401 {
			t.Errorf("a plain request with one from before: %d", got)
		}
		old := c.buy(object{"jti": "t2"})
		time.Sleep(time.Second)
		c.revoke(wsroute.Revocation{IssuedBefore: time.Now()})
		if r := wstest.Refused(t, c.srv, "/?ticket="+old); r.Problem.Reason != "revoked" {
			t.Errorf("a ticket from before that time: %d %v", r.Status, r.Problem)
		}
	})
}

// TestARevocationDuringASlowHandshake: its ticket was given long ago.
func TestARevocationDuringASlowHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type slow struct{}
		bought := &security.Tickets[account]{TTL: 5 * time.Minute}
		deps := depends.New()
		security.Use[account](deps, bought)
		depends.Provide(deps, func(context.Context, struct{ Who account }) (slow, error) {
			time.Sleep(100 * time.Second)
			return slow{}, nil
		})
		ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler), ResolveTimeout: 2 * time.Minute})
		wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], struct{ _ slow }) error { return nil })
		srv := wstest.Start(t, ws)
		c := counter{t, ws, srv, bought.Handler(func(r *http.Request) (account, error) {
			depends.Identify(r.Context(), depends.Identity{Subject: "ann"})
			return account{"ann"}, nil
		})}
		ticket := c.buy(nil)
		time.Sleep(time.Second)
		c.revoke(wsroute.Revocation{Subject: "ann"})
		time.Sleep(4*time.Minute + 50*time.Second)
		conn, err := srv.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(conn, "GET /?ticket=%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", ticket)
		time.Sleep(90 * time.Second)
		c.revoke(wsroute.Revocation{Subject: "bob"}) // and what is old is forgotten
		answer := make([]byte, 4<<10)
		if n, err := conn.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 401 ") {
			t.Errorf("%q, %v", answer[:n], err)
		}
	})
}
