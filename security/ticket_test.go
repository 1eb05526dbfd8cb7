package security_test

import (
	"context"
	"encoding/json"
	"log/slog"
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

// TestATicketIsForWhoAskedForIt: a connection that it opens counts, is revoked and ends
// as one with the token that bought it.
func TestATicketIsForWhoAskedForIt(t *testing.T) {
	for name, store := range stores() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { isForWhoAskedForIt(t, store) })
		})
	}
}

func isForWhoAskedForIt(t *testing.T, store security.TicketStore) {
	bought := &security.Tickets[account]{Store: store}
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
}

// TestATicketForAForm: whoever is asked who that is may read the form, too.
func TestATicketForAForm(t *testing.T) {
	desk := (&security.Tickets[account]{}).Handler(func(r *http.Request) (account, error) { return account{r.FormValue("name")}, nil })
	r := httptest.NewRequest(http.MethodPost, "/ticket", strings.NewReader("path=/&name=ann"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	if desk.ServeHTTP(w, r); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestATicketFromARoute: a route that knows who asks gives tickets of theirs.
func TestATicketFromARoute(t *testing.T) {
	bought := &security.Tickets[account]{}
	deps := depends.New()
	security.Use(deps, security.OneOf[account](
		security.As(security.Scheme[Claims](config()), func(_ context.Context, c Claims) (account, error) { return account{c.Name}, nil }), bought,
	))
	ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
	wsroute.HandleHTTP(ws, http.MethodPost, "/ticket", func(w http.ResponseWriter, r *http.Request, in struct{ Who account }) error {
		bought.Handler(func(*http.Request) (account, error) { return in.Who, nil }).ServeHTTP(w, r)
		return nil
	})
	wsroute.Handle(ws, "/", func(ctx context.Context, c *wsroute.Conn[string, string], _ struct{ Who account }) error {
		_, err := c.Receive(ctx)
		return err
	})
	srv := wstest.Start(t, ws)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+srv.Host+"/ticket", strings.NewReader(`{"path":"/"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + mint(nil, object{"jti": "t1"})}}
	answer, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var body struct{ Ticket string }
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	peer := wstest.Dial[string, string](t, srv, "/?ticket="+body.Ticket)
	if n, err := ws.Revoke(t.Context(), wsroute.Revocation{TokenID: "t1"}); n != 1 || err != nil {
		t.Errorf("revoked %d, %v", n, err)
	}
	peer.Closed()
}
