package security_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// ask asks for a ticket of a path, as an account, by JSON.
func ask(handler http.Handler, path, origin, name string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/ticket", strings.NewReader(encode(object{"path": path})))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Name", name)
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func ticketOf(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	_, ticket, _ := strings.Cut(w.Body.String(), `"ticket":"`)
	if w.Code != http.StatusOK || len(ticket) < 43 {
		t.Fatalf("no ticket: %d %s", w.Code, w.Body)
	}
	return ticket[:43]
}

// byName takes the account from a header, and says whose it is.
func byName(r *http.Request) (account, error) {
	name := r.Header.Get("X-Name")
	depends.Identify(r.Context(), depends.Identity{Subject: name})
	return account{name}, nil
}

// TestATicketOpensOnePath: paths are compared as they are escaped, each escape is decoded once,
// and a different way to write a path is the same path.
func TestATicketOpensOnePath(t *testing.T) {
	for _, test := range []struct {
		asked, dialled string
		opens          bool
	}{
		{"/rooms/a%20b", "/rooms/a%20b", true},
		{"/rooms/a b", "/rooms/a%20b", true},
		{"/rooms/a%20b", "/rooms/a%2520b", false},
		{"/rooms/a%2520b", "/rooms/a%2520b", true},
		{"/rooms/a%2520b", "/rooms/a%20b", false},
		{"/rooms/a%252520b", "/rooms/a%2520b", false},
		{"/rooms/%61b", "/rooms/%61b", true},
		{"/rooms/%61b", "/rooms/ab", false},
		{"/rooms/a!b", "/rooms/a!b", true},
		{"/rooms/a+b", "/rooms/a%20b", false},
		{"/rooms/a+b", "/rooms/a+b", true},
		{"/rooms/a|b", "/rooms/a|b", true},
		{"/rooms/a^b", "/rooms/a%5Eb", true},
		{"/rooms/é", "/rooms/%C3%A9", true},
		{"/rooms/a", "/rooms/A", false},
		{"/rooms/a%3Fb", "/rooms/a%3Fb", true},
		{"/rooms/a%3Fb", "/rooms/a%253Fb", false},
		{"/rooms/a/", "/rooms/a", false},
		{"/rooms/a", "/rooms/a?since=7", true},
	} {
		for name, mount := range map[string]func(*wsroute.Router) http.Handler{
			"gin": func(ws *wsroute.Router) http.Handler {
				engine := gin.New()
				if err := ws.Mount(engine); err != nil {
					t.Fatal(err)
				}
				return engine
			},
			"net/http": func(ws *wsroute.Router) http.Handler {
				h, err := ws.Handler()
				if err != nil {
					t.Fatal(err)
				}
				return h
			},
		} {
			tickets := &security.Tickets[account]{}
			deps := depends.New()
			security.Use[account](deps, tickets)
			ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.DiscardHandler)})
			wsroute.Handle(ws, "/rooms/:room", func(ctx context.Context, c *wsroute.Conn[string, string], in struct {
				Who  account
				Room string `path:"room"`
			},
			) error {
				return c.Send(ctx, in.Room)
			})
			srv := wstest.StartHandler(t, ws, mount(ws))
			ticket := ticketOf(t, ask(tickets.Handler(byName), test.asked, "", "ann"))
			target := test.dialled + "?ticket=" + ticket
			if strings.Contains(test.dialled, "?") {
				target = test.dialled + "&ticket=" + ticket
			}
			if test.opens {
				wstest.Dial[string, string](t, srv, target).Receive()
			} else if r := wstest.Refused(t, srv, target); r.Status != http.StatusUnauthorized || r.Problem.Reason != "invalid_ticket" {
				t.Errorf("%s: a ticket for %s opens %s: %d %v", name, test.asked, test.dialled, r.Status, r.Problem)
			}
		}
	}
}

// TestAPathThatNoTicketOpens is refused when the ticket is asked for, with what is wrong about
// it: a ticket that opens nothing would be a 401 later.
func TestAPathThatNoTicketOpens(t *testing.T) {
	handler := (&security.Tickets[account]{}).Handler(byName)
	for path, code := range map[string]string{
		"/ws?room=7":                    "malformed",
		"/ws?":                          "malformed",
		"/ws#top":                       "malformed",
		"/ws/50%":                       "malformed",
		"/ws/%zz":                       "malformed",
		"/ws\n":                         "malformed",
		"ws://chat.example.com/ws":      "malformed",
		"ws":                            "malformed",
		"/" + strings.Repeat("x", 2048): "malformed",
		"":                              "malformed",
	} {
		w := ask(handler, path, "", "ann")
		if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), `"code":"`+code+`"`) ||
			!strings.Contains(w.Body.String(), "no query, no fragment") {
			t.Errorf("%.40q: %d %s", path, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/", "//", "/ws/%3Froom=7", "/ws/a%2Fb", "/" + strings.Repeat("x", 2047)} {
		if w := ask(handler, path, "", "ann"); w.Code != http.StatusOK {
			t.Errorf("%.40q: %d %s", path, w.Code, w.Body)
		}
	}
}

// TestTheLogSaysWhyATicketIsRefused, while the peer sees the same refusal for each reason.
func TestTheLogSaysWhyATicketIsRefused(t *testing.T) {
	for name, store := range stores() {
		for why, test := range map[string]struct {
			path, origin string
			before       func(ws *wsroute.Router, redeem func())
			reason       string
		}{
			"the ticket is unknown or was used": {"/a", page, func(_ *wsroute.Router, redeem func()) { redeem() }, "invalid_ticket"},
			"the ticket has expired":            {"/a", page, func(*wsroute.Router, func()) { time.Sleep(31 * time.Second) }, "invalid_ticket"},
			"the ticket is for another path":    {"/b", page, nil, "invalid_ticket"},
			`the ticket is for the Origin \"https://else.example\", not \"https://chat.example.com\"`: {"/a", "https://else.example", nil, "invalid_ticket"},
			`the ticket is for the Origin \"\", not \"https://chat.example.com\"`:                     {"/a", "", nil, "invalid_ticket"},
			"the authorisation was revoked": {"/a", page, func(ws *wsroute.Router, _ func()) {
				time.Sleep(time.Second)
				_, _ = ws.Revoke(context.Background(), wsroute.Revocation{Subject: "ann"})
			}, "revoked"},
		} {
			t.Run(name+": "+why, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					logged := &lockedBuffer{}
					tickets := &security.Tickets[account]{Store: store}
					deps := depends.New()
					security.Use[account](deps, tickets)
					ws := wsroute.New(deps, &wsroute.Config{Logger: slog.New(slog.NewTextHandler(logged, nil)), Origins: []string{page, "https://else.example"}})
					wsroute.Handle(ws, "/a", func(context.Context, *wsroute.Conn[string, string], struct{ _ account }) error { return nil })
					srv := wstest.Start(t, ws)
					ticket := ticketOf(t, ask(tickets.Handler(byName), test.path, test.origin, "ann"))
					origin := wstest.Header("Origin", page)
					if test.before != nil {
						test.before(ws, func() { wstest.Dial[string, string](t, srv, "/a?ticket="+ticket, origin).Closed() })
					}
					r := wstest.Refused(t, srv, "/a?ticket="+ticket, origin)
					if r.Status != http.StatusUnauthorized || r.Problem.Reason != test.reason || r.Problem.Detail != "" {
						t.Errorf("got %d %v", r.Status, r.Problem)
					}
					if text := logged.String(); !strings.Contains(text, why) || strings.Contains(text, ticket) {
						t.Errorf("the log has %s", text)
					}
				})
			})
		}
	}
}
