package security_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// coded types say themselves how they are encoded: one way, by pointer, both ways.
type (
	oneWay      struct{ Name string }
	pointerOnly struct{ Name string }
	bothWays    struct{ name string }
)

func (oneWay) MarshalText() ([]byte, error)         { return nil, nil }
func (*pointerOnly) MarshalJSON() ([]byte, error)   { return nil, nil }
func (*pointerOnly) UnmarshalJSON([]byte) error     { return nil }
func (b bothWays) MarshalText() ([]byte, error)     { return []byte(b.name), nil }
func (b *bothWays) UnmarshalText(text []byte) error { b.name = string(text); return nil }

// TestWhatATicketWouldLose: who is let in by a ticket is whom it was given to.
func TestWhatATicketWouldLose(t *testing.T) {
	type inner struct{ limited bool }
	type base struct{ ID string }
	type node struct {
		Next *node
		name string
	}
	_ = node{name: fmt.Sprint(inner{limited: true})}
	for _, test := range []struct {
		scheme interface{ Describe() depends.Scheme }
		want   string
	}{
		{&security.Tickets[account]{}, ""},
		{&security.Tickets[string]{}, ""},
		{&security.Tickets[*account]{}, ""},
		{&security.Tickets[Claims]{}, ""},
		{&security.Tickets[*Claims]{}, ""},
		{&security.Tickets[any]{}, ""},
		{&security.Tickets[bothWays]{}, ""},
		{&security.Tickets[struct{ A []bothWays }]{}, ""},
		{&security.Tickets[struct {
			base
			At   time.Time
			Big  *big.Int
			Raw  json.RawMessage
			Hash string `json:"-"`
			_    struct{}
		}]{}, ""},
		{&security.Tickets[inner]{}, "the field limited of security_test.inner is not exported"},
		{&security.Tickets[struct{ A map[string][]*inner }]{}, "the field limited of security_test.inner is not exported"},
		{&security.Tickets[node]{}, "the field name of security_test.node is not exported"},
		{&security.Tickets[struct{ Big big.Int }]{}, "big.Int either encodes or decodes itself, and should do both"},
		{&security.Tickets[oneWay]{}, "security_test.oneWay either encodes or decodes itself, and should do both"},
		{&security.Tickets[pointerOnly]{}, "security_test.pointerOnly either encodes or decodes itself, and should do both"},
		{&security.Tickets[struct {
			time.Time
			Banned bool
		}]{}, "struct { time.Time; Banned bool } is encoded as its embedded Time"},
		{&security.Tickets[struct {
			base
			ID int
		}]{}, "two fields are called ID in its JSON"},
		{&security.Tickets[struct {
			base
			B string `json:"ID,omitempty"`
		}]{}, "two fields are called ID in its JSON"},
		{&security.Tickets[func()]{}, "json: unsupported type: func()"},
	} {
		got := ""
		for _, fault := range test.scheme.Describe().Faults {
			got += strings.TrimPrefix(fault.Fact, "Tickets cannot keep its type: ")
		}
		if got != test.want {
			t.Errorf("%T: %q, want %q", test.scheme, got, test.want)
		}
	}
}

// TestATicketIsForWhoAskedForIt: a connection that it opens counts, is revoked and ends
// as one with the token that bought it.
func TestATicketIsForWhoAskedForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bought := &security.Tickets[account]{}
		token := security.As(security.Scheme[Claims](config()), func(_ context.Context, c Claims) (account, error) { return account{c.Name}, nil })
		deps := depends.New()
		security.Use(deps, security.OneOf[account](token, bought))
		ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler), MaxPerPrincipal: 2})
		wsroute.Handle(ws, "/", func(ctx context.Context, c *wsroute.Conn[string, string], _ struct{ Who account }) error {
			_, err := c.Receive(ctx)
			return err
		})
		srv := wstest.Start(t, ws)
		desk := bought.Handler(func(r *http.Request) (account, error) { return security.Authenticate(r, token) })
		buy := func(span time.Duration) string {
			r := httptest.NewRequest(http.MethodPost, "/ticket", strings.NewReader(`{"path":"/"}`))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer "+mint(nil, object{"exp": time.Now().Add(span).Unix(), "jti": "t1"}))
			w := httptest.NewRecorder()
			desk.ServeHTTP(w, r)
			var body struct{ Ticket string }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			return "/?ticket=" + body.Ticket
		}
		start := time.Now()
		dial := func(target string) <-chan error { // it answers pings
			ended, peer := make(chan error, 1), wstest.Dial[string, string](t, srv, target)
			go func() {
				_, _, err := peer.WebSocket.ReadMessage()
				ended <- err
			}()
			return ended
		}
		brief, long := dial(buy(time.Hour)), dial(buy(2*time.Hour))
		if r := wstest.Refused(t, srv, buy(time.Hour)); r.Problem.Reason != "too_many_of_principal" {
			t.Errorf("a third is refused with %v", r.Problem)
		}
		if got := <-brief; !strings.Contains(got.Error(), "token_expired") || time.Since(start) < time.Hour || time.Since(start) > time.Hour+time.Minute {
			t.Errorf("after %v: %v", time.Since(start), got)
		}
		if n, err := ws.Revoke(t.Context(), wsroute.Revocation{TokenID: "t1"}); n != 1 || err != nil {
			t.Errorf("revoked %d, %v", n, err)
		}
		if got := <-long; !strings.Contains(got.Error(), "revoked") {
			t.Errorf("closed with %v", got)
		}
	})
}
