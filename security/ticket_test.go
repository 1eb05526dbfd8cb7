package security_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
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

// tickets serves a route behind tickets, and gives them.
func tickets(t *testing.T, store security.TicketStore) (
	srv *wstest.Server, give func(path, origin string) string,
) {
	scheme := &security.Tickets[account]{Store: store}
	srv = guarded(t, scheme)
	handler := scheme.Handler(func(r *http.Request) (account, error) {
		return security.Authenticate(r, security.Scheme[account](apiKey(security.Header("X-API-Key"))))
	})
	return srv, func(path, origin string) string {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "/ticket", strings.NewReader(`{"path":"`+path+`"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-API-Key", "k-alice")
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		var body struct {
			Ticket    string `json:"ticket"`
			ExpiresIn int    `json:"expires_in"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 200 || body.ExpiresIn != 30 || len(body.Ticket) != 43 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Error("a ticket may be cached")
		}
		return body.Ticket
	}
}

func TestATicketIsForOneUseOnePathAndOneOrigin(t *testing.T) {
	for name, store := range stores() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { oneUseOnePathAndOneOrigin(t, store) })
		})
	}
}

func oneUseOnePathAndOneOrigin(t *testing.T, store security.TicketStore) {
	srv, give := tickets(t, store)
	const refused = "401 invalid_ticket Ticket"
	origin := wstest.Header("Origin", page)
	if got := outcome(t, srv, "/ws/a?ticket="+give("/ws/a", page), origin); got != "alice" {
		t.Errorf("its own: %s", got) // though outcome looked first with a diagnosing GET
	}
	if got := outcome(t, srv, "/ws/a?ticket="+give("/ws/a", "")); got != "alice" {
		t.Errorf("a program's: %s", got)
	}
	for _, path := range []string{"/ws/a b", "/ws/a%20b"} {
		if got := outcome(t, srv, "/ws/a%20b?ticket="+give(path, page), origin); got != "alice" {
			t.Errorf("for %q: %s", path, got)
		}
	}
	used := give("/ws/a", page)
	wstest.Dial[string, string](t, srv, "/ws/a?ticket="+used, origin)
	for name, test := range map[string]struct{ target, ticket string }{
		"used": {"/ws/a", used}, "another path": {"/ws/b", give("/ws/a", page)}, "another origin": {"/ws/a", give("/ws/a", "https://evil.example")},
		"no origin": {"/ws/a", give("/ws/a", "")}, "unknown": {"/ws/a", "x"},
	} {
		if got := outcome(t, srv, test.target+"?ticket="+test.ticket, origin); got != refused {
			t.Errorf("%s: %s", name, got)
		}
	}
	late, last := give("/ws/a", page), give("/ws/a", page)
	time.Sleep(30*time.Second - time.Nanosecond)
	if got := outcome(t, srv, "/ws/a?ticket="+last, origin); got != "alice" {
		t.Errorf("just before it expires: %s", got)
	}
	time.Sleep(time.Nanosecond)
	if got := outcome(t, srv, "/ws/a?ticket="+late, origin); got != refused {
		t.Errorf("expired: %s", got)
	}
}

func TestOneOfAHundredGetsTheTicket(t *testing.T) {
	srv, give := tickets(t, nil)
	target := "/ws/a?ticket=" + give("/ws/a", "")
	var accepted, refused atomic.Int32
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+srv.Host+target, nil)
			request.Header = http.Header{
				"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
			}
			response, err := srv.Client().Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			_ = response.Body.Close()
			switch response.StatusCode {
			case 101:
				accepted.Add(1)
			case 401:
				refused.Add(1)
			}
		})
	}
	all.Wait()
	if accepted.Load() != 1 || refused.Load() != 99 {
		t.Errorf("%d accepted, %d refused", accepted.Load(), refused.Load())
	}
}

func TestWhoGetsNoTicket(t *testing.T) {
	scheme := &security.Tickets[account]{}
	handler := scheme.Handler(func(r *http.Request) (account, error) {
		if r.Header.Get("X-Broken") != "" {
			return account{}, errors.New("secret")
		}
		return security.Authenticate(r, security.Scheme[account](apiKey(security.Header("X-API-Key"))))
	})
	for _, test := range []struct {
		method, kind, key, body string
		broken                  bool
		want                    int
	}{
		{"GET", "", "k-alice", "", false, 405},
		{"POST", "", "", "path=/ws", false, 401},
		{"POST", "", "k-alice", "path=/ws", true, 500},
		{"POST", "application/x-www-form-urlencoded", "k-alice", "path=%2Fws", false, 200},
		{"POST", "application/json; charset=utf-8", "k-alice", `{"path":"/ws"}`, false, 200},
		{"POST", "application/json", "k-alice", `{"path":`, false, 400},
		{"POST", "application/json", "k-alice", `{"path":"` + strings.Repeat("x", 5000) + `"}`, false, 400},
		{"POST", "application/json", "k-alice", `{}`, false, 422},
		{"POST", "application/json", "k-alice", `{"path":"ws"}`, false, 422},
		{"POST", "", "k-alice", "", false, 422},
	} {
		r := httptest.NewRequest(test.method, "/ticket", strings.NewReader(test.body))
		r.Header.Set("Content-Type", test.kind)
		r.Header.Set("X-API-Key", test.key)
		if test.broken {
			r.Header.Set("X-Broken", "1")
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != test.want || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%+v: got %d %s", test, w.Code, w.Body)
		}
	}
}

// TestTheLogSaysWhyNoTicketIsGiven: the page learns no more than a stranger.
func TestTheLogSaysWhyNoTicketIsGiven(t *testing.T) {
	logged := captureLog(t)
	tickets := &security.Tickets[string]{}
	who := func(*http.Request) (string, error) {
		return "", depends.Unauthorized("Test", errors.New("it has expired"))
	}
	w := httptest.NewRecorder()
	tickets.Handler(who).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/ticket", strings.NewReader(`{"path":"/ws"}`)))
	if w.Code != 401 || strings.Contains(w.Body.String(), "expired") || !strings.Contains(logged.String(), "it has expired") {
		t.Errorf("%d %s, the log has %s", w.Code, w.Body, logged)
	}
	who = func(*http.Request) (string, error) { return "ann", nil }
	w = httptest.NewRecorder() // fetch sends text/plain unless it is told otherwise
	tickets.Handler(who).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/ticket", strings.NewReader(`{"path":"/ws"}`)))
	if w.Code != 422 || !strings.Contains(w.Body.String(), "application/json") {
		t.Errorf("JSON without its type: %d %s", w.Code, w.Body)
	}
}
