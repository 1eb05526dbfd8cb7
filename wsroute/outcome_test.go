package wsroute_test

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// outcomes has routes of which everything is demanded and declared.
func outcomes(t *testing.T) []wsroute.Route {
	t.Helper()
	deps := depends.New()
	security.Use(deps, security.Session[routeHolder]{
		Cookie: "session",
		Find:   func(context.Context, string) (routeHolder, error) { return routeHolder{}, nil },
		CSRF:   func(routeHolder) string { return "" },
	})
	security.Use(deps, security.OneOf(
		security.Scheme[scopedPass](security.Opaque[scopedPass]{
			Sources: []depends.Source{security.BearerHeader()},
			Find:    func(context.Context, string) (scopedPass, error) { return scopedPass{}, nil },
		}),
		security.APIKey[scopedPass]{
			Sources: []depends.Source{security.Header("X-Key")},
			Find:    func(context.Context, [32]byte) (scopedPass, error) { return scopedPass{}, nil },
		},
		security.Basic[scopedPass]{
			Realm:  "a",
			Verify: func(context.Context, string, string) (scopedPass, error) { return scopedPass{}, nil },
		},
		&security.Tickets[scopedPass]{},
	))
	depends.Provide(deps, func(context.Context, struct{ Pass scopedPass }) (routeReader, error) {
		return routeReader{}, nil
	}, depends.Revalidate(time.Minute), depends.Refuses(403, "banned", "the account is banned"))
	depends.Provide(deps, func(context.Context, struct{ Reader routeReader }) (mine, error) { return mine{}, nil },
		depends.Message, depends.Refuses(404, "not_yours", ""))
	ws := wsroute.New(deps, &wsroute.Config{
		RequireTLS: true, MaxPerAddress: 9, MaxPerPrincipal: 9, Limits: wsroute.Limits{MessageRate: 9},
	})
	chat := wsroute.HandleMessages(ws, "/chat", wsroute.Union[event]{"done": doneMsg{}},
		wsroute.Renewable, wsroute.Scopes("talk"), wsroute.AcceptThenClose, wsroute.Doc("where people talk"),
		wsroute.Closes(4001, "kicked", wsroute.ReconnectNever, "a moderator has removed the account"))
	wsroute.OnOpen(chat, func(context.Context, struct{ Reader routeReader }) error { return nil })
	wsroute.Answer(chat, "say", func(context.Context, sayMsg, struct {
		Reader routeReader
		Mine   mine
		Since  int `header:"X-Since" doc:"in seconds" example:"7"`
	},
	) (doneMsg, error) {
		return doneMsg{}, nil
	}, wsroute.Doc("says it to all"), wsroute.Fails("muted", "nobody hears the account"), wsroute.Within(time.Second),
		wsroute.Scopes("chat"))
	wsroute.Handle(ws, "/loop", func(context.Context, *wsroute.Conn[event, event], struct{ Holder routeHolder }) error {
		return nil
	}, wsroute.Receives(wsroute.Union[event]{"say": sayMsg{}}), wsroute.Sends(wsroute.Union[event]{"done": doneMsg{}}))
	if _, err := ws.Handler(); err != nil {
		t.Fatal(err)
	}
	return ws.Routes()
}

// mine is made for a message.
type mine struct{}

// scopedPass is what a scheme with scopes makes.
type scopedPass struct{}

func (scopedPass) Scopes() []string { return nil }

func TestWhatIsDeclared(t *testing.T) {
	chat := outcomes(t)[0]
	if chat.Doc != "where people talk" || chat.Params[0].Doc != "in seconds" || chat.Params[0].Example != "7" {
		t.Errorf("got %+v", chat)
	}
	banned := wsroute.Refusal{Status: 403, Reason: "banned", CloseCode: 3003, Doc: "the account is banned", By: chat.Refusals[0].By}
	i := slices.IndexFunc(chat.Refusals, func(r wsroute.Refusal) bool { return r.Reason == "banned" })
	if i < 0 {
		t.Fatalf("got %+v", chat.Refusals)
	}
	banned.By = chat.Refusals[i].By // a function of this file
	if diff := cmp.Diff(banned, chat.Refusals[i]); diff != "" || !strings.Contains(banned.By, "outcomes") {
		t.Error(diff, banned.By)
	}
	want := []wsroute.Close{
		{Code: 4001, Reason: "kicked", Doc: "a moderator has removed the account", By: "program", Reconnect: wsroute.ReconnectNever},
		{Code: 3003, Reason: "banned", Doc: "the account is banned", By: banned.By, Reconnect: "never"},
		{Code: 3000, Reason: "token_expired", Doc: "the credential has expired meanwhile", By: "usher", Reconnect: wsroute.ReconnectNow},
		{Code: 1011, Doc: "the server has failed", By: "usher", Reconnect: wsroute.ReconnectLater},
		{Code: 1006, Doc: "the connection was lost", By: "usher", Reconnect: "later"},
	}
	for _, end := range want {
		if !slices.Contains(chat.Closes, end) {
			t.Errorf("%+v is not among %+v", end, chat.Closes)
		}
	}
	for _, reconnect := range []wsroute.Reconnect{wsroute.ReconnectNever, wsroute.ReconnectNow, wsroute.ReconnectLater} {
		if !slices.ContainsFunc(chat.Closes, func(end wsroute.Close) bool { return end.Reconnect == reconnect }) {
			t.Errorf("no close has %q", reconnect)
		}
	}
	say := chat.Receives[0]
	var reasons []string
	if want := (wsroute.Reason{Reason: "muted", Doc: "nobody hears the account", By: "program"}); say.Reasons[0] != want {
		t.Errorf("got %+v", say.Reasons[0])
	}
	for _, r := range say.Reasons {
		reasons = append(reasons, r.Reason+": "+r.Doc)
	}
	if diff := cmp.Diff([]string{
		"muted: nobody hears the account", "not_yours: ", "invalid_message: the message does not fit its type",
		"insufficient_scope: the credential does not grant the scopes",
		"timeout: the server took too long", "cancelled: the client has cancelled it", "internal: the server has failed",
	}, reasons); diff != "" || say.Doc != "says it to all" {
		t.Error(diff, say.Doc)
	}
}

