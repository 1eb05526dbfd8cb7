package security_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/usher/depends"
	"example.com/usher/security"
	"example.com/usher/wsroute"
	"example.com/usher/wsroute/wstest"
)

// TestATokenFromEachSource that a JWT may name.
func TestATokenFromEachSource(t *testing.T) {
	scheme := config()
	scheme.Sources = []depends.Source{
		security.BearerHeader(), security.QueryToken("token"), security.CookieToken("__Host-token"), security.SubprotocolToken("chat"),
	}
	srv := guarded(t, security.As(security.Scheme[Claims](scheme), func(_ context.Context, c Claims) (account, error) {
		return account{c.Subject}, nil
	}))
	origin, good := wstest.Header("Origin", page), mint(nil, nil)
	for name, test := range map[string]struct {
		target string
		option wstest.Option
	}{
		"header":      {"/ws/a", wstest.Header("Authorization", "Bearer "+good)},
		"query":       {"/ws/a?token=" + good, wstest.Header("X-Other", "1")},
		"cookie":      {"/ws/a", wstest.Cookie("__Host-token", good)},
		"subprotocol": {"/ws/a", wstest.Subprotocol("bearer, " + good)},
	} {
		peer := wstest.Dial[string, string](t, srv, test.target, origin, test.option)
		if got := peer.Receive(); got != "ann" {
			t.Errorf("%s: got %q", name, got)
		}
		if strings.Contains(strings.Join(peer.Response.Header["Sec-Websocket-Protocol"], ""), good) {
			t.Errorf("%s: the token is echoed", name)
		}
	}
}

// TestHeadersThatCannotBeASource: they hold more than a credential, and what is said of
// their parts, such as that a cookie demands an Origin, would not hold.
func TestHeadersThatCannotBeASource(t *testing.T) {
	claims := func(_ context.Context, c Claims) (account, error) { return account{c.Subject}, nil }
	for name, scheme := range map[string]func(...depends.Source) security.Scheme[account]{
		"JWT": func(s ...depends.Source) security.Scheme[account] {
			j := config()
			j.Sources = s
			return security.As(security.Scheme[Claims](j), claims)
		},
		"APIKey": func(s ...depends.Source) security.Scheme[account] { return apiKey(s...) },
		"OneOf": func(s ...depends.Source) security.Scheme[account] {
			return security.OneOf(security.Scheme[account](apiKey(security.Header("X-Other"))), security.Scheme[account](apiKey(s...)))
		},
	} {
		for _, test := range []struct {
			source depends.Source
			want   string
		}{
			{security.Header("cookie"), "takes the Cookie header for a credential"},
			{depends.Source{In: "header", Name: "Cookie", Prefix: "sid"}, "takes the Cookie header for a credential"},
			{security.Header("authorization"), "takes the whole Authorization header for a credential"},
			{security.Header("Sec-WebSocket-Protocol"), "takes the Sec-WebSocket-Protocol header for a credential"},
			{security.BearerHeader(), ""},
			{security.Header("X-Key"), ""},
		} {
			deps := depends.New()
			security.Use(deps, scheme(test.source))
			_, err := wsroute.New(deps, nil).Handler()
			if got := fmt.Sprint(err); test.want == "" && err != nil || !strings.Contains(got, test.want) || strings.Count(got, "unsafe: ") > 1 {
				t.Errorf("%s, %+v: got %v", name, test.source, err)
			}
		}
	}
}

// TestAParameterThatReadsTheCSRFToken does not start: it is hidden like the cookie.
func TestAParameterThatReadsTheCSRFToken(t *testing.T) {
	session := security.Session[account]{Cookie: "sid", Find: func(_ context.Context, id string) (account, error) { return account{id}, nil }}
	for _, csrf := range []func(account) string{nil, func(account) string { return "t" }} {
		session.CSRF = csrf
		deps := depends.New()
		security.Use(deps, security.Scheme[account](session))
		ws := wsroute.New(deps, &wsroute.Config{Origins: []string{page}})
		wsroute.Handle(ws, "/", func(context.Context, *wsroute.Conn[string, string], struct {
			Account account
			Token   string `query:"csrf_token" default:""`
			Header  string `header:"csrf_token" default:""`
		},
		) error {
			return nil
		})
		const want = "bad tag: `query:\"csrf_token\"` would read the credential of Session"
		if _, err := ws.Handler(); (csrf != nil) != strings.Contains(fmt.Sprint(err), want) || csrf == nil && err != nil {
			t.Errorf("with CSRF %v: %v", csrf != nil, err)
		}
	}
}

// TestTwoCookiesOfTheName are refused, though readers agree on one of them: who
// tosses a cookie must not choose the session.
func TestTwoCookiesOfTheName(t *testing.T) {
	srv := guarded(t, security.Session[account]{Cookie: "sid", Find: func(_ context.Context, id string) (account, error) { return account{id}, nil }})
	const twice = `400 invalid_request Session error="invalid_request"`
	for cookies, want := range map[string]string{
		"sid=b": "b", "SID=a; sid=b": "b", "sid2=a; sid=b": "b", "x=sid=a; sid=b": "b", `sid="b"`: "b",
		"sid=a; sid=b": twice, `sid=a\b; sid=b`: twice, "sid=b; sid=a\u00e9": twice, "sid=; sid=b": twice, "sid; sid=b": twice, "sid =a; sid=b": twice,
		`sid="a; sid=b`: twice, "sid=b;sid=b": twice, "sid=; sid=": twice, `sid="; sid="`: twice,
		"sid=": "401 credentials_required Session", `sid=""`: "401 credentials_required Session", `sid=a\b`: twice, "sid=a\u00e9": twice,
	} {
		if got := outcome(t, srv, "/ws/a", wstest.Header("Origin", page), wstest.Header("Cookie", cookies)); got != want {
			t.Errorf("%s: got %s, want %s", cookies, got, want)
		}
	}
	lines := []wstest.Option{wstest.Header("Origin", page), wstest.Header("Cookie", "sid="), wstest.Header("Cookie", "sid=b")}
	if got := outcome(t, srv, "/ws/a", lines...); got != twice {
		t.Errorf("over two lines: %s", got)
	}
}

// brokenStore answers as a store that is away, or that was tampered with.
type brokenStore struct{ text string }

func (s brokenStore) Put(context.Context, string, []byte, time.Time) error { return errors.New("away") }

func (s brokenStore) Take(context.Context, string, bool) ([]byte, error) {
	if s.text == "" {
		return nil, errors.New("away")
	}
	return []byte(s.text), nil
}

func TestATicketStoreThatFails(t *testing.T) {
	for _, store := range []security.TicketStore{brokenStore{}, brokenStore{"{"}} {
		srv := guarded(t, &security.Tickets[account]{Store: store})
		if r := wstest.Refused(t, srv, "/ws/a?ticket=x"); r.Status != 500 || strings.Contains(string(r.Body), "away") {
			t.Errorf("%v: %d %s", store, r.Status, r.Body)
		}
	}
}

// TestACredentialMadeByHand has an empty request, for unit tests of a scheme.
func TestACredentialMadeByHand(t *testing.T) {
	c := depends.Credential{Value: "x"}
	if c.Diagnosing() || c.Param("csrf_token") != "" || c.Request().Header.Get("Origin") != "" || c.Request().URL.Path != "" {
		t.Errorf("%v", c.Request())
	}
}