// TestEveryReasonIsAmongThoseOfARoute: what the book explains is what documents and clients know.
func TestEveryReasonIsAmongThoseOfARoute(t *testing.T) {
	page, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	refused, closed, _ := strings.Cut(string(page), "\n## An open connection is closed\n")
	known := map[string]bool{ // those of other things than a handshake, and those that providers choose
		"refused not_found": true, "refused too_many_tickets": true, "refused invalid_body": true,
		"refused unauthorized": true, "refused unavailable": true,
	}
	for _, route := range outcomes(t) {
		for _, r := range route.Refusals {
			known["refused "+r.Reason] = true
		}
		for _, end := range route.Closes {
			known["closed "+end.Reason] = true
		}
	}
	row := regexp.MustCompile("(?m)^\\| (`[a-z0-9_`, ]+`) \\| [0-9, ]+ \\| ")
	name := regexp.MustCompile("`([a-z0-9_]+)`")
	rows := 0
	for word, text := range map[string]string{"refused": refused, "closed": closed} {
		for _, found := range row.FindAllStringSubmatch(text, -1) {
			for _, reason := range name.FindAllStringSubmatch(found[1], -1) {
				if rows++; !known[word+" "+reason[1]] {
					t.Errorf("no route lists that it is %s with %s", word, reason[1])
				}
			}
		}
	}
	if rows < 50 {
		t.Errorf("only %d reasons are found in the book", rows)
	}
}

// TestAGuestWhoSignsIn may be one connection too many of its account.
func TestAGuestWhoSignsIn(t *testing.T) {
	deps := depends.New()
	security.Use(deps, security.Scheme[scopedPass](security.Opaque[scopedPass]{
		Sources: []depends.Source{security.BearerHeader()},
		Find:    func(context.Context, string) (scopedPass, error) { return scopedPass{}, nil },
	}))
	ws := wsroute.New(deps, &wsroute.Config{MaxPerPrincipal: 1})
	chat := wsroute.HandleMessages(ws, "/chat", wsroute.Union[event]{"done": doneMsg{}}, wsroute.Renewable, wsroute.Public)
	wsroute.OnOpen(chat, func(context.Context, struct{ Pass depends.Optional[scopedPass] }) error { return nil })
	if _, err := ws.Handler(); err != nil {
		t.Fatal(err)
	}
	closes := ws.Routes()[0].Closes
	if !slices.ContainsFunc(closes, func(end wsroute.Close) bool {
		return end.Code == 1013 && end.Reason == "too_many_of_principal" && end.Reconnect == wsroute.ReconnectLater
	}) {
		t.Errorf("got %+v", closes)
	}
}

// TestBadDeclarations: each is a wiring fault.
func TestBadDeclarations(t *testing.T) {
	deps := depends.New()
	depends.Provide(deps, func(context.Context, none) (routeCheck, error) { return routeCheck{}, nil },
		depends.Refuses(200, "fine", ""))
	ws := wsroute.New(deps, quiet())
	chat := wsroute.HandleMessages(ws, "/chat", wsroute.Union[event]{"done": doneMsg{}}, wsroute.Public,
		wsroute.Closes(1006, "lost", wsroute.ReconnectLater, ""), wsroute.Closes(2500, "", wsroute.ReconnectLater, ""),
		wsroute.Closes(1001, "leaving", wsroute.ReconnectLater, ""))
	wsroute.On(chat, "say", func(context.Context, sayMsg, none) error { return nil }, wsroute.Fails("", "?"))
	_, err := ws.Handler()
	for _, want := range []string{
		`declares the status 200 and the reason "fine"`, `Closes(1006, "lost") declares what is never sent`, `Closes(2500, "") declares what is never sent`,
		"Fails names no reason",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "Closes(1001") {
		t.Errorf("1001 may be sent: %v", err)
	}
}

// TestWatch: a Trace may come after New.
func TestWatch(t *testing.T) {
	ws := wsroute.New(depends.New(), quiet())
	wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], none) error { return nil }, wsroute.Public)
	told := make(chan int, 1)
	ws.Watch(&wsroute.Trace{HandshakeDone: func(_ context.Context, _ wsroute.HandshakeInfo, r wsroute.HandshakeResult) {
		told <- r.Status
	}})
	wstest.Dial[string, string](t, wstest.Start(t, ws), "/").Closed()
	if got := <-told; got != 101 {
		t.Errorf("got %d", got)
	}
}
